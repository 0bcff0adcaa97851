//! Causal attention over packed rows, one task per row and head.
//!
//! A task walks over its row in blocks of [`BLOCK`] queries. All that the queries of a block see lies between the
//! first key that one of them sees and the last of them; keys outside are never touched, so a row of many short
//! sequences costs little. Only the output and one number per query and head (the logarithm of the softmax
//! denominator) are kept; the backward pass computes the scores again.

use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use super::{
    dispatch::for_every_instruction_set,
    matrix::{Matrix, MatrixMut, product, transpose, unwritten},
    simd::{dot, exp, softmax},
};

/// Queries whose scores are computed together.
const BLOCK: usize = 64;

/// The keys that a query sees besides itself: those from `from` on, without those of the gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Visible {
    from: usize,
    gap: Range<usize>,
}

impl Visible {
    /// Everything from `from` on.
    pub(super) fn contiguous(from: usize) -> Self {
        Self { from, gap: 0..0 }
    }

    /// One for each three numbers: `from`, beginning and end of the gap.
    pub(super) fn from_flat(flat: &[usize]) -> Vec<Self> {
        let (triples, _) = flat.as_chunks::<3>();
        let visible = |&[from, start, end]: &[usize; 3]| Self {
            from,
            gap: start.max(from)..end.max(from).max(start),
        };
        triples.iter().map(visible).collect()
    }

    /// The gap, counted from key `first_key`.
    fn gap_from(&self, first_key: usize) -> Range<usize> {
        if self.gap.is_empty() {
            0..0
        } else {
            self.gap.start - first_key..self.gap.end - first_key
        }
    }
}

/// Sizes of one attention.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dims {
    pub(super) rows: usize,
    pub(super) row_len: usize,
    pub(super) n_heads: usize,
    pub(super) d_head: usize,
}

impl Dims {
    fn d_model(&self) -> usize {
        self.n_heads * self.d_head
    }

    fn scale(&self) -> f32 {
        1.0 / (self.d_head as f32).sqrt()
    }

    /// Blocks of queries, first to last.
    fn blocks(&self) -> impl DoubleEndedIterator<Item = Range<usize>> + use<> {
        let row_len = self.row_len;
        (0..row_len.div_ceil(BLOCK)).map(move |b| b * BLOCK..((b + 1) * BLOCK).min(row_len))
    }
}

/// The results of the forward pass that the backward pass needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Forward<B> {
    /// `[rows, row_len, d_model]`
    pub(super) output: B,
    /// `[rows, n_heads, row_len]`: logarithm of the sum of the exponentials of each query's scores.
    pub(super) log_sums: B,
}

/// One head of one row: its queries, keys and values inside the packed buffer.
struct Head<'a> {
    row: &'a [f32],
    dims: Dims,
    head: usize,
}

impl<'a> Head<'a> {
    /// Tokens `tokens` of part 0 (queries), 1 (keys) or 2 (values): `[tokens, d_head]`.
    fn part(&self, part: usize, tokens: Range<usize>) -> Matrix<'a> {
        let width = 3 * self.dims.d_model();
        let first = tokens.start * width + part * self.dims.d_model() + self.head * self.dims.d_head;
        Matrix::strided(&self.row[first..], tokens.len(), self.dims.d_head, width, 1)
    }

    fn query(&self, tokens: Range<usize>) -> Matrix<'a> {
        self.part(0, tokens)
    }

    fn key(&self, tokens: Range<usize>) -> Matrix<'a> {
        self.part(1, tokens)
    }

    fn value(&self, tokens: Range<usize>) -> Matrix<'a> {
        self.part(2, tokens)
    }
}

thread_local! {
    static WORKSPACE: RefCell<Workspace> = RefCell::default();
}

/// Buffers a thread uses again for each of its tasks.
#[derive(Default)]
struct Workspace {
    weights: Vec<f32>,
    slopes: Vec<f32>,
    keys_t: Vec<f32>,
    values_t: Vec<f32>,
}

/// Runs `task(row, head, out, workspace)` for every row and head, `out` holding that head's share of each part in
/// `buffer` `[rows, row_len, parts * d_model]`, one matrix per part.
fn for_each_head<'a, S: Send>(
    dims: Dims,
    buffer: &'a mut [f32],
    parts: usize,
    per_head: impl Iterator<Item = S>,
    task: impl Fn(usize, usize, Vec<MatrixMut<'a>>, S, &mut Workspace) + Sync + Send,
) {
    let Dims {
        rows,
        row_len,
        n_heads,
        d_head,
    } = dims;
    let width = parts * dims.d_model();
    let mut shares: Vec<Vec<MatrixMut<'a>>> = (0..rows * n_heads).map(|_| Vec::with_capacity(parts)).collect();
    for (row, buffer) in buffer.chunks_exact_mut(row_len * width).enumerate() {
        let columns = MatrixMut::new(buffer, row_len, width).split_columns(d_head);
        for (column, share) in columns.enumerate() {
            shares[row * n_heads + column % n_heads].push(share);
        }
    }
    let tasks: Vec<_> = shares.into_iter().zip(per_head).enumerate().collect();
    tasks.into_par_iter().for_each(|(index, (share, extra))| {
        WORKSPACE.with_borrow_mut(|workspace| {
            task(index / n_heads, index % n_heads, share, extra, workspace);
        });
    });
}

pub(super) fn forward(qkv: &[f32], visible: &[Visible], dims: Dims) -> Forward<Vec<f32>> {
    let row_len = dims.row_len;
    let mut output = unwritten(dims.rows * row_len * dims.d_model());
    let mut log_sums = unwritten(dims.rows * dims.n_heads * row_len);
    if !output.is_empty() {
        for_each_head(
            dims,
            &mut output,
            1,
            log_sums.chunks_exact_mut(row_len),
            |row, head, mut out, log_sums, workspace| {
                let visible = &visible[row * row_len..][..row_len];
                let row = &qkv[row * row_len * 3 * dims.d_model()..][..row_len * 3 * dims.d_model()];
                forward_head(&Head { row, dims, head }, visible, &mut out[0], log_sums, workspace);
            },
        );
    }
    Forward { output, log_sums }
}

fn forward_head(
    head: &Head<'_>,
    visible: &[Visible],
    output: &mut MatrixMut<'_>,
    log_sums: &mut [f32],
    workspace: &mut Workspace,
) {
    let Dims { row_len, d_head, .. } = head.dims;
    transpose(head.key(0..row_len), &mut workspace.keys_t);
    for queries in head.dims.blocks() {
        let visible = &visible[queries.clone()];
        let seen = seen_keys(visible, &queries);
        let weights = resized(&mut workspace.weights, queries.len() * seen.len());

        product(
            head.query(queries.clone()),
            keys_in(&workspace.keys_t, row_len, d_head, &seen),
        )
        .scaled(head.dims.scale())
        .store(&mut MatrixMut::new(weights, queries.len(), seen.len()));
        softmax_rows(
            weights,
            seen.start,
            visible,
            queries.start,
            &mut log_sums[queries.clone()],
        );
        product(Matrix::new(weights, queries.len(), seen.len()), head.value(seen))
            .store(&mut output.rows_from(queries.start, queries.len()));
    }
}

/// Gradient of `qkv`.
pub(super) fn backward(
    qkv: &[f32],
    visible: &[Visible],
    forward: Forward<&[f32]>,
    grad: &[f32],
    dims: Dims,
) -> Vec<f32> {
    let (row_len, d_model) = (dims.row_len, dims.d_model());
    let mut dqkv = unwritten(qkv.len());
    if dqkv.is_empty() {
        return dqkv;
    }
    let log_sums = forward.log_sums.chunks_exact(row_len);
    for_each_head(
        dims,
        &mut dqkv,
        3,
        log_sums,
        |row, head, mut dqkv, log_sums, workspace| {
            let visible = &visible[row * row_len..][..row_len];
            let outputs = row * row_len * d_model..(row + 1) * row_len * d_model;
            let context = BackwardHead {
                head: Head {
                    row: &qkv[row * row_len * 3 * d_model..][..row_len * 3 * d_model],
                    dims,
                    head,
                },
                visible,
                output: &forward.output[outputs.clone()],
                grad: &grad[outputs],
                log_sums,
            };
            context.run(&mut dqkv, workspace);
        },
    );
    dqkv
}

/// One task of the backward pass.
struct BackwardHead<'a> {
    head: Head<'a>,
    visible: &'a [Visible],
    output: &'a [f32],
    grad: &'a [f32],
    log_sums: &'a [f32],
}

impl BackwardHead<'_> {
    /// This head's columns of a `[row_len, d_model]` buffer, for some tokens.
    fn columns<'b>(&self, buffer: &'b [f32], tokens: &Range<usize>) -> Matrix<'b> {
        let Dims { d_head, .. } = self.head.dims;
        let d_model = self.head.dims.d_model();
        let first = tokens.start * d_model + self.head.head * d_head;
        Matrix::strided(&buffer[first..], tokens.len(), d_head, d_model, 1)
    }

    fn run(&self, dqkv: &mut [MatrixMut<'_>], workspace: &mut Workspace) {
        let Dims { row_len, d_head, .. } = self.head.dims;
        let [dquery, dkey, dvalue] = dqkv else {
            unreachable!("queries, keys and values")
        };
        transpose(self.head.key(0..row_len), &mut workspace.keys_t);
        transpose(self.head.value(0..row_len), &mut workspace.values_t);
        dkey.fill(0.0);
        dvalue.fill(0.0);

        for queries in self.head.dims.blocks() {
            let seen = seen_keys(&self.visible[queries.clone()], &queries);
            let (n, m) = (queries.len(), seen.len());
            let weights = resized(&mut workspace.weights, n * m);
            let slopes = resized(&mut workspace.slopes, n * m);
            let query = self.head.query(queries.clone());
            let grad = self.columns(self.grad, &queries);

            product(query, keys_in(&workspace.keys_t, row_len, d_head, &seen))
                .scaled(self.head.dims.scale())
                .store(&mut MatrixMut::new(weights, n, m));
            product(grad, keys_in(&workspace.values_t, row_len, d_head, &seen))
                .store(&mut MatrixMut::new(slopes, n, m));
            self.score_gradients(&queries, seen.start, weights, slopes);

            let (weights, slopes) = (Matrix::new(weights, n, m), Matrix::new(slopes, n, m));
            product(slopes, self.head.key(seen.clone())).store(&mut dquery.rows_from(queries.start, n));
            product(slopes.t(), query).add_to(&mut dkey.rows_from(seen.start, m));
            product(weights.t(), grad).add_to(&mut dvalue.rows_from(seen.start, m));
        }
    }

    /// From scores and gradients of the attention weights to attention weights and gradients of the scores.
    fn score_gradients(&self, queries: &Range<usize>, first_key: usize, weights: &mut [f32], slopes: &mut [f32]) {
        let Dims { d_head, .. } = self.head.dims;
        let (d_model, column) = (self.head.dims.d_model(), self.head.head * d_head);
        let width = weights.len() / queries.len();
        let rows = weights.chunks_exact_mut(width).zip(slopes.chunks_exact_mut(width));
        for (query, (weights, slopes)) in queries.clone().zip(rows) {
            let features = query * d_model + column..query * d_model + column + d_head;
            let visible = &self.visible[query];
            let seen = visible.from - first_key..query + 1 - first_key;
            let gap = visible.gap_from(first_key);
            let mean_slope = dot(&self.output[features.clone()], &self.grad[features]);
            let scale = self.head.dims.scale();
            softmax_backward_row(weights, slopes, seen, self.log_sums[query], mean_slope, scale);
            weights[gap.clone()].fill(0.0);
            slopes[gap].fill(0.0);
        }
    }
}

/// Keys that some query of a block sees.
fn seen_keys(visible: &[Visible], queries: &Range<usize>) -> Range<usize> {
    visible.iter().map(|v| v.from).min().unwrap_or(queries.start)..queries.end
}

/// Columns `seen` of transposed keys `[d_head, row_len]`.
fn keys_in<'a>(keys_t: &'a [f32], row_len: usize, d_head: usize, seen: &Range<usize>) -> Matrix<'a> {
    Matrix::strided(&keys_t[seen.start..], d_head, seen.len(), row_len, 1)
}

/// The first `len` elements of a buffer that only ever grows. Their values are left over from before.
fn resized(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}

for_every_instruction_set! {
    /// Softmax of each row of scores over the keys its query sees, zero elsewhere. Column 0 is key `first_key`, row 0 is
    /// query `first_query`.
    pub(super) fn softmax_rows(
        scores: &mut [f32],
        first_key: usize,
        visible: &[Visible],
        first_query: usize,
        log_sums: &mut [f32],
    ) {
        let width = scores.len() / visible.len();
        let rows = scores.chunks_exact_mut(width).zip(visible).zip(log_sums);
        for (r, ((scores, visible), log_sum)) in rows.enumerate() {
            let (from, end) = (visible.from - first_key, first_query + r + 1 - first_key);
            scores[..from].fill(0.0);
            scores[end..].fill(0.0);
            // The exponential of minus infinity is exactly 0.
            scores[visible.gap_from(first_key)].fill(f32::NEG_INFINITY);
            *log_sum = softmax(&mut scores[from..end]);
        }
    }
}

for_every_instruction_set! {
    /// For one query: scores become attention weights `p`, and gradients of the weights become gradients of the scores
    /// before scaling, `p (slope - mean_slope) scale`, where `mean_slope` is the
    /// mean of the slopes under `p`, which equals `output . grad`.
    fn softmax_backward_row(
        weights: &mut [f32],
        slopes: &mut [f32],
        seen: Range<usize>,
        log_sum: f32,
        mean_slope: f32,
        scale: f32,
    ) {
        for row in [&mut *weights, &mut *slopes] {
            row[..seen.start].fill(0.0);
            row[seen.end..].fill(0.0);
        }
        for (weight, slope) in weights[seen.clone()].iter_mut().zip(&mut slopes[seen]) {
            *weight = exp(*weight - log_sum);
            *slope = *weight * (*slope - mean_slope) * scale;
        }
    }
}
