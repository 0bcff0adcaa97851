//! Layer normalisation.

use burn::tensor::Tensor;

use crate::composed;
#[cfg(feature = "flex")]
use crate::flex;

/// `(x - mean) / sqrt(variance + eps) * weight + bias`, mean and (biased) variance over each token's features.
///
/// # Shapes
///
/// - `x` and result: `[tokens, d_model]`
/// - `weight`, `bias`: `[d_model]`
pub fn layer_norm(x: Tensor<2>, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if flex::handles(&x) {
        return flex::layer_norm(x, weight, bias, eps);
    }
    composed::layer_norm(x, weight, bias, eps)
}
