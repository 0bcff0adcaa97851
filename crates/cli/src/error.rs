//! Errors that end a command.

use std::path::PathBuf;

/// Result of a command.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// A fault, told to the user on standard error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    #[error(transparent)]
    Pipeline(Box<rlhf_pipeline::Error>),
    #[error(transparent)]
    ConfigFile(rlhf_config::Error),
    #[error(transparent)]
    Generate(#[from] rlhf_inference::Error),
    #[error(transparent)]
    Report(#[from] rlhf_report::Error),
    #[error("interrupted; start again to continue")]
    Interrupted,
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{}:{line}: {message}", path.display())]
    Row {
        path: PathBuf,
        line: usize,
        message: String,
    },
    #[error("{0}")]
    Usage(String),
}

impl From<rlhf_pipeline::Error> for Error {
    fn from(error: rlhf_pipeline::Error) -> Self {
        Self::Pipeline(Box::new(error))
    }
}

impl From<rlhf_config::Error> for Error {
    fn from(error: rlhf_config::Error) -> Self {
        match error {
            rlhf_config::Error::Faults(faults) => faults.into(),
            other => Self::ConfigFile(other),
        }
    }
}

/// A fault of another crate is told as the pipeline tells it.
macro_rules! as_the_pipeline {
    ($($fault:ty),*) => {
        $(impl From<$fault> for Error {
            fn from(fault: $fault) -> Self {
                rlhf_pipeline::Error::from(fault).into()
            }
        })*
    };
}

as_the_pipeline!(
    rlhf_config::ConfigErrors,
    rlhf_core::Error,
    rlhf_model::Error,
    rlhf_data::Error,
    rlhf_eval::Error,
    rlhf_sft::Error,
    rlhf_reward::Error,
    rlhf_ppo::Error
);

impl Error {
    /// True if the user stopped the command; the exit status then is 130, as a shell gives it.
    pub(crate) fn is_interrupt(&self) -> bool {
        match self {
            Self::Interrupted => true,
            Self::Pipeline(error) => error.is_interrupt(),
            _ => false,
        }
    }
}
