//! A program of the user's that ranks or scores: a line of JSON for each row, and one back.

mod answer;
mod child;
#[cfg(test)]
mod tests;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rlhf_config::ConfigErrors;
use rlhf_tasks::Ranking;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::answer::Answer;
use self::child::Running;
use crate::error::{Error, Result};
use crate::task::{AnswerTask, RankTask, check_comparable, check_distinct};

/// A program that ranks or scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CommandConfig {
    /// The program and its arguments. No shell reads them; one that is wanted is named: `["sh", "-c", "exec …"]`.
    pub program: Vec<String>,
    /// Time for one batch, in seconds. A program that takes longer is stopped.
    pub timeout_seconds: u64,
    /// Rows that are handed over before all of their answers are waited for.
    pub batch: usize,
}

impl Default for CommandConfig {
    fn default() -> Self {
        Self {
            program: Vec::new(),
            timeout_seconds: 600,
            batch: 64,
        }
    }
}

impl CommandConfig {
    /// The faults of these settings; paths are relative to this struct.
    pub fn validate(&self) -> ConfigErrors {
        let Self {
            program,
            timeout_seconds,
            batch,
        } = self;
        let mut errors = ConfigErrors::new();
        let is_named = program.first().is_some_and(|name| !name.trim().is_empty());
        errors.check(is_named, "program", || {
            format!("expected the name of a program and its arguments, found {program:?}")
        });
        errors.check(*timeout_seconds > 0, "timeout_seconds", || {
            "expected at least 1, found 0".to_owned()
        });
        errors.check_count("batch", *batch);
        errors
    }
}

/// A program that was started and is asked again and again.
///
/// To rank, it reads `{"id", "messages", "completions"}` and writes `{"ranking": [1, 0, 2]}`: a whole number for each completion, 0
/// for the best, equal numbers for ties; a `confidence` in 0..=1 may stand beside it. To score, it reads
/// `{"id", "messages", "completion"}` and writes `{"score": 0.5}`. Where the prompt has a `task`, the row has it too. An answer may
/// carry the `id` of its row; if all of a batch do, they may come in any order. Each line has to be flushed when it is written.
///
/// The program is stopped when this value is dropped, by the end of its input, and killed if that is not enough. Programs that it has
/// started itself are not: a shell should `exec` what it runs.
///
/// ```
/// # #[cfg(unix)] {
/// use rlhf_data::{Message, Prompt};
/// use rlhf_judges::{AnswerTask, Command, CommandConfig};
///
/// let script = r#"while read -r row; do echo "{\"score\": ${#row}}"; done"#;
/// let program = ["sh", "-c", script].map(str::to_owned).to_vec();
/// let command = Command::start(&CommandConfig { program, ..Default::default() })?;
///
/// let prompt = Prompt { id: "a".into(), messages: vec![Message::user("Why?")], task: None, origin: Default::default() };
/// let answers = ["So.".to_owned(), "Because it is.".to_owned()];
/// let scores = command.score(&AnswerTask::of_completions(&prompt, &answers))?;
/// assert!(scores[0] < scores[1]);
/// # }
/// # Ok::<(), rlhf_judges::Error>(())
/// ```
#[derive(Debug)]
pub struct Command {
    program: String,
    timeout: Duration,
    batch: usize,
    /// Nothing after a fault.
    running: Mutex<Option<Running>>,
}

impl Command {
    /// Starts the program.
    ///
    /// # Errors
    /// [`Error::Config`] if the settings are at fault, [`Error::Start`] if there is no such program.
    pub fn start(config: &CommandConfig) -> Result<Self> {
        config.validate().into_result()?;
        Ok(Self {
            program: config.program.join(" "),
            timeout: Duration::from_secs(config.timeout_seconds),
            batch: config.batch,
            running: Mutex::new(Some(Running::start(&config.program)?)),
        })
    }

    /// The program and its arguments.
    pub fn id(&self) -> &str {
        &self.program
    }

    /// Ranks the completions of each task.
    ///
    /// # Errors
    /// Tasks of one name, or of fewer than two completions; [`Error::Ended`], [`Error::TimedOut`] or [`Error::Line`] if the program
    /// does not answer as it should, after which it is stopped.
    pub fn rank(&self, tasks: &[RankTask]) -> Result<Vec<Ranking>> {
        for task in tasks {
            check_comparable(&task.id, task.completions.len())?;
        }
        self.ask(
            tasks,
            |task| &task.id,
            |task, answer| answer.ranking(task.completions.len()),
        )
    }

    /// Gives each answer a score; of two, the better one has the higher.
    ///
    /// # Errors
    /// As [`Command::rank`]; a score that is no finite number is an [`Error::Line`].
    pub fn score(&self, answers: &[AnswerTask]) -> Result<Vec<f64>> {
        self.ask(answers, |task| &task.id, |_, answer| answer.score())
    }

    /// One answer for each row, read by `read`.
    fn ask<R: Serialize, T>(
        &self,
        rows: &[R],
        id: impl Fn(&R) -> &str,
        read: impl Fn(&R, &Answer) -> Result<T>,
    ) -> Result<Vec<T>> {
        check_distinct(rows.iter().map(&id))?;
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let mut child = running.take().ok_or_else(|| Error::Stopped {
            program: self.program.clone(),
        })?;
        let mut results = Vec::with_capacity(rows.len());
        for batch in rows.chunks(self.batch) {
            let ids: Vec<&str> = batch.iter().map(&id).collect();
            let answers = child.exchange(json_lines(batch), batch.len(), self.timeout)?;
            let answers = answer::sorted(&ids, answers, &self.program)?;
            for (row, answer) in batch.iter().zip(&answers) {
                results.push(read(row, answer)?);
            }
        }
        // After a fault it is not put back, and dropping stops it: nobody knows which row its next line would be for.
        *running = Some(child);
        Ok(results)
    }
}

fn json_lines<R: Serialize>(rows: &[R]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for row in rows {
        serde_json::to_writer(&mut bytes, row).expect("rows are plain data, and memory takes them");
        bytes.push(b'\n');
    }
    bytes
}
