//! Products with weights held as bf16: half the memory, and half of what a step of decoding reads. Numbers are widened
//! where they are used, a block of columns at a time; a bf16 number is an f32 with the lower half of its bits zero, so
//! nothing is lost by that, and all arithmetic is f32.

use burn::tensor::bf16;
use rayon::prelude::*;

use super::dispatch::for_every_instruction_set;
use super::matrix::{Matrix, MatrixMut, product, unwritten};

/// Columns that a thread widens and multiplies at a time: their weights stay in its cache.
const COLUMNS: usize = 64;
/// From so many rows on, the weight is widened once and all threads multiply with it.
const MANY_ROWS: usize = 256;
/// Numbers that a thread widens at a time.
const CHUNK: usize = 1 << 14;

/// A weight with rows that follow one another.
#[derive(Clone, Copy)]
pub(super) struct HalfMatrix<'a> {
    values: &'a [bf16],
    rows: usize,
    cols: usize,
}

impl<'a> HalfMatrix<'a> {
    pub(super) fn new(values: &'a [bf16], rows: usize, cols: usize) -> Self {
        assert_eq!(values.len(), rows * cols, "matrix of {rows} x {cols}");
        Self { values, rows, cols }
    }

    /// Columns `first ..` of the matrix, as many as fill `out` row by row.
    fn widen_columns(&self, first: usize, width: usize, out: &mut [f32]) {
        for (row, out) in out.chunks_exact_mut(width).enumerate() {
            widen_slice(&self.values[row * self.cols + first..][..width], out);
        }
    }
}

/// `x @ weight + bias`.
pub(super) fn forward(x: Matrix<'_>, weight: HalfMatrix<'_>, bias: Option<&[f32]>) -> Vec<f32> {
    if x.rows() >= MANY_ROWS {
        let wide = widened(weight.values);
        return super::linear::forward(x, Matrix::new(&wide, weight.rows, weight.cols), bias);
    }
    let (tokens, out) = (x.rows(), weight.cols);
    let mut y = unwritten(tokens * out);
    let blocks: Vec<MatrixMut<'_>> = MatrixMut::new(&mut y, tokens, out).column_blocks(COLUMNS).collect();
    blocks.into_par_iter().enumerate().for_each(|(block, mut y)| {
        let (first, width) = (block * COLUMNS, y.cols());
        let mut wide = unwritten(weight.rows * width);
        weight.widen_columns(first, width, &mut wide);
        let product = product(x, Matrix::new(&wide, weight.rows, width));
        match bias {
            None => product.store(&mut y),
            Some(bias) => {
                for row in 0..tokens {
                    y.row(row).copy_from_slice(&bias[first..first + width]);
                }
                product.add_to(&mut y);
            }
        }
    });
    y
}

/// The same numbers as f32, widened by all threads.
pub(super) fn widened(values: &[bf16]) -> Vec<f32> {
    let mut wide = unwritten(values.len());
    wide.par_chunks_mut(CHUNK)
        .zip(values.par_chunks(CHUNK))
        .for_each(|(wide, values)| widen_slice(values, wide));
    wide
}

for_every_instruction_set! {
    fn widen_slice(values: &[bf16], wide: &mut [f32]) {
        for (wide, value) in wide.iter_mut().zip(values) {
            *wide = f32::from_bits(u32::from(value.to_bits()) << 16);
        }
    }
}
