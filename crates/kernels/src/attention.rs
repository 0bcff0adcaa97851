//! Causal self-attention over packed rows.

use burn::tensor::{Int, Tensor};

use crate::composed;
#[cfg(feature = "flex")]
use crate::flex;

/// Softmax attention in which token `t` of a row sees tokens `visible_from[t] ..= t` of that row, scaled by
/// `1 / sqrt(d_head)`.
///
/// # Shapes
///
/// - `qkv`: `[rows, row_len, 3 * d_model]`, queries, keys and values one after the other, and in each of them the
///   heads one after the other (the output of GPT-2's `c_attn`)
/// - `visible_from`: `[rows, row_len]`, each value in `0 ..= t`
/// - result: `[rows, row_len, d_model]`
pub fn causal_attention(qkv: Tensor<3>, visible_from: Tensor<2, Int>, n_heads: usize) -> Tensor<3> {
    #[cfg(feature = "flex")]
    if flex::handles(&qkv) {
        return flex::causal_attention(qkv, visible_from, n_heads);
    }
    composed::causal_attention(qkv, visible_from, n_heads)
}
