//! From sequences to the gradient of one optimiser step: the one place where micro-batches are packed, sent through a network
//! and back, and where gradients are added up.
//!
//! A step that does not fit through the network at once is split into micro-batches. The losses of the stages are weighted
//! sums whose weights add up to one over the whole step, so the gradient of the step is the plain sum of those of its
//! micro-batches, however it was split; nothing is averaged afterwards.

use std::ops::Range;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use rlhf_core::{
    GROUP_ROW_LEN, GradientBuffer, PartTimes, ROW_LEN, Targets, TokenBatch, completions_of_prompts, float_tensor,
    last_positions, micro_batches, timed, to_host,
};

use crate::decoder::Decoder;
use crate::heads::{CausalLm, ScalarModel};
use crate::memory::{HeadUse, LargestPass};
use crate::training_pass::Activations;

/// A model that training goes through: a head on a decoder.
pub trait Headed: Module {
    /// The decoder beneath the head.
    fn decoder(&self) -> &Decoder;
}

impl Headed for CausalLm {
    fn decoder(&self) -> &Decoder {
        &self.transformer
    }
}

impl Headed for ScalarModel {
    fn decoder(&self) -> &Decoder {
        &self.transformer
    }
}

/// Tokens of a step that go through the network at once, and what is kept for the way back; neither changes gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassLimits {
    /// Most tokens of a micro-batch.
    pub microbatch_tokens: usize,
    /// Activations that the forward pass keeps.
    pub activations: Activations,
}

impl PassLimits {
    /// The limits that a stage's settings name.
    pub fn new(microbatch_tokens: usize, gradient_checkpointing: bool) -> Self {
        Self {
            microbatch_tokens,
            activations: gradient_checkpointing.into(),
        }
    }

    /// Consecutive rows of a step that go through the network together, given the tokens of each row.
    pub fn parts(&self, tokens: &[usize]) -> Vec<Range<usize>> {
        micro_batches(tokens, self.microbatch_tokens)
    }

    /// The largest part that the steps of a loop have, each step a list of indices into `tokens`.
    pub fn largest_part(&self, tokens: &[usize], steps: impl IntoIterator<Item = Vec<usize>>) -> LargestPart {
        let mut largest = LargestPart::default();
        let mut most = 0;
        for rows in steps {
            let lens: Vec<usize> = rows.iter().map(|&row| tokens[row]).collect();
            let parts = self.parts(&lens);
            largest.is_one_of_several |= parts.len() > 1;
            for part in parts {
                let sum = lens[part.clone()].iter().sum();
                if sum > most {
                    (most, largest.rows) = (sum, rows[part].to_vec());
                }
            }
        }
        largest
    }
}

/// The part of a loop's steps in which most tokens go through the network together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LargestPart {
    /// Indices of its rows.
    pub rows: Vec<usize>,
    /// True if some step consists of several parts.
    pub is_one_of_several: bool,
}

/// Sequences that go through the network together, and where the loss reads it.
#[derive(Debug, Clone)]
pub struct MicroBatch {
    batch: TokenBatch,
    reads: Reads,
}

/// The tokens of a micro-batch at which a head reads the hidden states.
#[derive(Debug, Clone)]
enum Reads {
    /// Before each of some tokens.
    Before(Targets),
    /// At the last token of every sequence.
    Last(Vec<usize>),
}

impl MicroBatch {
    /// Reads the network before every token whose mask is true; the first token of a sequence is never one of them.
    pub fn masked<S: AsRef<[u32]>, M: AsRef<[bool]>>(sequences: &[S], masks: &[M]) -> Self {
        let batch = TokenBatch::pack(sequences, ROW_LEN);
        let reads = Reads::Before(Targets::from_masks(&batch, sequences, masks));
        Self { batch, reads }
    }

    /// Reads the network before every token of sequence `i` from position `from[i]` on; of completions of one prompt that
    /// stand together, the prompt goes through once.
    pub fn from_positions<S: AsRef<[u32]>>(sequences: &[S], from: &[usize]) -> Self {
        let batch = TokenBatch::pack_completions(sequences, &completions_of_prompts(sequences, from));
        let reads = Reads::Before(Targets::from_positions(&batch, sequences, from));
        Self { batch, reads }
    }

    /// Reads the network at the last token of every sequence; what the sequences of a group begin with goes through once.
    ///
    /// # Panics
    /// If a sequence is empty: it has no last token.
    pub fn last_of_groups<S: AsRef<[u32]>>(groups: &[&[S]]) -> Self {
        let batch = TokenBatch::pack_groups(groups, GROUP_ROW_LEN);
        let sequences: Vec<&[u32]> = groups.iter().copied().flatten().map(AsRef::as_ref).collect();
        let reads = Reads::Last(last_positions(&batch, &sequences));
        Self { batch, reads }
    }

    /// Flat indices of the hidden states that are read.
    fn places(&self) -> &[usize] {
        match &self.reads {
            Reads::Before(targets) => targets.places(),
            Reads::Last(places) => places,
        }
    }

    /// Number of hidden states that are read.
    pub fn reads(&self) -> usize {
        self.places().len()
    }

    /// The pass of this micro-batch in a memory forecast.
    pub fn forecast(&self, head: HeadUse, is_one_of_several: bool, limits: PassLimits) -> LargestPass {
        LargestPass {
            slots: self.batch.slots(),
            read: self.reads(),
            head,
            is_one_of_several,
            activations: limits.activations,
        }
    }
}

/// The network's outputs for a micro-batch, which the loss reads.
#[derive(Debug)]
pub struct Reading<'a> {
    /// Hidden states where the micro-batch reads them, `[reads, d_model]`, on the autodiff device.
    pub hidden: Tensor<2>,
    /// Device of the tensors of the loss.
    pub device: &'a Device,
    micro_batch: &'a MicroBatch,
}

impl Reading<'_> {
    /// Number of hidden states.
    pub fn len(&self) -> usize {
        self.micro_batch.reads()
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tokens that follow the hidden states, `[reads]`.
    ///
    /// # Panics
    /// For a micro-batch that is read at last tokens, which nothing follows.
    pub fn targets(&self) -> Tensor<1, Int> {
        match &self.micro_batch.reads {
            Reads::Before(targets) => targets.ids(self.device),
            Reads::Last(_) => panic!("nothing follows the last token of a sequence"),
        }
    }

    /// A list with an entry per hidden state as a tensor `[reads]`.
    pub fn tensor(&self, values: &[f64]) -> Tensor<1> {
        let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        float_tensor(&values, self.device)
    }
}

/// The gradient of one optimiser step on its way.
#[derive(Debug)]
pub struct Accumulator<'m, M> {
    module: &'m M,
    activations: Activations,
    device: Device,
    gradients: GradientBuffer,
    times: PartTimes,
}

impl<'m, M: Headed> Accumulator<'m, M> {
    /// An empty sum for `module`, which is in training.
    pub fn new(module: &'m M, limits: PassLimits) -> Self {
        Self {
            module,
            activations: limits.activations,
            device: module.decoder().device(),
            gradients: GradientBuffer::new(),
            times: PartTimes::default(),
        }
    }

    /// Sends a micro-batch through the network and adds the gradient of its share of the loss. A micro-batch at which nothing
    /// is read has no share.
    pub fn add(&mut self, micro_batch: &MicroBatch, loss: impl FnOnce(Reading<'_>) -> Tensor<1>) {
        if micro_batch.reads() == 0 {
            return;
        }
        let decoder = self.module.decoder();
        let (loss, pass) = timed(&mut self.times.forward, || {
            let tokens = micro_batch.batch.to_device(&self.device);
            let (hidden, pass) = decoder.training_pass(&tokens, micro_batch.places(), self.activations);
            let reading = Reading {
                hidden,
                device: &self.device,
                micro_batch,
            };
            (loss(reading), pass)
        });
        let gradients = &mut self.gradients;
        timed(&mut self.times.backward, || pass.backward(loss, self.module, gradients));
    }

    /// The gradient of the step, and where its time went.
    ///
    /// Gradients of several machines belong here: each has the sum over its own micro-batches, weighted for the whole step,
    /// so that a plain sum over the machines makes this the gradient of all.
    pub fn finish(self) -> (GradientBuffer, PartTimes) {
        (self.gradients, self.times)
    }
}

/// Gradient of `-sum_t weights[t] ln p(token t)` over the tokens whose mask is true, and that sum: next-token training and the
/// pretraining term of PPO-ptx.
///
/// `weights` has one entry per such token, sequence after sequence; `masks[i][0]` is ignored.
pub fn logprob_gradients<S: AsRef<[u32]>, M: AsRef<[bool]>>(
    model: &CausalLm,
    sequences: &[S],
    masks: &[M],
    weights: &[f64],
    limits: PassLimits,
) -> (GradientBuffer, f64, PartTimes) {
    let tokens: Vec<usize> = sequences.iter().map(|sequence| sequence.as_ref().len()).collect();
    let mut step = Accumulator::new(model, limits);
    let mut losses = Vec::new();
    let mut rest = weights;
    for part in limits.parts(&tokens) {
        let micro_batch = MicroBatch::masked(&sequences[part.clone()], &masks[part]);
        let (own, others) = rest.split_at(micro_batch.reads());
        rest = others;
        step.add(&micro_batch, |reading| {
            let weights: Vec<f64> = own.iter().map(|weight| -weight).collect();
            let (targets, weights) = (reading.targets(), reading.tensor(&weights));
            let loss = model.logprob_sum(reading.hidden, targets, weights);
            losses.push(loss.clone().inner());
            loss
        });
    }
    let (gradients, times) = step.finish();
    (gradients, total(losses), times)
}

/// Sum of some numbers on a device.
fn total(losses: Vec<Tensor<1>>) -> f64 {
    if losses.is_empty() {
        return 0.0;
    }
    to_host(Tensor::cat(losses, 0)).into_iter().map(f64::from).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(microbatch_tokens: usize) -> PassLimits {
        PassLimits::new(microbatch_tokens, false)
    }

    #[test]
    fn the_largest_part_is_found_among_all_steps() {
        let tokens = [3, 5, 2, 7];
        let largest = |microbatch_tokens| {
            let steps = [vec![0, 1], vec![2, 3]];
            limits(microbatch_tokens).largest_part(&tokens, steps)
        };
        // 3 + 5 together; 2 and 7 apart, which makes a step of two parts.
        let found = largest(8);
        assert_eq!((found.rows, found.is_one_of_several), (vec![0, 1], true));
        // 2 + 7 together.
        let found = largest(9);
        assert_eq!((found.rows, found.is_one_of_several), (vec![2, 3], false));
        // Each alone; the first of the longest.
        let found = largest(1);
        assert_eq!((found.rows, found.is_one_of_several), (vec![3], true));
        assert_eq!(limits(8).largest_part(&tokens, []), LargestPart::default());
    }

    #[test]
    fn a_micro_batch_counts_what_is_read_of_it() {
        let sequences = [vec![1u32, 2, 3], vec![4, 5]];
        let masks = [vec![true, false, true], vec![true, true]];
        let masked = MicroBatch::masked(&sequences, &masks);
        assert_eq!(masked.reads(), 2, "the first token of a sequence follows nothing");
        assert_eq!(MicroBatch::from_positions(&sequences, &[1, 1]).reads(), 3);
        let groups = MicroBatch::last_of_groups(&[&sequences[..]]);
        assert_eq!(groups.reads(), 2);
        let pass = groups.forecast(HeadUse::Score, true, limits(8));
        assert_eq!((pass.slots, pass.read, pass.is_one_of_several), (5, 2, true));
    }
}
