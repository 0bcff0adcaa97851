//! Passes without gradients over many sequences: log-probabilities, values and scores on the host.
//!
//! Sequences go through the network packed, in micro-batches of a bounded number of tokens; neither the packing nor the
//! bound changes a result beyond rounding.

use rlhf_core::{ROW_LEN, Targets, TokenBatch, index_tensor, last_positions, micro_batches, to_host};

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
pub fn sequence_logprobs<S: AsRef<[u32]>>(
    model: &CausalLm,
    sequences: &[S],
    from: &[usize],
    temperature: f64,
    max_tokens: usize,
) -> SequenceLogprobs {
    let mut out = SequenceLogprobs {
        logprobs: Vec::new(),
        entropy: Vec::new(),
    };
    for_each_batch(sequences, max_tokens, |range, batch| {
        let (sequences, from) = (&sequences[range.clone()], &from[range]);
        let targets = Targets::from_positions(batch, sequences, from);
        let device = model.transformer.device();
        let hidden = targets.select(model.hidden_states(&batch.to_device(&device)));
        let result = model.token_logprobs(hidden, targets.ids(&device), temperature);
        let counts: Vec<usize> = sequences
            .iter()
            .zip(from)
            .map(|(s, &f)| s.as_ref().len().saturating_sub(f.max(1)))
            .collect();
        out.logprobs.extend(split(to_host(result.logprobs), &counts));
        out.entropy.extend(split(to_host(result.entropy), &counts));
    });
    out
}

/// Value before each token `t >= max(from[i], 1)` of sequence `i`: the head at position `t - 1`.
pub fn sequence_values<S: AsRef<[u32]>>(
    model: &ScalarModel,
    sequences: &[S],
    from: &[usize],
    max_tokens: usize,
) -> Vec<Vec<f32>> {
    let mut out = Vec::new();
    for_each_batch(sequences, max_tokens, |range, batch| {
        let (sequences, from) = (&sequences[range.clone()], &from[range]);
        let targets = Targets::from_positions(batch, sequences, from);
        let device = model.transformer.device();
        let hidden = targets.select(model.transformer.hidden_states(&batch.to_device(&device)));
        let counts: Vec<usize> = sequences
            .iter()
            .zip(from)
            .map(|(s, &f)| s.as_ref().len().saturating_sub(f.max(1)))
            .collect();
        out.extend(split(to_host(model.score(hidden)), &counts));
    });
    out
}

/// The head at the last token of every sequence: what a reward model says of it.
pub fn sequence_scores<S: AsRef<[u32]>>(model: &ScalarModel, sequences: &[S], max_tokens: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(sequences.len());
    for_each_batch(sequences, max_tokens, |range, batch| {
        let device = model.transformer.device();
        let hidden = model.transformer.hidden_states(&batch.to_device(&device));
        let last = index_tensor(&last_positions(batch, &sequences[range]), &device);
        out.extend(to_host(model.score(hidden.select(0, last))));
    });
    out
}

fn for_each_batch<S: AsRef<[u32]>>(
    sequences: &[S],
    max_tokens: usize,
    mut run: impl FnMut(std::ops::Range<usize>, &TokenBatch),
) {
    let lens: Vec<usize> = sequences.iter().map(|s| s.as_ref().len()).collect();
    for range in micro_batches(&lens, max_tokens) {
        run(range.clone(), &TokenBatch::pack(&sequences[range], ROW_LEN));
    }
}

fn split(values: Vec<f32>, counts: &[usize]) -> Vec<Vec<f32>> {
    let mut values = values.into_iter();
    counts.iter().map(|&n| values.by_ref().take(n).collect()).collect()
}
