//! Faults of rankings and scores that come from outside.

use std::path::PathBuf;
use std::process::ExitStatus;

use rlhf_config::ConfigErrors;
use rlhf_data::Origin;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why there is no ranking or score.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Settings that cannot be.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// There is nothing to compare.
    #[error("task {id}: {found} completions, at least 2 are needed")]
    TooFew {
        /// The task's id.
        id: String,
        /// Number of completions.
        found: usize,
    },
    /// There is more than a pair to compare.
    #[error("task {id}: {found} completions, expected 2")]
    TooMany {
        /// The task's id.
        id: String,
        /// Number of completions.
        found: usize,
    },
    /// Two tasks have one name, so that answers to them cannot be told apart.
    #[error("two tasks have the id {id:?}: expected another one for each")]
    RepeatedTask {
        /// The id.
        id: String,
    },
    /// A program could not be started.
    #[error("{program}: cannot be started: {source}")]
    Start {
        /// The program and its arguments.
        program: String,
        /// The system's message.
        #[source]
        source: std::io::Error,
    },
    /// A program ended, or closed its output, before it had answered everything.
    #[error(
        "{program}: ended ({}) after {answered} of {expected} answers{}",
        status.map_or_else(|| "it closed its output".to_owned(), |status| status.to_string()),
        quoted(stderr)
    )]
    Ended {
        /// The program and its arguments.
        program: String,
        /// Its exit status; nothing if it still ran and was stopped.
        status: Option<ExitStatus>,
        /// Answers to this batch that had come.
        answered: usize,
        /// Rows of this batch.
        expected: usize,
        /// The last lines that it wrote to its standard error.
        stderr: String,
    },
    /// A program took too long, and was stopped.
    #[error(
        "{program}: {answered} of {expected} answers after {seconds} s, so it was stopped: expected a line for each row, flushed when \
         it is written{}",
        quoted(stderr)
    )]
    TimedOut {
        /// The program and its arguments.
        program: String,
        /// The time that it had, in seconds.
        seconds: f64,
        /// Answers to this batch that had come.
        answered: usize,
        /// Rows of this batch.
        expected: usize,
        /// The last lines that it wrote to its standard error.
        stderr: String,
    },
    /// A line of a program is not the answer to a row.
    #[error("{program}: line {line} of its output: expected {expected}, found {found}")]
    Line {
        /// The program and its arguments.
        program: String,
        /// The line, from 1, counted since it was started.
        line: usize,
        /// The content expected.
        expected: String,
        /// The content found.
        found: String,
    },
    /// A program was stopped after an earlier fault.
    #[error("{program}: was stopped after an earlier fault; start it again")]
    Stopped {
        /// The program and its arguments.
        program: String,
    },
    /// The judge's template is none, or cannot be rendered.
    #[error("the judge's template: {source}")]
    Template {
        /// The reason, with the line.
        #[source]
        source: minijinja::Error,
    },
    /// A server wants a key, or another one.
    #[error(
        "{url}: access denied (status {status}): {message}; {}",
        if *has_key {
            format!("the key in {api_key_env} was sent")
        } else {
            format!("{api_key_env} is not set, so no key was sent")
        }
    )]
    Denied {
        /// The address asked.
        url: String,
        /// 401 or 403.
        status: u16,
        /// The server's words.
        message: String,
        /// The variable of the environment that the key is read from.
        api_key_env: String,
        /// True if a key was sent.
        has_key: bool,
    },
    /// A server answered with a status that is not success.
    #[error("{url}: status {status} (attempts: {attempts}): {message}")]
    Status {
        /// The address asked.
        url: String,
        /// The status of the last answer.
        status: u16,
        /// The server's words.
        message: String,
        /// Number of attempts.
        attempts: u32,
    },
    /// A server did not answer.
    #[error("{url}: no answer (attempts: {attempts}): {source}")]
    NoAnswer {
        /// The address asked.
        url: String,
        /// Number of attempts.
        attempts: u32,
        /// The last fault.
        #[source]
        source: Box<ureq::Error>,
    },
    /// A server's answer is not one to a chat.
    #[error("{url}: expected a chat completion, found {found}")]
    Answer {
        /// The address asked.
        url: String,
        /// The beginning of the answer, or what it lacks.
        found: String,
    },
    /// It was asked to stop. What had been answered is kept.
    #[error("interrupted; what was answered is kept")]
    Interrupted,
    /// A line of the file of verdicts is none.
    #[error("{}:{line}: expected a verdict of an earlier run: {reason}", path.display())]
    CacheLine {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The parser's words.
        reason: String,
    },
    /// A file or folder could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's message.
        #[source]
        source: std::io::Error,
    },
    /// A file of tasks or rankings is not what it should be.
    #[error(transparent)]
    Data(#[from] rlhf_data::Error),
    /// One labeler ranks the same task twice, in different ways.
    #[error(
        "{second}: task {id}: {} ranks it as {:?}, and as {:?} at {first}",
        labeler.as_deref().unwrap_or("somebody without a name"),
        rankings[1],
        rankings[0]
    )]
    TwoRankings {
        /// The task's id.
        id: String,
        /// The labeler's name.
        labeler: Option<String>,
        /// Place of the first ranking.
        first: Origin,
        /// Place of the second.
        second: Origin,
        /// The ranks there, of the first and of the second.
        rankings: Box<[Vec<u32>; 2]>,
    },
}

impl Error {
    /// A fault of a file, for `map_err`.
    pub(crate) fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

fn quoted(stderr: &str) -> String {
    if stderr.is_empty() {
        "; it wrote nothing to its standard error".to_owned()
    } else {
        format!("; its standard error ends:\n{stderr}")
    }
}

/// The beginning of a text, for messages.
pub(crate) fn excerpt(text: &str) -> String {
    const SHOWN: usize = 120;
    let text = text.trim();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}
