//! The configuration of a whole run: one section per stage, each the struct of its crate.

mod answers;
mod data;
mod defaults;
mod faults;
mod model;
mod sft;

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
    /// Sources of texts, demonstrations, comparisons and prompts.
    pub data: DataConfig,
    /// The built-in world, used when `data.source` is `world`.
    pub world: WorldConfig,
    /// The story-telling task, used when `data.source` is `stories`.
    pub stories: StoriesConfig,
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
    /// The eval stage.
    pub eval: EvalConfig,
}

/// The settings of a stage that trains from random weights: there is nothing that adapters could change.
fn without_adapters(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = SftConfig::json_schema(generator);
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.shift_remove("lora");
    }
    schema
}
