//! Layer normalisation, one pass over each token forward and one backward.

use rayon::prelude::*;

use super::{
    dispatch::for_every_instruction_set,
    matrix::unwritten,
    simd::{add, dot, sum},
};

/// Tokens a thread takes at a time, and whose weight gradients are added up first. The number decides the order of
/// additions, so it must not depend on the machine.
const CHUNK: usize = 128;

/// Mean and reciprocal standard deviation of one token.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Moments {
    mean: f32,
    rstd: f32,
}

/// Gradients of the three inputs.
pub(super) struct Gradients {
    pub(super) x: Vec<f32>,
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

pub(super) fn forward(x: &[f32], weight: &[f32], bias: &[f32], eps: f32) -> (Vec<f32>, Vec<Moments>) {
    let d_model = weight.len();
    let mut y = unwritten(x.len());
    let mut moments = vec![Moments::default(); x.len() / d_model];
    y.par_chunks_mut(CHUNK * d_model)
        .zip(x.par_chunks(CHUNK * d_model))
        .zip(moments.par_chunks_mut(CHUNK))
        .for_each(|((y, x), moments)| forward_chunk(x, weight, bias, eps, y, moments));
    (y, moments)
}

for_every_instruction_set! {
    fn forward_chunk(x: &[f32], weight: &[f32], bias: &[f32], eps: f32, y: &mut [f32], moments: &mut [Moments]) {
        let d_model = weight.len();
        let rows = x.chunks_exact(d_model).zip(y.chunks_exact_mut(d_model));
        for ((x, y), moments) in rows.zip(moments) {
            let mean = sum(x, |x| x) / d_model as f32;
            let variance = sum(x, |x| (x - mean) * (x - mean)) / d_model as f32;
            let rstd = 1.0 / (variance + eps).sqrt();
            for (((y, &x), &weight), &bias) in y.iter_mut().zip(x).zip(weight).zip(bias) {
                *y = (x - mean) * rstd * weight + bias;
            }
            *moments = Moments { mean, rstd };
        }
    }
}

pub(super) fn backward(x: &[f32], weight: &[f32], moments: &[Moments], grad: &[f32]) -> Gradients {
    let d_model = weight.len();
    let mut dx = unwritten(x.len());
    let chunks = moments.len().div_ceil(CHUNK);
    let mut partial = vec![0.0; chunks * 2 * d_model]; // [chunks, weight | bias, d_model]
    dx.par_chunks_mut(CHUNK * d_model)
        .zip(x.par_chunks(CHUNK * d_model))
        .zip(grad.par_chunks(CHUNK * d_model))
        .zip(moments.par_chunks(CHUNK))
        .zip(partial.par_chunks_mut(2 * d_model))
        .for_each(|((((dx, x), grad), moments), partial)| {
            let (dweight, dbias) = partial.split_at_mut(d_model);
            backward_chunk(x, weight, moments, grad, dx, dweight, dbias);
        });

    let (mut dweight, mut dbias) = (vec![0.0; d_model], vec![0.0; d_model]);
    for partial in partial.chunks_exact(2 * d_model) {
        add(&mut dweight, &partial[..d_model]);
        add(&mut dbias, &partial[d_model..]);
    }
    Gradients {
        x: dx,
        weight: dweight,
        bias: dbias,
    }
}

for_every_instruction_set! {
    /// With `h = (x - mean) rstd` and `w = grad * weight`: `dx = rstd (w - mean(w) - h mean(w h))`.
    fn backward_chunk(
        x: &[f32],
        weight: &[f32],
        moments: &[Moments],
        grad: &[f32],
        dx: &mut [f32],
        dweight: &mut [f32],
        dbias: &mut [f32],
    ) {
        let d_model = weight.len();
        let mut weighted_row = vec![0.0; d_model];
        let mut normed_row = vec![0.0; d_model];
        let (weighted, normed) = (&mut weighted_row[..d_model], &mut normed_row[..d_model]);
        let (dweight, dbias) = (&mut dweight[..d_model], &mut dbias[..d_model]);
        let rows = x.chunks_exact(d_model).zip(grad.chunks_exact(d_model));
        for (((x, grad), dx), moments) in rows.zip(dx.chunks_exact_mut(d_model)).zip(moments) {
            let Moments { mean, rstd } = *moments;
            for i in 0..d_model {
                let h = (x[i] - mean) * rstd;
                normed[i] = h;
                weighted[i] = grad[i] * weight[i];
                dweight[i] += grad[i] * h;
                dbias[i] += grad[i];
            }
            let mean_w = sum(weighted, |w| w) / d_model as f32;
            let mean_wh = dot(weighted, normed) / d_model as f32;
            for ((dx, &w), &h) in dx.iter_mut().zip(weighted.iter()).zip(normed.iter()) {
                *dx = rstd * (w - mean_w - h * mean_wh);
            }
        }
    }
}
