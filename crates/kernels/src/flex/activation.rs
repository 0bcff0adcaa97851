//! The function between two linear layers.

use super::gelu::{self, Gate};
use super::swiglu;
use crate::Activation;

/// The values of the activation for rows of `inner`.
pub(super) fn forward(activation: Activation, inner: &[f32], d_inner: usize) -> Vec<f32> {
    match activation {
        Activation::GeluTanh => gelu::forward(Gate::Tanh, inner),
        Activation::GeluErf => gelu::forward(Gate::Erf, inner),
        Activation::SwiGlu => swiglu::forward(inner, d_inner),
    }
}

/// Gradient of `inner`, given that of the result.
pub(super) fn backward(activation: Activation, inner: &[f32], d_inner: usize, mut grad: Vec<f32>) -> Vec<f32> {
    match activation {
        Activation::GeluTanh => gelu::backward(Gate::Tanh, inner, &mut grad),
        Activation::GeluErf => gelu::backward(Gate::Erf, inner, &mut grad),
        Activation::SwiGlu => return swiglu::backward_with_result(inner, d_inner, &mut grad),
    }
    grad
}

/// Gradient of `inner`, and what [`forward`] gives.
pub(super) fn backward_with_result(
    activation: Activation,
    inner: &[f32],
    d_inner: usize,
    mut grad: Vec<f32>,
) -> (Vec<f32>, Vec<f32>) {
    let result = match activation {
        Activation::GeluTanh => gelu::backward_with_result(Gate::Tanh, inner, &mut grad),
        Activation::GeluErf => gelu::backward_with_result(Gate::Erf, inner, &mut grad),
        Activation::SwiGlu => {
            let gradient = swiglu::backward_with_result(inner, d_inner, &mut grad);
            return (gradient, grad);
        }
    };
    (grad, result)
}
