//! `silu(gate) * up`, with `silu(x) = x s(x)` and the logistic function `s`.

use rayon::prelude::*;

use super::{dispatch::for_every_instruction_set, matrix::unwritten, simd::exp};

/// Tokens a thread takes at a time.
const CHUNK: usize = 16;

/// From rows of `2 * d_inner` numbers, gates first, to rows of `d_inner`.
pub(super) fn forward(gate_up: &[f32], d_inner: usize) -> Vec<f32> {
    let mut y = unwritten(gate_up.len() / 2);
    y.par_chunks_mut(CHUNK * d_inner)
        .zip(gate_up.par_chunks(2 * CHUNK * d_inner))
        .for_each(|(y, gate_up)| forward_chunk(gate_up, d_inner, y));
    y
}

for_every_instruction_set! {
    fn forward_chunk(gate_up: &[f32], d_inner: usize, y: &mut [f32]) {
        for (y, row) in y.chunks_exact_mut(d_inner).zip(gate_up.chunks_exact(2 * d_inner)) {
            let (gate, up) = row.split_at(d_inner);
            for ((y, &gate), &up) in y.iter_mut().zip(gate).zip(up) {
                *y = gate * logistic(gate) * up;
            }
        }
    }
}

/// Gradient of the gates and of what they let through, in rows as the forward pass takes them; what the forward pass gives takes
/// the place of `grad`.
pub(super) fn backward_with_result(gate_up: &[f32], d_inner: usize, grad: &mut [f32]) -> Vec<f32> {
    let mut out = unwritten(gate_up.len());
    out.par_chunks_mut(2 * CHUNK * d_inner)
        .zip(gate_up.par_chunks(2 * CHUNK * d_inner))
        .zip(grad.par_chunks_mut(CHUNK * d_inner))
        .for_each(|((out, gate_up), grad)| backward_chunk(gate_up, d_inner, grad, out));
    out
}

for_every_instruction_set! {
    /// `d/dx x s(x) = s (1 + x (1 - s))`.
    fn backward_chunk(gate_up: &[f32], d_inner: usize, grad: &mut [f32], out: &mut [f32]) {
        let rows = gate_up.chunks_exact(2 * d_inner).zip(out.chunks_exact_mut(2 * d_inner));
        for ((row, out), grad) in rows.zip(grad.chunks_exact_mut(d_inner)) {
            let (gate, up) = row.split_at(d_inner);
            let (dgate, dup) = out.split_at_mut(d_inner);
            for i in 0..d_inner {
                let s = logistic(gate[i]);
                dgate[i] = grad[i] * up[i] * (s * (1.0 + gate[i] * (1.0 - s)));
                dup[i] = grad[i] * (gate[i] * s);
                grad[i] = gate[i] * s * up[i];
            }
        }
    }
}

#[inline(always)]
fn logistic(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}
