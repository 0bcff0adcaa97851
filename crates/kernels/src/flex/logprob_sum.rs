//! A weighted sum of log-probabilities, and its gradients in the same pass.
//!
//! Where the weights are known beforehand, so is what each logit contributes to the gradients up to one factor, the gradient
//! of the sum. The logits of some positions are computed once, for all words, turned into probabilities where they stand, and
//! used up: [`super::logprobs`], which has to know the gradient of each log-probability, computes them again for its
//! backward pass.

use rayon::prelude::*;
use std::ops::Range;

use super::{
    dispatch::for_every_instruction_set,
    logprobs::{self, Head},
    matrix::{Matrix, MatrixMut, product, unwritten},
    simd::{exp, max, sum},
};

/// Positions whose logits exist at a time.
const ROWS: usize = 512;
/// The same for large vocabularies.
const FEWER_ROWS: usize = 256;
/// From so many words on a vocabulary is large.
const MANY_WORDS: usize = 1 << 14;
/// Positions a thread takes at a time.
const CHUNK: usize = 16;
/// Smaller than any logit.
const LOWEST: f32 = -1e30;

/// Which gradients are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) hidden: bool,
    pub(super) weight: bool,
}

/// The sum, and the gradients that were wanted.
pub(super) struct Sum {
    pub(super) value: f32,
    pub(super) hidden: Option<Vec<f32>>,
    pub(super) weight: Option<Vec<f32>>,
}

/// Numbers that a pass over `selected` positions holds besides its inputs and results: logits, and the weight transposed.
pub(super) fn workspace(selected: usize, vocab: usize, d_model: usize) -> usize {
    (rows_at_once(vocab).min(selected) + d_model) * vocab
}

fn rows_at_once(vocab: usize) -> usize {
    if vocab < MANY_WORDS { ROWS } else { FEWER_ROWS }
}

/// `sum_t weights[t] logprob[t]`.
pub(super) fn forward(head: Head<'_>, weights: &[f32], wanted: Wanted) -> Sum {
    let selected = head.targets.len();
    if !(wanted.hidden || wanted.weight) {
        let logprobs: Vec<f32> = logprobs::forward(head).iter().map(logprobs::Softmax::logprob).collect();
        return Sum {
            value: weighted(&logprobs, weights),
            hidden: None,
            weight: None,
        };
    }
    let (d_model, vocab) = (head.d_model, head.vocab());
    let (mut wide, mut transposed) = (Vec::new(), Vec::new());
    let words = Matrix::new(head.weight.part(0..vocab * d_model, &mut wide), vocab, d_model);
    let columns = words.t().row_major(&mut transposed); // [d_model, vocab]
    let mut hidden = wanted.hidden.then(|| unwritten(selected * d_model));
    let mut weight = wanted.weight.then(|| vec![0.0; vocab * d_model]);
    let mut logprobs = unwritten(selected);
    let rows = rows_at_once(vocab);
    let mut tile = unwritten(rows.min(selected) * vocab);
    for start in (0..selected).step_by(rows) {
        let positions = start..(start + rows).min(selected);
        let logits = &mut tile[..positions.len() * vocab];
        let states = head.hidden_block(&positions);
        product(states, columns)
            .scaled(head.inverse_temperature)
            .parallel()
            .store(&mut MatrixMut::new(logits, positions.len(), vocab));
        into_slopes(&head, logits, weights, &mut logprobs, &positions);
        let slopes = Matrix::new(logits, positions.len(), vocab);
        if let Some(hidden) = &mut hidden {
            let rows = &mut hidden[positions.start * d_model..positions.end * d_model];
            product(slopes, words)
                .parallel()
                .store(&mut MatrixMut::new(rows, positions.len(), d_model));
        }
        if let Some(weight) = &mut weight {
            product(slopes.t(), states)
                .parallel()
                .add_to(&mut MatrixMut::new(weight, vocab, d_model));
        }
    }
    Sum {
        value: weighted(&logprobs, weights),
        hidden,
        weight,
    }
}

fn weighted(logprobs: &[f32], weights: &[f32]) -> f32 {
    let terms = logprobs.iter().zip(weights).map(|(p, w)| f64::from(*p) * f64::from(*w));
    terms.sum::<f64>() as f32
}

/// Log-probabilities of some positions, and their logits turned into slopes, by all threads.
fn into_slopes(head: &Head<'_>, logits: &mut [f32], weights: &[f32], logprobs: &mut [f32], positions: &Range<usize>) {
    logits
        .par_chunks_mut(CHUNK * head.vocab())
        .zip(head.targets[positions.clone()].par_chunks(CHUNK))
        .zip(weights[positions.clone()].par_chunks(CHUNK))
        .zip(logprobs[positions.clone()].par_chunks_mut(CHUNK))
        .for_each(|(((logits, targets), weights), logprobs)| {
            slopes(logits, targets, weights, head.inverse_temperature, logprobs);
        });
}

for_every_instruction_set! {
    /// Turns logits into gradients of the products `hidden . weight`: `weights (onehot - softmax) scale`.
    fn slopes(logits: &mut [f32], targets: &[usize], weights: &[f32], scale: f32, logprobs: &mut [f32]) {
        let width = logits.len() / targets.len();
        let rows = logits.chunks_exact_mut(width).zip(targets).zip(weights).zip(logprobs);
        for (((logits, &target), &weight), logprob) in rows {
            let (of_target, max) = (logits[target], max(logits, LOWEST));
            for logit in logits.iter_mut() {
                *logit = exp(*logit - max);
            }
            let total = sum(logits, |exponential| exponential);
            *logprob = (of_target - max) - total.ln();
            let slope = weight * scale;
            let factor = -slope / total;
            for exponential in logits.iter_mut() {
                *exponential *= factor;
            }
            logits[target] += slope;
        }
    }
}
