//! The configuration of a whole run: one section per stage, each the struct of its crate.

mod faults;

use std::path::{Path, PathBuf};

use rlhf_core::{LrSchedule, ScheduleKind};
use rlhf_data::{Source, TokenizerConfig};
use rlhf_inference::Sampling;
use rlhf_model::{Gpt2Config, WeightInit};
use rlhf_ppo::{EmaConfig, KlConfig, PpoConfig, PtxConfig};
use rlhf_reward::RewardConfig;
use rlhf_sft::SftConfig;
use rlhf_stories::StoriesConfig;
use rlhf_tasks::LabelerConfig;
use rlhf_world::WorldConfig;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::places::on_hub;

/// Keys of earlier versions, with those that took their place.
pub(crate) const RENAMED: &[(&str, &str)] = &[("reward.adam", "reward.adamw"), ("ppo.adam", "ppo.adamw")];

/// Everything that decides what a run computes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Seed of everything random; the same seed, configuration and machine give the same bytes.
    pub(crate) seed: u64,
    /// Where tensors live: `flex`, `tch`, `tch:cuda:N`, `cuda:N` or `wgpu`, as far as this build has them.
    pub(crate) device: String,
    /// Where texts, demonstrations, comparisons and prompts come from.
    pub(crate) data: DataConfig,
    /// The built-in world, used when `data.source` is `world`.
    pub(crate) world: WorldConfig,
    /// The story-telling task, used when `data.source` is `stories`.
    pub(crate) stories: StoriesConfig,
    /// The tokenizer stage.
    pub(crate) tokenizer: TokenizerConfig,
    /// Architecture of a model trained from random weights.
    pub(crate) model: ArchitectureConfig,
    /// The pretrain stage.
    #[schemars(schema_with = "without_adapters")]
    pub(crate) pretrain: SftConfig,
    /// The sft stage.
    pub(crate) sft: SftConfig,
    /// Pretraining text among the demonstrations.
    pub(crate) sft_mix: SftMixConfig,
    /// How the sft stage selects by reward-model score.
    pub(crate) sft_selection: SelectionConfig,
    /// The sample stage.
    pub(crate) sample: SampleConfig,
    /// The label stage.
    pub(crate) label: LabelConfig,
    /// The reward stage.
    pub(crate) reward: RewardConfig,
    /// The ppo stage.
    pub(crate) ppo: PpoConfig,
    /// The eval stage.
    pub(crate) eval: EvalConfig,
}

/// The settings of a stage that trains from random weights: there is nothing that adapters could change.
fn without_adapters(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = SftConfig::json_schema(generator);
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.shift_remove("lora");
    }
    schema
}

/// Kind of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DataSource {
    /// The built-in world: no file outside the run is read.
    World,
    /// The files listed in this section.
    Files,
    /// Stories in the files of `data.pretrain`: those that are short become demonstrations, prompts ask for two words, and
    /// a judge says whether a story has them.
    Stories,
}

/// What happens to a prompt that does not fit the context together with its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LongPrompts {
    /// The stage ends with an error that names the prompt.
    Error,
    /// It is left out and counted.
    Skip,
}

/// Where texts, demonstrations, comparisons and prompts come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DataConfig {
    /// `world` for the built-in generator, `files` for the lists below, `stories` for a task made of a text of stories.
    pub(crate) source: DataSource,
    /// Folder that relative paths of this section start from.
    pub(crate) root: PathBuf,
    /// A model to start from instead of pretraining, as a folder with config.json, model.safetensors and tokenizer.json, or
    /// `hf://org/name[@revision]`; empty pretrains from random weights.
    pub(crate) base: PathBuf,
    /// Plain text or JSON lines with `text`, for pretraining and the pretraining mix of PPO.
    pub(crate) pretrain: Vec<Source>,
    /// Demonstrations: rows of `prompt` and `completion`, or `messages`.
    pub(crate) demonstrations: Vec<Source>,
    /// Comparisons that people made: rows of `prompt`, `chosen`, `rejected`, or `prompt`, `completions`, `ranking`.
    pub(crate) comparisons: Vec<Source>,
    /// Prompts whose sampled answers are to be ranked.
    pub(crate) reward_prompts: Vec<Source>,
    /// Prompts for PPO. A part of them, see `validation_fraction`, is held out for evaluation.
    pub(crate) ppo_prompts: Vec<Source>,
    /// Share of every list that is kept from training, chosen by a hash of the prompt.
    pub(crate) validation_fraction: f64,
    /// What happens to a prompt that does not fit the context together with its answer.
    pub(crate) long_prompts: LongPrompts,
    /// Chat template for a model that brings none, or instead of its own: Jinja, recognised by `{{` or `{%`, or the path
    /// of a file with it; empty leaves it as it is.
    pub(crate) chat_template: String,
    /// Date that a chat template which asks for it is told, such as `2026-01-31`, so that a run can be repeated; a
    /// template that asks is an error while it is empty.
    pub(crate) chat_date: String,
}

impl DataSource {
    /// Whether the tokenizer stage writes demonstrations and prompts with tasks, which a judge and simulated labelers can
    /// rank.
    pub(crate) fn is_judged(self) -> bool {
        matches!(self, Self::World | Self::Stories)
    }
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            source: DataSource::World,
            root: PathBuf::from("."),
            base: PathBuf::new(),
            pretrain: Vec::new(),
            demonstrations: Vec::new(),
            comparisons: Vec::new(),
            reward_prompts: Vec::new(),
            ppo_prompts: Vec::new(),
            validation_fraction: 0.05,
            long_prompts: LongPrompts::Error,
            chat_template: String::new(),
            chat_date: String::new(),
        }
    }
}

/// Where a configured chat template stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TemplateSource {
    /// In the configuration itself.
    Text(String),
    /// In a file.
    File(PathBuf),
}

impl DataConfig {
    /// Where a location of this section is: a relative path starts at the root, and a place on the Hub is itself.
    pub(crate) fn located(&self, location: &Path) -> PathBuf {
        match on_hub(location) {
            Some(_) => location.to_owned(),
            None => self.root.join(location),
        }
    }

    /// The model to start from instead of pretraining, if there is one.
    pub(crate) fn base(&self) -> Option<PathBuf> {
        let is_set = !self.base.as_os_str().is_empty();
        is_set.then(|| self.located(&self.base))
    }

    /// The configured chat template, if there is one.
    pub(crate) fn template_source(&self) -> Option<TemplateSource> {
        let text = &self.chat_template;
        match text {
            text if text.is_empty() => None,
            text if text.contains("{{") || text.contains("{%") => Some(TemplateSource::Text(text.clone())),
            path => Some(TemplateSource::File(self.root.join(path))),
        }
    }
}

/// Architecture of a model trained from random weights: GPT-2's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ArchitectureConfig {
    /// Blocks.
    pub(crate) n_layers: usize,
    /// Width.
    pub(crate) d_model: usize,
    /// Attention heads; divides `d_model`.
    pub(crate) n_heads: usize,
    /// Longest sequence, in tokens.
    pub(crate) max_seq_len: usize,
    /// Standard deviation of the first weights. GPT-2: 0.02, for widths of 768 and more.
    pub(crate) initializer_range: f64,
    /// What the weights start from: `gpt2`, drawn alike and with a tied head, or `induction`, with a pair of heads among
    /// them that copy from the context (after Olsson et al. 2022) and a head of its own.
    pub(crate) init: WeightInit,
}

impl Default for ArchitectureConfig {
    fn default() -> Self {
        Self {
            n_layers: 4,
            d_model: 128,
            n_heads: 4,
            max_seq_len: 256,
            initializer_range: 0.06,
            init: WeightInit::Induction,
        }
    }
}

impl ArchitectureConfig {
    /// The model's configuration for a tokenizer.
    pub(crate) fn model_config(&self, vocab_size: usize, eos: u32, pad: Option<u32>) -> Gpt2Config {
        Gpt2Config {
            vocab_size,
            n_positions: self.max_seq_len,
            n_embd: self.d_model,
            n_layer: self.n_layers,
            n_head: self.n_heads,
            initializer_range: self.initializer_range,
            tie_word_embeddings: self.init.ties_head(),
            bos_token_id: Some(eos),
            eos_token_id: Some(eos),
            pad_token_id: pad,
            ..Gpt2Config::default()
        }
    }
}

/// Pretraining text among the demonstrations.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SftMixConfig {
    /// Share of the tokens of the sft stage that are pretraining text, so that the model PPO starts from forgets less of it; 0
    /// for none. InstructGPT (appendix C.3): 0.1.
    pub(crate) pretrain_fraction: f64,
}

/// How the sft stage selects by reward-model score, when `sft.select` is `reward_score`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SelectionConfig {
    /// Reward model of an earlier round, a folder or `hf://org/name[@revision]`; empty if there is none.
    pub(crate) reward_model: PathBuf,
    /// Validation prompts that are answered and scored at each evaluation.
    pub(crate) prompts: usize,
}

impl Default for SelectionConfig {
    fn default() -> Self {
        Self {
            reward_model: PathBuf::new(),
            prompts: 64,
        }
    }
}

/// Sampling of the answers that are ranked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SampleConfig {
    /// Fewest answers to a prompt. InstructGPT: 4.
    pub(crate) k_min: usize,
    /// Most answers to a prompt; each prompt draws its own K. InstructGPT: 9.
    pub(crate) k_max: usize,
    /// Tokens of an answer at most.
    pub(crate) max_new_tokens: usize,
    /// How tokens are chosen; with several ways the answers to a prompt take them in turn, so that the reward model also
    /// sees what a sharper policy than the SFT model will write. InstructGPT: temperature 1 alone; Stiennon et al. rank
    /// samples of several policies.
    pub(crate) sampling: Vec<Sampling>,
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
pub(crate) enum LabelerKind {
    /// Simulated labelers, who see the verdict of the task's judge through leanings and noise.
    Simulated,
    /// The comparisons in `data.comparisons`; nothing is sampled.
    Files,
}

/// The label stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LabelConfig {
    /// Who ranks.
    pub(crate) labeler: LabelerKind,
    /// Labelers who rank each training prompt; validation prompts are ranked by all.
    pub(crate) rankings_per_prompt: usize,
    /// The simulated labelers.
    pub(crate) simulated: LabelerConfig,
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
pub(crate) struct EvalConfig {
    /// Held-out prompts at most.
    pub(crate) prompts: usize,
    /// Tokens of an answer at most.
    pub(crate) max_new_tokens: usize,
    /// How tokens are chosen, for every model alike.
    pub(crate) sampling: Sampling,
    /// Largest n of best-of-n; the n used is the smallest whose KL reaches that of the PPO model.
    pub(crate) best_of_n_max: usize,
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

impl Default for Config {
    /// The built-in run: minutes on two cores.
    fn default() -> Self {
        let constant = |peak_lr| LrSchedule {
            peak_lr,
            kind: ScheduleKind::Constant,
            ..LrSchedule::default()
        };
        let cosine = |peak_lr, warmup_steps| LrSchedule {
            peak_lr,
            warmup_steps,
            ..LrSchedule::default()
        };
        Self {
            seed: 1,
            device: "flex".into(),
            data: DataConfig::default(),
            world: WorldConfig {
                document_bytes: 12_000_000,
                demonstrations: 10_000,
                reward_prompts: 6_000,
                ..WorldConfig::default()
            },
            stories: StoriesConfig::default(),
            tokenizer: TokenizerConfig {
                vocab_size: 2048,
                ..TokenizerConfig::default()
            },
            model: ArchitectureConfig::default(),
            pretrain: SftConfig {
                epochs: 1,
                batch_size: 2,
                lr: cosine(4e-3, 100),
                eval_every: 1000,
                checkpoint_every: 200,
                ..SftConfig::pretraining()
            },
            sft: SftConfig {
                epochs: 3,
                batch_size: 8,
                lr: cosine(1.5e-3, 40),
                checkpoint_every: 200,
                ..SftConfig::default()
            },
            sft_mix: SftMixConfig { pretrain_fraction: 0.1 },
            sft_selection: SelectionConfig::default(),
            sample: SampleConfig {
                k_max: 8,
                sampling: [1.0, 0.7, 0.3].map(Sampling::at_temperature).into(),
                ..SampleConfig::default()
            },
            label: LabelConfig::default(),
            reward: RewardConfig {
                epochs: 2,
                batch_prompts: 4,
                lr: cosine(6e-4, 60),
                eval_every: 1000,
                checkpoint_every: 200,
                ..RewardConfig::default()
            },
            ppo: PpoConfig {
                episodes: 11_264,
                batch_size: 128,
                n_minibatches: 4,
                max_new_tokens: 64,
                lr: LrSchedule {
                    peak_lr: 1e-3,
                    kind: ScheduleKind::Linear,
                    ..LrSchedule::default()
                },
                value_lr: constant(1e-3),
                kl: KlConfig {
                    coef: 0.2,
                    ..KlConfig::default()
                },
                ptx: PtxConfig {
                    coef: 0.1,
                    examples_per_episode: 0.0625,
                    ..PtxConfig::default()
                },
                ema: EmaConfig {
                    decay: 0.9,
                    ..EmaConfig::default()
                },
                checkpoint_every: 8,
                ..PpoConfig::default()
            },
            eval: EvalConfig::default(),
        }
    }
}
