//! Matrix product with bias.

use rayon::prelude::*;

use super::{
    dispatch::for_every_instruction_set,
    matrix::{Matrix, MatrixMut, product, unwritten},
    simd::add,
};

/// Rows a thread takes at a time; it decides the order in which bias gradients are added up.
const CHUNK: usize = 128;

/// `x @ weight + bias`.
pub(super) fn forward(x: Matrix<'_>, weight: Matrix<'_>, bias: Option<&[f32]>) -> Vec<f32> {
    let (tokens, out) = (x.rows(), weight.cols());
    let mut y = unwritten(tokens * out);
    let Some(bias) = bias else {
        product(x, weight)
            .parallel()
            .store(&mut MatrixMut::new(&mut y, tokens, out));
        return y;
    };
    y.par_chunks_mut(CHUNK * out).for_each(|y| {
        for row in y.chunks_exact_mut(out) {
            row.copy_from_slice(bias);
        }
    });
    product(x, weight)
        .parallel()
        .add_to(&mut MatrixMut::new(&mut y, tokens, out));
    y
}

/// Gradient of `x`: `grad @ weight^T`.
pub(super) fn backward_input(grad: Matrix<'_>, weight: Matrix<'_>) -> Vec<f32> {
    let inputs = weight.rows();
    let mut buffer = Vec::new();
    let transposed = weight.t().row_major(&mut buffer);
    let mut dx = unwritten(grad.rows() * inputs);
    product(grad, transposed)
        .parallel()
        .store(&mut MatrixMut::new(&mut dx, grad.rows(), inputs));
    dx
}

/// Gradient of `weight`: `x^T @ grad`.
pub(super) fn backward_weight(x: Matrix<'_>, grad: Matrix<'_>) -> Vec<f32> {
    let (inputs, out) = (x.cols(), grad.cols());
    let mut dweight = unwritten(inputs * out);
    product(x.t(), grad)
        .parallel()
        .store(&mut MatrixMut::new(&mut dweight, inputs, out));
    dweight
}

/// Gradient of `bias`: the sum of the rows of `grad`, which has `out` columns.
pub(super) fn backward_bias(grad: &[f32], out: usize) -> Vec<f32> {
    let chunks = grad.len().div_ceil(CHUNK * out);
    let mut partial = vec![0.0; chunks * out];
    partial
        .par_chunks_mut(out)
        .zip(grad.par_chunks(CHUNK * out))
        .for_each(|(partial, grad)| sum_rows(grad, partial));
    let mut dbias = vec![0.0; out];
    sum_rows(&partial, &mut dbias);
    dbias
}

for_every_instruction_set! {
    fn sum_rows(rows: &[f32], acc: &mut [f32]) {
        for row in rows.chunks_exact(acc.len()) {
            add(acc, row);
        }
    }
}
