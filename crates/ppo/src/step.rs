//! Gradients of one minibatch: clipped policy loss, clipped value loss, pretraining loss.

use burn::tensor::Tensor;
use rlhf_core::{GradientBuffer, ROW_LEN, Targets, TokenBatch, float_tensor, micro_batches, to_host};
use rlhf_data::TokenSequence;
use rlhf_model::{CausalLm, ScalarModel};

use crate::config::PpoConfig;
use crate::loss::{PolicyStats, PolicyTerms, ValueStats, ValueTerms, policy_loss, token_weights, value_loss};
use crate::ptx::ptx_weights;
use crate::rollout::Episode;

/// Gradient of the policy loss over `episodes`, its statistics, and the largest |ratio - 1|.
pub(crate) fn policy_gradients(
    policy: &CausalLm,
    episodes: &[Episode],
    config: &PpoConfig,
) -> (GradientBuffer, PolicyStats, f64) {
    let device = policy.transformer.device();
    let lengths: Vec<usize> = episodes.iter().map(Episode::response_len).collect();
    let weights = token_weights(&lengths, config.reduction);
    let activations = config.gradient_checkpointing.into();
    let mut gradients = GradientBuffer::new();
    let (mut stats, mut ratio_errors) = (Vec::new(), Vec::new());
    for_each_part(episodes, &lengths, config.microbatch_tokens, |part, tokens| {
        let sequences: Vec<&[u32]> = part.iter().map(|e| e.sequence.as_slice()).collect();
        let from: Vec<usize> = part.iter().map(|e| e.prompt_len).collect();
        let batch = TokenBatch::pack(&sequences, ROW_LEN);
        let targets = Targets::from_positions(&batch, &sequences, &from);
        let (hidden, pass) =
            (policy.transformer).training_pass(&batch.to_device(&device), targets.places(), activations);
        let terms = PolicyTerms {
            logprobs: policy
                .token_logprobs(hidden, targets.ids(&device), config.temperature)
                .logprobs,
            old_logprobs: flat(part, |e| &e.old_logprobs, &device),
            advantages: flat(part, |e| &e.advantages[..e.response_len()], &device),
            weights: float_tensor(&to_f32(&weights[tokens]), &device),
        };
        let loss = policy_loss(terms, config.cliprange);
        stats.push(loss.stats);
        ratio_errors.push(loss.max_ratio_error);
        pass.backward(loss.loss, policy, &mut gradients);
    });
    let errors = to_host(Tensor::cat(ratio_errors, 0));
    // Not f32::max, which would pass over a NaN.
    let largest = errors.into_iter().fold(0.0f32, |a, b| if b <= a { a } else { b });
    (gradients, PolicyStats::read(total(stats)), f64::from(largest))
}

/// Gradient of the value loss over `episodes`, and its statistics.
pub(crate) fn value_gradients(
    value: &ScalarModel,
    episodes: &[Episode],
    config: &PpoConfig,
) -> (GradientBuffer, ValueStats) {
    let device = value.transformer.device();
    let lengths: Vec<usize> = episodes.iter().map(|e| e.values.len()).collect();
    let weights = token_weights(&lengths, config.reduction);
    let activations = config.gradient_checkpointing.into();
    let mut gradients = GradientBuffer::new();
    let mut stats = Vec::new();
    for_each_part(episodes, &lengths, config.microbatch_tokens, |part, tokens| {
        let sequences: Vec<Vec<u32>> = part.iter().map(Episode::value_sequence).collect();
        let from: Vec<usize> = part.iter().map(|e| e.prompt_len).collect();
        let batch = TokenBatch::pack(&sequences, ROW_LEN);
        let targets = Targets::from_positions(&batch, &sequences, &from);
        let (hidden, pass) =
            (value.transformer).training_pass(&batch.to_device(&device), targets.places(), activations);
        let terms = ValueTerms {
            values: value.score(hidden),
            old_values: flat(part, |e| &e.values, &device),
            returns: flat(part, |e| &e.returns, &device),
            weights: float_tensor(&to_f32(&weights[tokens]), &device),
        };
        let loss = value_loss(terms, config.cliprange_value.range());
        stats.push(loss.stats);
        pass.backward(loss.loss, value, &mut gradients);
    });
    (gradients, ValueStats::read(total(stats)))
}

/// Gradient of the pretraining loss, and the loss in the unit of `config.ptx`.
pub(crate) fn ptx_gradients(
    policy: &CausalLm,
    sequences: &[&TokenSequence],
    config: &PpoConfig,
) -> (GradientBuffer, f64) {
    let device = policy.transformer.device();
    let lengths: Vec<usize> = sequences.iter().map(|s| s.targets()).collect();
    let weights = ptx_weights(&lengths, config.ptx.unit);
    let activations = config.gradient_checkpointing.into();
    let tokens_of: Vec<usize> = sequences.iter().map(|s| s.len()).collect();
    let mut gradients = GradientBuffer::new();
    let mut losses = Vec::new();
    let mut first = 0;
    for range in micro_batches(&tokens_of, config.microbatch_tokens) {
        let part = &sequences[range];
        let ids: Vec<&[u32]> = part.iter().map(|s| s.input_ids.as_slice()).collect();
        let masks: Vec<&[bool]> = part.iter().map(|s| s.loss_mask.as_slice()).collect();
        let batch = TokenBatch::pack(&ids, ROW_LEN);
        let targets = Targets::from_masks(&batch, &ids, &masks);
        let weights = to_f32(&weights[first..first + targets.len()]);
        first += targets.len();
        let (hidden, pass) =
            (policy.transformer).training_pass(&batch.to_device(&device), targets.places(), activations);
        let weights: Vec<f32> = weights.into_iter().map(|weight| -weight).collect();
        let weights = float_tensor(&weights, &device);
        let loss = policy.logprob_sum(hidden, targets.ids(&device), weights);
        losses.push(loss.clone().inner());
        pass.backward(loss, policy, &mut gradients);
    }
    let loss = to_host(Tensor::cat(losses, 0)).into_iter().map(f64::from).sum();
    (gradients, loss)
}

/// Calls `run` with consecutive episodes of at most `max_tokens` tokens and the range of their entries in flat lists.
fn for_each_part(
    episodes: &[Episode],
    lengths: &[usize],
    max_tokens: usize,
    mut run: impl FnMut(&[Episode], std::ops::Range<usize>),
) {
    let tokens: Vec<usize> = episodes.iter().map(|e| e.sequence.len()).collect();
    let mut first = 0;
    for range in micro_batches(&tokens, max_tokens) {
        let count: usize = lengths[range.clone()].iter().sum();
        run(&episodes[range], first..first + count);
        first += count;
    }
}

fn flat(part: &[Episode], field: impl Fn(&Episode) -> &[f64], device: &burn::tensor::Device) -> Tensor<1> {
    let values: Vec<f64> = part.iter().flat_map(|e| field(e).iter().copied()).collect();
    float_tensor(&to_f32(&values), device)
}

fn to_f32(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&v| v as f32).collect()
}

fn total(stats: Vec<Tensor<1>>) -> Tensor<1> {
    stats
        .into_iter()
        .reduce(|sum, next| sum + next)
        .expect("a minibatch holds at least one episode")
}
