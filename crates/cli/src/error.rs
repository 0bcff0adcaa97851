//! What ends a command.

use std::path::PathBuf;

/// Result of a command.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// A fault, told to the user on standard error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    #[error(transparent)]
    Core(#[from] rlhf_core::Error),
    #[error("the configuration is wrong:\n{0}")]
    Config(#[from] rlhf_config::ConfigErrors),
    #[error(transparent)]
    ConfigFile(rlhf_config::Error),
    #[error(transparent)]
    Model(#[from] rlhf_model::Error),
    #[error(transparent)]
    Data(#[from] rlhf_data::Error),
    #[error(transparent)]
    Hub(#[from] rlhf_hub::Error),
    #[error(transparent)]
    Tasks(#[from] rlhf_tasks::Error),
    #[error(transparent)]
    Stories(#[from] rlhf_stories::Error),
    #[error(transparent)]
    Generate(#[from] rlhf_inference::Error),
    #[error("sft: {0}")]
    Sft(#[from] rlhf_sft::Error),
    #[error("reward: {0}")]
    Reward(#[from] rlhf_reward::Error),
    #[error("ppo: {0}")]
    Ppo(#[from] rlhf_ppo::Error),
    #[error("stage `{stage}` needs `{}`, which is not there: run stage `{produced_by}` first", path.display())]
    MissingStage {
        stage: &'static str,
        path: PathBuf,
        produced_by: &'static str,
    },
    #[error("{}: this stage was finished with another configuration ({field}: now {expected}, then {found}); give --overwrite to replace it, or another --run", path.display())]
    OtherRun {
        path: PathBuf,
        field: String,
        expected: String,
        found: String,
    },
    #[error("this needs {needed} of memory and {available} are free ({parts}); {advice}; or give --ignore-memory")]
    Memory {
        needed: String,
        available: String,
        parts: String,
        advice: String,
    },
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

impl From<rlhf_config::Error> for Error {
    fn from(error: rlhf_config::Error) -> Self {
        match error {
            rlhf_config::Error::Faults(faults) => Self::Config(faults),
            other => Self::ConfigFile(other),
        }
    }
}

impl Error {
    /// Whether the user stopped the command; the exit status then is 130, as a shell gives it.
    pub(crate) fn is_interrupt(&self) -> bool {
        matches!(
            self,
            Self::Interrupted
                | Self::Sft(rlhf_sft::Error::Interrupted { .. })
                | Self::Reward(rlhf_reward::Error::Interrupted { .. })
                | Self::Ppo(rlhf_ppo::Error::Interrupted { .. })
        )
    }
}
