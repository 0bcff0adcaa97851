//! The fused operations under autodiff.
//!
//! Each operation takes its inputs apart into plain tensor and graph node, runs the forward pass, and registers a step of
//! [`super::backward`] with what that needs. Nothing is kept for inputs without a node that requires a gradient.

use burn::backend::autodiff::{
    checkpoint::strategy::CheckpointStrategy,
    ops::{Backward, OpsKind},
};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Flex};
use burn_flex::FlexTensor;

use super::attention::Visible;
use super::backward::{
    ActivatedLinearState, ActivatedLinearStep, ActivationStep, AttentionState, AttentionStep, LayerNormState,
    LayerNormStep, LinearStep, LogprobSumStep, LogprobsState, LogprobsStep, RmsNormState, RmsNormStep, RotaryStep,
};
use super::logprob_sum::{self, Wanted};
use super::rotary::Turn;
use super::{
    FusedOps, activated_forward, activation_forward, attention_forward, contiguous, dims, indices, layer_norm,
    linear_forward, logprobs, logprobs_head, logprobs_outputs, rms_norm, slice, strided, tensor, turned, weight_view,
};
use crate::Activation;

impl<C: CheckpointStrategy> FusedOps for Autodiff<Flex, C> {
    fn fused_matmul(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        let is_trained = weight.is_tracked();
        let ((x, x_node), (weight, weight_node)) = (x.into_parts(), weight.into_parts());
        let (x, weight) = (strided(x), weight_view(weight));
        let y = linear_forward(&x, &weight, None);
        let nodes: [_; 2] = [x_node, weight_node];
        match LinearStep.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((is_trained.then_some(x), weight), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn fused_linear(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
        let is_trained = weight.is_tracked();
        let ((x, x_node), (weight, weight_node)) = (x.into_parts(), weight.into_parts());
        let (bias, bias_node) = bias.into_parts();
        let (x, weight) = (strided(x), weight_view(weight));
        let y = linear_forward(&x, &weight, Some(&contiguous(bias)));
        let nodes: [_; 3] = [x_node, weight_node, bias_node];
        match LinearStep.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((is_trained.then_some(x), weight), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn fused_activated_matmul(
        inner: FloatTensor<Self>,
        activation: Activation,
        weight: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let ((inner, inner_node), (weight, weight_node)) = (inner.into_parts(), weight.into_parts());
        let (inner, weight) = (contiguous(inner), weight_view(weight));
        let y = activated_forward(&inner, activation, &weight, None);
        let state = ActivatedLinearState {
            inner,
            activation,
            weight,
        };
        let nodes: [_; 2] = [inner_node, weight_node];
        match ActivatedLinearStep.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(state, y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn fused_activated_linear(
        inner: FloatTensor<Self>,
        activation: Activation,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let ((inner, inner_node), (weight, weight_node)) = (inner.into_parts(), weight.into_parts());
        let (bias, bias_node) = bias.into_parts();
        let (inner, weight) = (contiguous(inner), weight_view(weight));
        let y = activated_forward(&inner, activation, &weight, Some(&contiguous(bias)));
        let state = ActivatedLinearState {
            inner,
            activation,
            weight,
        };
        let nodes: [_; 3] = [inner_node, weight_node, bias_node];
        match ActivatedLinearStep.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(state, y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn fused_activation(inner: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        let (inner, node) = inner.into_parts();
        let inner = contiguous(inner);
        let y = activation_forward(&inner, activation);
        match ActivationStep.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((inner, activation), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn fused_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        eps: f32,
    ) -> FloatTensor<Self> {
        let ((x, x_node), (weight, weight_node)) = (x.into_parts(), weight.into_parts());
        let (bias, bias_node) = bias.into_parts();
        let [x, weight, bias] = [x, weight, bias].map(contiguous);
        let (y, moments) = layer_norm::forward(slice(&x), slice(&weight), slice(&bias), eps);
        let y = tensor(y, dims::<2>(&x));
        match LayerNormStep
            .prepare::<C>([x_node, weight_node, bias_node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish(LayerNormState { x, weight, moments }, y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn fused_rms_norm(x: FloatTensor<Self>, weight: FloatTensor<Self>, eps: f32) -> FloatTensor<Self> {
        let ((x, x_node), (weight, weight_node)) = (x.into_parts(), weight.into_parts());
        let [x, weight] = [x, weight].map(contiguous);
        let (y, roots) = rms_norm::forward(slice(&x), slice(&weight), eps);
        let y = tensor(y, dims::<2>(&x));
        let nodes = [x_node, weight_node];
        match RmsNormStep.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(RmsNormState { x, weight, roots }, y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn fused_rotary(x: FloatTensor<Self>, cos: FloatTensor<Self>, sin: FloatTensor<Self>) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        // Angles are constants.
        let [(cos, _), (sin, _)] = [cos, sin].map(FloatTensor::<Self>::into_parts);
        let [x, cos, sin] = [x, cos, sin].map(contiguous);
        let y = turned(&x, &cos, &sin, Turn::Forward);
        match RotaryStep.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((cos, sin), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn fused_attention(qkv: FloatTensor<Self>, visible: FlexTensor, n_heads: usize) -> FloatTensor<Self> {
        let (qkv, node) = qkv.into_parts();
        let (qkv, visible) = (contiguous(qkv), Visible::from_flat(&indices(visible)));
        let (output, log_sums) = attention_forward(&qkv, &visible, n_heads);
        match AttentionStep.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let state = AttentionState {
                    qkv,
                    visible,
                    n_heads,
                    output: output.clone(),
                    log_sums,
                };
                prep.finish(state, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn fused_logprobs(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        targets: FlexTensor,
        temperature: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let ((hidden, hidden_node), (weight, weight_node)) = (hidden.into_parts(), weight.into_parts());
        let [hidden, weight] = [hidden, weight].map(contiguous);
        let targets = indices(targets);
        let stats = logprobs::forward(logprobs_head(&hidden, &weight, &targets, temperature));
        let (logprobs, entropy) = logprobs_outputs(&stats);
        let nodes = [hidden_node, weight_node];
        let logprobs = match LogprobsStep.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let state = LogprobsState {
                    hidden,
                    weight,
                    targets,
                    temperature,
                    stats,
                };
                prep.finish(state, logprobs)
            }
            OpsKind::UnTracked(prep) => prep.finish(logprobs),
        };
        (logprobs, Self::from_inner(entropy))
    }

    fn fused_logprob_sum(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        targets: FlexTensor,
        weights: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let wanted = Wanted {
            hidden: hidden.is_tracked(),
            weight: weight.is_tracked(),
        };
        let ((hidden, hidden_node), (weight, weight_node)) = (hidden.into_parts(), weight.into_parts());
        // Weights are constants.
        let (weights, _) = weights.into_parts();
        let [hidden, weight, weights] = [hidden, weight, weights].map(contiguous);
        let targets = indices(targets);
        let sum = logprob_sum::forward(logprobs_head(&hidden, &weight, &targets, 1.0), slice(&weights), wanted);
        let value = tensor(vec![sum.value], [1]);
        let nodes = [hidden_node, weight_node];
        match LogprobSumStep.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let gradients = [(sum.hidden, &hidden), (sum.weight, &weight)];
                let state = gradients.map(|(values, of)| values.map(|values| tensor(values, dims::<2>(of))));
                prep.finish(state, value)
            }
            OpsKind::UnTracked(prep) => prep.finish(value),
        }
    }
}
