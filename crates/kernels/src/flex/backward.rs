//! Backward steps of the fused operations, and what each needs of its forward pass. No gradient is computed for inputs without a
//! node that requires one.

use burn::backend::Flex;
use burn::backend::autodiff::{
    NodeId,
    checkpoint::base::Checkpointer,
    grads::Gradients,
    ops::{Backward, Ops},
};
use burn_flex::FlexTensor;

use super::attention::Visible;
use super::matrix::Matrix;
use super::rotary::Turn;
use super::{
    activation, attention, attention_dims, contiguous, dims, layer_norm, linear, logprobs, logprobs_head, matrix,
    rms_norm, slice, slice_mut, tensor, turned, widened,
};
use crate::Activation;

/// Hands a gradient to its node, if the node wants one.
fn register(grads: &mut Gradients, parent: Option<NodeId>, gradient: impl FnOnce() -> FlexTensor) {
    if let Some(parent) = parent {
        grads.register::<Flex>(parent, gradient());
    }
}

#[derive(Debug)]
pub(super) struct LinearStep;

/// Input `x`, which the gradient of the weight alone needs: not there if the weight is frozen; and `weight`.
pub(super) type LinearState = (Option<FlexTensor>, FlexTensor);

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
pub(super) struct ActivatedLinearStep;

#[derive(Debug, Clone)]
pub(super) struct ActivatedLinearState {
    pub(super) inner: FlexTensor,
    pub(super) activation: Activation,
    pub(super) weight: FlexTensor,
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
pub(super) struct ActivationStep;

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
pub(super) struct LayerNormStep;

#[derive(Debug, Clone)]
pub(super) struct LayerNormState {
    pub(super) x: FlexTensor,
    pub(super) weight: FlexTensor,
    pub(super) moments: Vec<layer_norm::Moments>,
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
pub(super) struct RmsNormStep;

#[derive(Debug, Clone)]
pub(super) struct RmsNormState {
    pub(super) x: FlexTensor,
    pub(super) weight: FlexTensor,
    pub(super) roots: Vec<f32>,
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
pub(super) struct RotaryStep;

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
pub(super) struct AttentionStep;

#[derive(Debug, Clone)]
pub(super) struct AttentionState {
    pub(super) qkv: FlexTensor,
    pub(super) visible: Vec<Visible>,
    pub(super) n_heads: usize,
    pub(super) output: FlexTensor,
    pub(super) log_sums: FlexTensor,
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
pub(super) struct LogprobsStep;

#[derive(Debug, Clone)]
pub(super) struct LogprobsState {
    pub(super) hidden: FlexTensor,
    pub(super) weight: FlexTensor,
    pub(super) targets: Vec<usize>,
    pub(super) temperature: f64,
    pub(super) stats: Vec<logprobs::Softmax>,
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
pub(super) struct LogprobSumStep;

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
