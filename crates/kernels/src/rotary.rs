//! Rotary position embeddings.

use burn::tensor::Tensor;

use crate::composed;
#[cfg(feature = "flex")]
use crate::flex;

/// Turns pairs of features by an angle that grows with the position (Su et al., arXiv 2104.09864): feature `i` of the
/// first half of the rotated features pairs with feature `i` of the second half, as in Hugging Face's checkpoints.
/// Features beyond the rotated ones stay. The angles are constants: no gradient reaches them.
///
/// # Shapes
///
/// - `x` and result: `[tokens, heads, d_head]`
/// - `cos`, `sin`: `[tokens, pairs]`, with `2 * pairs <= d_head`
pub fn rotary(x: Tensor<3>, cos: Tensor<2>, sin: Tensor<2>) -> Tensor<3> {
    #[cfg(feature = "flex")]
    if flex::handles(&x) {
        return flex::rotary(x, cos, sin);
    }
    composed::rotary(x, cos.detach(), sin.detach())
}
