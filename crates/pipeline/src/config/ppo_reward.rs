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

/// Somebody who judges the answers to held-out prompts while the policy learns, and whom nothing is optimised for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JudgeSource {
    /// Nobody.
    #[default]
    Nobody,
    /// The judge of the task.
    Judge,
    /// A reward model: `ppo_judge.model`.
    Model,
}

/// The judge of the evaluations of stage `ppo`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PpoJudgeConfig {
    /// Who judges.
    pub from: JudgeSource,
    /// The reward model when `from` is `model`: a folder, or `hf://org/name[@revision][/path]`, with a tokenizer and a chat template of
    /// its own. One that learnt from other comparisons than what is optimised says when it is over-optimised.
    pub model: PathBuf,
}
