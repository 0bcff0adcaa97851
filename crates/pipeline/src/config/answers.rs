//! `[sample]`, `[label]` and `[eval]`: answers, who ranks them, and how models are compared.

use rlhf_inference::Sampling;
use rlhf_tasks::LabelerConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sampling of the answers that are ranked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SampleConfig {
    /// Fewest answers to a prompt. InstructGPT: 4.
    pub k_min: usize,
    /// Most answers to a prompt; each prompt draws its own K. InstructGPT: 9.
    pub k_max: usize,
    /// Tokens of an answer at most.
    pub max_new_tokens: usize,
    /// Ways of choosing tokens; with several the answers to a prompt take them in turn, so that the reward model also
    /// sees what a sharper policy than the SFT model will write. InstructGPT: temperature 1 alone; Stiennon et al. rank
    /// samples of several policies.
    pub sampling: Vec<Sampling>,
}

impl Default for SampleConfig {
    fn default() -> Self {
        Self {
            k_min: 4,
            k_max: 9,
            max_new_tokens: 64,
            sampling: vec![Sampling::default()],
        }
    }
}

/// Who ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LabelerKind {
    /// Simulated labelers, who see the verdict of the task's judge through leanings and noise.
    Simulated,
    /// The comparisons in `data.comparisons`; nothing is sampled.
    Files,
}

/// The label stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LabelConfig {
    /// Who ranks.
    pub labeler: LabelerKind,
    /// Labelers who rank each training prompt; validation prompts are ranked by all.
    pub rankings_per_prompt: usize,
    /// The simulated labelers.
    pub simulated: LabelerConfig,
}

impl Default for LabelConfig {
    fn default() -> Self {
        Self {
            labeler: LabelerKind::Simulated,
            rankings_per_prompt: 10,
            simulated: LabelerConfig::default(),
        }
    }
}

/// The eval stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EvalConfig {
    /// Held-out prompts at most.
    pub prompts: usize,
    /// Tokens of an answer at most.
    pub max_new_tokens: usize,
    /// Way of choosing tokens, the same for every model.
    pub sampling: Sampling,
    /// Largest n of best-of-n; the n used is the smallest whose KL reaches that of the PPO model.
    pub best_of_n_max: usize,
}

impl Default for EvalConfig {
    fn default() -> Self {
        Self {
            prompts: 500,
            max_new_tokens: 64,
            sampling: Sampling::default(),
            best_of_n_max: 32,
        }
    }
}
