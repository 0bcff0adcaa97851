//! Log-probabilities and entropies without the matrix of logits.
//!
//! Logits exist one tile at a time: [`ROWS`] positions by [`WORDS`] words. The forward pass keeps of each position
//! its largest logit and the sum of exponentials relative to it; the backward pass computes each tile again and turns
//! it into gradients at once.

use burn::tensor::bf16;
use rayon::prelude::*;
use std::ops::Range;

use super::{
    dispatch::for_every_instruction_set,
    half_weights::widened,
    matrix::{Matrix, MatrixMut, product, unwritten},
    simd::{exp, exp_sums, max},
};

/// Positions in a tile.
const ROWS: usize = 512;
/// Words in a tile.
const WORDS: usize = 4096;
/// Positions a thread takes at a time.
const CHUNK: usize = 16;
/// Numbers that a pass over `selected` positions holds besides its inputs and results: a tile of logits, and a block of the
/// weight transposed.
pub(super) fn workspace(selected: usize, vocab: usize, d_model: usize) -> usize {
    let words = WORDS.min(vocab);
    ROWS.min(selected) * words + words * d_model
}

/// Smaller than any logit.
const LOWEST: f32 = -1e30;

/// The inputs.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    /// `[selected, d_model]`
    pub(super) hidden: &'a [f32],
    /// `[vocab, d_model]`
    pub(super) weight: HeadWeight<'a>,
    /// `[selected]`
    pub(super) targets: &'a [usize],
    pub(super) d_model: usize,
    /// Factor of the logits.
    pub(super) inverse_temperature: f32,
}

/// The numbers of the head, in one of the widths they are held in.
#[derive(Clone, Copy)]
pub(super) enum HeadWeight<'a> {
    Single(&'a [f32]),
    Half(&'a [bf16]),
}

impl<'a> HeadWeight<'a> {
    fn len(&self) -> usize {
        match self {
            Self::Single(values) => values.len(),
            Self::Half(values) => values.len(),
        }
    }

    /// A part of the numbers; those that have to be widened are in `buffer` then.
    pub(super) fn part(self, range: Range<usize>, buffer: &'a mut Vec<f32>) -> &'a [f32] {
        match self {
            Self::Single(values) => &values[range],
            Self::Half(values) => {
                *buffer = widened(&values[range]);
                buffer
            }
        }
    }
}

/// Room for a block of words.
#[derive(Default)]
struct Buffers {
    wide: Vec<f32>,
    transposed: Vec<f32>,
}

/// Sums over the words seen so far at one position; `z` is a logit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Softmax {
    /// Largest `z`.
    max: f32,
    /// Sum of `e^(z - max)`.
    total: f32,
    /// Sum of `e^(z - max) (z - max)`.
    weighted: f32,
    /// `z` of the target.
    target: f32,
}

impl Softmax {
    const EMPTY: Self = Self {
        max: LOWEST,
        total: 0.0,
        weighted: 0.0,
        target: 0.0,
    };

    pub(super) fn logprob(&self) -> f32 {
        (self.target - self.max) - self.total.ln()
    }

    /// `ln total - mean(z - max)`.
    pub(super) fn entropy(&self) -> f32 {
        self.total.ln() - self.weighted / self.total
    }
}

/// Gradients of the two inputs; none of a weight that is frozen.
pub(super) struct Gradients {
    pub(super) hidden: Vec<f32>,
    pub(super) weight: Option<Vec<f32>>,
}

/// A block of words and its part of the weight.
struct Words<'a> {
    range: Range<usize>,
    /// `[words, d_model]`
    weight: Matrix<'a>,
    /// `[d_model, words]`, rows contiguous.
    transposed: Matrix<'a>,
}

impl<'a> Head<'a> {
    pub(super) fn vocab(&self) -> usize {
        self.weight.len() / self.d_model
    }

    fn word_blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let vocab = self.vocab();
        (0..vocab)
            .step_by(WORDS)
            .map(move |start| start..(start + WORDS).min(vocab))
    }

    /// A block of words, the transposed weight in `buffers`.
    fn words(self, range: Range<usize>, buffers: &'a mut Buffers) -> Words<'a> {
        let weight = self.rows(&range, &mut buffers.wide);
        Words {
            weight,
            transposed: weight.t().row_major(&mut buffers.transposed),
            range,
        }
    }

    /// The part of the weight that belongs to some words, `[words, d_model]`.
    pub(super) fn rows(self, words: &Range<usize>, wide: &'a mut Vec<f32>) -> Matrix<'a> {
        let numbers = self
            .weight
            .part(words.start * self.d_model..words.end * self.d_model, wide);
        Matrix::new(numbers, words.len(), self.d_model)
    }

    fn position_blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let selected = self.targets.len();
        (0..selected)
            .step_by(ROWS)
            .map(move |start| start..(start + ROWS).min(selected))
    }

    pub(super) fn hidden_block(&self, positions: &Range<usize>) -> Matrix<'a> {
        let rows = &self.hidden[positions.start * self.d_model..positions.end * self.d_model];
        Matrix::new(rows, positions.len(), self.d_model)
    }

    /// Room for the logits of one tile.
    fn tile(&self) -> Vec<f32> {
        unwritten(ROWS.min(self.targets.len()) * WORDS.min(self.vocab()))
    }

    /// Logits of some positions and words, `[positions, words]`, in the front of `tile`.
    fn logits<'t>(&self, positions: &Range<usize>, words: &Words<'_>, tile: &'t mut [f32]) -> &'t mut [f32] {
        let (n, m) = (positions.len(), words.range.len());
        let tile = &mut tile[..n * m];
        product(self.hidden_block(positions), words.transposed)
            .scaled(self.inverse_temperature)
            .parallel()
            .store(&mut MatrixMut::new(tile, n, m));
        tile
    }
}

pub(super) fn forward(head: Head<'_>) -> Vec<Softmax> {
    let mut stats = vec![Softmax::EMPTY; head.targets.len()];
    let mut tile = head.tile();
    for range in head.word_blocks() {
        let mut buffers = Buffers::default();
        let words = head.words(range, &mut buffers);
        for positions in head.position_blocks() {
            let width = words.range.len();
            let logits = head.logits(&positions, &words, &mut tile);
            logits
                .par_chunks(CHUNK * width)
                .zip(stats[positions.clone()].par_chunks_mut(CHUNK))
                .zip(head.targets[positions].par_chunks(CHUNK))
                .for_each(|((logits, stats), targets)| {
                    update(logits, words.range.start, targets, stats);
                });
        }
    }
    stats
}

for_every_instruction_set! {
    /// Takes the logits of more words, the first of which is `first_word`, into the statistics.
    fn update(logits: &[f32], first_word: usize, targets: &[usize], stats: &mut [Softmax]) {
        let width = logits.len() / stats.len();
        for ((logits, &target), stats) in logits.chunks_exact(width).zip(targets).zip(stats) {
            if (first_word..first_word + width).contains(&target) {
                stats.target = logits[target - first_word];
            }
            let max = max(logits, stats.max);
            // What was summed relative to the old maximum, relative to the new one.
            let moved = stats.max - max;
            let rescale = exp(moved);
            let (total, weighted) = exp_sums(logits, max);
            let weighted = weighted + rescale * (stats.weighted + moved * stats.total);
            let total = total + rescale * stats.total;
            (stats.max, stats.total, stats.weighted) = (max, total, weighted);
        }
    }
}

/// Gradients for `grad`, the gradient of each log-probability; that of the weight only where `of_weight` asks for it.
pub(super) fn backward(head: Head<'_>, stats: &[Softmax], grad: &[f32], of_weight: bool) -> Gradients {
    let (d_model, vocab) = (head.d_model, head.vocab());
    let mut hidden = vec![0.0; head.hidden.len()];
    let mut weight = of_weight.then(|| vec![0.0; head.weight.len()]);
    let mut weight_rest = weight.as_mut().map(|weight| MatrixMut::new(weight, vocab, d_model));
    let mut tile = head.tile();
    for range in head.word_blocks() {
        let mut buffers = Buffers::default();
        let words = head.words(range, &mut buffers);
        let mut dweight = weight_rest
            .as_mut()
            .map(|rest| rest.rows_from(words.range.start, words.range.len()));
        for positions in head.position_blocks() {
            let width = words.range.len();
            let slopes = head.logits(&positions, &words, &mut tile);
            slopes
                .par_chunks_mut(CHUNK * width)
                .zip(stats[positions.clone()].par_chunks(CHUNK))
                .zip(head.targets[positions.clone()].par_chunks(CHUNK))
                .zip(grad[positions.clone()].par_chunks(CHUNK))
                .for_each(|(((logits, stats), targets), grad)| {
                    let scale = head.inverse_temperature;
                    logit_gradients(logits, words.range.start, targets, stats, grad, scale);
                });

            let slopes = Matrix::new(slopes, positions.len(), width);
            let rows = &mut hidden[positions.start * d_model..positions.end * d_model];
            product(slopes, words.weight)
                .parallel()
                .add_to(&mut MatrixMut::new(rows, positions.len(), d_model));
            if let Some(dweight) = &mut dweight {
                product(slopes.t(), head.hidden_block(&positions))
                    .parallel()
                    .add_to(dweight);
            }
        }
    }
    Gradients { hidden, weight }
}

for_every_instruction_set! {
    /// Turns logits into gradients of the products `hidden . weight`: `grad (onehot - softmax) scale`.
    fn logit_gradients(
        logits: &mut [f32],
        first_word: usize,
        targets: &[usize],
        stats: &[Softmax],
        grad: &[f32],
        scale: f32,
    ) {
        let width = logits.len() / stats.len();
        let rows = logits.chunks_exact_mut(width).zip(targets).zip(stats).zip(grad);
        for (((logits, &target), stats), &grad) in rows {
            let slope = grad * scale;
            let factor = -slope / stats.total;
            for logit in logits.iter_mut() {
                *logit = exp(*logit - stats.max) * factor;
            }
            if (first_word..first_word + width).contains(&target) {
                logits[target - first_word] += slope;
            }
        }
    }
}
