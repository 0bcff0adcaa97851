//! The same operations written with ordinary Burn operations.
//!
//! They run on every backend and Burn differentiates them itself, so they are what the crate uses away from Flex,
//! and what its tests compare the fused versions with. They make many passes over memory and keep every intermediate.

use burn::tensor::{Bool, DType, Device, Int, Tensor, activation};

use crate::{AdamWStep, EpsMode, KvLayer, TokenLogprobs};

mod grouped;

pub use grouped::{grouped_attention, grouped_decode_attention};

/// The value of a masked score: its exponential is zero, and unlike infinity it never makes a NaN.
const MASKED_SCORE: f32 = -1e30;

/// Weights as f32, if they are held in less.
pub(crate) fn widened(weight: Tensor<2>) -> Tensor<2> {
    match weight.dtype() {
        DType::BF16 => weight.cast(DType::F32),
        _ => weight,
    }
}

/// `x @ weight + bias`. See [`crate::linear`].
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    let y = x.matmul(weight); // [tokens, out]
    match bias {
        Some(bias) => y + bias.unsqueeze::<2>(),
        None => y,
    }
}

/// GELU by GPT-2's tanh formula. See [`crate::gelu_tanh`].
pub fn gelu_tanh(x: Tensor<2>) -> Tensor<2> {
    activation::gelu_approximate(x)
}

/// GELU by the error function. See [`crate::gelu_erf`].
pub fn gelu_erf(x: Tensor<2>) -> Tensor<2> {
    activation::gelu(x)
}

/// The gated activation. See [`crate::swiglu`].
pub fn swiglu(gate_up: Tensor<2>) -> Tensor<2> {
    let [tokens, width] = gate_up.dims();
    let gate = gate_up.clone().slice([0..tokens, 0..width / 2]);
    activation::silu(gate) * gate_up.slice([0..tokens, width / 2..width])
}

/// Root-mean-square normalisation over the last dimension. See [`crate::rms_norm`].
pub fn rms_norm(x: Tensor<2>, weight: Tensor<1>, eps: f64) -> Tensor<2> {
    let mean_square = x.clone().square().mean_dim(1); // [rows, 1]
    x / (mean_square + eps).sqrt() * weight.unsqueeze::<2>()
}

/// Rotary position embeddings. See [`crate::rotary`].
pub fn rotary(x: Tensor<3>, cos: Tensor<2>, sin: Tensor<2>) -> Tensor<3> {
    let [tokens, heads, d_head] = x.dims();
    let [_, pairs] = cos.dims();
    let (cos, sin) = (cos.unsqueeze_dim::<3>(1), sin.unsqueeze_dim::<3>(1)); // [tokens, 1, pairs]
    let part = |range: std::ops::Range<usize>| x.clone().slice([0..tokens, 0..heads, range]);
    let (first, second) = (part(0..pairs), part(pairs..2 * pairs)); // [tokens, heads, pairs]
    let mut parts = vec![
        first.clone() * cos.clone() - second.clone() * sin.clone(),
        second * cos + first * sin,
    ];
    if 2 * pairs < d_head {
        parts.push(part(2 * pairs..d_head));
    }
    Tensor::cat(parts, 2)
}

/// Layer normalisation over the last dimension. See [`crate::layer_norm`].
pub fn layer_norm(x: Tensor<2>, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Tensor<2> {
    let centred = x.clone() - x.mean_dim(1);
    let variance = centred.clone().square().mean_dim(1); // [tokens, 1]
    let normed = centred / (variance + eps).sqrt();
    normed * weight.unsqueeze::<2>() + bias.unsqueeze::<2>()
}

/// Causal attention over packed rows. See [`crate::causal_attention`].
pub fn causal_attention(qkv: Tensor<3>, visible: Tensor<3, Int>, n_heads: usize) -> Tensor<3> {
    let [rows, row_len, _] = qkv.dims();
    let [query, key, value] = split_heads(qkv, n_heads);
    debug_assert_eq!(visible.dims(), [rows, row_len, 3]);
    attend(query, key.swap_dims(2, 3), value, causal_mask(visible))
}

/// True where a token of a row may not look: `[rows, row_len, row_len]`.
fn causal_mask(visible: Tensor<3, Int>) -> Tensor<3, Bool> {
    let [rows, row_len, _] = visible.dims();
    let device = visible.device();
    let key_index = Tensor::<1, Int>::arange(0..row_len as i64, &device).unsqueeze::<3>(); // [1, 1, row_len]
    let query_index = Tensor::<1, Int>::arange(0..row_len as i64, &device).reshape([1, row_len, 1]);
    let [from, gap_from, gap_to] = [0, 1, 2].map(|part| visible.clone().narrow(2, part, 1)); // [rows, row_len, 1]
    let key_index = key_index.expand([rows, row_len, row_len]);
    let in_gap = key_index
        .clone()
        .greater_equal(gap_from)
        .bool_and(key_index.clone().lower(gap_to));
    key_index
        .clone()
        .greater(query_index.expand([rows, row_len, row_len]))
        .bool_or(key_index.lower(from))
        .bool_or(in_gap)
}

/// Log-probability and entropy at chosen targets. See [`crate::token_logprobs`].
pub fn token_logprobs(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: Tensor<1, Int>,
    temperature: f64,
) -> TokenLogprobs {
    let [selected, _] = hidden.dims();
    if selected == 0 {
        let empty = Tensor::zeros([0], &hidden.device());
        return TokenLogprobs {
            logprobs: empty.clone(),
            entropy: empty,
        };
    }
    let logits = hidden.matmul(weight.transpose()) / temperature; // [selected, vocab]
    let all = activation::log_softmax(logits, 1);
    let logprobs = all.clone().gather(1, targets.unsqueeze_dim::<2>(1)).squeeze_dim::<1>(1); // [selected]
    let all = all.detach();
    let entropy = -(all.clone().exp() * all).sum_dim(1).squeeze_dim::<1>(1); // [selected]
    TokenLogprobs { logprobs, entropy }
}

/// One AdamW update. See [`crate::adamw_step`].
pub fn adamw_step<const D: usize>(
    param: Tensor<D>,
    grad: Tensor<D>,
    exp_avg: Tensor<D>,
    exp_avg_sq: Tensor<D>,
    step: &AdamWStep,
) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
    let exp_avg = exp_avg * step.beta1 + grad.clone() * (1.0 - step.beta1);
    let exp_avg_sq = exp_avg_sq * step.beta2 + grad.square() * (1.0 - step.beta2);
    let (correction1, correction2) = step.bias_corrections();
    let param = param * (1.0 - step.lr * step.weight_decay);
    let param = match step.eps_mode {
        EpsMode::Torch => {
            let denominator = (exp_avg_sq.clone() / correction2).sqrt() + step.eps;
            param - exp_avg.clone() / denominator * (step.lr / correction1)
        }
        EpsMode::TensorFlow => {
            let denominator = exp_avg_sq.clone().sqrt() + step.eps;
            param - exp_avg.clone() / denominator * (step.lr * correction2.sqrt() / correction1)
        }
    };
    (param, exp_avg, exp_avg_sq)
}

/// Attention of new tokens over a cache. See [`crate::decode_attention`].
pub fn decode_attention(
    cache: KvLayer,
    qkv: Tensor<3>,
    visible_from: Tensor<1, Int>,
    filled: usize,
    n_heads: usize,
) -> (Tensor<3>, KvLayer) {
    let [batch, new_tokens, _] = qkv.dims();
    let [query, key, value] = split_heads(qkv, n_heads);
    let (cache, keys, values) = cache.extended(key, value, filled);
    let hidden = decode_mask(visible_from, batch, filled, new_tokens);
    (attend(query, keys, values, hidden), cache)
}

/// True where a new token may not look: `[batch, new_tokens, filled + new_tokens]`. A padding token sees itself.
fn decode_mask(visible_from: Tensor<1, Int>, batch: usize, filled: usize, new_tokens: usize) -> Tensor<3, Bool> {
    let device: Device = visible_from.device();
    let total = filled + new_tokens;
    let shape = [batch, new_tokens, total];
    let key_index = Tensor::<1, Int>::arange(0..total as i64, &device).unsqueeze::<3>();
    let query_index = Tensor::<1, Int>::arange(filled as i64..total as i64, &device).reshape([1, new_tokens, 1]);
    let own = key_index.clone().equal(query_index.clone()).expand(shape);
    let later = key_index.clone().greater(query_index).expand(shape);
    let padding = key_index.lower(visible_from.reshape([batch, 1, 1])).expand(shape);
    later.bool_or(padding.bool_and(own.bool_not()))
}

/// `[rows, row_len, 3 * d_model]` to query, key and value, each `[rows, n_heads, row_len, d_head]`.
fn split_heads(qkv: Tensor<3>, n_heads: usize) -> [Tensor<4>; 3] {
    let [rows, row_len, width] = qkv.dims();
    let d_model = width / 3;
    [0, 1, 2].map(|part| {
        qkv.clone()
            .slice([0..rows, 0..row_len, part * d_model..(part + 1) * d_model])
            .reshape([rows, row_len, n_heads, d_model / n_heads])
            .swap_dims(1, 2)
    })
}

/// Softmax attention of `query` `[rows, n_heads, new, d_head]` over `key_t` `[rows, n_heads, d_head, seen]` and
/// `value` `[rows, n_heads, seen, d_head]`, blind where `hidden` `[rows, new, seen]` is true.
fn attend(query: Tensor<4>, key_t: Tensor<4>, value: Tensor<4>, hidden: Tensor<3, Bool>) -> Tensor<3> {
    let [rows, n_heads, new, d_head] = query.dims();
    let [_, _, _, seen] = key_t.dims();
    let hidden = hidden.unsqueeze_dim::<4>(1).expand([rows, n_heads, new, seen]);
    let scores = query.matmul(key_t) / (d_head as f64).sqrt();
    let weights = activation::softmax(scores.mask_fill(hidden, MASKED_SCORE), 3);
    weights
        .matmul(value) // [rows, n_heads, new, d_head]
        .swap_dims(1, 2)
        .reshape([rows, new, n_heads * d_head])
}

/// A weighted sum of log-probabilities. See [`crate::logprob_sum`].
pub fn logprob_sum(hidden: Tensor<2>, weight: Tensor<2>, targets: Tensor<1, Int>, weights: Tensor<1>) -> Tensor<1> {
    (token_logprobs(hidden, weight, targets, 1.0).logprobs * weights).sum()
}
