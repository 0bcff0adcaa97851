//! The gated activation of Llama's feed-forward layers.

use burn::tensor::Tensor;

use crate::composed;
#[cfg(feature = "flex")]
use crate::{Activation, flex};

/// `silu(gate) * up`, with `silu(x) = x * sigmoid(x)` (Shazeer, arXiv 2002.05202).
///
/// # Shapes
///
/// - `gate_up`: `[tokens, 2 * d_inner]`, the gates and then what they let through
/// - result: `[tokens, d_inner]`
pub fn swiglu(gate_up: Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if flex::handles(&gate_up) {
        return flex::activation(gate_up, Activation::SwiGlu);
    }
    composed::swiglu(gate_up)
}
