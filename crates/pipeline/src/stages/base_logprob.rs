//! What the model that a reward model begins as already says of the held-out completions: the log-probability of each.

use rlhf_core::memory::{MemoryForecast, ParameterBytes};
use rlhf_core::stats::Interval;
use rlhf_model::{CausalLm, ModelConfig, PassesAtOnce, load_causal_lm, sequence_logprobs};
use rlhf_reward::{RankedPrompt, pair_share};

use super::Sft;
use crate::error::Result;
use crate::workspace::Workspace;

/// Held-out prompts between two words about how far the SFT model has read.
const PROMPTS_BETWEEN_WORDS: usize = 16;

/// Accuracy of the log-probability per token that the SFT model gives the held-out completions.
pub(super) fn base_logprob(
    work: &Workspace<'_>,
    prompts: &[RankedPrompt],
    microbatch_tokens: usize,
) -> Result<Interval> {
    let (model, _) = load_causal_lm(&work.folder(&Sft), work.device())?;
    let mut scores: Vec<Vec<f64>> = Vec::with_capacity(prompts.len());
    for part in prompts.chunks(PROMPTS_BETWEEN_WORDS) {
        work.check_stop()?;
        let sequences: Vec<&[u32]> = part.iter().flat_map(|p| &p.sequences).map(Vec::as_slice).collect();
        let from: Vec<usize> = part
            .iter()
            .flat_map(|p| vec![p.prompt_len; p.sequences.len()])
            .collect();
        let found = sequence_logprobs(&model, &sequences, &from, 1.0, microbatch_tokens).logprobs;
        let mut means = found.iter().map(|logprobs| {
            let sum: f64 = logprobs.iter().map(|&logprob| f64::from(logprob)).sum();
            sum / logprobs.len().max(1) as f64
        });
        let of_prompt = |p: &RankedPrompt| means.by_ref().take(p.sequences.len()).collect();
        scores.extend(part.iter().map(of_prompt));
        let (done, total) = (scores.len() as u64, prompts.len() as u64);
        work.report(done, total, "held-out prompts read by the SFT model");
    }
    Ok(pair_share(prompts, &scores, work.seed()))
}

/// Memory that it takes, when the reward model has left.
pub(super) fn forecast(
    work: &Workspace<'_>,
    config: &ModelConfig,
    prompts: &[RankedPrompt],
    microbatch_tokens: usize,
) -> MemoryForecast {
    let model = CausalLm::outline(config, work.device());
    let lens: Vec<usize> = prompts.iter().map(RankedPrompt::tokens).collect();
    let passes = PassesAtOnce::of(&model, work.device(), &lens, microbatch_tokens);
    MemoryForecast {
        weights: ParameterBytes::of(&model).all,
        activations: passes.bytes(model.transformer.architecture()),
        ..MemoryForecast::default()
    }
}
