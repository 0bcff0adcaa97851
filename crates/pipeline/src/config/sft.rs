//! `[sft_mix]` and `[sft_selection]`: what the stage does beyond training.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Pretraining text among the demonstrations.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SftMixConfig {
    /// Share of the tokens of the sft stage that are pretraining text, so that the model PPO starts from forgets less of it; 0
    /// for none. InstructGPT (appendix C.3): 0.1.
    pub pretrain_fraction: f64,
}

/// Selection by reward-model score in the sft stage, when `sft.select` is `reward_score`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SelectionConfig {
    /// Reward model of an earlier round, a folder or `hf://org/name[@revision]`; empty if there is none.
    pub reward_model: PathBuf,
    /// Validation prompts that are answered and scored at each evaluation.
    pub prompts: usize,
}

impl Default for SelectionConfig {
    fn default() -> Self {
        Self {
            reward_model: PathBuf::new(),
            prompts: 64,
        }
    }
}
