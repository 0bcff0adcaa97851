//! Backward steps of the fused operations.
//!
//! Each operation takes its inputs apart into plain tensor and graph node, runs the forward pass, and registers a
//! [`Backward`] step with what that needs. Nothing is kept, and no gradient computed, for inputs without a node that
//! requires one.

use burn::backend::autodiff::{
    NodeId,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind},
};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Flex};
use burn_flex::FlexTensor;

use crate::Activation;

use super::attention::Visible;
use super::logprob_sum::{self, Wanted};
use super::matrix::Matrix;
use super::rotary::Turn;
use super::{
    FusedOps, activated_forward, activation, activation_forward, attention, attention_dims, attention_forward,
    contiguous, dims, indices, layer_norm, linear, linear_forward, logprobs, logprobs_head, logprobs_outputs, matrix,
    rms_norm, slice, slice_mut, strided, tensor, turned, weight_view, widened,
};

/// Hands a gradient to its node, if the node wants one.
fn register(grads: &mut Gradients, parent: Option<NodeId>, gradient: impl FnOnce() -> FlexTensor) {
    if let Some(parent) = parent {
        grads.register::<Flex>(parent, gradient());
    }
}

#[derive(Debug)]
struct LinearStep;

/// Input `x`, which the gradient of the weight alone needs: not there if the weight is frozen; and `weight`.
type LinearState = (Option<FlexTensor>, FlexTensor);

/// Registers the gradients of `x` and `weight` and returns that of the result.
fn linear_backward<const N: usize>(
    ops: Ops<LinearState, N>,
    grads: &mut Gradients,
) -> (FlexTensor, [Option<NodeId>; N]) {
    let grad = contiguous(grads.consume::<Flex>(&ops.node));
    let (x, weight) = ops.state;
    let mut parents = ops.parents.map(|parent| parent.map(|node| node.id));
    let ([tokens, _], [inputs, out]) = (dims(&grad), dims(&weight));
    register(grads, parents[0].take(), || {
        let weight = widened(weight);
        tensor(linear::backward_input(matrix(&grad), matrix(&weight)), [tokens, inputs])
    });
    register(grads, parents[1].take(), || {
        let x = x.expect("it is kept where the weight has a gradient");
        tensor(linear::backward_weight(matrix(&x), matrix(&grad)), [inputs, out])
    });
    (grad, parents)
}

impl Backward<Flex, 2> for LinearStep {
    type State = LinearState;

    fn backward(self, ops: Ops<LinearState, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        linear_backward(ops, grads);
    }
}

impl Backward<Flex, 3> for LinearStep {
    type State = LinearState;

    fn backward(self, ops: Ops<LinearState, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (grad, [_, _, bias]) = linear_backward(ops, grads);
        let [_, out] = dims(&grad);
        register(grads, bias, || tensor(linear::backward_bias(slice(&grad), out), [out]));
    }
}

#[derive(Debug)]
struct ActivatedLinearStep;

#[derive(Debug, Clone)]
struct ActivatedLinearState {
    inner: FlexTensor,
    activation: Activation,
    weight: FlexTensor,
}

/// Registers the gradients of `inner` and `weight` and returns that of the result.
fn activated_linear_backward<const N: usize>(
    ops: Ops<ActivatedLinearState, N>,
    grads: &mut Gradients,
) -> (FlexTensor, [Option<NodeId>; N]) {
    let grad = contiguous(grads.consume::<Flex>(&ops.node));
    let ActivatedLinearState {
        inner,
        activation,
        weight,
    } = ops.state;
    let mut parents = ops.parents.map(|parent| parent.map(|node| node.id));
    let ([tokens, width], [d_inner, out]) = (dims(&inner), dims(&weight));
    let of_activated = linear::backward_input(matrix(&grad), matrix(&widened(weight)));
    let of_inner = match parents[1].take() {
        None => activation::backward(activation, slice(&inner), d_inner, of_activated),
        of_weight => {
            let (of_inner, activated) =
                activation::backward_with_result(activation, slice(&inner), d_inner, of_activated);
            register(grads, of_weight, || {
                let activated = Matrix::new(&activated, tokens, d_inner);
                tensor(linear::backward_weight(activated, matrix(&grad)), [d_inner, out])
            });
            of_inner
        }
    };
    register(grads, parents[0].take(), || tensor(of_inner, [tokens, width]));
    (grad, parents)
}

impl Backward<Flex, 2> for ActivatedLinearStep {
    type State = ActivatedLinearState;

    fn backward(self, ops: Ops<ActivatedLinearState, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        activated_linear_backward(ops, grads);
    }
}

impl Backward<Flex, 3> for ActivatedLinearStep {
    type State = ActivatedLinearState;

    fn backward(self, ops: Ops<ActivatedLinearState, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (grad, [_, _, bias]) = activated_linear_backward(ops, grads);
        let [_, out] = dims(&grad);
        register(grads, bias, || tensor(linear::backward_bias(slice(&grad), out), [out]));
    }
}

#[derive(Debug)]
struct ActivationStep;

impl Backward<Flex, 1> for ActivationStep {
    type State = (FlexTensor, Activation);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = contiguous(grads.consume::<Flex>(&ops.node));
        let [parent] = ops.parents.map(|parent| parent.map(|node| node.id));
        let (inner, activation) = ops.state;
        register(grads, parent, || {
            let [_, d_inner] = dims(&grad);
            let gradient = activation::backward(activation, slice(&inner), d_inner, slice(&grad).to_vec());
            tensor(gradient, dims::<2>(&inner))
        });
    }
}

#[derive(Debug)]
struct LayerNormStep;

#[derive(Debug, Clone)]
struct LayerNormState {
    x: FlexTensor,
    weight: FlexTensor,
    moments: Vec<layer_norm::Moments>,
}

impl Backward<Flex, 3> for LayerNormStep {
    type State = LayerNormState;

    fn backward(self, ops: Ops<LayerNormState, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = contiguous(grads.consume::<Flex>(&ops.node));
        let LayerNormState { x, weight, moments } = ops.state;
        let [tokens, d_model] = dims(&x);
        let gradients = layer_norm::backward(slice(&x), slice(&weight), &moments, slice(&grad));
        let [x, weight, bias] = ops.parents.map(|parent| parent.map(|node| node.id));
        register(grads, x, || tensor(gradients.x, [tokens, d_model]));
        register(grads, weight, || tensor(gradients.weight, [d_model]));
        register(grads, bias, || tensor(gradients.bias, [d_model]));
    }
}

#[derive(Debug)]
struct RmsNormStep;

#[derive(Debug, Clone)]
struct RmsNormState {
    x: FlexTensor,
    weight: FlexTensor,
    roots: Vec<f32>,
}

impl Backward<Flex, 2> for RmsNormStep {
    type State = RmsNormState;

    fn backward(self, ops: Ops<RmsNormState, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = contiguous(grads.consume::<Flex>(&ops.node));
        let RmsNormState { x, weight, roots } = ops.state;
        let [rows, width] = dims(&x);
        let (dx, dweight) = rms_norm::backward(slice(&x), slice(&weight), &roots, slice(&grad));
        let [x, weight] = ops.parents.map(|parent| parent.map(|node| node.id));
        register(grads, x, || tensor(dx, [rows, width]));
        register(grads, weight, || tensor(dweight, [width]));
    }
}

#[derive(Debug)]
struct RotaryStep;

impl Backward<Flex, 1> for RotaryStep {
    /// Cosines and sines.
    type State = (FlexTensor, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = contiguous(grads.consume::<Flex>(&ops.node));
        let [parent] = ops.parents.map(|parent| parent.map(|node| node.id));
        let (cos, sin) = ops.state;
        register(grads, parent, || turned(&grad, &cos, &sin, Turn::Back));
    }
}

#[derive(Debug)]
struct AttentionStep;

#[derive(Debug, Clone)]
struct AttentionState {
    qkv: FlexTensor,
    visible: Vec<Visible>,
    n_heads: usize,
    output: FlexTensor,
    log_sums: FlexTensor,
}

impl Backward<Flex, 1> for AttentionStep {
    type State = AttentionState;

    fn backward(self, ops: Ops<AttentionState, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = contiguous(grads.consume::<Flex>(&ops.node));
        let AttentionState {
            qkv,
            visible,
            n_heads,
            output,
            log_sums,
        } = ops.state;
        let forward = attention::Forward {
            output: slice(&output),
            log_sums: slice(&log_sums),
        };
        let [parent] = ops.parents.map(|parent| parent.map(|node| node.id));
        register(grads, parent, || {
            let sizes = attention_dims(&qkv, n_heads);
            let dqkv = attention::backward(slice(&qkv), &visible, forward, slice(&grad), sizes);
            tensor(dqkv, dims::<3>(&qkv))
        });
    }
}

#[derive(Debug)]
struct LogprobsStep;

#[derive(Debug, Clone)]
struct LogprobsState {
    hidden: FlexTensor,
    weight: FlexTensor,
    targets: Vec<usize>,
    temperature: f64,
    stats: Vec<logprobs::Softmax>,
}

impl Backward<Flex, 2> for LogprobsStep {
    type State = LogprobsState;

    fn backward(self, ops: Ops<LogprobsState, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = contiguous(grads.consume::<Flex>(&ops.node));
        let LogprobsState {
            hidden,
            weight,
            targets,
            temperature,
            stats,
        } = ops.state;
        let head = logprobs_head(&hidden, &weight, &targets, temperature);
        let [hidden_node, weight_node] = ops.parents.map(|parent| parent.map(|node| node.id));
        let gradients = logprobs::backward(head, &stats, slice(&grad), weight_node.is_some());
        register(grads, hidden_node, || tensor(gradients.hidden, dims::<2>(&hidden)));
        if let Some(gradient) = gradients.weight {
            register(grads, weight_node, || tensor(gradient, dims::<2>(&weight)));
        }
    }
}

#[derive(Debug)]
struct LogprobSumStep;

impl Backward<Flex, 2> for LogprobSumStep {
    /// Gradients of hidden states and weight where that of the sum is 1, those that are wanted.
    type State = [Option<FlexTensor>; 2];

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = contiguous(grads.consume::<Flex>(&ops.node));
        let factor = slice(&grad)[0];
        let nodes = ops.parents.map(|parent| parent.map(|node| node.id));
        for (node, gradient) in nodes.into_iter().zip(ops.state) {
            let Some(mut gradient) = gradient else { continue };
            register(grads, node, || {
                if factor != 1.0 {
                    slice_mut(&mut gradient).iter_mut().for_each(|value| *value *= factor);
                }
                gradient
            });
        }
    }
}

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
