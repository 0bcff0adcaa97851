//! Attention with shared key and value heads, in which nothing is repeated: the queries that share a key head stand
//! side by side as rows of one matrix product.

use burn::tensor::{Bool, Int, Tensor, activation};

use super::{MASKED_SCORE, causal_mask, decode_mask};
use crate::{DecodeView, KvLayer};

/// Causal attention over packed rows. See [`crate::grouped_attention`].
pub fn grouped_attention(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, visible: Tensor<3, Int>) -> Tensor<3> {
    let key_t = key.swap_dims(1, 2).swap_dims(2, 3); // [rows, n_kv_heads, d_head, row_len]
    attend(query, key_t, value.swap_dims(1, 2), causal_mask(visible))
}

/// Attention of new tokens over a cache. See [`crate::grouped_decode_attention`].
pub fn grouped_decode_attention(
    cache: KvLayer,
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    view: DecodeView,
) -> (Tensor<3>, KvLayer) {
    let [batch, new_tokens, _, _] = key.dims();
    let (cache, keys, values) = cache.extended(key.swap_dims(1, 2), value.swap_dims(1, 2), view.filled);
    let mut hidden = decode_mask(view.visible_from, batch, view.filled, new_tokens);
    if let Some(window) = view.window {
        hidden = hidden.clone().bool_or(beyond_window(&hidden, view.filled, window));
    }
    (attend(query, keys, values, hidden), cache)
}

/// True where a key lies `window` tokens or more before a new token; as large as `mask`, `[batch, new_tokens, total]`.
fn beyond_window(mask: &Tensor<3, Bool>, filled: usize, window: usize) -> Tensor<3, Bool> {
    let [batch, new_tokens, total] = mask.dims();
    let device = mask.device();
    let key_index = Tensor::<1, Int>::arange(0..total as i64, &device).unsqueeze::<3>();
    let first = filled as i64 + 1 - window as i64;
    let first_seen = Tensor::<1, Int>::arange(first..first + new_tokens as i64, &device).reshape([1, new_tokens, 1]);
    key_index.lower(first_seen).expand([batch, new_tokens, total])
}

/// Softmax attention of `query` `[rows, new, n_heads, d_head]` over `key_t` `[rows, n_kv_heads, d_head, seen]` and
/// `value` `[rows, n_kv_heads, seen, d_head]`, blind where `hidden` `[rows, new, seen]` is true.
fn attend(query: Tensor<4>, key_t: Tensor<4>, value: Tensor<4>, hidden: Tensor<3, Bool>) -> Tensor<3> {
    let [rows, new, n_heads, d_head] = query.dims();
    let [_, n_kv_heads, _, seen] = key_t.dims();
    let group = n_heads / n_kv_heads;
    let query = query
        .swap_dims(1, 2) // [rows, n_heads, new, d_head]
        .reshape([rows, n_kv_heads, group * new, d_head]);
    let by_head = [rows, n_kv_heads, group, new, seen];
    let scores = (query.matmul(key_t) / (d_head as f64).sqrt()).reshape(by_head);
    let hidden = hidden.reshape([rows, 1, 1, new, seen]).expand(by_head);
    let weights = activation::softmax(scores.mask_fill(hidden, MASKED_SCORE), 4);
    weights
        .reshape([rows, n_kv_heads, group * new, seen])
        .matmul(value) // [rows, n_kv_heads, group * new, d_head]
        .reshape([rows, n_heads, new, d_head])
        .swap_dims(1, 2)
        .reshape([rows, new, n_heads * d_head])
}
