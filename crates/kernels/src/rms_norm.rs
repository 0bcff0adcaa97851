//! Root-mean-square normalisation.

use burn::tensor::Tensor;

use crate::composed;

/// `x / sqrt(mean(x²) + eps) * weight`, the mean over each row's features (Zhang and Sennrich, arXiv 1910.07467).
///
/// # Shapes
///
/// - `x` and result: `[rows, features]`
/// - `weight`: `[features]`
pub fn rms_norm(x: Tensor<2>, weight: Tensor<1>, eps: f64) -> Tensor<2> {
    composed::rms_norm(x, weight, eps)
}
