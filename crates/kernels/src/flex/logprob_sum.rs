//! A weighted sum of log-probabilities, and its gradients in the same pass.
//!
//! Where the weights are known beforehand, so is what each logit contributes to the gradients up to one factor, the gradient
//! of the sum. The logits of some positions are computed once, for all words, turned into probabilities where they stand, and
//! used up: [`super::logprobs`], which has to know the gradient of each log-probability, computes them again for its
//! backward pass.
//!
//! Logits stand word by word, a column per position: the products then read the weight as it is, where one row per position
//! would need it transposed.

use rayon::prelude::*;
use std::ops::Range;

use super::{
    dispatch::for_every_instruction_set,
    logprobs::Head,
    matrix::{Matrix, MatrixMut, product, unwritten},
    simd::exp,
};

/// Positions whose logits exist at a time: the more there are, the less often the gradient of the weight goes through memory.
const POSITIONS: usize = 256;
/// Words in a stripe, which a thread takes at a time; it decides the order in which exponentials are added up.
const STRIPE: usize = 256;
/// Words that are multiplied at a time: a number of stripes.
const WORDS: usize = 16 * STRIPE;
/// Smaller than any logit.
const LOWEST: f32 = -1e30;

/// The gradients that are asked for.
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

/// Numbers that a pass over `selected` positions holds besides its inputs and results: logits.
pub(super) fn workspace(selected: usize, vocab: usize) -> usize {
    POSITIONS.min(selected) * (vocab + 2 * vocab.div_ceil(STRIPE))
}

/// `sum_t weights[t] logprob[t]`.
pub(super) fn forward(head: Head<'_>, weights: &[f32], wanted: Wanted) -> Sum {
    let selected = head.targets.len();
    let (d_model, vocab) = (head.d_model, head.vocab());
    let mut hidden = wanted.hidden.then(|| unwritten(selected * d_model));
    let mut weight = wanted.weight.then(|| match selected {
        0 => vec![0.0; vocab * d_model],
        _ => unwritten(vocab * d_model),
    });
    let mut tile = Tile::new(POSITIONS.min(selected), vocab);
    let mut value = 0.0;
    for start in (0..selected).step_by(POSITIONS) {
        let positions = start..(start + POSITIONS).min(selected);
        let (states, targets) = (head.hidden_block(&positions), &head.targets[positions.clone()]);
        let weights = &weights[positions.clone()];
        let softmax = tile.exponentials(head, states, targets);
        value += softmax.weighted(weights);
        if hidden.is_none() && weight.is_none() {
            continue;
        }
        let slopes: Vec<f32> = weights.iter().map(|weight| weight * head.inverse_temperature).collect();
        tile.exponentials_to_slopes(&softmax, &slopes, targets);
        if let Some(hidden) = &mut hidden {
            let rows = &mut hidden[positions.start * d_model..positions.end * d_model];
            tile.hidden_gradient(head, &mut MatrixMut::new(rows, positions.len(), d_model));
        }
        if let Some(weight) = &mut weight {
            let product = product(tile.logits(), states).parallel();
            let mut weight = MatrixMut::new(weight, vocab, d_model);
            match start {
                0 => product.store(&mut weight),
                _ => product.add_to(&mut weight),
            }
        }
    }
    Sum {
        value: value as f32,
        hidden,
        weight,
    }
}

/// Of each position of a block: logit of the target, largest logit, sum of exponentials relative to it.
struct Softmax {
    of_target: Vec<f32>,
    max: Vec<f32>,
    total: Vec<f32>,
}

impl Softmax {
    /// Log-probabilities of the targets, summed with `weights`.
    fn weighted(&self, weights: &[f32]) -> f64 {
        let terms = self.of_target.iter().zip(&self.max).zip(&self.total).zip(weights);
        terms
            .map(|(((of_target, max), total), weight)| f64::from((of_target - max) - total.ln()) * f64::from(*weight))
            .sum()
    }
}

/// The logits of some positions, and what they become.
struct Tile {
    vocab: usize,
    positions: usize,
    /// `[vocab, positions]`
    values: Vec<f32>,
    /// Largest logit of each stripe of words and position, `[stripes, positions]`.
    max: Vec<f32>,
    /// A number for each stripe and position: the sum of its exponentials, then the factor that makes slopes of them.
    scale: Vec<f32>,
}

impl Tile {
    fn new(positions: usize, vocab: usize) -> Self {
        let stripes = vocab.div_ceil(STRIPE);
        Self {
            vocab,
            positions,
            values: unwritten(vocab * positions),
            max: unwritten(stripes * positions),
            scale: unwritten(stripes * positions),
        }
    }

    /// Computes logits and leaves exponentials, those of each stripe relative to its largest logit.
    fn exponentials(&mut self, head: Head<'_>, states: Matrix<'_>, targets: &[usize]) -> Softmax {
        let n = states.rows();
        self.positions = n;
        let mut of_target = vec![0.0; n];
        for words in self.word_blocks() {
            let mut wide = Vec::new();
            let logits = &mut self.values[words.start * n..words.end * n];
            product(head.rows(&words, &mut wide), states.t())
                .scaled(head.inverse_temperature)
                .parallel()
                .store(&mut MatrixMut::new(logits, words.len(), n));
            for (t, (of_target, target)) in of_target.iter_mut().zip(targets).enumerate() {
                if words.contains(target) {
                    *of_target = logits[(target - words.start) * n + t];
                }
            }
            let first = words.start / STRIPE * n;
            logits
                .par_chunks_mut(STRIPE * n)
                .zip(self.max[first..].par_chunks_mut(n))
                .zip(self.scale[first..].par_chunks_mut(n))
                .for_each(|((logits, max), total)| exponentials(logits, max, total));
        }
        let (mut max, mut total) = (vec![LOWEST; n], vec![0.0; n]);
        join_stripes(self.stripes(&self.max), self.stripes(&self.scale), &mut max, &mut total);
        Softmax { of_target, max, total }
    }

    /// Turns exponentials into gradients of the products `hidden . weight`: `slopes (onehot - softmax)`.
    fn exponentials_to_slopes(&mut self, softmax: &Softmax, slopes: &[f32], targets: &[usize]) {
        let n = self.positions;
        let used = self.vocab.div_ceil(STRIPE) * n;
        let shares: Vec<f32> = slopes
            .iter()
            .zip(&softmax.total)
            .map(|(slope, total)| -slope / total)
            .collect();
        self.values[..self.vocab * n]
            .par_chunks_mut(STRIPE * n)
            .zip(self.max[..used].par_chunks(n))
            .zip(self.scale[..used].par_chunks_mut(n))
            .for_each(|((values, stripe_max), factors)| {
                stripe_factors(stripe_max, &softmax.max, &shares, factors);
                scale_columns(values, factors);
            });
        for (t, (target, slope)) in targets.iter().zip(slopes).enumerate() {
            self.values[target * n + t] += slope;
        }
    }

    /// Gradient of the hidden states: slopes times the weight.
    fn hidden_gradient(&self, head: Head<'_>, gradient: &mut MatrixMut<'_>) {
        for words in self.word_blocks() {
            let mut wide = Vec::new();
            let slopes = &self.values[words.start * self.positions..words.end * self.positions];
            let slopes = Matrix::new(slopes, words.len(), self.positions);
            let product = product(slopes.t(), head.rows(&words, &mut wide)).parallel();
            match words.start {
                0 => product.store(gradient),
                _ => product.add_to(gradient),
            }
        }
    }

    /// `[vocab, positions]`
    fn logits(&self) -> Matrix<'_> {
        Matrix::new(&self.values[..self.vocab * self.positions], self.vocab, self.positions)
    }

    /// The numbers in `of` that belong to stripes.
    fn stripes<'a>(&self, of: &'a [f32]) -> &'a [f32] {
        &of[..self.vocab.div_ceil(STRIPE) * self.positions]
    }

    fn word_blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let vocab = self.vocab;
        (0..vocab)
            .step_by(WORDS)
            .map(move |start| start..(start + WORDS).min(vocab))
    }
}

for_every_instruction_set! {
    /// Replaces a stripe of logits by exponentials relative to the largest logit of each position, and adds them up.
    fn exponentials(logits: &mut [f32], max: &mut [f32], total: &mut [f32]) {
        let n = max.len();
        max.fill(LOWEST);
        for logits in logits.chunks_exact(n) {
            larger_of(max, logits);
        }
        total.fill(0.0);
        for logits in logits.chunks_exact_mut(n) {
            for ((logit, &max), total) in logits.iter_mut().zip(&*max).zip(&mut *total) {
                *logit = exp(*logit - max);
                *total += *logit;
            }
        }
    }
}

for_every_instruction_set! {
    /// Largest logit and sum of exponentials over all stripes, given those of each.
    fn join_stripes(stripe_max: &[f32], stripe_total: &[f32], max: &mut [f32], total: &mut [f32]) {
        let n = max.len();
        for stripe in stripe_max.chunks_exact(n) {
            larger_of(max, stripe);
        }
        for (stripe_max, stripe_total) in stripe_max.chunks_exact(n).zip(stripe_total.chunks_exact(n)) {
            let of_stripe = stripe_max.iter().zip(stripe_total);
            for (((&stripe_max, &stripe_total), &max), total) in of_stripe.zip(&*max).zip(&mut *total) {
                *total += stripe_total * exp(stripe_max - max);
            }
        }
    }
}

for_every_instruction_set! {
    /// The factors that make slopes of the exponentials of a stripe: `shares`, moved from the largest logit of the stripe to
    /// that of all.
    fn stripe_factors(stripe_max: &[f32], max: &[f32], shares: &[f32], factors: &mut [f32]) {
        for (((&stripe_max, &max), &share), factor) in stripe_max.iter().zip(max).zip(shares).zip(factors) {
            *factor = share * exp(stripe_max - max);
        }
    }
}

for_every_instruction_set! {
    fn scale_columns(values: &mut [f32], factors: &[f32]) {
        for values in values.chunks_exact_mut(factors.len()) {
            for (value, factor) in values.iter_mut().zip(factors) {
                *value *= factor;
            }
        }
    }
}

/// Puts in `max` what is larger in `values`; NaN is passed over.
#[inline(always)]
fn larger_of(max: &mut [f32], values: &[f32]) {
    for (max, &value) in max.iter_mut().zip(values) {
        *max = if value > *max { value } else { *max };
    }
}
