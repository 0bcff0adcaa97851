//! Attention in which several query heads share a key and value head.

use burn::tensor::{Int, Tensor};

use crate::{KvLayer, composed};
#[cfg(feature = "flex")]
use crate::{causal_attention, flex};

/// Softmax attention over what `visible` grants, as in [`crate::causal_attention`]. Query head `h` reads key and value head `h / (n_heads / n_kv_heads)` (Ainslie et al.,
/// arXiv 2305.13245).
///
/// On Flex the keys and values are repeated, which costs `2 * d_model` numbers per token, and go through the fused
/// [`crate::causal_attention`], which never holds the scores of a row; elsewhere nothing is repeated.
///
/// # Shapes
///
/// - `query`: `[rows, row_len, n_heads, d_head]`
/// - `key`, `value`: `[rows, row_len, n_kv_heads, d_head]`; `n_kv_heads` divides `n_heads`
/// - `visible`: `[rows, row_len, 3]`, as in [`crate::causal_attention`]
/// - result: `[rows, row_len, n_heads * d_head]`
pub fn grouped_attention(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, visible: Tensor<3, Int>) -> Tensor<3> {
    #[cfg(feature = "flex")]
    if flex::handles(&query) {
        let [rows, row_len, n_heads, d_head] = query.dims();
        let flat = |heads: Tensor<4>| repeat_heads(heads, n_heads).reshape([rows, row_len, n_heads * d_head]);
        let qkv = Tensor::cat(vec![flat(query), flat(key), flat(value)], 2); // [rows, row_len, 3 * n_heads * d_head]
        return causal_attention(qkv, visible, n_heads);
    }
    composed::grouped_attention(query, key, value, visible)
}

/// `[rows, row_len, n_kv_heads, d_head]` to `[rows, row_len, n_heads, d_head]`: each head as often as queries share it.
#[cfg(feature = "flex")]
fn repeat_heads(heads: Tensor<4>, n_heads: usize) -> Tensor<4> {
    let [rows, row_len, n_kv_heads, d_head] = heads.dims();
    if n_kv_heads == n_heads {
        return heads;
    }
    heads
        .unsqueeze_dim::<5>(3)
        .expand([rows, row_len, n_kv_heads, n_heads / n_kv_heads, d_head])
        .reshape([rows, row_len, n_heads, d_head])
}

/// The cached tokens that a new token may look at.
#[derive(Debug, Clone)]
pub struct DecodeView {
    /// `[batch]`, the number of padding tokens on the left of each sequence.
    pub visible_from: Tensor<1, Int>,
    /// Tokens in the cache before the new ones.
    pub filled: usize,
    /// Number of tokens that a token sees, itself and those before it; without a number it sees all of them.
    pub window: Option<usize>,
}

/// Writes the keys and values of new tokens into the cache at positions `view.filled ..`, and attends each new token
/// over what it may see, as [`crate::decode_attention`] does for one key head per query head. A padding token sees
/// itself only; nobody reads its output.
///
/// # Shapes
///
/// - `query`: `[batch, new_tokens, n_heads, d_head]`
/// - `key`, `value`: `[batch, new_tokens, n_kv_heads, d_head]`, as many heads as the cache has
/// - result: `[batch, new_tokens, n_heads * d_head]`
pub fn grouped_decode_attention(
    cache: KvLayer,
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    view: DecodeView,
) -> (Tensor<3>, KvLayer) {
    #[cfg(feature = "flex")]
    if flex::handles_plain(&query) {
        let [batch, new_tokens, n_heads, _] = query.dims();
        let flat = |heads: Tensor<4>| {
            let [_, _, heads_of_it, d_head] = heads.dims();
            heads.reshape([batch, new_tokens, heads_of_it * d_head])
        };
        let qkv = Tensor::cat(vec![flat(query), flat(key), flat(value)], 2);
        let place = flex::DecodePlace {
            n_heads,
            filled: view.filled,
            window: view.window,
        };
        return flex::decode_attention(cache, qkv, view.visible_from, place);
    }
    composed::grouped_decode_attention(cache, query, key, value, view)
}
