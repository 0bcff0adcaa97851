//! `[ppo_reward]`: what PPO optimises.

use std::path::PathBuf;

use rlhf_judges::CommandConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Source of the scores that PPO optimises.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RewardSource {
    /// The reward model that stage `reward` trains.
    #[default]
    Trained,
    /// Another reward model: `ppo_reward.model`.
    Model,
    /// The judge of the task: a program that comes with it.
    Judge,
    /// A program of the user's: `ppo_reward.command`.
    Command,
}

/// The scores that PPO optimises.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PpoRewardConfig {
    /// Where they come from.
    pub from: RewardSource,
    /// The reward model when `from` is `model`: a folder, or `hf://org/name[@revision][/path]`, with a tokenizer and a chat template of
    /// its own, of any size and family.
    pub model: PathBuf,
    /// The program that scores when `from` is `command`: a line of JSON `{"id", "messages", "completion", "task"}` for each answer on
    /// its standard input, one `{"score": x}` back.
    pub command: CommandConfig,
}
