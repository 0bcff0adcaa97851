//! Tasks that can be written and judged.

use std::sync::Arc;

use rlhf_data::{Demonstration, Prompt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::judge::GoldJudge;

/// The purpose of a set of prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PromptSet {
    /// For comparisons that train the reward model.
    Reward,
    /// For comparisons that choose and measure the reward model: half of them each.
    RewardValidation,
    /// For PPO.
    Ppo,
    /// For choices and for the final evaluation: half of them each.
    HeldOut,
}

impl PromptSet {
    /// The beginning of the ids of its prompts.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reward => "reward",
            Self::RewardValidation => "reward-validation",
            Self::Ppo => "ppo",
            Self::HeldOut => "held-out",
        }
    }

    /// True of sets that only measure: nothing that they ask for is asked for in training.
    pub const fn is_held_out(self) -> bool {
        matches!(self, Self::RewardValidation | Self::HeldOut)
    }
}

/// A task whose texts, demonstrations and prompts can be written and whose answers can be judged.
///
/// Rows of training and rows that measure are kept apart: no prompt of a [held-out set](PromptSet::is_held_out) and no
/// validation demonstration asks for what a training row asks for.
pub trait JudgedTask {
    /// Texts to pretrain on.
    fn documents(&self) -> &[String];

    /// Texts for validation perplexity.
    fn validation_documents(&self) -> &[String];

    /// Demonstrations for SFT.
    fn demonstrations(&self) -> &[Demonstration];

    /// Demonstrations for the validation loss.
    fn validation_demonstrations(&self) -> &[Demonstration];

    /// The prompts of a set, each with its task beside it.
    fn prompts(&self, set: PromptSet) -> Vec<Prompt>;

    /// Somebody who knows what answers to these prompts are worth.
    fn judge(&self) -> Arc<dyn GoldJudge>;
}
