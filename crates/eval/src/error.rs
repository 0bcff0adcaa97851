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
    /// A row of an evaluation cannot be read, or not by this model.
    #[error(transparent)]
    Likelihood(#[from] rlhf_likelihood::Error),
    /// A model gives numbers that are none.
    #[error("the model's log-probabilities are not finite ({0}): its weights lead beyond what f32 holds")]
    NotFinite(f64),
    /// There is nothing to answer.
    #[error("no held-out prompts: every one was too long, or data.validation_fraction holds none back")]
    NoPrompts,
    /// Somebody asked to stop. Nothing is kept: answers are quickly had again.
    #[error("interrupted; start again to continue")]
    Interrupted,
}
