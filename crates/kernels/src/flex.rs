//! The fused operations on Burn's Flex backend.
//!
//! [`FusedOps`] is how Burn lets a crate add operations to its backends: `backend_extension` routes a call by the
//! device of its tensors to the implementation for plain Flex tensors (here) or for tracked ones (`autodiff`). The
//! arithmetic lives in one module per operation and knows slices only.

mod activation;
mod adamw;
mod attention;
mod autodiff;
mod backward;
mod decode;
pub(crate) mod dispatch;
mod exponentials;
mod gelu;
mod half_weights;
mod layer_norm;
mod linear;
mod logprob_sum;
mod logprobs;
mod matrix;
mod packed;
mod rms_norm;
mod rotary;
mod simd;
mod swiglu;
mod tensors;
mod updates;

use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Backend, Dispatch, DispatchDevice, Flex, backend_extension};
use burn::tensor::{DType, Device, Int, Tensor};
use burn_flex::FlexTensor;

pub(crate) use exponentials::exponentials;
#[cfg(test)]
pub(crate) use updates::FusedUpdates;
pub(crate) use updates::{DecodePlace, adamw_step, decode_attention, pack, packed_columns, packed_linear};

use crate::{Activation, TokenLogprobs};
use attention::{Forward, Visible};
use half_weights::HalfMatrix;
use logprob_sum::Wanted;
use logprobs::HeadWeight;
use rotary::{Angles, Turn};
use tensors::{contiguous, dims, indices, matrix, slice, slice_half, slice_mut, strided, tensor};

/// Operations that Flex tensors have besides Burn's own. Shapes are those of the crate's public functions.
#[backend_extension(Autodiff, Flex)]
pub(crate) trait FusedOps: Backend {
    fn fused_matmul(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;

    fn fused_linear(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self>;

    fn fused_activated_matmul(
        inner: FloatTensor<Self>,
        activation: Activation,
        weight: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    fn fused_activated_linear(
        inner: FloatTensor<Self>,
        activation: Activation,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    fn fused_activation(inner: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self>;

    fn fused_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        eps: f32,
    ) -> FloatTensor<Self>;

    fn fused_rms_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, eps: f32) -> FloatTensor<Self>;

    fn fused_rotary(x: FloatTensor<Self>, cos: FloatTensor<Self>, sin: FloatTensor<Self>) -> FloatTensor<Self>;

    fn fused_attention(qkv: FloatTensor<Self>, visible: IntTensor<Self>, n_heads: usize) -> FloatTensor<Self>;

    fn fused_logprobs(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        targets: IntTensor<Self>,
        temperature: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    fn fused_logprob_sum(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        targets: IntTensor<Self>,
        weights: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
}

/// True of tensors that [`FusedOps`] takes: `f32` on Flex, tracked or not.
pub(crate) fn handles<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32 && on_flex(tensor.device())
}

/// True of tensors that [`FusedUpdates`] takes: `f32` on Flex, not tracked.
pub(crate) fn handles_plain<const D: usize>(tensor: &Tensor<D>) -> bool {
    !tensor.device().is_autodiff() && handles(tensor)
}

fn on_flex(device: Device) -> bool {
    matches!(device.without_autodiff().as_dispatch(), DispatchDevice::Flex(_))
}

pub(crate) fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(match bias {
        Some(bias) => Dispatch::fused_linear(x, weight, bias.into_dispatch()),
        None => Dispatch::fused_matmul(x, weight),
    })
}

pub(crate) fn activated_linear(
    inner: Tensor<2>,
    activation: Activation,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<2> {
    let (inner, weight) = (inner.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(match bias {
        Some(bias) => Dispatch::fused_activated_linear(inner, activation, weight, bias.into_dispatch()),
        None => Dispatch::fused_activated_matmul(inner, activation, weight),
    })
}

pub(crate) fn activation(inner: Tensor<2>, activation: Activation) -> Tensor<2> {
    Tensor::from_dispatch(Dispatch::fused_activation(inner.into_dispatch(), activation))
}

pub(crate) fn layer_norm(x: Tensor<2>, weight: Tensor<1>, bias: Tensor<1>, eps: f64) -> Tensor<2> {
    let [weight, bias] = [weight, bias].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::fused_layer_norm(x.into_dispatch(), weight, bias, eps as f32))
}

pub(crate) fn rms_norm(x: Tensor<2>, weight: Tensor<1>, eps: f64) -> Tensor<2> {
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(Dispatch::fused_rms_norm(x, weight, eps as f32))
}

pub(crate) fn rotary(x: Tensor<3>, cos: Tensor<2>, sin: Tensor<2>) -> Tensor<3> {
    let [cos, sin] = [cos, sin].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::fused_rotary(x.into_dispatch(), cos, sin))
}

pub(crate) fn causal_attention(qkv: Tensor<3>, visible: Tensor<3, Int>, n_heads: usize) -> Tensor<3> {
    let visible = visible.into_dispatch();
    Tensor::from_dispatch(Dispatch::fused_attention(qkv.into_dispatch(), visible, n_heads))
}

pub(crate) fn token_logprobs(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: Tensor<1, Int>,
    temperature: f64,
) -> TokenLogprobs {
    let [hidden, weight] = [hidden, weight].map(Tensor::into_dispatch);
    let (logprobs, entropy) = Dispatch::fused_logprobs(hidden, weight, targets.into_dispatch(), temperature);
    TokenLogprobs {
        logprobs: Tensor::from_dispatch(logprobs),
        entropy: Tensor::from_dispatch(entropy),
    }
}

pub(crate) fn logprobs_workspace(selected: usize, vocab: usize, d_model: usize) -> usize {
    logprobs::workspace(selected, vocab, d_model)
}

pub(crate) fn logprob_sum(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    targets: Tensor<1, Int>,
    weights: Tensor<1>,
) -> Tensor<1> {
    let weights = if hidden.is_autodiff() && !weights.is_autodiff() {
        Tensor::from_inner(weights)
    } else {
        weights
    };
    let [hidden, weight] = [hidden, weight].map(Tensor::into_dispatch);
    let (targets, weights) = (targets.into_dispatch(), weights.into_dispatch());
    Tensor::from_dispatch(Dispatch::fused_logprob_sum(hidden, weight, targets, weights))
}

pub(crate) fn logprob_sum_workspace(selected: usize, vocab: usize) -> usize {
    logprob_sum::workspace(selected, vocab)
}

impl FusedOps for Flex {
    fn fused_matmul(x: FlexTensor, weight: FlexTensor) -> FlexTensor {
        linear_forward(&strided(x), &weight_view(weight), None)
    }

    fn fused_linear(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        linear_forward(&strided(x), &weight_view(weight), Some(&contiguous(bias)))
    }

    fn fused_activated_matmul(inner: FlexTensor, activation: Activation, weight: FlexTensor) -> FlexTensor {
        activated_forward(&contiguous(inner), activation, &weight_view(weight), None)
    }

    fn fused_activated_linear(
        inner: FlexTensor,
        activation: Activation,
        weight: FlexTensor,
        bias: FlexTensor,
    ) -> FlexTensor {
        let bias = contiguous(bias);
        activated_forward(&contiguous(inner), activation, &weight_view(weight), Some(&bias))
    }

    fn fused_activation(inner: FlexTensor, activation: Activation) -> FlexTensor {
        activation_forward(&contiguous(inner), activation)
    }

    fn fused_layer_norm(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, eps: f32) -> FlexTensor {
        let [x, weight, bias] = [x, weight, bias].map(contiguous);
        let (y, _) = layer_norm::forward(slice(&x), slice(&weight), slice(&bias), eps);
        tensor(y, dims::<2>(&x))
    }

    fn fused_rms_norm(x: FlexTensor, weight: FlexTensor, eps: f32) -> FlexTensor {
        let [x, weight] = [x, weight].map(contiguous);
        let (y, _) = rms_norm::forward(slice(&x), slice(&weight), eps);
        tensor(y, dims::<2>(&x))
    }

    fn fused_rotary(x: FlexTensor, cos: FlexTensor, sin: FlexTensor) -> FlexTensor {
        let [x, cos, sin] = [x, cos, sin].map(contiguous);
        turned(&x, &cos, &sin, Turn::Forward)
    }

    fn fused_attention(qkv: FlexTensor, visible: FlexTensor, n_heads: usize) -> FlexTensor {
        let qkv = contiguous(qkv);
        let (output, _) = attention_forward(&qkv, &Visible::from_flat(&indices(visible)), n_heads);
        output
    }

    fn fused_logprobs(
        hidden: FlexTensor,
        weight: FlexTensor,
        targets: FlexTensor,
        temperature: f64,
    ) -> (FlexTensor, FlexTensor) {
        let [hidden, weight] = [hidden, weight].map(contiguous);
        let targets = indices(targets);
        let stats = logprobs::forward(logprobs_head(&hidden, &weight, &targets, temperature));
        logprobs_outputs(&stats)
    }

    fn fused_logprob_sum(
        hidden: FlexTensor,
        weight: FlexTensor,
        targets: FlexTensor,
        weights: FlexTensor,
    ) -> FlexTensor {
        let [hidden, weight, weights] = [hidden, weight, weights].map(contiguous);
        let targets = indices(targets);
        let none = Wanted {
            hidden: false,
            weight: false,
        };
        let sum = logprob_sum::forward(logprobs_head(&hidden, &weight, &targets, 1.0), slice(&weights), none);
        tensor(vec![sum.value], [1])
    }
}

fn linear_forward(x: &FlexTensor, weight: &FlexTensor, bias: Option<&FlexTensor>) -> FlexTensor {
    let (x, bias, [inputs, out]) = (matrix(x), bias.map(slice), dims(weight));
    let y = match weight.dtype() {
        DType::BF16 => half_weights::forward(x, HalfMatrix::new(slice_half(weight), inputs, out), bias),
        _ => linear::forward(x, matrix(weight), bias),
    };
    tensor(y, [x.rows(), out])
}

fn activation_forward(inner: &FlexTensor, activation: Activation) -> FlexTensor {
    let [tokens, width] = dims(inner);
    let d_inner = match activation {
        Activation::GeluTanh | Activation::GeluErf => width,
        Activation::SwiGlu => width / 2,
    };
    tensor(
        activation::forward(activation, slice(inner), d_inner),
        [tokens, d_inner],
    )
}

fn activated_forward(
    inner: &FlexTensor,
    activation: Activation,
    weight: &FlexTensor,
    bias: Option<&FlexTensor>,
) -> FlexTensor {
    linear_forward(&activation_forward(inner, activation), weight, bias)
}

/// The weight as f32: itself, unless it is held as bf16.
fn widened(weight: FlexTensor) -> FlexTensor {
    match weight.dtype() {
        DType::BF16 => {
            let weight = contiguous(weight);
            let shape: [usize; 2] = dims(&weight);
            tensor(half_weights::widened(slice_half(&weight)), shape)
        }
        _ => weight,
    }
}

/// A weight ready for [`linear_forward`].
fn weight_view(weight: FlexTensor) -> FlexTensor {
    match weight.dtype() {
        DType::BF16 => contiguous(weight),
        _ => strided(weight),
    }
}

/// `x` `[tokens, heads, d_head]` turned by the angles of `cos` and `sin`, `[tokens, pairs]`.
fn turned(x: &FlexTensor, cos: &FlexTensor, sin: &FlexTensor, turn: Turn) -> FlexTensor {
    let ([tokens, heads, d_head], [_, pairs]) = (dims(x), dims(cos));
    let angles = Angles {
        cos: slice(cos),
        sin: slice(sin),
        pairs,
        d_head,
    };
    tensor(
        rotary::turn(slice(x), heads * d_head, angles, turn),
        [tokens, heads, d_head],
    )
}

fn attention_dims(qkv: &FlexTensor, n_heads: usize) -> attention::Dims {
    let [rows, row_len, width] = dims(qkv);
    attention::Dims {
        rows,
        row_len,
        n_heads,
        d_head: width / 3 / n_heads,
    }
}

/// Output and log-sums `[rows, n_heads, row_len]`.
fn attention_forward(qkv: &FlexTensor, visible: &[Visible], n_heads: usize) -> (FlexTensor, FlexTensor) {
    let [rows, row_len, width] = dims(qkv);
    let Forward { output, log_sums } = attention::forward(slice(qkv), visible, attention_dims(qkv, n_heads));
    (
        tensor(output, [rows, row_len, width / 3]),
        tensor(log_sums, [rows, n_heads, row_len]),
    )
}

fn logprobs_head<'a>(
    hidden: &'a FlexTensor,
    weight: &'a FlexTensor,
    targets: &'a [usize],
    temperature: f64,
) -> logprobs::Head<'a> {
    let [_, d_model] = dims(weight);
    logprobs::Head {
        hidden: slice(hidden),
        weight: match weight.dtype() {
            DType::BF16 => HeadWeight::Half(slice_half(weight)),
            _ => HeadWeight::Single(slice(weight)),
        },
        targets,
        d_model,
        inverse_temperature: (1.0 / temperature) as f32,
    }
}

/// Log-probabilities and entropies, both `[selected]`.
fn logprobs_outputs(stats: &[logprobs::Softmax]) -> (FlexTensor, FlexTensor) {
    let list = |values: Vec<f32>| tensor(values, [stats.len()]);
    (
        list(stats.iter().map(logprobs::Softmax::logprob).collect()),
        list(stats.iter().map(logprobs::Softmax::entropy).collect()),
    )
}
