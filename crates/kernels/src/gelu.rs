//! The activations of GPT-2 and GPT-NeoX.

use burn::tensor::Tensor;

use crate::composed;
#[cfg(feature = "flex")]
use crate::{Activation, flex};

/// GELU by the tanh formula GPT-2 was trained with: `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))`.
///
/// # Shapes
///
/// - `x` and result: `[tokens, features]`
pub fn gelu_tanh(x: Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if flex::handles(&x) {
        return flex::activation(x, Activation::GeluTanh);
    }
    composed::gelu_tanh(x)
}

/// GELU by its definition with the error function, `x * Φ(x)`: GPT-NeoX's.
///
/// # Shapes
///
/// - `x` and result: `[tokens, features]`
pub fn gelu_erf(x: Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if flex::handles(&x) {
        return flex::activation(x, Activation::GeluErf);
    }
    composed::gelu_erf(x)
}
