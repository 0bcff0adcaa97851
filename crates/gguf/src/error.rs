//! Faults of a GGUF file, or of what is to become one.

use std::io;
use std::path::{Path, PathBuf};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a GGUF file is not read or not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system could not read the file.
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's message.
        #[source]
        source: io::Error,
    },
    /// The system could not write the file; nothing is left of it.
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's message.
        #[source]
        source: io::Error,
    },
    /// The file does not begin as GGUF does.
    #[error("{}: not a GGUF file: {found}", path.display())]
    NotGguf {
        /// The file.
        path: PathBuf,
        /// What stands at its beginning.
        found: String,
    },
    /// A version of the format that is not read.
    #[error("{}: GGUF version {version}, expected 2 or 3{hint}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version it names.
        version: u32,
        /// What such a file is, beginning with a colon, or nothing.
        hint: &'static str,
    },
    /// The file is over before its header is: a download that broke off, or a length that is damaged.
    #[error("{}: ends in {place}: {needed} bytes expected, {left} left", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The part of the header, by its key or tensor.
        place: String,
        /// Bytes that the part asks for.
        needed: u64,
        /// Bytes that the file has left.
        left: u64,
    },
    /// An entry of the metadata.
    #[error("{}: `{key}`: {message}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The key of the entry.
        key: String,
        /// The value found and the one expected.
        message: String,
    },
    /// A tensor.
    #[error("{}: tensor `{name}`: {message}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor, by its name in the file.
        name: String,
        /// The value found and the one expected.
        message: String,
    },
    /// A field of `config.json` that a GGUF file cannot say.
    #[error("config.json: `{field}`: {message}")]
    Config {
        /// The field, as a dotted path.
        field: String,
        /// The value found and the one expected.
        message: String,
    },
    /// A part of `tokenizer.json` or `tokenizer_config.json` that a GGUF file cannot say.
    #[error("tokenizer.json: `{part}`: {message}")]
    Tokenizer {
        /// The part, as a dotted path.
        part: String,
        /// The value found and the one expected.
        message: String,
    },
}

impl Error {
    pub(crate) fn key(path: &Path, key: &str, message: impl Into<String>) -> Self {
        Self::Key {
            path: path.to_owned(),
            key: key.to_owned(),
            message: message.into(),
        }
    }

    pub(crate) fn tensor(path: &Path, name: &str, message: impl Into<String>) -> Self {
        Self::Tensor {
            path: path.to_owned(),
            name: name.to_owned(),
            message: message.into(),
        }
    }

    pub(crate) fn config(field: &str, message: impl Into<String>) -> Self {
        Self::Config {
            field: field.to_owned(),
            message: message.into(),
        }
    }

    pub(crate) fn tokenizer(part: &str, message: impl Into<String>) -> Self {
        Self::Tokenizer {
            part: part.to_owned(),
            message: message.into(),
        }
    }
}
