//! Gradients of one minibatch: clipped policy loss, clipped value loss, pretraining loss.

use std::ops::Range;

use burn::tensor::Tensor;
use rlhf_core::{GradientBuffer, completions_of_prompts, to_host};
use rlhf_data::TokenSequence;
use rlhf_model::{Accumulator, CausalLm, MicroBatch, PassLimits, Reading, ScalarModel, logprob_gradients};

use crate::config::PpoConfig;
use crate::episode::Episode;
use crate::loss::{PolicyStats, PolicyTerms, ValueStats, ValueTerms, policy_loss, token_weights, value_loss};
use crate::ptx::ptx_weights;

/// Gradient of the policy loss over `episodes`, its statistics, and the largest |ratio - 1|.
pub(crate) fn policy_gradients(
    policy: &CausalLm,
    episodes: &[Episode],
    config: &PpoConfig,
) -> (GradientBuffer, PolicyStats, f64) {
    let lengths: Vec<usize> = episodes.iter().map(|e| e.response.len()).collect();
    let weights = token_weights(&lengths, config.reduction);
    let mut step = Accumulator::new(policy, config.pass_limits());
    let (mut stats, mut ratio_errors) = (Vec::new(), Vec::new());
    for (part, tokens) in parts(episodes, &lengths, config.pass_limits()) {
        let sequences: Vec<&[u32]> = part.iter().map(|e| e.response.sequence.as_slice()).collect();
        let from: Vec<usize> = part.iter().map(|e| e.response.prompt_len).collect();
        step.add(&MicroBatch::from_positions(&sequences, &from), |reading| {
            let terms = PolicyTerms {
                old_logprobs: flat(&reading, part, |e| &e.scored.old_logprobs),
                advantages: flat(&reading, part, Episode::action_advantages),
                weights: reading.tensor(&weights[tokens]),
                logprobs: {
                    let targets = reading.targets();
                    policy
                        .token_logprobs(reading.hidden, targets, config.temperature)
                        .logprobs
                },
            };
            let loss = policy_loss(terms, config.cliprange);
            stats.push(loss.stats);
            ratio_errors.push(loss.max_ratio_error);
            loss.loss
        });
    }
    let errors = to_host(Tensor::cat(ratio_errors, 0));
    // Not f32::max, which would pass over a NaN.
    let largest = errors.into_iter().fold(0.0f32, |a, b| if b <= a { a } else { b });
    (step.finish().0, PolicyStats::read(total(stats)), f64::from(largest))
}

/// Gradient of the value loss over `episodes`, and its statistics.
pub(crate) fn value_gradients(
    value: &ScalarModel,
    episodes: &[Episode],
    config: &PpoConfig,
) -> (GradientBuffer, ValueStats) {
    let lengths: Vec<usize> = episodes.iter().map(|e| e.steps.len()).collect();
    let weights = token_weights(&lengths, config.reduction);
    let mut step = Accumulator::new(value, config.pass_limits());
    let mut stats = Vec::new();
    for (part, entries) in parts(episodes, &lengths, config.pass_limits()) {
        let sequences: Vec<Vec<u32>> = part.iter().map(Episode::value_sequence).collect();
        let from: Vec<usize> = part.iter().map(|e| e.response.prompt_len).collect();
        step.add(&MicroBatch::from_positions(&sequences, &from), |reading| {
            let terms = ValueTerms {
                old_values: flat(&reading, part, |e| &e.steps.values),
                returns: flat(&reading, part, |e| &e.steps.returns),
                weights: reading.tensor(&weights[entries]),
                values: value.score(reading.hidden),
            };
            let loss = value_loss(terms, config.cliprange_value.range());
            stats.push(loss.stats);
            loss.loss
        });
    }
    (step.finish().0, ValueStats::read(total(stats)))
}

/// Gradient of the pretraining loss, and the loss in the unit of `config.ptx`.
pub(crate) fn ptx_gradients(
    policy: &CausalLm,
    sequences: &[&TokenSequence],
    config: &PpoConfig,
) -> (GradientBuffer, f64) {
    let lengths: Vec<usize> = sequences.iter().map(|s| s.targets()).collect();
    let weights = ptx_weights(&lengths, config.ptx.unit);
    let ids: Vec<&[u32]> = sequences.iter().map(|s| s.input_ids.as_slice()).collect();
    let masks: Vec<&[bool]> = sequences.iter().map(|s| s.loss_mask.as_slice()).collect();
    let (gradients, loss, _) = logprob_gradients(policy, &ids, &masks, &weights, config.pass_limits());
    (gradients, loss)
}

/// Consecutive episodes that go through a network together, each with the range of its entries in flat lists. Those of one
/// prompt stay together.
fn parts<'e>(
    episodes: &'e [Episode],
    lengths: &[usize],
    limits: PassLimits,
) -> impl Iterator<Item = (&'e [Episode], Range<usize>)> {
    let groups = groups(episodes);
    let mut first = 0;
    limits
        .parts(&tokens_of(episodes, &groups))
        .into_iter()
        .map(move |part| {
            let part = groups[part.start].start..groups[part.end - 1].end;
            let entries: usize = lengths[part.clone()].iter().sum();
            first += entries;
            (&episodes[part], first - entries..first)
        })
}

/// Neighbours that answer one prompt.
pub(crate) fn groups(episodes: &[Episode]) -> Vec<Range<usize>> {
    let sequences: Vec<&[u32]> = episodes.iter().map(|e| e.response.sequence.as_slice()).collect();
    let from: Vec<usize> = episodes.iter().map(|e| e.response.prompt_len).collect();
    completions_of_prompts(&sequences, &from)
}

/// Tokens of each group, those of its prompt counted once.
fn tokens_of(episodes: &[Episode], groups: &[Range<usize>]) -> Vec<usize> {
    let of_group = |group: &Range<usize>| {
        let responses: usize = episodes[group.clone()].iter().map(|e| e.response.len()).sum();
        episodes[group.start].response.prompt_len + responses
    };
    groups.iter().map(of_group).collect()
}

/// The entries of some episodes, one after the other, as a tensor.
fn flat(reading: &Reading<'_>, part: &[Episode], field: impl Fn(&Episode) -> &[f64]) -> Tensor<1> {
    let values: Vec<f64> = part.iter().flat_map(|e| field(e).iter().copied()).collect();
    reading.tensor(&values)
}

fn total(stats: Vec<Tensor<1>>) -> Tensor<1> {
    let sum = stats.into_iter().reduce(|sum, next| sum + next);
    sum.expect("a minibatch holds at least one episode")
}

#[cfg(test)]
#[path = "step_tests.rs"]
mod tests;
