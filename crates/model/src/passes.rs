//! Passes without gradients over many sequences: log-probabilities, values and scores on the host.
//!
//! Sequences go through the network packed, in micro-batches of a bounded number of tokens; neither the packing nor the
//! bound changes a result beyond rounding.

use std::ops::Range;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rlhf_core::lanes::{in_lanes, lanes};
use rlhf_core::{GROUP_ROW_LEN, ROW_LEN, Targets, TokenBatch, last_positions, shared_tokens, to_host};

use crate::heads::{CausalLm, ScalarModel};

/// Log-probabilities, and entropies, of the tokens of each sequence.
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceLogprobs {
    /// For sequence `i`, one entry per token from `from[i]` on, in nats.
    pub logprobs: Vec<Vec<f32>>,
    /// Entropy of the distribution each of those tokens was predicted from, in nats.
    pub entropy: Vec<Vec<f32>>,
}

/// Log-probability of every token `t >= max(from[i], 1)` of sequence `i` given those before it, under
/// softmax(logits / temperature).
///
/// `max_tokens` bounds the tokens of one micro-batch.
pub fn sequence_logprobs<S: AsRef<[u32]> + Sync>(
    model: &CausalLm,
    sequences: &[S],
    from: &[usize],
    temperature: f64,
    max_tokens: usize,
) -> SequenceLogprobs {
    let device = model.transformer.device();
    let parts = in_batches(model, &device, sequences, max_tokens, |range, batch| {
        let (sequences, from) = (&sequences[range.clone()], &from[range]);
        let targets = Targets::from_positions(batch, sequences, from);
        let device = model.transformer.device();
        let hidden = model.hidden_states_at(&batch.to_device(&device), targets.places());
        let result = model.token_logprobs(hidden, targets.ids(&device), temperature);
        let counts = entries(sequences, from);
        (
            split(to_host(result.logprobs), &counts),
            split(to_host(result.entropy), &counts),
        )
    });
    let (logprobs, entropy): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    SequenceLogprobs {
        logprobs: logprobs.concat(),
        entropy: entropy.concat(),
    }
}

/// Value before each token `t >= max(from[i], 1)` of sequence `i`: the head at position `t - 1`.
pub fn sequence_values<S: AsRef<[u32]> + Sync>(
    model: &ScalarModel,
    sequences: &[S],
    from: &[usize],
    max_tokens: usize,
) -> Vec<Vec<f32>> {
    let device = model.transformer.device();
    let parts = in_batches(model, &device, sequences, max_tokens, |range, batch| {
        let (sequences, from) = (&sequences[range.clone()], &from[range]);
        let targets = Targets::from_positions(batch, sequences, from);
        let device = model.transformer.device();
        let hidden = (model.transformer).hidden_states_at(&batch.to_device(&device), targets.places());
        split(to_host(model.score(hidden)), &entries(sequences, from))
    });
    parts.concat()
}

/// The head at the last token of every sequence: what a reward model says of it.
pub fn sequence_scores<S: AsRef<[u32]> + Sync>(model: &ScalarModel, sequences: &[S], max_tokens: usize) -> Vec<f32> {
    let device = model.transformer.device();
    let parts = in_batches(model, &device, sequences, max_tokens, |range, batch| {
        to_host(last_scores(model, batch, &sequences[range]))
    });
    parts.concat()
}

/// [`sequence_scores`] of groups of sequences, in which what a group has in common at the beginning, such as the prompt of
/// several completions, goes through the network once.
pub fn group_scores<S: AsRef<[u32]> + Sync>(model: &ScalarModel, groups: &[&[S]], max_tokens: usize) -> Vec<Vec<f32>> {
    let lens: Vec<usize> = groups.iter().map(|group| shared_tokens(group)).collect();
    let device = model.transformer.device();
    let parts = in_lanes(model, &device, lanes(&lens, max_tokens), |range| {
        let groups = &groups[range];
        let batch = TokenBatch::pack_groups(groups, GROUP_ROW_LEN);
        let sequences: Vec<&S> = groups.iter().copied().flatten().collect();
        let counts: Vec<usize> = groups.iter().map(|group| group.len()).collect();
        split(to_host(last_scores(model, &batch, &sequences)), &counts)
    });
    parts.concat()
}

/// The head at the last token of every sequence of a batch: `[sequences]`.
///
/// # Panics
/// If a sequence is empty: it has no last token.
pub fn last_scores<S: AsRef<[u32]>>(model: &ScalarModel, batch: &TokenBatch, sequences: &[S]) -> Tensor<1> {
    let device = model.transformer.device();
    let last = last_positions(batch, sequences);
    model.score(model.transformer.hidden_states_at(&batch.to_device(&device), &last))
}

/// `run` on batches of sequences, each with the range of its sequences.
fn in_batches<M: Module, S: AsRef<[u32]> + Sync, R: Send>(
    model: &M,
    device: &Device,
    sequences: &[S],
    max_tokens: usize,
    run: impl Fn(Range<usize>, &TokenBatch) -> R + Sync,
) -> Vec<R> {
    let lens: Vec<usize> = sequences.iter().map(|s| s.as_ref().len()).collect();
    in_lanes(model, device, lanes(&lens, max_tokens), |range| {
        run(range.clone(), &TokenBatch::pack(&sequences[range], ROW_LEN))
    })
}

/// Number of tokens `t >= max(from[i], 1)` of each sequence.
fn entries<S: AsRef<[u32]>>(sequences: &[S], from: &[usize]) -> Vec<usize> {
    let tokens = |(s, &from): (&S, &usize)| s.as_ref().len().saturating_sub(from.max(1));
    sequences.iter().zip(from).map(tokens).collect()
}

fn split(values: Vec<f32>, counts: &[usize]) -> Vec<Vec<f32>> {
    let mut values = values.into_iter();
    counts.iter().map(|&n| values.by_ref().take(n).collect()).collect()
}
