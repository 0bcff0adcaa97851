//! Attention of new tokens over a cache, one task per sequence and head.

use multiversion::multiversion;
use rayon::prelude::*;

use super::{
    attention::{Visible, softmax_rows},
    matrix::{Matrix, MatrixMut, product, unwritten},
    simd::{LANES, softmax},
};

/// From this many new tokens on, matrix products beat a loop per token.
const PRODUCT_TOKENS: usize = 4;
/// Products this small are not worth a second thread.
const SEQUENTIAL_WORK: usize = 1 << 16;

/// Sizes of one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dims {
    pub(super) batch: usize,
    pub(super) n_heads: usize,
    pub(super) d_head: usize,
    pub(super) capacity: usize,
    pub(super) filled: usize,
    pub(super) new_tokens: usize,
}

impl Dims {
    fn d_model(&self) -> usize {
        self.n_heads * self.d_head
    }

    fn total(&self) -> usize {
        self.filled + self.new_tokens
    }
}

/// Writes the new keys and values into the cache and returns the attention output `[batch, new_tokens, d_model]`.
pub(super) fn attend(
    keys: &mut [f32],
    values: &mut [f32],
    qkv: &[f32],
    visible_from: &[usize],
    dims: Dims,
) -> Vec<f32> {
    let Dims {
        batch,
        n_heads,
        d_head,
        capacity,
        new_tokens,
        ..
    } = dims;
    assert!(dims.total() <= capacity, "cache of {capacity} tokens is full");
    let d_model = dims.d_model();
    let mut output = unwritten(batch * new_tokens * d_model);
    if output.is_empty() {
        return output;
    }
    let shares: Vec<MatrixMut<'_>> = output
        .chunks_exact_mut(new_tokens * d_model)
        .flat_map(|rows| MatrixMut::new(rows, new_tokens, d_model).split_columns(d_head))
        .collect();

    let per_head = d_head * capacity;
    let work = batch * d_model * dims.total() * new_tokens;
    let at_once = if work < SEQUENTIAL_WORK { shares.len() } else { 1 };
    shares
        .into_par_iter()
        .with_min_len(at_once)
        .zip(keys.par_chunks_exact_mut(per_head))
        .zip(values.par_chunks_exact_mut(per_head))
        .enumerate()
        .for_each_init(Vec::new, |scores, (index, ((mut output, keys), values))| {
            let (row, head) = (index / n_heads, index % n_heads);
            let qkv = &qkv[row * new_tokens * 3 * d_model..][..new_tokens * 3 * d_model];
            let new = NewTokens {
                qkv,
                head,
                visible_from: visible_from[row],
                dims,
            };
            new.append(keys, values);
            if new_tokens < PRODUCT_TOKENS {
                new.attend_each(keys, values, scores, &mut output);
            } else {
                new.attend_together(keys, values, scores, &mut output);
            }
        });
    output
}

/// The new tokens of one sequence, seen by one head.
struct NewTokens<'a> {
    /// `[new_tokens, 3 * d_model]`
    qkv: &'a [f32],
    head: usize,
    visible_from: usize,
    dims: Dims,
}

impl NewTokens<'_> {
    /// Query (part 0), key (1) or value (2) of one token.
    fn part(&self, part: usize, token: usize) -> &[f32] {
        let d_model = self.dims.d_model();
        let first = (token * 3 + part) * d_model + self.head * self.dims.d_head;
        &self.qkv[first..first + self.dims.d_head]
    }

    /// First position the token sees: a padding token sees only itself.
    fn sees_from(&self, token: usize) -> usize {
        self.visible_from.min(self.dims.filled + token)
    }

    fn scale(&self) -> f32 {
        1.0 / (self.dims.d_head as f32).sqrt()
    }

    /// Writes the keys (one column each) and values (one row each).
    fn append(&self, keys: &mut [f32], values: &mut [f32]) {
        let Dims {
            d_head,
            capacity,
            filled,
            new_tokens,
            ..
        } = self.dims;
        for token in 0..new_tokens {
            let position = filled + token;
            let columns = keys.chunks_exact_mut(capacity);
            for (column, &key) in columns.zip(self.part(1, token)) {
                column[position] = key;
            }
            values[position * d_head..][..d_head].copy_from_slice(self.part(2, token));
        }
    }

    fn attend_each(&self, keys: &[f32], values: &[f32], scores: &mut Vec<f32>, output: &mut MatrixMut<'_>) {
        let Dims {
            capacity,
            filled,
            new_tokens,
            ..
        } = self.dims;
        scores.resize(capacity, 0.0);
        for token in 0..new_tokens {
            let query: Vec<f32> = self.part(0, token).iter().map(|q| q * self.scale()).collect();
            let visible = self.sees_from(token)..filled + token + 1;
            attend_one(&query, keys, values, visible, scores, output.row(token));
        }
    }

    fn attend_together(&self, keys: &[f32], values: &[f32], scores: &mut Vec<f32>, output: &mut MatrixMut<'_>) {
        let Dims {
            d_head,
            capacity,
            filled,
            new_tokens,
            ..
        } = self.dims;
        let total = self.dims.total();
        scores.resize(new_tokens * total, 0.0);
        let query = Matrix::strided(self.first_query(), new_tokens, d_head, 3 * self.dims.d_model(), 1);
        product(query, Matrix::strided(keys, d_head, total, capacity, 1))
            .scaled(self.scale())
            .store(&mut MatrixMut::new(scores, new_tokens, total));
        let visible: Vec<Visible> = (0..new_tokens)
            .map(|token| Visible::contiguous(self.sees_from(token)))
            .collect();
        softmax_rows(scores, 0, &visible, filled, &mut vec![0.0; new_tokens]);
        product(
            Matrix::new(scores, new_tokens, total),
            Matrix::new(values, total, d_head),
        )
        .store(output);
    }

    fn first_query(&self) -> &[f32] {
        &self.qkv[self.head * self.dims.d_head..]
    }
}

/// Attention of one scaled query over the positions `visible`, with `keys` `[d_head, capacity]`, `values`
/// `[capacity, d_head]` and room for `capacity` scores.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl", "x86_64+avx2+fma", "aarch64+neon"))]
fn attend_one(
    query: &[f32],
    keys: &[f32],
    values: &[f32],
    visible: std::ops::Range<usize>,
    scores: &mut [f32],
    output: &mut [f32],
) {
    let (d_head, capacity) = (query.len(), scores.len());
    let mut first = visible.start;
    while first < visible.end {
        let left = visible.end - first;
        first += if left >= 4 * LANES && first + 4 * LANES <= capacity {
            score_block::<{ 4 * LANES }>(query, keys, capacity, first, scores)
        } else if first + LANES <= capacity {
            score_block::<LANES>(query, keys, capacity, first, scores)
        } else {
            score_block::<1>(query, keys, capacity, first, scores)
        };
    }
    softmax(&mut scores[visible.clone()]);

    output.fill(0.0);
    let weights = &scores[visible.clone()];
    let values = &values[visible.start * d_head..visible.end * d_head];
    let (blocks, rest) = output.as_chunks_mut::<{ 4 * LANES }>();
    let in_blocks = blocks.len() * 4 * LANES;
    for (b, block) in blocks.iter_mut().enumerate() {
        mix_block(weights, values, d_head, b * 4 * LANES, block);
    }
    let (blocks, rest) = rest.as_chunks_mut::<8>();
    for (b, block) in blocks.iter_mut().enumerate() {
        mix_block(weights, values, d_head, in_blocks + b * 8, block);
    }
    let done = d_head - rest.len();
    for (i, out) in rest.iter_mut().enumerate() {
        mix_block::<1>(weights, values, d_head, done + i, std::array::from_mut(out));
    }
}

/// Scores of `N` neighbouring keys; returns `N`. Keys past the visible ones are computed and ignored.
#[inline(always)]
fn score_block<const N: usize>(
    query: &[f32],
    keys: &[f32],
    capacity: usize,
    first: usize,
    scores: &mut [f32],
) -> usize {
    let mut acc = [0.0; N];
    for (&q, keys) in query.iter().zip(keys.chunks_exact(capacity)) {
        let (keys, _) = keys[first..]
            .split_first_chunk::<N>()
            .expect("the caller left room for N keys");
        for (acc, &key) in acc.iter_mut().zip(keys) {
            *acc += q * key;
        }
    }
    scores[first..first + N].copy_from_slice(&acc);
    N
}

/// `N` neighbouring features of the weighted sum of values.
#[inline(always)]
fn mix_block<const N: usize>(weights: &[f32], values: &[f32], d_head: usize, first: usize, out: &mut [f32; N]) {
    let mut acc = [0.0; N];
    for (&weight, value) in weights.iter().zip(values.chunks_exact(d_head)) {
        let (value, _) = value[first..]
            .split_first_chunk::<N>()
            .expect("a block lies inside the head");
        for (acc, &value) in acc.iter_mut().zip(value) {
            *acc += weight * value;
        }
    }
    *out = acc;
}
