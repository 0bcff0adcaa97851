//! What can end a PPO run.

use rlhf_config::ConfigErrors;

/// Result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A fault that ended training.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing to train on.
    #[error("no {what}: every row was empty or too long")]
    NoData {
        /// `prompts` or `pretraining sequences`.
        what: &'static str,
    },
    /// Generation refused a prompt.
    #[error(transparent)]
    Generate(#[from] rlhf_inference::Error),
    /// Something that must hold by construction does not: the numbers cannot be trusted any more.
    #[error("broken invariant at update {update}: {name} is {found}, expected {expected}; {explanation}")]
    Invariant {
        /// Update, from 0.
        update: u64,
        /// What was checked.
        name: &'static str,
        /// What was found.
        found: f64,
        /// What should have been found.
        expected: &'static str,
        /// What usually causes it.
        explanation: &'static str,
    },
    /// A loss or gradient is not a finite number.
    #[error(
        "{network} loss {loss}, gradient norm {grad_norm} at update {update}, step {step}: lower {network} learning rate or max_grad_norm"
    )]
    NonFinite {
        /// `policy` or `value`.
        network: &'static str,
        /// Loss of the minibatch.
        loss: f64,
        /// Norm of its gradient.
        grad_norm: f64,
        /// Update, from 0.
        update: u64,
        /// Optimiser step, from 0.
        step: u64,
    },
    /// Somebody asked the loop to stop; a checkpoint was written.
    #[error("interrupted {update} updates in; start again to continue from there")]
    Interrupted {
        /// Updates done.
        update: u64,
    },
    /// Settings of the adapters that do not fit the model.
    #[error("lora.{0}")]
    Lora(#[from] ConfigErrors),
    /// Checkpoint or metrics.
    #[error(transparent)]
    Core(#[from] rlhf_core::Error),
    /// What the observer reported.
    #[error("writing samples: {message}")]
    Observer {
        /// Its error.
        message: String,
    },
}
