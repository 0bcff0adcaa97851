//! `[data]`: where texts, demonstrations, comparisons and prompts come from.

use std::path::{Path, PathBuf};

use rlhf_data::Source;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Part;
use crate::locations::on_hub;

/// Kind of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DataSource {
    /// The built-in world: no file outside the run is read.
    World,
    /// The files listed in this section.
    Files,
    /// Stories in the files of `data.pretrain`: those that are short become demonstrations, prompts ask for two words, and
    /// a judge says whether a story has them.
    Stories,
    /// The files listed in this section, with an instruction on top of each prompt that a program can check; see `constraints`.
    Constraints,
}

/// Treatment of a prompt whose last message alone does not fit the context together with its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LongPrompts {
    /// The stage ends with an error that names the prompt.
    Error,
    /// It is left out and counted.
    Skip,
}

/// Sources of texts, demonstrations, comparisons and prompts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// `world` for the built-in generator, `files` for the lists below, `stories` for a task made of a text of stories,
    /// `constraints` for the lists below with checkable instructions on top of their prompts.
    pub source: DataSource,
    /// Folder that relative paths of this section start from.
    pub root: PathBuf,
    /// A model to start from instead of pretraining, as a folder with config.json, model.safetensors and tokenizer.json, a GGUF
    /// file, or `hf://org/name[@revision][/path]`; empty pretrains from random weights.
    pub base: PathBuf,
    /// Plain text or JSON lines with `text`, for pretraining and the pretraining mix of PPO.
    pub pretrain: Vec<Source>,
    /// Demonstrations: rows of `prompt` and `completion`, or `messages`.
    pub demonstrations: Vec<Source>,
    /// Comparisons that people made: rows of `prompt`, `chosen`, `rejected`, or `prompt`, `completions`, `ranking`.
    pub comparisons: Vec<Source>,
    /// The part of the comparisons that is learnt from, by a hash of the prompt: `1/2` is the first half and `2/2` the other, so
    /// that a second reward model can judge what was optimised against the first. Held-out comparisons stay whole.
    pub comparisons_part: Part,
    /// Prompts whose sampled answers are to be ranked.
    pub reward_prompts: Vec<Source>,
    /// Prompts for PPO. A part of them, see `validation_fraction`, is held out.
    pub ppo_prompts: Vec<Source>,
    /// Share of every list that is kept from training, chosen by a hash of the prompt. Half of these prompts, by another hash, serve
    /// every choice before the end, the other half the test alone.
    pub validation_fraction: f64,
    /// Longest sequence of any stage, in tokens, where the model's own context is longer: packed text, conversations, prompts
    /// with their answers. Memory for activations grows with it. 2,048 is what GPT-3 and the first Llama were trained on.
    pub max_seq_len: usize,
    /// Longest prompt, in tokens, its role tokens included. The last question of a longer one loses its last paragraphs, in every
    /// stage and whatever the length of its answers; the last line, which asks for the answer, stays. Stiennon et al., N+: 512.
    pub max_prompt_tokens: Option<usize>,
    /// Treatment of a prompt that does not fit the context together with its answer.
    pub long_prompts: LongPrompts,
    /// Chat template for a model that brings none, or instead of its own: Jinja, recognised by `{{` or `{%`, or the path
    /// of a file with it; empty leaves it as it is.
    pub chat_template: String,
    /// Date that a chat template which asks for it is told, such as `2026-01-31`, so that a run can be repeated; a
    /// template that asks is an error while it is empty.
    pub chat_date: String,
}

impl DataSource {
    /// True if the tokenizer stage writes demonstrations and prompts with tasks, which a judge and simulated labelers can
    /// rank.
    pub fn is_judged(self) -> bool {
        !matches!(self, Self::Files)
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
            comparisons_part: Part::ALL,
            reward_prompts: Vec::new(),
            ppo_prompts: Vec::new(),
            validation_fraction: 0.05,
            max_seq_len: 2048,
            max_prompt_tokens: None,
            long_prompts: LongPrompts::Error,
            chat_template: String::new(),
            chat_date: String::new(),
        }
    }
}

/// Place of a configured chat template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateSource {
    /// In the configuration itself.
    Text(String),
    /// In a file.
    File(PathBuf),
}

impl DataConfig {
    /// Path of a location of this section: a relative path starts at the root, and a place on the Hub is itself.
    pub fn located(&self, location: &Path) -> PathBuf {
        match on_hub(location) {
            Some(_) => location.to_owned(),
            None => self.root.join(location),
        }
    }

    /// The model to start from instead of pretraining, if there is one.
    pub fn base(&self) -> Option<PathBuf> {
        let is_set = !self.base.as_os_str().is_empty();
        is_set.then(|| self.located(&self.base))
    }

    /// The configured chat template, if there is one.
    pub fn template_source(&self) -> Option<TemplateSource> {
        let text = &self.chat_template;
        match text {
            text if text.is_empty() => None,
            text if text.contains("{{") || text.contains("{%") => Some(TemplateSource::Text(text.clone())),
            path => Some(TemplateSource::File(self.root.join(path))),
        }
    }
}
