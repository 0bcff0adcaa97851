//! Errors of configuration files.

use std::io;
use std::path::PathBuf;

use crate::errors::ConfigErrors;

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Every error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configuration file that cannot be read.
    #[error("{}: cannot read the configuration: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },
    /// A file that is no TOML.
    #[error("{}{}: expected TOML: {message}", path.display(), line.map(|l| format!(":{l}")).unwrap_or_default())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1, where it is known.
        line: Option<usize>,
        /// The parser's message.
        message: String,
    },
    /// A configuration that cannot be written as TOML.
    #[error("cannot write the configuration as TOML: {0}")]
    Encode(#[from] toml::ser::Error),
    /// Faults in the values; all of them are listed.
    #[error(transparent)]
    Faults(#[from] ConfigErrors),
}
