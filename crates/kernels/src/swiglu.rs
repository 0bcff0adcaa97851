//! The gated activation of Llama's feed-forward layers.

use burn::tensor::Tensor;

use crate::composed;

/// `silu(gate) * up`, with `silu(x) = x * sigmoid(x)` (Shazeer, arXiv 2002.05202).
///
/// # Shapes
///
/// - `gate_up`: `[tokens, 2 * d_inner]`, the gates and then what they let through
/// - result: `[tokens, d_inner]`
pub fn swiglu(gate_up: Tensor<2>) -> Tensor<2> {
    composed::swiglu(gate_up)
}
