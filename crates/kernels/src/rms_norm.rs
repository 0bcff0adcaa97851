//! Root-mean-square normalisation.

use burn::tensor::Tensor;

use crate::composed;
#[cfg(feature = "flex")]
use crate::flex;

/// `x / sqrt(mean(x²) + eps) * weight`, the mean over each row's features (Zhang and Sennrich, arXiv 1910.07467).
///
/// # Shapes
///
/// - `x` and result: `[rows, features]`
/// - `weight`: `[features]`
pub fn rms_norm(x: Tensor<2>, weight: Tensor<1>, eps: f64) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if flex::handles(&x) {
        return flex::rms_norm(x, weight, eps);
    }
    composed::rms_norm(x, weight, eps)
}
