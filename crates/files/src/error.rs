//! Errors of files that others wrote.

use std::io::ErrorKind;
use std::path::PathBuf;

use crate::stand_in::StandIn;

/// Result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A fault of a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: std::io::Error,
    },
    /// Something else has the name of the file.
    #[error("{}: {found}", path.display())]
    StandIn {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: StandIn,
    },
    /// A text that is not UTF-8.
    #[error("{}: expected UTF-8 text, found another encoding at byte {offset}", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// Bytes before the first that is no part of a character.
        offset: usize,
    },
    /// A file that is not the JSON it should be.
    #[error("{}: {message}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The parser's message, or what was expected.
        message: String,
    },
}

impl Error {
    /// True if there is no such file.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == ErrorKind::NotFound)
    }
}
