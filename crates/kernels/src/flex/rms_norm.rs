//! Root-mean-square normalisation, one pass over each row forward and one backward.

use rayon::prelude::*;

use super::{
    dispatch::for_every_instruction_set,
    matrix::unwritten,
    simd::{add, dot, sum},
};

/// Rows a thread takes at a time, and whose weight gradients are added up first. The number decides the order of
/// additions, so it must not depend on the machine.
const CHUNK: usize = 128;

/// The result, and the reciprocal root of each row's mean square.
pub(super) fn forward(x: &[f32], weight: &[f32], eps: f32) -> (Vec<f32>, Vec<f32>) {
    let width = weight.len();
    let mut y = unwritten(x.len());
    let mut roots = unwritten(x.len() / width);
    y.par_chunks_mut(CHUNK * width)
        .zip(x.par_chunks(CHUNK * width))
        .zip(roots.par_chunks_mut(CHUNK))
        .for_each(|((y, x), roots)| forward_chunk(x, weight, eps, y, roots));
    (y, roots)
}

for_every_instruction_set! {
    fn forward_chunk(x: &[f32], weight: &[f32], eps: f32, y: &mut [f32], roots: &mut [f32]) {
        let width = weight.len();
        let rows = x.chunks_exact(width).zip(y.chunks_exact_mut(width));
        for ((x, y), root) in rows.zip(roots) {
            *root = 1.0 / (sum(x, |x| x * x) / width as f32 + eps).sqrt();
            for ((y, &x), &weight) in y.iter_mut().zip(x).zip(weight) {
                *y = x * *root * weight;
            }
        }
    }
}

/// Gradients of `x` and `weight`.
pub(super) fn backward(x: &[f32], weight: &[f32], roots: &[f32], grad: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let width = weight.len();
    let mut dx = unwritten(x.len());
    let mut partial = vec![0.0; roots.len().div_ceil(CHUNK) * width]; // [chunks, width]
    dx.par_chunks_mut(CHUNK * width)
        .zip(x.par_chunks(CHUNK * width))
        .zip(grad.par_chunks(CHUNK * width))
        .zip(roots.par_chunks(CHUNK))
        .zip(partial.par_chunks_mut(width))
        .for_each(|((((dx, x), grad), roots), dweight)| backward_chunk(x, weight, roots, grad, dx, dweight));
    let mut dweight = vec![0.0; width];
    for partial in partial.chunks_exact(width) {
        add(&mut dweight, partial);
    }
    (dx, dweight)
}

for_every_instruction_set! {
    /// With `h = x root` and `w = grad * weight`: `dx = root (w - h mean(w h))`.
    fn backward_chunk(x: &[f32], weight: &[f32], roots: &[f32], grad: &[f32], dx: &mut [f32], dweight: &mut [f32]) {
        let width = weight.len();
        let mut weighted_row = vec![0.0; width];
        let (weighted, dweight) = (&mut weighted_row[..width], &mut dweight[..width]);
        let rows = x.chunks_exact(width).zip(grad.chunks_exact(width));
        for (((x, grad), dx), &root) in rows.zip(dx.chunks_exact_mut(width)).zip(roots) {
            for i in 0..width {
                weighted[i] = grad[i] * weight[i];
                dweight[i] += grad[i] * (x[i] * root);
            }
            let mean = root * dot(weighted, x) / width as f32;
            for ((dx, &w), &x) in dx.iter_mut().zip(weighted.iter()).zip(x) {
                *dx = root * (w - x * root * mean);
            }
        }
    }
}
