//! Matrix product with bias.

use burn::tensor::Tensor;

use crate::composed;
#[cfg(feature = "flex")]
use crate::flex;

/// `x @ weight + bias`. A weight that is frozen may be held as bf16; the arithmetic is that of its numbers as f32.
///
/// # Shapes
///
/// - `x`: `[tokens, in]`
/// - `weight`: `[in, out]`
/// - `bias`: `[out]`
/// - result: `[tokens, out]`
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if flex::handles(&x) {
        return flex::linear(x, weight, bias);
    }
    composed::linear(x, composed::widened(weight), bias)
}
