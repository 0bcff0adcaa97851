//! Errors of this crate, with the data a person needs to put them right.

use std::{
    io,
    path::{Path, PathBuf},
};

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Every error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `--device` named a backend that this build does not contain.
    #[error("unknown device `{name}`: this build has {available}")]
    UnknownDevice {
        /// Name that was asked for.
        name: String,
        /// Names that would do.
        available: String,
    },
    /// A parameter has no tensor of its name.
    #[error("tensor `{name}` is missing, expected shape {expected:?}")]
    MissingTensor {
        /// Parameter name.
        name: String,
        /// Its shape.
        expected: Vec<usize>,
    },
    /// A tensor has another shape than its parameter.
    #[error("tensor `{name}` has shape {found:?}, expected {expected:?}")]
    TensorShape {
        /// Parameter name.
        name: String,
        /// Shape of the parameter.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// A file or folder that should be there is not.
    #[error("{}: no such file or folder (needed to {action})", path.display())]
    NotFound {
        /// Action that failed.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
    },

    /// The operating system does not let this user do it.
    #[error("{}: permission denied (to {action})", path.display())]
    PermissionDenied {
        /// Action that failed.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },

    /// The disk or the user's quota is full.
    #[error("{}: no space left on the disk (to {action}); free some, or choose another folder with --run", path.display())]
    NoSpace {
        /// Action that failed.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },

    /// Any other failure to read or write.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// Action that failed.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: io::Error,
    },

    /// A file's text is not what its format asks for.
    #[error("{}{}: expected {expected}: {message}", path.display(), line.map(|l| format!(":{l}")).unwrap_or_default())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1, where it is known.
        line: Option<usize>,
        /// Content that the file should have.
        expected: &'static str,
        /// The parser's message.
        message: String,
    },

    /// A file is shorter than, or differs from, what was written.
    #[error("{}: damaged: {reason}", path.display())]
    Damaged {
        /// The file or folder.
        path: PathBuf,
        /// Evidence of the damage.
        reason: String,
    },

    /// A file was written by a version of this program with another format.
    #[error("{}: format version {found}, but this program reads version {expected}", path.display())]
    FormatVersion {
        /// The file.
        path: PathBuf,
        /// The version this program reads.
        expected: u32,
        /// The version that was found.
        found: u32,
    },

    /// A checkpoint or finished stage belongs to another configuration or other input.
    #[error("{}: made with another configuration: `{field}` is {expected} now but was {found} then", path.display())]
    OtherConfig {
        /// The checkpoint or stage.
        path: PathBuf,
        /// The first field that differs, as a dotted path.
        field: String,
        /// Its value in the present configuration.
        expected: String,
        /// Its value in the file.
        found: String,
    },

    /// Another live process works in the same folder.
    #[error("{}: in use by another process{}", path.display(), pid.map(|p| format!(" (pid {p})")).unwrap_or_default())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The other process, if it left its number.
        pid: Option<u32>,
    },

    /// A checkpoint holds nothing under this name.
    #[error("{}: no part named `{name}`; it has {}", path.display(), known.join(", "))]
    UnknownPart {
        /// The checkpoint.
        path: PathBuf,
        /// The name asked for.
        name: String,
        /// The names that are there.
        known: Vec<String>,
    },

    /// A name of a stage or of a checkpoint's part that cannot be a file's name, or that is taken.
    #[error("`{name}` cannot name a file here: {reason}")]
    BadName {
        /// The name.
        name: String,
        /// Fault of the name.
        reason: &'static str,
    },

    /// A metric row went back in time.
    #[error("metric row of step {found} after one of step {expected}: rows must not go back")]
    MetricOrder {
        /// The step of the last row.
        expected: u64,
        /// The step of the refused row.
        found: u64,
    },

    /// A value cannot be written as JSON, TOML or safetensors.
    #[error("cannot encode {what}: {message}")]
    Encode {
        /// Value that cannot be written.
        what: String,
        /// The encoder's message.
        message: String,
    },
}

impl Error {
    /// Sorts an operating-system error into the variant a user can act on.
    ///
    /// `action` completes the sentence "cannot …".
    pub(crate) fn io(action: &'static str, path: impl AsRef<Path>, source: io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound { action, path },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::PermissionDenied { action, path, source }
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace { action, path, source },
            _ => Self::Io { action, path, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: io::ErrorKind) -> String {
        Error::io("write", "runs/a", io::Error::from(kind)).to_string()
    }

    #[test]
    fn operating_system_errors_name_the_file_and_the_remedy() {
        assert!(said(io::ErrorKind::StorageFull).starts_with("runs/a: no space left on the disk"));
        assert!(said(io::ErrorKind::StorageFull).contains("--run"));
        assert_eq!(
            said(io::ErrorKind::PermissionDenied),
            "runs/a: permission denied (to write)"
        );
        assert_eq!(
            said(io::ErrorKind::NotFound),
            "runs/a: no such file or folder (needed to write)"
        );
        assert!(said(io::ErrorKind::TimedOut).starts_with("runs/a: cannot write: "));
    }
}
