//! Errors that end a PPO run.

use rlhf_config::ConfigErrors;

use crate::scorer::ScorerError;

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
        /// The checked quantity.
        name: &'static str,
        /// Its value.
        found: f64,
        /// The value that it should have.
        expected: &'static str,
        /// The usual cause.
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
    /// The checkpoint has learnt from more episodes than the run is to have.
    #[error(
        "the checkpoint lies beyond update {asked}, the last that `episodes` asks for: ask for more, or begin again"
    )]
    Beyond {
        /// Updates of the whole run.
        asked: u64,
    },
    /// Settings of the adapters that do not fit the model.
    #[error("lora.{0}")]
    Lora(#[from] ConfigErrors),
    /// Checkpoint or metrics.
    #[error(transparent)]
    Core(#[from] rlhf_core::Error),
    /// The scorer could not do its work.
    #[error("scoring responses: {source}")]
    Scorer {
        /// Its error.
        #[source]
        source: ScorerError,
    },
    /// The scorer gave another number of scores than it had answers.
    #[error("scoring responses: {found} scores for {expected} answers")]
    ScoreCount {
        /// Answers.
        expected: usize,
        /// Scores.
        found: usize,
    },
    /// A response has no score to learn from.
    #[error("scoring responses: the score of an answer to prompt {prompt} is {}, expected a finite number", score.map_or("missing".to_owned(), |score| score.to_string()))]
    Score {
        /// Index of the prompt.
        prompt: usize,
        /// The score, if there was one.
        score: Option<f64>,
    },
    /// The value function is to start as the reward model, and there is none.
    #[error("value_init: `reward_model` needs scores by a reward model, expected `zero_head`")]
    NoRewardModel,
}
