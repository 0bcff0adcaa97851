//! `gelu(x) = x s(2u)` with the logistic function `s` and `u = sqrt(2 / pi) (x + 0.044715 x^3)`, because
//! `(1 + tanh u) / 2 = s(2u)`.

use rayon::prelude::*;

use super::{dispatch::for_every_instruction_set, matrix::unwritten, simd::exp};

/// `2 sqrt(2 / pi)`.
const SLOPE: f32 = 1.595_769;
/// The formula's cubic coefficient.
const CUBIC: f32 = 0.044_715;
/// Elements a thread takes at a time.
const CHUNK: usize = 1 << 14;

pub(super) fn forward(x: &[f32]) -> Vec<f32> {
    let mut y = unwritten(x.len());
    y.par_chunks_mut(CHUNK)
        .zip(x.par_chunks(CHUNK))
        .for_each(|(y, x)| forward_chunk(x, y));
    y
}

/// Turns the gradient of the result into the gradient of `x`, in place.
pub(super) fn backward(x: &[f32], grad: &mut [f32]) {
    grad.par_chunks_mut(CHUNK)
        .zip(x.par_chunks(CHUNK))
        .for_each(|(grad, x)| backward_chunk(x, grad));
}

for_every_instruction_set! {
    fn forward_chunk(x: &[f32], y: &mut [f32]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = x * gate(x);
        }
    }
}

for_every_instruction_set! {
    fn backward_chunk(x: &[f32], grad: &mut [f32]) {
        for (grad, &x) in grad.iter_mut().zip(x) {
            let gate = gate(x);
            let near = near(x);
            let inner_slope = SLOPE + 3.0 * SLOPE * CUBIC * (near * near);
            // d/dx x s(2u) = s + x s (1 - s) (2u)'
            *grad *= gate + near * gate * (1.0 - gate) * inner_slope;
        }
    }
}

/// `s(2u)`.
#[inline(always)]
fn gate(x: f32) -> f32 {
    let near = near(x);
    let u2 = near * (SLOPE + SLOPE * CUBIC * (near * near));
    1.0 / (1.0 + exp(-u2))
}

/// Far from zero the gate is 0 or 1 to the last bit; stopping there keeps powers of `x` finite.
#[inline(always)]
fn near(x: f32) -> f32 {
    x.clamp(-30.0, 30.0)
}
