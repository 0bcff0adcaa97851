//! Rotary position embeddings.

use burn::tensor::Tensor;

use crate::composed;

/// Turns pairs of features by an angle that grows with the position (Su et al., arXiv 2104.09864): feature `i` of the
/// first half of the rotated features pairs with feature `i` of the second half, as in Hugging Face's checkpoints.
/// Features beyond the rotated ones stay.
///
/// # Shapes
///
/// - `x` and result: `[tokens, heads, d_head]`
/// - `cos`, `sin`: `[tokens, pairs]`, with `2 * pairs <= d_head`
pub fn rotary(x: Tensor<3>, cos: Tensor<2>, sin: Tensor<2>) -> Tensor<3> {
    composed::rotary(x, cos, sin)
}
