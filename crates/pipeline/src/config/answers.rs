//! `[sample]`, `[label]` and `[eval]`: answers, who ranks them, and how models are compared.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rlhf_data::Source;
use rlhf_inference::Sampling;
use rlhf_judges::{CommandConfig, JudgeConfig};
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
    /// Answers that are sampled together, at most. Memory of the cache grows with it.
    pub batch_size: usize,
}

impl Default for SampleConfig {
    fn default() -> Self {
        Self {
            k_min: 4,
            k_max: 9,
            max_new_tokens: 64,
            sampling: vec![Sampling::default()],
            batch_size: 64,
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
    /// The judge of the task, without noise.
    Judge,
    /// People who are still to rank: tasks are written to the folder `people` of the run, and the run goes on when their rankings lie
    /// there.
    Export,
    /// A reward model: `label.reward_model`.
    RewardModel,
    /// A program of the user's: `label.command`.
    Command,
    /// A model behind a server that speaks as OpenAI's does: `label.openai`.
    Openai,
    /// Nobody: nothing is sampled and there is no reward model. PPO then takes its reward from elsewhere, see `ppo_reward.from`.
    Nobody,
}

impl LabelerKind {
    /// True if answers are sampled for this labeler to rank.
    pub fn ranks_samples(self) -> bool {
        !matches!(self, Self::Files | Self::Nobody)
    }
}

/// The label stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LabelConfig {
    /// Who ranks.
    pub labeler: LabelerKind,
    /// Prompts whose answers are ranked to learn from, at most, the first of those that were sampled; 0: all. With
    /// `rankings_per_prompt` the budget of labels.
    pub prompts: usize,
    /// Simulated labelers who rank each training prompt; validation prompts are ranked by all.
    pub rankings_per_prompt: usize,
    /// The simulated labelers.
    pub simulated: LabelerConfig,
    /// The model that ranks when `labeler` is `reward_model`: a folder, or `hf://org/name[@revision][/path]`, with a tokenizer and a
    /// chat template of its own.
    pub reward_model: PathBuf,
    /// The program that ranks when `labeler` is `command`: a line of JSON `{"id", "messages", "completions"}` for each prompt on its
    /// standard input, one `{"ranking": […]}` back, 0 for the best.
    pub command: CommandConfig,
    /// The model that compares answers when `labeler` is `openai`. Its verdicts are kept in `judge_cache.jsonl` in the run's folder.
    pub openai: JudgeConfig,
    /// Share of the exported tasks that people must have ranked before the run goes on, when `labeler` is `export`.
    pub ranked_share: f64,
}

impl Default for LabelConfig {
    fn default() -> Self {
        Self {
            labeler: LabelerKind::Simulated,
            prompts: 0,
            rankings_per_prompt: 10,
            simulated: LabelerConfig::default(),
            reward_model: PathBuf::new(),
            command: CommandConfig::default(),
            openai: JudgeConfig::default(),
            ranked_share: 1.0,
        }
    }
}

/// The eval stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EvalConfig {
    /// Prompts of the test at most: of the half of the held-out prompts that nothing before the end has seen.
    pub prompts: usize,
    /// Tokens of an answer at most.
    pub max_new_tokens: usize,
    /// Way of choosing tokens, the same for every model. Through a filter, with a penalty or greedily there is no KL to the SFT model.
    pub sampling: Sampling,
    /// Largest n of best-of-n; the n used is the smallest whose KL reaches that of the PPO model, or this one where that is not known. 0
    /// leaves it out.
    pub best_of_n_max: usize,
    /// Answers that are sampled together, at most. Memory of the cache grows with it.
    pub batch_size: usize,
    /// Reward models that score the answers beside everything else, by names of your choice: folders, or
    /// `hf://org/name[@revision][/path]`, each with a tokenizer and a chat template of its own. One that nothing was optimised for
    /// says whether what PPO gained is more than its own reward model's opinion.
    pub judges: BTreeMap<String, PathBuf>,
    /// Answers that people wrote to some of the held-out prompts: rows of `prompt` and `completion`, or `messages`. Answers are
    /// compared with them by ROUGE-1, ROUGE-2 and ROUGE-L.
    pub references: Vec<Source>,
}

impl Default for EvalConfig {
    fn default() -> Self {
        Self {
            prompts: 500,
            max_new_tokens: 64,
            sampling: Sampling::default(),
            best_of_n_max: 32,
            batch_size: 64,
            judges: BTreeMap::new(),
            references: Vec::new(),
        }
    }
}
