//! Matrix product with bias.

use burn::tensor::Tensor;

use crate::composed;

/// `x @ weight + bias`.
///
/// # Shapes
///
/// - `x`: `[tokens, in]`
/// - `weight`: `[in, out]`
/// - `bias`: `[out]`
/// - result: `[tokens, out]`
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    composed::linear(x, weight, bias)
}
