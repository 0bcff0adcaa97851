//! Gradient of one optimiser step: scores through the network, the K-wise loss on the host, and back.

use burn::module::Module;
use burn::tensor::Tensor;
use rlhf_core::stats::order_agreement;
use rlhf_core::{GradientBuffer, PartTimes, float_tensor, to_host};
use rlhf_model::{Accumulator, MicroBatch, ScalarModel, sequence_scores};

use crate::config::RewardConfig;
use crate::groups::{Annotation, RankedPrompt};
use crate::loss::{KwiseLoss, kwise_loss, mean_loss};

/// What a reward model is trained for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Objective<'a> {
    pub(crate) config: &'a RewardConfig,
    /// Weight of each token of a completion beside its score; 0 without a length term.
    pub(crate) per_token: f64,
}

/// The K-wise loss of one prompt, averaged over its labelers.
pub(crate) fn prompt_loss(prompt: &RankedPrompt, scores: &[f64], objective: Objective<'_>) -> KwiseLoss {
    let Objective { config, per_token } = objective;
    let with_length = |(score, sequence): (&f64, &Vec<u32>)| score + per_token * sequence.len() as f64;
    let scores: Vec<f64> = scores.iter().zip(&prompt.sequences).map(with_length).collect();
    let of_labeler = |a: &Annotation| kwise_loss(&scores, &a.pairs, a.margin, &config.loss);
    let losses: Vec<KwiseLoss> = prompt.annotations.iter().map(of_labeler).collect();
    mean_loss(&losses, scores.len())
}

/// Loss and agreement of the prompts of a step, or of some of them.
#[derive(Debug, Default)]
pub(crate) struct BatchLoss {
    /// Share in the mean loss of the step, in nats.
    pub(crate) loss: f64,
    /// Pairs that the scores order as the labelers did, a tie counting one half.
    correct: f64,
    /// Pairs.
    pub(crate) pairs: usize,
}

impl BatchLoss {
    /// Share of pairs ordered as the labelers did; 0 without pairs.
    pub(crate) fn accuracy(&self) -> f64 {
        self.correct / f64::from(self.pairs.max(1) as u32)
    }
}

/// Gradient of the mean loss of `prompts`. Each completion goes through the network once, all completions of a prompt in
/// the same step and the prompt with them once; a prompt whose completions do not fit together is scored first and
/// back-propagated in chunks, which is exact because the loss depends on the network through the scores alone.
pub(crate) fn batch_gradients(
    model: &ScalarModel,
    prompts: &[&RankedPrompt],
    objective: Objective<'_>,
) -> (GradientBuffer, BatchLoss, PartTimes) {
    let limits = objective.config.pass_limits();
    let tokens: Vec<usize> = prompts.iter().map(|p| p.tokens()).collect();
    let mut step = Accumulator::new(model, limits);
    let mut total = BatchLoss::default();
    for part in limits.parts(&tokens) {
        let own = &prompts[part.clone()];
        let mut add_loss = |scores: &[f32]| add_part_loss(&mut total, own, scores, prompts.len(), objective);
        if tokens[part].iter().sum::<usize>() <= limits.microbatch_tokens {
            let groups: Vec<&[Vec<u32>]> = own.iter().map(|p| p.sequences.as_slice()).collect();
            step.add(&MicroBatch::last_of_groups(&groups), |reading| {
                let device = reading.device.clone();
                let scores = model.score(reading.hidden);
                let derivatives = add_loss(&to_host(scores.clone().inner()));
                surrogate(scores, float_tensor(&derivatives, &device))
            });
            continue;
        }
        // The completions of one prompt, which share nothing when they go through the network apart.
        let sequences: Vec<&[u32]> = own.iter().flat_map(|p| &p.sequences).map(Vec::as_slice).collect();
        let derivatives = add_loss(&sequence_scores(&model.valid(), &sequences, limits.microbatch_tokens));
        let lens: Vec<usize> = sequences.iter().map(|s| s.len()).collect();
        for chunk in limits.parts(&lens) {
            step.add(&MicroBatch::last_of_groups(&[&sequences[chunk.clone()]]), |reading| {
                let derivatives = float_tensor(&derivatives[chunk], reading.device);
                surrogate(model.score(reading.hidden), derivatives)
            });
        }
    }
    let (gradients, times) = step.finish();
    (gradients, total, times)
}

/// Adds the share of `part` in the mean loss of `n_prompts` prompts, from the scores of all its completions; returns `dL/dr`
/// of each of them.
fn add_part_loss(
    total: &mut BatchLoss,
    part: &[&RankedPrompt],
    scores: &[f32],
    n_prompts: usize,
    objective: Objective<'_>,
) -> Vec<f32> {
    let mut derivatives = Vec::with_capacity(scores.len());
    let mut rest = scores;
    let mut sum = 0.0;
    for prompt in part {
        let (own, others) = rest.split_at(prompt.sequences.len());
        rest = others;
        let scores: Vec<f64> = own.iter().map(|&score| f64::from(score)).collect();
        let found = prompt_loss(prompt, &scores, objective);
        sum += found.loss / n_prompts as f64;
        derivatives.extend(found.grad.iter().map(|grad| (grad / n_prompts as f64) as f32));
        for &(better, worse) in prompt.annotations.iter().flat_map(|a| &a.pairs) {
            total.correct += order_agreement(scores[better] - scores[worse]);
            total.pairs += 1;
        }
    }
    total.loss += sum;
    derivatives
}

/// `sum_i dL/dr_i · r_i`, whose gradient is that of the loss.
fn surrogate(scores: Tensor<1>, derivatives: Tensor<1>) -> Tensor<1> {
    (scores * derivatives).sum()
}

#[cfg(test)]
#[path = "gradients_tests.rs"]
mod tests;
