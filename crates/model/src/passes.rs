//! Passes without gradients over many sequences: log-probabilities, values and scores on the host.
//!
//! Sequences go through the network packed, in micro-batches of a bounded number of tokens; neither the packing nor the
//! bound changes a result beyond rounding. A prompt of several completions that stand together goes through once.

use std::ops::Range;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use rlhf_core::lanes::{in_lanes, lanes, side_by_side};
use rlhf_core::{
    GROUP_ROW_LEN, ROW_LEN, Targets, TokenBatch, completions_of_prompts, last_positions, shared_tokens, to_host,
};

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
    let groups = completions_of_prompts(sequences, from);
    let parts = in_batches(model, &device, sequences, &groups, max_tokens, |range, batch| {
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

/// Places whose logits are looked at together: those of a place are as many as the vocabulary has tokens.
const LOGITS_AT_ONCE: usize = 256;

/// Log-probabilities as of [`sequence_logprobs`] at temperature 1, and for each whether greedy decoding would say the token: whether it is
/// the likeliest of all there.
pub fn sequence_greedy<S: AsRef<[u32]> + Sync>(
    model: &CausalLm,
    sequences: &[S],
    from: &[usize],
    max_tokens: usize,
) -> (Vec<Vec<f32>>, Vec<Vec<bool>>) {
    let device = model.transformer.device();
    let groups = completions_of_prompts(sequences, from);
    let parts = in_batches(model, &device, sequences, &groups, max_tokens, |range, batch| {
        let (sequences, from) = (&sequences[range.clone()], &from[range]);
        let targets = Targets::from_positions(batch, sequences, from);
        let device = model.transformer.device();
        let hidden = model.hidden_states_at(&batch.to_device(&device), targets.places());
        let ids = targets.ids(&device);
        let said = is_likeliest(model, &hidden, &ids);
        let logprobs = to_host(model.token_logprobs(hidden, ids, 1.0).logprobs);
        let counts = entries(sequences, from);
        (split(logprobs, &counts), split(said, &counts))
    });
    let (logprobs, greedy): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    (logprobs.concat(), greedy.concat())
}

/// True where the target is the likeliest token; of several that are, the first.
///
/// # Shapes
/// - `hidden`: `[selected, d_model]`
/// - `targets`: `[selected]`
fn is_likeliest(model: &CausalLm, hidden: &Tensor<2>, targets: &Tensor<1, Int>) -> Vec<bool> {
    let [selected, _] = hidden.dims();
    let mut said = Vec::with_capacity(selected);
    for start in (0..selected).step_by(LOGITS_AT_ONCE) {
        let part = start..selected.min(start + LOGITS_AT_ONCE);
        let logits = model.logits(hidden.clone().slice([part.clone()])); // [part, vocab]
        let largest = logits.argmax(1).reshape([part.len()]); // [part]
        let differs = (largest - targets.clone().slice([part])).float();
        said.extend(to_host(differs).into_iter().map(|difference| difference == 0.0));
    }
    said
}

/// Value before each token `t >= max(from[i], 1)` of sequence `i`: the head at position `t - 1`.
pub fn sequence_values<S: AsRef<[u32]> + Sync>(
    model: &ScalarModel,
    sequences: &[S],
    from: &[usize],
    max_tokens: usize,
) -> Vec<Vec<f32>> {
    let device = model.transformer.device();
    let groups = completions_of_prompts(sequences, from);
    let parts = in_batches(model, &device, sequences, &groups, max_tokens, |range, batch| {
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
    completion_scores(model, sequences, &vec![0; sequences.len()], max_tokens)
}

/// [`sequence_scores`] of completions, given the number of tokens of the prompt of each.
pub fn completion_scores<S: AsRef<[u32]> + Sync>(
    model: &ScalarModel,
    sequences: &[S],
    prompt_lens: &[usize],
    max_tokens: usize,
) -> Vec<f32> {
    let device = model.transformer.device();
    let groups = completions_of_prompts(sequences, prompt_lens);
    let parts = in_batches(model, &device, sequences, &groups, max_tokens, |range, batch| {
        to_host(last_scores(model, batch, &sequences[range]))
    });
    parts.concat()
}

/// [`sequence_scores`], telling `done` how many sequences are scored each time that some are. A small model scores them side by
/// side, and all are done at once.
pub fn sequence_scores_told<S: AsRef<[u32]> + Sync>(
    model: &ScalarModel,
    sequences: &[S],
    max_tokens: usize,
    done: &mut dyn FnMut(usize),
) -> Vec<f32> {
    let device = model.transformer.device();
    if side_by_side(model, &device) {
        let scores = sequence_scores(model, sequences, max_tokens);
        done(sequences.len());
        return scores;
    }
    let lens: Vec<usize> = sequences.iter().map(|sequence| sequence.as_ref().len()).collect();
    let mut scores = Vec::with_capacity(sequences.len());
    for part in lanes(&lens, max_tokens) {
        let sequences = &sequences[part];
        scores.extend(to_host(last_scores(
            model,
            &TokenBatch::pack(sequences, ROW_LEN),
            sequences,
        )));
        done(scores.len());
    }
    scores
}

/// [`group_scores`], telling `done` how many groups are scored each time that some are. A small model scores them side by side,
/// and all are done at once.
pub fn group_scores_told<S: AsRef<[u32]> + Sync>(
    model: &ScalarModel,
    groups: &[&[S]],
    max_tokens: usize,
    done: &mut dyn FnMut(usize),
) -> Vec<Vec<f32>> {
    let device = model.transformer.device();
    if side_by_side(model, &device) {
        let scores = group_scores(model, groups, max_tokens);
        done(groups.len());
        return scores;
    }
    let lens: Vec<usize> = groups.iter().map(|group| shared_tokens(group)).collect();
    let mut scores = Vec::with_capacity(groups.len());
    for part in lanes(&lens, max_tokens) {
        scores.extend(scores_of_groups(model, &groups[part]));
        done(scores.len());
    }
    scores
}

/// [`sequence_scores`] of groups of sequences, in which what a group has in common at the beginning, such as the prompt of
/// several completions, goes through the network once.
pub fn group_scores<S: AsRef<[u32]> + Sync>(model: &ScalarModel, groups: &[&[S]], max_tokens: usize) -> Vec<Vec<f32>> {
    let lens: Vec<usize> = groups.iter().map(|group| shared_tokens(group)).collect();
    let device = model.transformer.device();
    let parts = in_lanes(model, &device, lanes(&lens, max_tokens), |range| {
        scores_of_groups(model, &groups[range])
    });
    parts.concat()
}

/// Scores of groups that go through the network together.
fn scores_of_groups<S: AsRef<[u32]>>(model: &ScalarModel, groups: &[&[S]]) -> Vec<Vec<f32>> {
    let batch = TokenBatch::pack_groups(groups, GROUP_ROW_LEN);
    let sequences: Vec<&S> = groups.iter().copied().flatten().collect();
    let counts: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    split(to_host(last_scores(model, &batch, &sequences)), &counts)
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

/// `run` on batches of sequences in groups that share their beginning, each with the range of its sequences.
fn in_batches<M: Module, S: AsRef<[u32]> + Sync, R: Send>(
    model: &M,
    device: &Device,
    sequences: &[S],
    groups: &[Range<usize>],
    max_tokens: usize,
    run: impl Fn(Range<usize>, &TokenBatch) -> R + Sync,
) -> Vec<R> {
    let lens: Vec<usize> = groups
        .iter()
        .map(|group| shared_tokens(&sequences[group.clone()]))
        .collect();
    in_lanes(model, device, lanes(&lens, max_tokens), |part| {
        let groups = &groups[part];
        let range = groups.first().map_or(0, |group| group.start)..groups.last().map_or(0, |group| group.end);
        let batch = TokenBatch::pack_completions(&sequences[range.clone()], groups);
        run(range, &batch)
    })
}

/// Number of tokens `t >= max(from[i], 1)` of each sequence.
fn entries<S: AsRef<[u32]>>(sequences: &[S], from: &[usize]) -> Vec<usize> {
    let tokens = |(s, &from): (&S, &usize)| s.as_ref().len().saturating_sub(from.max(1));
    sequences.iter().zip(from).map(tokens).collect()
}

fn split<T>(values: Vec<T>, counts: &[usize]) -> Vec<Vec<T>> {
    let mut values = values.into_iter();
    counts.iter().map(|&n| values.by_ref().take(n).collect()).collect()
}
