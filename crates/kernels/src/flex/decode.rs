//! Attention of new tokens over a cache, one task per sequence and head.

use rayon::prelude::*;

use super::{
    attention::{Visible, softmax_rows},
    dispatch::for_every_instruction_set,
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
    pub(super) n_kv_heads: usize,
    pub(super) d_head: usize,
    pub(super) capacity: usize,
    pub(super) filled: usize,
    pub(super) new_tokens: usize,
    /// How many tokens back a token sees, itself included.
    pub(super) window: Option<usize>,
}

impl Dims {
    fn d_model(&self) -> usize {
        self.n_heads * self.d_head
    }

    fn qkv_width(&self) -> usize {
        (self.n_heads + 2 * self.n_kv_heads) * self.d_head
    }

    fn total(&self) -> usize {
        self.filled + self.new_tokens
    }

    fn scale(&self) -> f32 {
        1.0 / (self.d_head as f32).sqrt()
    }

    /// The key head that a query head of the batch reads, both counted over all sequences.
    fn kv_head(&self, query_head: usize) -> usize {
        query_head / (self.n_heads / self.n_kv_heads)
    }
}

/// Queries, keys and values of the new tokens, packed token by token: query heads, key heads, value heads.
#[derive(Debug, Clone, Copy)]
struct NewTokens<'a> {
    qkv: &'a [f32],
    dims: Dims,
}

impl<'a> NewTokens<'a> {
    fn query(&self, row: usize, head: usize) -> Matrix<'a> {
        self.head(row, head)
    }

    fn key(&self, row: usize, head: usize) -> Matrix<'a> {
        self.head(row, self.dims.n_heads + head)
    }

    fn value(&self, row: usize, head: usize) -> Matrix<'a> {
        self.head(row, self.dims.n_heads + self.dims.n_kv_heads + head)
    }

    /// Writes the keys (one column each) and values (one row each) of key head `head`, counted over all sequences.
    fn append(&self, head: usize, keys: &mut [f32], values: &mut [f32]) {
        let Dims {
            n_kv_heads,
            d_head,
            capacity,
            filled,
            new_tokens,
            ..
        } = self.dims;
        let (row, head) = (head / n_kv_heads, head % n_kv_heads);
        let (new_keys, new_values) = (self.key(row, head), self.value(row, head));
        for token in 0..new_tokens {
            let position = filled + token;
            let columns = keys.chunks_exact_mut(capacity);
            for (column, &key) in columns.zip(new_keys.row(token)) {
                column[position] = key;
            }
            values[position * d_head..][..d_head].copy_from_slice(new_values.row(token));
        }
    }

    /// The `head`th of all heads, of the new tokens of sequence `row`: `[new_tokens, d_head]`.
    fn head(&self, row: usize, head: usize) -> Matrix<'a> {
        let Dims { d_head, new_tokens, .. } = self.dims;
        let width = self.dims.qkv_width();
        let first = row * new_tokens * width + head * d_head;
        Matrix::strided(&self.qkv[first..], new_tokens, d_head, width, 1)
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
    let new = NewTokens { qkv, dims };
    let per_head = d_head * capacity;
    let work = batch * d_model * dims.total() * new_tokens;
    // How many tasks a thread takes at once: all of them where a second thread is not worth it.
    let at_once = if work < SEQUENTIAL_WORK { batch * n_heads } else { 1 };
    keys.par_chunks_exact_mut(per_head)
        .with_min_len(at_once)
        .zip(values.par_chunks_exact_mut(per_head))
        .enumerate()
        .for_each(|(head, (keys, values))| new.append(head, keys, values));

    let (keys, values) = (&*keys, &*values);
    let shares: Vec<MatrixMut<'_>> = output
        .chunks_exact_mut(new_tokens * d_model)
        .flat_map(|rows| MatrixMut::new(rows, new_tokens, d_model).split_columns(d_head))
        .collect();
    shares
        .into_par_iter()
        .with_min_len(at_once)
        .enumerate()
        .for_each_init(Vec::new, |scores, (head, mut output)| {
            let (row, cached) = (head / n_heads, dims.kv_head(head) * per_head);
            let queries = Queries {
                query: new.query(row, head % n_heads),
                keys: &keys[cached..cached + per_head],
                values: &values[cached..cached + per_head],
                visible_from: visible_from[row],
                dims,
            };
            if new_tokens < PRODUCT_TOKENS {
                queries.attend_each(scores, &mut output);
            } else {
                queries.attend_together(scores, &mut output);
            }
        });
    output
}

/// The queries of one sequence and head, and what is cached for them.
struct Queries<'a> {
    /// `[new_tokens, d_head]`
    query: Matrix<'a>,
    /// `[d_head, capacity]`
    keys: &'a [f32],
    /// `[capacity, d_head]`
    values: &'a [f32],
    visible_from: usize,
    dims: Dims,
}

impl Queries<'_> {
    /// First position the token sees: a padding token sees only itself.
    fn sees_from(&self, token: usize) -> usize {
        let own = self.dims.filled + token;
        let window = self.dims.window.map_or(0, |window| (own + 1).saturating_sub(window));
        self.visible_from.min(own).max(window)
    }

    fn attend_each(&self, scores: &mut Vec<f32>, output: &mut MatrixMut<'_>) {
        let Dims {
            capacity,
            filled,
            new_tokens,
            ..
        } = self.dims;
        scores.resize(capacity, 0.0);
        for token in 0..new_tokens {
            let query: Vec<f32> = self.query.row(token).iter().map(|q| q * self.dims.scale()).collect();
            let visible = self.sees_from(token)..filled + token + 1;
            attend_one(&query, self.keys, self.values, visible, scores, output.row(token));
        }
    }

    fn attend_together(&self, scores: &mut Vec<f32>, output: &mut MatrixMut<'_>) {
        let Dims {
            d_head,
            capacity,
            filled,
            new_tokens,
            ..
        } = self.dims;
        let total = self.dims.total();
        scores.resize(new_tokens * total, 0.0);
        product(self.query, Matrix::strided(self.keys, d_head, total, capacity, 1))
            .scaled(self.dims.scale())
            .store(&mut MatrixMut::new(scores, new_tokens, total));
        let visible: Vec<Visible> = (0..new_tokens)
            .map(|token| Visible::contiguous(self.sees_from(token)))
            .collect();
        softmax_rows(scores, 0, &visible, filled, &mut vec![0.0; new_tokens]);
        product(
            Matrix::new(scores, new_tokens, total),
            Matrix::new(self.values, total, d_head),
        )
        .store(output);
    }
}

for_every_instruction_set! {
    /// Attention of one scaled query over the positions `visible`, with `keys` `[d_head, capacity]`, `values`
    /// `[capacity, d_head]` and room for `capacity` scores.
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
