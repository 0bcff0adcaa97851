//! Faults of data, each with file, line, field, what was expected and what was found.

use std::path::PathBuf;

use crate::origin::Origin;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can be wrong with data, tokenizers and their settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no such file.
    #[error("{}: no such file; expected {expected}", path.display())]
    MissingFile {
        /// The path asked for.
        path: PathBuf,
        /// The expected content of the file.
        expected: &'static str,
    },
    /// Something else stands where a file should be, or it is no text.
    #[error(transparent)]
    File(#[from] rlhf_files::Error),
    /// A GGUF file is not what it should be.
    #[error(transparent)]
    Gguf(#[from] rlhf_gguf::Error),
    /// A file could not be opened or read.
    #[error("{}: cannot be read after line {line}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The last line read, 0 if none.
        line: usize,
        /// The system's message.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's message, for example that the disk is full.
        source: std::io::Error,
    },
    /// The name of a file does not say which format it has.
    #[error("{}: unknown format; expected a name ending in {expected}", path.display())]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// The endings understood.
        expected: &'static str,
    },
    /// A file holds no row at all.
    #[error("{}: the file is empty; expected {expected}", path.display())]
    EmptyFile {
        /// The file.
        path: PathBuf,
        /// The expected content.
        expected: &'static str,
    },
    /// A file has fewer rows than the one that is asked for.
    #[error("{}: there is no row {row}; expected one from 1 to {rows}", path.display())]
    MissingRow {
        /// The file.
        path: PathBuf,
        /// The row asked for, from 1.
        row: usize,
        /// Number of rows that there are.
        rows: usize,
    },
    /// A line is no row: not UTF-8, not JSON, not an object.
    #[error("{}:{line}: malformed line: expected {expected}, found {found}", path.display())]
    MalformedLine {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The expected content of the line.
        expected: &'static str,
        /// The content found, with the parser's words.
        found: String,
    },
    /// A field is missing, or has another type or content than it must have.
    #[error("{}:{line}: field `{field}`: expected {expected}, found {found}", path.display())]
    WrongField {
        /// The file.
        path: PathBuf,
        /// The line the row starts on, counted from 1.
        line: usize,
        /// The field, for example `messages[1].role`.
        field: String,
        /// The value expected.
        expected: String,
        /// The value found.
        found: String,
    },
    /// A ranking does not rank each completion once.
    #[error("{}:{line}: field `ranking`: expected {completions} ranks, one for each completion, found {ranks}", path.display())]
    RankingLength {
        /// The file.
        path: PathBuf,
        /// The line the row starts on, counted from 1.
        line: usize,
        /// Number of completions.
        completions: usize,
        /// Number of ranks.
        ranks: usize,
    },
    /// A comparison needs two completions at least.
    #[error("{}:{line}: field `completions`: expected at least 2 completions to compare, found {found}", path.display())]
    TooFewCompletions {
        /// The file.
        path: PathBuf,
        /// The line the row starts on, counted from 1.
        line: usize,
        /// Number of completions.
        found: usize,
    },
    /// No row of a comparisons file prefers anything.
    #[error("{}: all {rows} rankings are ties, or of answers that are the same; expected a row that prefers one completion to another", path.display())]
    AllTies {
        /// The file.
        path: PathBuf,
        /// Number of its rows.
        rows: usize,
    },
    /// Every row of a file was left out.
    #[error("{}: none of its {rows} rows can be used: {reasons}", path.display())]
    NothingLeft {
        /// The file.
        path: PathBuf,
        /// Number of its rows.
        rows: usize,
        /// The reasons for which rows were left out, each with their number.
        reasons: String,
    },
    /// A setting of this crate is out of range.
    #[error("{field}: expected {expected}, found {found}")]
    Config {
        /// The setting, for example `sources[1].weight`.
        field: String,
        /// The value expected.
        expected: String,
        /// The value found.
        found: String,
    },
    /// Settings that cannot be used.
    #[error(transparent)]
    Settings(rlhf_config::ConfigErrors),
    /// A prompt leaves no room for the answer.
    #[error(
        "{}: the prompt has {tokens} tokens{}; expected at most {} (context of {context} less {max_new_tokens} new tokens)",
        origin.name(id),
        without_oldest(*dropped_messages),
        context.saturating_sub(*max_new_tokens)
    )]
    PromptTooLong {
        /// The id of the row.
        id: String,
        /// The place of the row.
        origin: Origin,
        /// Its length in tokens, role tokens included, without its oldest exchanges.
        tokens: usize,
        /// The messages of these.
        dropped_messages: usize,
        /// Positions the model has.
        context: usize,
        /// Positions kept free for the answer.
        max_new_tokens: usize,
    },
    /// The model was made for another tokenizer.
    #[error(
        "model and tokenizer do not belong together: the tokenizer has ids up to {largest} ({token:?}), expected a model with at \
         least {} rows of embedding, it has {model}",
        u64::from(*largest) + 1
    )]
    VocabMismatch {
        /// The token with that id.
        token: String,
        /// The largest id that the tokenizer has.
        largest: u32,
        /// Rows the model's embedding has.
        model: usize,
    },
    /// The tokenizer lacks a special token.
    #[error("{}: no {name} token: `{token}` is not in the vocabulary", path.display())]
    MissingSpecialToken {
        /// The tokenizer file.
        path: PathBuf,
        /// The token's purpose: `eos` or `pad`.
        name: &'static str,
        /// The name expected.
        token: String,
    },
    /// A tokenizer file is not one.
    #[error("{}: not a tokenizer: {reason}", path.display())]
    MalformedTokenizer {
        /// The file.
        path: PathBuf,
        /// The parser's words.
        reason: String,
    },
    /// A chat template is not Jinja, or its generation blocks do not match.
    #[error("{template}:{line}: not a chat template: {reason}")]
    TemplateSyntax {
        /// The template's file.
        template: String,
        /// The line of the template, counted from 1.
        line: usize,
        /// The fault.
        reason: String,
    },
    /// A chat template refused a conversation with `raise_exception`.
    #[error("{template}: the chat template refuses the conversation: {message}")]
    TemplateRaised {
        /// The template's file.
        template: String,
        /// The template's message, to the letter.
        message: String,
    },
    /// A chat template cannot be rendered for a conversation.
    #[error("{template}:{line}: the chat template fails: {reason}")]
    TemplateFailed {
        /// The template's file.
        template: String,
        /// The line of the template, counted from 1.
        line: usize,
        /// The fault.
        reason: String,
    },
    /// A chat template has no generation blocks, and what it renders does not show where an answer stands.
    #[error(
        "{template}: cannot tell which text is the assistant's in message {message}: {reason}; put {{% generation %}} and {{% endgeneration %}} around it in the template"
    )]
    AnswerNotFound {
        /// The template's file.
        template: String,
        /// The index of the message, counted from 0.
        message: usize,
        /// The check that failed.
        reason: String,
    },
    /// A chat template works on the text of a generation block after rendering it.
    #[error(
        "{template}: cannot tell which text is the assistant's: the template changes a generation block after rendering it; put the block around what is printed last"
    )]
    GenerationBlockChanged {
        /// The template's file.
        template: String,
    },
    /// A model has no chat template where one is needed.
    #[error(
        "{}: no chat template: expected chat_template.jinja or `chat_template` in tokenizer_config.json; give one with data.chat_template, or a copy in the folder",
        dir.display()
    )]
    MissingChatTemplate {
        /// The model's folder.
        dir: PathBuf,
    },
    /// Conversations are written with role tokens, and a message says what was thought before it.
    #[error(
        "`{field}` of message {message}: conversations are written with role tokens, which have no place for it; give a template \
         that reads it with data.chat_template, or leave the field out"
    )]
    NoPlaceForReasoning {
        /// The index of the message, counted from 0.
        message: usize,
        /// The name that the message has for it.
        field: &'static str,
    },
    /// A chat template marks nothing of a demonstration as the assistant's.
    #[error("{template}: its generation blocks hold nothing of the conversation, so that there is nothing to learn")]
    NothingTaught {
        /// The template's file.
        template: String,
    },
    /// A conversation of a row cannot be written as the model reads it.
    #[error("{}: {source}", origin.name(id))]
    Conversation {
        /// The id of the row.
        id: String,
        /// The place of the row.
        origin: Origin,
        /// The fault.
        source: Box<Error>,
    },
}

/// ` without its oldest 2 messages`, or nothing if it is whole.
fn without_oldest(messages: usize) -> String {
    match messages {
        0 => String::new(),
        1 => " without its oldest message".to_owned(),
        more => format!(" without its oldest {more} messages"),
    }
}
