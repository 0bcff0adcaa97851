//! The reward side of a rollout: scores of responses.

use rlhf_model::{ScalarModel, completion_scores};
use serde_json::Value;

use crate::episode::Response;

/// A response as a [`Scorer`] sees it.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The tokens of prompt and completion, and whether it ended.
    pub response: &'a Response,
    /// The task stored beside the prompt, for whoever judges answers to it.
    pub task: Option<&'a Value>,
}

/// Reason why a scorer could not do its work, in the words of its implementor.
pub type ScorerError = Box<dyn std::error::Error + Send + Sync>;

/// A source of scores: a reward model, or a program.
pub trait Scorer: std::fmt::Debug {
    /// A score per answer, in the order of the answers; nothing where it has no opinion, which ends the run unless another
    /// scorer has one.
    ///
    /// # Errors
    /// Whatever went wrong.
    fn score(&self, answers: &[Answer<'_>]) -> Result<Vec<Option<f64>>, ScorerError>;

    /// The reward model behind the scores, if there is one: where the value function starts by default, and what forecasts of
    /// memory and counts of operations include.
    fn model(&self) -> Option<&ScalarModel> {
        None
    }
}

/// A reward model, read at the last token of prompt and completion.
#[derive(Debug, Clone)]
pub struct RewardModel {
    model: ScalarModel,
    microbatch_tokens: usize,
}

impl RewardModel {
    /// `model` should be calibrated so that demonstrations average 0; it reads at most `microbatch_tokens` tokens at once.
    pub fn new(model: ScalarModel, microbatch_tokens: usize) -> Self {
        Self {
            model,
            microbatch_tokens,
        }
    }
}

impl Scorer for RewardModel {
    fn score(&self, answers: &[Answer<'_>]) -> Result<Vec<Option<f64>>, ScorerError> {
        let sequences: Vec<&[u32]> = answers.iter().map(|a| a.response.sequence.as_slice()).collect();
        let prompt_lens: Vec<usize> = answers.iter().map(|a| a.response.prompt_len).collect();
        let scores = completion_scores(&self.model, &sequences, &prompt_lens, self.microbatch_tokens);
        Ok(scores.into_iter().map(|score| Some(f64::from(score))).collect())
    }

    fn model(&self) -> Option<&ScalarModel> {
        Some(&self.model)
    }
}
