//! Faults of the files of evaluations.

use std::path::PathBuf;

/// Result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Everything that can be wrong with a file of questions.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of rows, or a tokenizer, is not as it should be.
    #[error(transparent)]
    Data(#[from] rlhf_data::Error),
    /// Something else stands where a file should be.
    #[error(transparent)]
    File(#[from] rlhf_files::Error),
    /// A file could not be read.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's message.
        source: std::io::Error,
    },
    /// A table is no table.
    #[error("{}:{line}: malformed table: {reason}", path.display())]
    MalformedTable {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The fault.
        reason: String,
    },
    /// A table lacks a column.
    #[error("{}:1: no column `{column}`; found {found}", path.display())]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column looked for.
        column: &'static str,
        /// The columns that there are.
        found: String,
    },
    /// A table, or a file of rows, holds no question.
    #[error("{}: no rows; expected {expected}", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// The expected content.
        expected: &'static str,
    },
    /// A field is not what it should be.
    #[error("{place}: field `{field}`: expected {expected}, found {found}")]
    WrongField {
        /// File and line.
        place: String,
        /// The field.
        field: &'static str,
        /// What was hoped for.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// What should follow a context has no tokens of its own: the tokenizer leaves it out, or makes one token of it and the context's end.
    #[error(
        "{place}: {continuation:?} adds no token to what stands before it: the model's tokenizer cannot tell it apart"
    )]
    NoTokens {
        /// File and line.
        place: String,
        /// The text.
        continuation: String,
    },
    /// What should follow a context is too long for the model.
    #[error("{place}: {continuation:?} has {tokens} tokens, expected less than {most}, the model's context")]
    TooLong {
        /// File and line.
        place: String,
        /// The beginning of the text.
        continuation: String,
        /// Its tokens.
        tokens: usize,
        /// The model's context.
        most: usize,
    },
    /// Windows of no use.
    #[error(
        "windows of {window} tokens that predict {stride} each: expected 2 tokens or more, and a stride from 1 to one less"
    )]
    Windows {
        /// Tokens of a window.
        window: usize,
        /// New tokens of each.
        stride: usize,
    },
}
