//! `gelu(x) = x g(x)`, where the gate `g` is one of two functions that go from 0 to 1.

use rayon::prelude::*;

use super::{dispatch::for_every_instruction_set, matrix::unwritten, simd::exp};

/// `2 sqrt(2 / pi)`.
const SLOPE: f32 = 1.595_769;
/// The tanh formula's cubic coefficient.
const CUBIC: f32 = 0.044_715;
/// `1 / sqrt(2)`.
const FRAC_1_SQRT_2: f32 = std::f32::consts::FRAC_1_SQRT_2;
/// `1 / sqrt(2 pi)`.
const NORMAL_PEAK: f32 = 0.398_942_3;
/// Elements a thread takes at a time.
const CHUNK: usize = 1 << 14;

/// The two gates.
#[derive(Debug, Clone, Copy)]
pub(super) enum Gate {
    /// `(1 + tanh u) / 2 = s(2u)` with the logistic function `s` and `u = sqrt(2 / pi) (x + 0.044715 x^3)`.
    Tanh,
    /// The distribution function of the normal distribution.
    Erf,
}

pub(super) fn forward(gate: Gate, x: &[f32]) -> Vec<f32> {
    let chunk = match gate {
        Gate::Tanh => forward_tanh,
        Gate::Erf => forward_erf,
    };
    let mut y = unwritten(x.len());
    y.par_chunks_mut(CHUNK)
        .zip(x.par_chunks(CHUNK))
        .for_each(|(y, x)| chunk(x, y));
    y
}

/// Turns the gradient of the result into the gradient of `x`, in place.
pub(super) fn backward(gate: Gate, x: &[f32], grad: &mut [f32]) {
    let chunk = match gate {
        Gate::Tanh => backward_tanh,
        Gate::Erf => backward_erf,
    };
    grad.par_chunks_mut(CHUNK)
        .zip(x.par_chunks(CHUNK))
        .for_each(|(grad, x)| chunk(x, grad));
}

/// As [`backward`], and returns what the forward pass gives.
pub(super) fn backward_with_result(gate: Gate, x: &[f32], grad: &mut [f32]) -> Vec<f32> {
    let chunk = match gate {
        Gate::Tanh => both_tanh,
        Gate::Erf => both_erf,
    };
    let mut y = unwritten(x.len());
    grad.par_chunks_mut(CHUNK)
        .zip(y.par_chunks_mut(CHUNK))
        .zip(x.par_chunks(CHUNK))
        .for_each(|((grad, y), x)| chunk(x, grad, y));
    y
}

for_every_instruction_set! {
    fn forward_tanh(x: &[f32], y: &mut [f32]) {
        forward_by(tanh_gate, x, y);
    }
}

for_every_instruction_set! {
    fn forward_erf(x: &[f32], y: &mut [f32]) {
        forward_by(erf_gate, x, y);
    }
}

for_every_instruction_set! {
    fn backward_tanh(x: &[f32], grad: &mut [f32]) {
        backward_by(tanh_gate, x, grad);
    }
}

for_every_instruction_set! {
    fn backward_erf(x: &[f32], grad: &mut [f32]) {
        backward_by(erf_gate, x, grad);
    }
}

for_every_instruction_set! {
    fn both_tanh(x: &[f32], grad: &mut [f32], y: &mut [f32]) {
        both_by(tanh_gate, x, grad, y);
    }
}

for_every_instruction_set! {
    fn both_erf(x: &[f32], grad: &mut [f32], y: &mut [f32]) {
        both_by(erf_gate, x, grad, y);
    }
}

#[inline(always)]
fn forward_by(gate: impl Fn(f32) -> (f32, f32), x: &[f32], y: &mut [f32]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = x * gate(x).0;
    }
}

#[inline(always)]
fn backward_by(gate: impl Fn(f32) -> (f32, f32), x: &[f32], grad: &mut [f32]) {
    for (grad, &x) in grad.iter_mut().zip(x) {
        *grad *= gate(x).1;
    }
}

#[inline(always)]
fn both_by(gate: impl Fn(f32) -> (f32, f32), x: &[f32], grad: &mut [f32], y: &mut [f32]) {
    for ((grad, y), &x) in grad.iter_mut().zip(y).zip(x) {
        let (gate, slope) = gate(x);
        *y = x * gate;
        *grad *= slope;
    }
}

/// `s(2u)`, and `d/dx x s(2u) = s + x s (1 - s) (2u)'`.
#[inline(always)]
fn tanh_gate(x: f32) -> (f32, f32) {
    let near = near(x);
    let square = near * near;
    let gate = 1.0 / (1.0 + exp(-(near * (SLOPE + SLOPE * CUBIC * square))));
    let inner_slope = SLOPE + 3.0 * SLOPE * CUBIC * square;
    (gate, gate + near * gate * (1.0 - gate) * inner_slope)
}

/// The normal distribution function `Φ`, and `d/dx x Φ = Φ + x φ` with its density `φ`.
///
/// `Φ(-|x|) = erfc(|x| / sqrt 2) / 2`, and `erfc(z) = (a1 t + … + a5 t^5) e^(-z^2)` with `t = 1 / (1 + p z)` to 1.5e-7
/// (Abramowitz and Stegun, 7.1.26).
#[inline(always)]
fn erf_gate(x: f32) -> (f32, f32) {
    let near = near(x);
    let bell = exp(-0.5 * (near * near));
    let t = 1.0 / (1.0 + 0.327_591_1 * (near.abs() * FRAC_1_SQRT_2));
    let mut p = 1.061_405_4;
    p = p * t - 1.453_152;
    p = p * t + 1.421_413_8;
    p = p * t - 0.284_496_74;
    p = p * t + 0.254_829_6;
    let tail = 0.5 * (p * t * bell);
    let gate = if near < 0.0 { tail } else { 1.0 - tail };
    (gate, gate + near * (NORMAL_PEAK * bell))
}

/// Far from zero a gate is 0 or 1 to the last bit; stopping there keeps powers of `x` finite.
#[inline(always)]
fn near(x: f32) -> f32 {
    x.clamp(-30.0, 30.0)
}
