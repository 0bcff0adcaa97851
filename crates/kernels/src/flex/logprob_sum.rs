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
    logprobs::Head,
    matrix::{Matrix, MatrixMut, product, unwritten},
    simd::{exp, max, sum},
};

/// Positions whose logits exist at a time: the more there are, the less often the gradient of the weight goes through memory.
const ROWS: usize = 512;
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
    (ROWS.min(selected) + d_model) * vocab
}

/// `sum_t weights[t] logprob[t]`.
pub(super) fn forward(head: Head<'_>, weights: &[f32], wanted: Wanted) -> Sum {
    let selected = head.targets.len();
    let (d_model, vocab) = (head.d_model, head.vocab());
    let (mut wide, mut transposed) = (Vec::new(), Vec::new());
    let words = Matrix::new(head.weight.part(0..vocab * d_model, &mut wide), vocab, d_model);
    let columns = words.t().row_major(&mut transposed); // [d_model, vocab]
    let mut hidden = wanted.hidden.then(|| unwritten(selected * d_model));
    let mut weight = wanted.weight.then(|| match selected {
        0 => vec![0.0; vocab * d_model],
        _ => unwritten(vocab * d_model),
    });
    let mut logprobs = unwritten(selected);
    let mut tile = unwritten(ROWS.min(selected) * vocab);
    for start in (0..selected).step_by(ROWS) {
        let positions = start..(start + ROWS).min(selected);
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
            let product = product(slopes.t(), states).parallel();
            let mut weight = MatrixMut::new(weight, vocab, d_model);
            match start {
                0 => product.store(&mut weight),
                _ => product.add_to(&mut weight),
            }
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
