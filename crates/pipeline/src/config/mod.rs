//! The configuration of a whole run: one section per stage, each the struct of its crate.

mod answers;
mod data;
mod defaults;
mod faults;
mod model;
mod overopt;
mod part;
mod ppo_reward;
mod sft;

use rlhf_constraints::ConstraintsConfig;
use rlhf_data::TokenizerConfig;
use rlhf_ppo::PpoConfig;
use rlhf_reward::RewardConfig;
use rlhf_sft::SftConfig;
use rlhf_stories::StoriesConfig;
use rlhf_world::WorldConfig;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use answers::{EvalConfig, LabelConfig, LabelerKind, SampleConfig};
pub use data::{DataConfig, DataSource, LongPrompts, TemplateSource};
pub use model::ArchitectureConfig;
pub use overopt::OveroptConfig;
pub use part::Part;
pub use ppo_reward::{JudgeSource, PpoJudgeConfig, PpoRewardConfig, RewardSource};
pub use sft::{SelectionConfig, SftMixConfig};

/// Keys of earlier versions, with those that took their place.
pub const RENAMED: &[(&str, &str)] = &[("reward.adam", "reward.adamw"), ("ppo.adam", "ppo.adamw")];

/// Everything that decides what a run computes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Seed of everything random; the same seed, configuration and machine give the same bytes.
    pub seed: u64,
    /// Device of all tensors: `flex`, `tch`, `tch:cuda:N`, `cuda:N` or `wgpu`, as far as this build has them.
    pub device: String,
    /// Checkpoints of the training stages.
    pub checkpoints: CheckpointConfig,
    /// Sources of texts, demonstrations, comparisons and prompts.
    pub data: DataConfig,
    /// The built-in world, used when `data.source` is `world`.
    pub world: WorldConfig,
    /// The story-telling task, used when `data.source` is `stories`.
    pub stories: StoriesConfig,
    /// Checkable instructions, used when `data.source` is `constraints`.
    pub constraints: ConstraintsConfig,
    /// The tokenizer stage.
    pub tokenizer: TokenizerConfig,
    /// Architecture of a model trained from random weights.
    pub model: ArchitectureConfig,
    /// The pretrain stage.
    #[schemars(schema_with = "without_adapters")]
    pub pretrain: SftConfig,
    /// The sft stage.
    pub sft: SftConfig,
    /// Pretraining text among the demonstrations.
    pub sft_mix: SftMixConfig,
    /// Selection by reward-model score in the sft stage.
    pub sft_selection: SelectionConfig,
    /// The sample stage.
    pub sample: SampleConfig,
    /// The label stage.
    pub label: LabelConfig,
    /// The reward stage.
    pub reward: RewardConfig,
    /// The ppo stage.
    pub ppo: PpoConfig,
    /// What PPO optimises.
    pub ppo_reward: PpoRewardConfig,
    /// Who judges the answers to held-out prompts while PPO goes on.
    pub ppo_judge: PpoJudgeConfig,
    /// The eval stage.
    pub eval: EvalConfig,
    /// The look for over-optimisation, `rlhf overopt`.
    pub overopt: OveroptConfig,
}

/// Checkpoints of the training stages. None of this changes a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Newest checkpoints of a stage that are kept; older ones go.
    pub keep: usize,
    /// Optimiser steps after which the model is kept whole beside the checkpoint of that moment, in the folder models of the stage's,
    /// to be talked with or to start from; 0 keeps none. It is kept where a checkpoint is written, so a multiple of
    /// `checkpoint_every`. Stages `pretrain` and `sft`; for PPO see `ppo.keep_every`.
    pub models_every: usize,
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self {
            keep: 2,
            models_every: 0,
        }
    }
}

/// The settings of a stage that trains from random weights: there is nothing that adapters could change.
fn without_adapters(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = SftConfig::json_schema(generator);
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.shift_remove("lora");
    }
    schema
}

impl Config {
    /// True if there is a reward model to train: somebody ranks.
    pub fn trains_reward_model(&self) -> bool {
        self.label.labeler != LabelerKind::Nobody
    }

    /// True if there is something to learn in the sft stage, which otherwise hands the model on as it is.
    pub fn has_demonstrations(&self) -> bool {
        let listed = !self.data.demonstrations.is_empty();
        match self.data.source {
            DataSource::World | DataSource::Stories => true,
            DataSource::Files => listed,
            DataSource::Constraints => listed && self.constraints.demonstrations > 0,
        }
    }

    /// True if PPO's scores come from the reward model that the run trains.
    pub fn optimises_own_reward_model(&self) -> bool {
        self.ppo_reward.from == RewardSource::Trained
    }
}
