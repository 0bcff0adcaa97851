//! The records of a rollout: a response, its scores and log-probabilities, and its steps as PPO learns from them.

use serde::{Deserialize, Serialize};

use crate::kl::{KlEstimator, token_kl};

/// A response of the policy. Lists have one entry per token of the response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// Index of the prompt.
    pub prompt: usize,
    /// Tokens of the prompt.
    pub prompt_len: usize,
    /// Prompt and response, the EOS included; nothing follows it.
    pub sequence: Vec<u32>,
    /// True if the response ended with EOS.
    pub finished: bool,
    /// Log-probabilities as the sampler saw them: a diagnostic.
    pub sampled_logprobs: Vec<f64>,
}

impl Response {
    /// Tokens of the prompt.
    pub fn prompt_tokens(&self) -> &[u32] {
        &self.sequence[..self.prompt_len]
    }

    /// Tokens of the response.
    pub fn tokens(&self) -> &[u32] {
        &self.sequence[self.prompt_len..]
    }

    /// Number of tokens of the response.
    pub fn len(&self) -> usize {
        self.sequence.len() - self.prompt_len
    }

    /// True for a response without a token.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sequence as the value network reads it: extended by an arbitrary token when there is a step after the last.
    pub(crate) fn value_sequence(&self, steps: usize) -> Vec<u32> {
        let mut sequence = self.sequence.clone();
        sequence.resize(self.prompt_len + steps, 0);
        sequence
    }
}

/// A response with its score and its log-probabilities. Lists have one entry per token of the response.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// Score by the [`Scorer`](crate::Scorer).
    pub score: f64,
    /// The score after clipping, the missing-EOS rule and the baseline: what enters the rewards.
    pub effective_score: f64,
    /// Log-probabilities of the policy that sampled, from the training pass.
    pub old_logprobs: Vec<f64>,
    /// Log-probabilities of the reference policy.
    pub ref_logprobs: Vec<f64>,
    /// Entropy of each next-token distribution, in nats.
    pub entropy: Vec<f64>,
    /// KL estimates in the rewards, in nats.
    pub kl: Vec<f64>,
}

impl Scored {
    /// Summed log-ratio to the reference: an unbiased estimate of the KL of this response, in nats.
    pub fn sequence_kl(&self) -> f64 {
        let log_ratios = token_kl(KlEstimator::K1, &self.old_logprobs, &self.ref_logprobs);
        log_ratios.iter().sum()
    }
}

/// The steps of an episode that PPO learns from. Lists have one entry per step, which is one per token of the response, and one more when the score
/// arrives at the first pad.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Steps {
    /// Value before each step.
    pub values: Vec<f64>,
    /// Reward of each step, KL penalty included.
    pub rewards: Vec<f64>,
    /// Advantage of each step.
    pub advantages: Vec<f64>,
    /// Targets of the value function.
    pub returns: Vec<f64>,
}

impl Steps {
    /// Number of steps.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// True without a step.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

/// One response with everything that an update needs of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// Its tokens.
    pub response: Response,
    /// Its score and log-probabilities.
    pub scored: Scored,
    /// Its rewards, advantages and returns.
    pub steps: Steps,
}

impl Episode {
    /// Advantages of the steps that are actions: one per token of the response.
    pub fn action_advantages(&self) -> &[f64] {
        &self.steps.advantages[..self.response.len()]
    }

    pub(crate) fn value_sequence(&self) -> Vec<u32> {
        self.response.value_sequence(self.steps.len())
    }
}
