//! Errors of next-token training.

use rlhf_config::ConfigErrors;

/// Result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A fault that ended training.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing to train on.
    #[error("no {what} sequences: every row was empty, too long or unsupervised")]
    NoData {
        /// `training` or `validation`.
        what: &'static str,
    },
    /// The loss or its gradient is not a finite number.
    #[error(
        "loss {loss}, gradient norm {grad_norm} at step {step} on rows {rows:?}: lower the learning rate, or look at those rows"
    )]
    NonFinite {
        /// Optimiser step, from 0.
        step: u64,
        /// Mean loss of the batch, in nats.
        loss: f64,
        /// Norm of its gradient.
        grad_norm: f64,
        /// Indices of the training sequences in the batch.
        rows: Vec<usize>,
    },
    /// Somebody asked the loop to stop; a checkpoint was written.
    #[error("interrupted after step {step}; start again to continue from there")]
    Interrupted {
        /// Steps done.
        step: u64,
    },
    /// Settings of the adapters that do not fit the model.
    #[error("lora.{0}")]
    Lora(#[from] ConfigErrors),
    /// Checkpoint or metrics.
    #[error(transparent)]
    Core(#[from] rlhf_core::Error),
    /// Weights are to be selected by the score of their samples, and nobody scores them.
    #[error("select: `reward_score` needs a reward model, and validation prompts that leave room for an answer")]
    NoScore,
}
