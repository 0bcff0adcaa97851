//! Reasons for which there is no report.

use std::path::PathBuf;

/// Reason for which there is no report. What is damaged inside of a run is none: the page names it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder of a run is not there.
    #[error("{}: no such folder; expected the folder of a run", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
    },
    /// No run was named.
    #[error("a report needs the folder of at least one run")]
    NoRuns,
    /// More runs were named than can be told apart.
    #[error("a report compares at most {most} runs, not {}", runs.join(", "))]
    TooManyRuns {
        /// The folders.
        runs: Vec<String>,
        /// Runs that can be.
        most: usize,
    },
    /// The page could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The page.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
