//! Errors of a comparison of models.

use crate::second::OpinionError;

/// Result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A fault that ended a comparison.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Generation refused a prompt.
    #[error(transparent)]
    Generate(#[from] rlhf_inference::Error),
    /// The judge cannot judge a row.
    #[error(transparent)]
    Judge(#[from] rlhf_tasks::Error),
    /// A second judge cannot score a row.
    #[error("the second judge {judge}: {source}")]
    SecondJudge {
        /// Its name.
        judge: String,
        /// Why.
        source: OpinionError,
    },
    /// There is nothing to answer.
    #[error("no held-out prompts: every one was too long, or data.validation_fraction holds none back")]
    NoPrompts,
    /// Somebody asked to stop. Nothing is kept: answers are quickly had again.
    #[error("interrupted; start again to continue")]
    Interrupted,
}
