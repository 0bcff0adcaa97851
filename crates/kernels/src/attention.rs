//! Causal self-attention over packed rows.

use burn::tensor::{Int, Tensor};

use crate::composed;
#[cfg(feature = "flex")]
use crate::flex;

/// Softmax attention in which a token of a row sees itself and those tokens before it that `visible` grants it, scaled by
/// `1 / sqrt(d_head)`.
///
/// With `[from, gap_from, gap_to]` in `visible`, token `t` sees tokens `from ..= t` of its row without those in
/// `gap_from .. gap_to`. A gap is what lies between a prompt that several completions share and a completion other than
/// the first; see [`visible_from`] for rows without any.
///
/// # Shapes
///
/// - `qkv`: `[rows, row_len, 3 * d_model]`, queries, keys and values one after the other, and in each of them the
///   heads one after the other (the output of GPT-2's `c_attn`)
/// - `visible`: `[rows, row_len, 3]`, `from` in `0 ..= t` and `gap_from <= gap_to <= t`
/// - result: `[rows, row_len, d_model]`
pub fn causal_attention(qkv: Tensor<3>, visible: Tensor<3, Int>, n_heads: usize) -> Tensor<3> {
    #[cfg(feature = "flex")]
    if flex::handles(&qkv) {
        return flex::causal_attention(qkv, visible, n_heads);
    }
    composed::causal_attention(qkv, visible, n_heads)
}

/// The argument `visible` of [`causal_attention`] for tokens that each see everything from `first` to themselves.
///
/// # Shapes
///
/// - `first`: `[rows, row_len]`
/// - result: `[rows, row_len, 3]`
pub fn visible_from(first: Tensor<2, Int>) -> Tensor<3, Int> {
    let none = first.zeros_like();
    Tensor::stack(vec![first, none.clone(), none], 2)
}
