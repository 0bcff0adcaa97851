//! The feed-forward network of a transformer block behind its first layer.

use burn::tensor::Tensor;

#[cfg(feature = "flex")]
use crate::flex;
use crate::{gelu_erf, gelu_tanh, linear, swiglu};

/// The function between the two layers of a feed-forward network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// GELU in its tanh form; see [`gelu_tanh`].
    GeluTanh,
    /// GELU with the error function; see [`gelu_erf`].
    GeluErf,
    /// `silu(gate) * up`: the first layer is twice as wide; see [`swiglu`].
    SwiGlu,
}

impl Activation {
    /// `inner`: `[tokens, d_inner]`, twice as wide for [`Activation::SwiGlu`]; result `[tokens, d_inner]`
    pub fn apply(self, inner: Tensor<2>) -> Tensor<2> {
        match self {
            Self::GeluTanh => gelu_tanh(inner),
            Self::GeluErf => gelu_erf(inner),
            Self::SwiGlu => swiglu(inner),
        }
    }
}

/// `activation(inner) @ weight + bias`. For the backward pass `inner` is kept, and what the activation made of it is computed
/// anew along with the gradient: it shares its exponentials, and is the larger part of what a block would have to keep.
///
/// # Shapes
/// - `inner`: `[tokens, d_inner]`, twice as wide for [`Activation::SwiGlu`]
/// - `weight`: `[d_inner, out]`
/// - `bias`: `[out]`
/// - result: `[tokens, out]`
pub fn activated_linear(
    inner: Tensor<2>,
    activation: Activation,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if flex::handles(&inner) {
        return flex::activated_linear(inner, activation, weight, bias);
    }
    linear(activation.apply(inner), weight, bias)
}
