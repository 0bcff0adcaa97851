//! Requests, tokens and what they cost.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// Requests that were answered, and their tokens as the server counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Number of requests.
    pub requests: u64,
    /// Tokens of the questions.
    pub prompt_tokens: u64,
    /// Tokens of the answers.
    pub completion_tokens: u64,
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
    }
}

/// What a judge took so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// Requests of this run.
    pub asked: Usage,
    /// Requests of earlier runs, whose verdicts were used again; they cost nothing now.
    pub cached: Usage,
    /// Cost of `asked`, in the currency of the prices.
    pub cost: f64,
}
