//! `[overopt]`: how far to look for over-optimisation.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The command `rlhf overopt`. How answers are sampled is as `eval` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OveroptConfig {
    /// Prompts of the test that each policy answers, at most.
    pub prompts: usize,
    /// Largest n of best of n, and answers sampled to each prompt: every n below is read off the same ones. Gao et al. go to 60,000; 0
    /// leaves it out.
    pub best_of_n_max: usize,
    /// Prompts of the test that are answered so often, at most: the first of those above.
    pub best_of_n_prompts: usize,
    /// Answers of each policy to each prompt.
    pub answers: usize,
    /// Who says what was meant: a reward model that nothing was optimised for, a folder, or `hf://org/name[@revision][/path]`; without one the judge
    /// of the task.
    pub gold: PathBuf,
}

impl Default for OveroptConfig {
    fn default() -> Self {
        Self {
            prompts: 500,
            best_of_n_max: 256,
            best_of_n_prompts: 200,
            answers: 2,
            gold: PathBuf::new(),
        }
    }
}
