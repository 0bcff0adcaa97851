//! Attention of new tokens over a cache, one task per sequence and head. A step that decodes one token of each sequence does little
//! with every key and value, so what it costs is to read them: both are laid out to be read from first to last.

use rayon::prelude::*;

use super::{
    attention::{Visible, softmax_rows},
    dispatch::for_every_instruction_set,
    matrix::{Matrix, MatrixMut, product, unwritten},
    simd::{LANES, softmax},
};
use crate::decode::KEY_BLOCK;

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
    /// Number of tokens that a token sees, itself and those before it.
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

    /// Numbers among the keys of one head: whole blocks.
    fn keys_per_head(&self) -> usize {
        self.capacity.next_multiple_of(KEY_BLOCK) * self.d_head
    }

    /// Numbers among the values of one head.
    fn values_per_head(&self) -> usize {
        self.capacity * self.d_head
    }

    fn scale(&self) -> f32 {
        1.0 / (self.d_head as f32).sqrt()
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

    /// Writes the keys (one column of a block each) and values (one row each) of key head `head` of sequence `row`.
    fn append(&self, row: usize, head: usize, keys: &mut [f32], values: &mut [f32]) {
        let Dims {
            d_head,
            filled,
            new_tokens,
            ..
        } = self.dims;
        let (new_keys, new_values) = (self.key(row, head), self.value(row, head));
        for token in 0..new_tokens {
            let position = filled + token;
            let block = &mut keys[position / KEY_BLOCK * KEY_BLOCK * d_head..][..KEY_BLOCK * d_head];
            let (features, _) = block.as_chunks_mut::<KEY_BLOCK>();
            for (feature, &key) in features.iter_mut().zip(new_keys.row(token)) {
                feature[position % KEY_BLOCK] = key;
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
        n_kv_heads,
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
    let group = n_heads / n_kv_heads;
    let work = batch * d_model * dims.total() * new_tokens;
    // How many tasks a thread takes at once: all of them where a second thread is not worth it.
    let at_once = if work < SEQUENTIAL_WORK { batch * n_heads } else { 1 };
    let groups: Vec<MatrixMut<'_>> = output
        .chunks_exact_mut(new_tokens * d_model)
        .flat_map(|rows| MatrixMut::new(rows, new_tokens, d_model).split_columns(group * d_head))
        .collect();
    keys.par_chunks_exact_mut(dims.keys_per_head())
        .zip(values.par_chunks_exact_mut(dims.values_per_head()))
        .zip(groups)
        .with_min_len(at_once)
        .enumerate()
        .for_each(|(kv_head, ((keys, values), outputs))| {
            let (row, first) = (kv_head / n_kv_heads, kv_head % n_kv_heads * group);
            new.append(row, kv_head % n_kv_heads, keys, values);
            let outputs: Vec<MatrixMut<'_>> = outputs.split_columns(d_head).collect();
            let outputs = outputs.into_par_iter().with_min_len(at_once).enumerate();
            outputs.for_each_init(Scratch::default, |scratch, (head, mut output)| {
                let queries = Queries {
                    query: new.query(row, first + head),
                    keys,
                    values,
                    visible_from: visible_from[row],
                    dims,
                };
                if new_tokens < PRODUCT_TOKENS {
                    queries.attend_each(&mut scratch.scores, &mut output);
                } else {
                    queries.attend_together(scratch, &mut output);
                }
            });
        });
    output
}

/// The buffers of a thread, kept from one task to the next.
#[derive(Default)]
struct Scratch {
    scores: Vec<f32>,
    /// Keys without their blocks.
    keys: Vec<f32>,
}

/// The queries of one sequence and head, and what is cached for them.
struct Queries<'a> {
    /// `[new_tokens, d_head]`
    query: Matrix<'a>,
    /// `[blocks, d_head, KEY_BLOCK]`
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
        let Dims { filled, new_tokens, .. } = self.dims;
        scores.resize(self.dims.total().next_multiple_of(KEY_BLOCK), 0.0);
        for token in 0..new_tokens {
            let query: Vec<f32> = self.query.row(token).iter().map(|q| q * self.dims.scale()).collect();
            let visible = self.sees_from(token)..filled + token + 1;
            attend_one(&query, self.keys, self.values, visible, scores, output.row(token));
        }
    }

    fn attend_together(&self, scratch: &mut Scratch, output: &mut MatrixMut<'_>) {
        let Dims {
            d_head,
            filled,
            new_tokens,
            ..
        } = self.dims;
        let total = self.dims.total();
        let Scratch { scores, keys } = scratch;
        scores.resize(new_tokens * total, 0.0);
        let columns = total.next_multiple_of(KEY_BLOCK);
        keys.resize(d_head * columns, 0.0);
        unblock(&self.keys[..d_head * columns], columns, keys);
        product(self.query, Matrix::strided(keys, d_head, total, columns, 1))
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

/// Blocks of keys, `[blocks, d_head, KEY_BLOCK]`, as one matrix `[d_head, columns]`.
fn unblock(blocks: &[f32], columns: usize, keys: &mut [f32]) {
    let d_head = blocks.len() / columns;
    let (features, _) = blocks.as_chunks::<KEY_BLOCK>();
    for (feature, row) in keys.chunks_exact_mut(columns).enumerate() {
        let (row, _) = row.as_chunks_mut::<KEY_BLOCK>();
        for (block, row) in row.iter_mut().enumerate() {
            *row = features[block * d_head + feature];
        }
    }
}

for_every_instruction_set! {
    /// Attention of one scaled query over the positions `visible`, with `keys` `[blocks, d_head, KEY_BLOCK]`, `values`
    /// `[capacity, d_head]` and room for the scores of whole blocks.
    fn attend_one(
        query: &[f32],
        keys: &[f32],
        values: &[f32],
        visible: std::ops::Range<usize>,
        scores: &mut [f32],
        output: &mut [f32],
    ) {
        let d_head = query.len();
        let blocks = visible.start / KEY_BLOCK..visible.end.div_ceil(KEY_BLOCK);
        let (score_blocks, _) = scores.as_chunks_mut::<KEY_BLOCK>();
        let key_blocks = keys.chunks_exact(KEY_BLOCK * d_head).skip(blocks.start);
        for (scores, keys) in score_blocks[blocks].iter_mut().zip(key_blocks) {
            *scores = score_block(query, keys);
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

/// Scores of a block of keys, `[d_head, KEY_BLOCK]`. Those past the visible ones are computed and ignored.
#[inline(always)]
fn score_block(query: &[f32], keys: &[f32]) -> [f32; KEY_BLOCK] {
    let mut acc = [0.0; KEY_BLOCK];
    let (features, _) = keys.as_chunks::<KEY_BLOCK>();
    for (&q, keys) in query.iter().zip(features) {
        for (acc, &key) in acc.iter_mut().zip(keys) {
            *acc += q * key;
        }
    }
    acc
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
