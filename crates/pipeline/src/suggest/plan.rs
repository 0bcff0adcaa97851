//! Lengths, sizes and hours of a run, from what was seen.

use burn::tensor::Device;
use rlhf_data::{DataKind, Lengths};
use rlhf_model::{CausalLm, LoraConfig};
use rlhf_ppo::{PpoConfig, PpoData, PpoModels, PpoPrompt, PtxConfig, Scorer, ScorerError, ValueInit, memory_forecast};

use super::look::{DataSeen, ModelSeen};
use super::rules::suits_adapters;
use super::trial::Rates;
use crate::error::Result;

/// Lengths of a run, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LengthPlan {
    pub(super) max_seq_len: usize,
    pub(super) max_new_tokens: usize,
}

/// Answers where the data has none.
const USUAL_ANSWER: usize = 96;
/// Prompts where the data has none.
const USUAL_PROMPT: usize = 128;
/// Longest answer that a first run asks for: every token of it is sampled thousands of times.
const LONGEST_ANSWER: usize = 256;

impl LengthPlan {
    /// Answers as long as 95 of 100 in the data, sequences as long as 99 of 100, within what the model takes.
    pub(super) fn of(model: &ModelSeen, data: &DataSeen) -> Self {
        let context = model.config.max_seq_len().min(2048);
        let p95 = |lengths: &Option<Lengths>, usual| lengths.as_ref().map_or(usual, |lengths| lengths.p95);
        let p99 = |lengths: &Option<Lengths>| lengths.as_ref().map_or(0, |lengths| lengths.p99);
        let answer = p95(&data.answers, USUAL_ANSWER)
            .clamp(16, LONGEST_ANSWER)
            .next_multiple_of(16);
        let max_new_tokens = answer.min(context / 2).max(1);
        let longest = [
            p99(&data.conversations),
            p99(&data.prompts) + max_new_tokens.max(p99(&data.answers)),
            USUAL_PROMPT + max_new_tokens,
        ];
        let longest = longest.into_iter().max().unwrap_or(0).next_multiple_of(64);
        Self {
            max_seq_len: longest.min(context),
            max_new_tokens,
        }
    }
}

/// Tokens of a pass, and whether activations are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PassPlan {
    pub(super) microbatch_tokens: usize,
    pub(super) gradient_checkpointing: bool,
    /// The forecast of PPO, the stage that takes most, in bytes.
    pub(super) forecast: u64,
    /// It is within what was to be used.
    pub(super) fits: bool,
}

/// Sizes of a pass that are tried, the largest first.
const PASSES: [usize; 5] = [8192, 4096, 2048, 1024, 512];

/// Scores nothing: its place is taken by what the user says.
#[derive(Debug)]
struct NoScorer;

impl Scorer for NoScorer {
    fn score(&self, answers: &[rlhf_ppo::Answer<'_>]) -> Result<Vec<Option<f64>>, ScorerError> {
        Ok(vec![None; answers.len()])
    }
}

impl PassPlan {
    /// The largest passes with which PPO on four adapters or on whole models takes at most `memory` bytes.
    pub(super) fn of(model: &ModelSeen, lengths: LengthPlan, lora: Option<&LoraConfig>, memory: u64) -> Result<Self> {
        let device = Device::flex();
        let models = PpoModels {
            sft: CausalLm::outline(&model.config, &device),
            scorer: Box::new(NoScorer),
            judge: None,
        };
        let prompt = lengths.max_seq_len.saturating_sub(lengths.max_new_tokens).max(1);
        let prompts = [PpoPrompt::from(vec![0; prompt])];
        let data = PpoData {
            prompts: &prompts,
            held_out: 0,
            pretraining: &[],
            eos_token_id: 0,
            stop_token_ids: &[],
        };
        let forecast = |microbatch_tokens, gradient_checkpointing| -> Result<u64> {
            let config = PpoConfig {
                batch_size: BATCH,
                n_minibatches: 4,
                samples_per_prompt: ANSWERS,
                microbatch_tokens,
                gradient_checkpointing,
                max_new_tokens: lengths.max_new_tokens,
                value_init: ValueInit::ZeroHead,
                lora: lora.cloned(),
                ptx: PtxConfig {
                    coef: 0.0,
                    examples_per_episode: 0.0,
                    ..PtxConfig::default()
                },
                ..PpoConfig::default()
            };
            Ok(memory_forecast(&models, data, &config, 1)?.total())
        };
        let mut plan = None;
        for gradient_checkpointing in [false, true] {
            for microbatch_tokens in PASSES {
                let forecast = forecast(microbatch_tokens, gradient_checkpointing)?;
                let found = Self {
                    microbatch_tokens,
                    gradient_checkpointing,
                    forecast,
                    fits: forecast <= memory,
                };
                if found.fits {
                    return Ok(found);
                }
                plan = Some(found);
            }
        }
        Ok(plan.expect("some sizes are tried"))
    }
}

/// Adapters, or nothing, as the rules have them.
pub(super) fn lora_for(parameters: usize) -> Option<LoraConfig> {
    suits_adapters(parameters).then(|| LoraConfig {
        rank: 16,
        alpha: 32.0,
        ..LoraConfig::default()
    })
}

/// Hours of the stages, from rates and counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct TimePlan {
    pub(super) sft: f64,
    pub(super) reward: f64,
    /// Of one update of PPO.
    pub(super) update: f64,
    /// Episodes that PPO has time for in an hour, in whole updates; at least one.
    pub(super) episodes: usize,
}

/// Episodes of an update, as the rules have them.
const BATCH: usize = 64;
/// Answers to each prompt of an update.
pub(super) const ANSWERS: usize = 4;
/// Seconds that a first run of PPO takes.
const PPO_SECONDS: f64 = 3600.0;

impl TimePlan {
    pub(super) fn of(data: &DataSeen, lengths: LengthPlan, rates: Rates) -> Self {
        let mean = |lengths: &Option<Lengths>, usual: usize| lengths.as_ref().map_or(usual as f64, |l| l.mean);
        let rows = |kind| data.of(kind).iter().map(|file| file.rows).sum::<usize>() as f64;
        let (prompt, answer) = (mean(&data.prompts, USUAL_PROMPT), mean(&data.answers, USUAL_ANSWER));
        let answer = answer.min(lengths.max_new_tokens as f64);
        let sft = rows(DataKind::Demonstrations) * mean(&data.conversations, USUAL_PROMPT + USUAL_ANSWER);
        // Two completions to a row at least.
        let reward = rows(DataKind::Comparisons) * (prompt + 2.0 * answer);
        // Policy, reference and value function read every episode; two of them learn from it. A prompt is read once for its answers.
        let read = prompt / ANSWERS as f64 + answer;
        let episode = answer / rates.sampling + read * (3.0 / rates.scoring + 2.0 / rates.training);
        let update = BATCH as f64 * episode;
        Self {
            sft: sft / rates.training,
            reward: reward / rates.training,
            update,
            episodes: BATCH * ((PPO_SECONDS / update) as usize).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_takes_the_time_of_its_passes() {
        let rates = Rates {
            training: 100.0,
            scoring: 300.0,
            sampling: 96.0,
        };
        let lengths = LengthPlan {
            max_seq_len: 256,
            max_new_tokens: 96,
        };
        let plan = TimePlan::of(&DataSeen::default(), lengths, rates);
        // 96 / 96 + (128 / 4 + 96) · (3/300 + 2/100) = 1 + 3.84 seconds an episode.
        assert!((plan.update - 64.0 * 4.84).abs() < 1e-9, "{}", plan.update);
        assert_eq!((plan.episodes, plan.sft), (11 * 64, 0.0));
    }
}
