//! Linear, GELU, layer normalisation, AdamW.

use burn::backend::Flex;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_flex::FlexTensor;
use proptest::prelude::*;

use super::{Host, Operation, assert_close, check, rng, run, values};
use crate::flex::FusedUpdates;
use crate::{
    Activation, AdamWStep, EpsMode, PackedWeight, activated_linear, adamw_step, composed, gelu_erf, gelu_tanh,
    layer_norm, linear,
};

const ACTIVATIONS: [Activation; 3] = [Activation::GeluTanh, Activation::GeluErf, Activation::SwiGlu];

fn composed_activation(activation: Activation, inner: Tensor<2>) -> Tensor<2> {
    match activation {
        Activation::GeluTanh => composed::gelu_tanh(inner),
        Activation::GeluErf => composed::gelu_erf(inner),
        Activation::SwiGlu => composed::swiglu(inner),
    }
}

/// The one row of a matrix.
fn row(matrix: &Tensor<2>) -> Tensor<1> {
    let [_, len] = matrix.dims();
    matrix.clone().reshape([len])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn linear_is_composed_linear(tokens in 1..300_usize, inputs in 1..70_usize, out in 1..70_usize, seed: u64) {
        let rng = &mut rng(seed);
        let tensors = [
            Host::random(rng, [tokens, inputs], 1.0),
            Host::random(rng, [inputs, out], 1.0),
            Host::random(rng, [1, out], 1.0),
        ];
        check(
            &|t| linear(t[0].clone(), t[1].clone(), Some(row(&t[2]))),
            &|t| composed::linear(t[0].clone(), t[1].clone(), Some(row(&t[2]))),
            &tensors,
            rng,
        );
        check(
            &|t| linear(t[0].clone(), t[1].clone(), None),
            &|t| composed::linear(t[0].clone(), t[1].clone(), None),
            &tensors[..2],
            rng,
        );
    }

    #[test]
    fn linear_takes_a_transposed_weight_and_a_part_of_x(tokens in 1..9_usize, out in 1..40_usize, seed: u64) {
        let rng = &mut rng(seed);
        let tensors = [Host::random(rng, [tokens + 2, 24], 1.0), Host::random(rng, [out, 24], 1.0)];
        let part = |t: &[Tensor<2>]| t[0].clone().slice([1..tokens + 1, 0..24]);
        check(
            &|t| linear(part(t), t[1].clone().transpose(), None),
            &|t| composed::linear(part(t), t[1].clone().transpose(), None),
            &tensors,
            rng,
        );
    }

    #[test]
    fn a_packed_weight_is_the_weight(tokens in 0..130_usize, inputs in 1..70_usize, out in 1..200_usize, seed: u64) {
        let rng = &mut rng(seed);
        let device = Device::flex();
        let x = Host::random(rng, [tokens, inputs], 1.0).on(&device);
        let (weight, bias) = (Host::random(rng, [inputs, out], 1.0).on(&device), Host::random(rng, [1, out], 1.0));
        let transposed = weight.clone().transpose().mul_scalar(1.0).transpose();
        for weight in [weight, transposed] {
            let packed = PackedWeight::new(&weight).expect("f32 on Flex");
            for bias in [None, Some(row(&bias.on(&device)))] {
                let expected = linear(x.clone(), weight.clone(), bias.clone());
                assert_close(&values(packed.linear(x.clone(), bias)), &values(expected), 1e-6, "product");
            }
            let picked: Vec<i64> = [0, out - 1, seed as usize % out, 0].iter().map(|&i| i as i64).collect();
            let picked = Tensor::<1, Int>::from_data(picked.as_slice(), &device);
            assert_eq!(values(packed.columns(picked.clone())), values(weight.transpose().select(0, picked)));
        }
    }

    #[test]
    fn gelu_is_composed_gelu(tokens in 1..80_usize, features in 1..400_usize, seed: u64) {
        let rng = &mut rng(seed);
        let x = Host::random(rng, [tokens, features], 4.0);
        check(&|t| gelu_tanh(t[0].clone()), &|t| composed::gelu_tanh(t[0].clone()), std::slice::from_ref(&x), rng);
        check(&|t| gelu_erf(t[0].clone()), &|t| composed::gelu_erf(t[0].clone()), &[x], rng);
    }

    #[test]
    fn activated_linear_is_composed(tokens in 1..40_usize, d_inner in 1..90_usize, out in 1..40_usize, seed: u64) {
        let rng = &mut rng(seed);
        for activation in ACTIVATIONS {
            let width = if activation == Activation::SwiGlu { 2 * d_inner } else { d_inner };
            let tensors = [
                Host::random(rng, [tokens, width], 3.0),
                Host::random(rng, [d_inner, out], 1.0),
                Host::random(rng, [1, out], 1.0),
            ];
            let by_parts = |t: &[Tensor<2>], bias| {
                composed::linear(composed_activation(activation, t[0].clone()), t[1].clone(), bias)
            };
            check(
                &|t| activated_linear(t[0].clone(), activation, t[1].clone(), Some(row(&t[2]))),
                &|t| by_parts(t, Some(row(&t[2]))),
                &tensors,
                rng,
            );
            check(
                &|t| activated_linear(t[0].clone(), activation, t[1].clone(), None),
                &|t| by_parts(t, None),
                &tensors[..2],
                rng,
            );
        }
    }

    #[test]
    fn layer_norm_is_composed_layer_norm(tokens in 1..300_usize, d_model in 2..200_usize, seed: u64) {
        let rng = &mut rng(seed);
        let tensors = [
            Host::random(rng, [tokens, d_model], 2.0),
            Host::random(rng, [1, d_model], 1.0),
            Host::random(rng, [1, d_model], 1.0),
        ];
        check(
            &|t| layer_norm(t[0].clone(), row(&t[1]), row(&t[2]), 1e-2),
            &|t| composed::layer_norm(t[0].clone(), row(&t[1]), row(&t[2]), 1e-2),
            &tensors,
            rng,
        );
    }

    #[test]
    fn adamw_is_composed_adamw(n in 1..40_000_usize, step in 1..2000_usize, torch: bool, seed: u64) {
        let rng = &mut rng(seed);
        let hosts: Vec<_> = (0..4).map(|_| Host::random(rng, [1, n], 1.0)).collect();
        let device = Device::flex();
        let tensors = || {
            let mut tensors = hosts.iter().map(|host| host.on(&device));
            let mut next = || tensors.next().unwrap();
            (next(), next(), next(), next().square())
        };
        let eps_mode = if torch { EpsMode::Torch } else { EpsMode::TensorFlow };
        let numbers = AdamWStep {
            lr: 1e-2, beta1: 0.9, beta2: 0.95, eps: 1e-5, weight_decay: 0.1, step, eps_mode,
        };
        let (param, grad, mean, square) = tensors();
        let actual = adamw_step(param, grad, mean, square, &numbers);
        let (param, grad, mean, square) = tensors();
        let expected = composed::adamw_step(param, grad, mean, square, &numbers);
        assert_close(&values(actual.0), &values(expected.0), 1e-6, "parameter");
        assert_close(&values(actual.1), &values(expected.1), 1e-6, "mean");
        assert_close(&values(actual.2), &values(expected.2), 1e-6, "mean of squares");
    }
}

/// The backward pass computes anew, to the bit, what the forward pass had.
#[test]
fn an_activated_linear_layer_is_an_activation_and_a_linear_layer() {
    let rng = &mut rng(5);
    for activation in ACTIVATIONS {
        let width = if activation == Activation::SwiGlu { 66 } else { 33 };
        let tensors = [
            Host::random(rng, [150, width], 3.0),
            Host::random(rng, [33, 7], 1.0),
            Host::random(rng, [1, 7], 1.0),
        ];
        let upstream = Host::random(rng, [150, 7], 1.0);
        let at_once: Operation<'_> = &|t| activated_linear(t[0].clone(), activation, t[1].clone(), Some(row(&t[2])));
        let by_parts: Operation<'_> = &|t| linear(activation.apply(t[0].clone()), t[1].clone(), Some(row(&t[2])));
        assert_eq!(run(at_once, &tensors, &upstream), run(by_parts, &tensors, &upstream));
    }
}

#[test]
fn no_tokens_give_no_tokens() {
    let device = Device::flex().autodiff();
    let empty = || Tensor::<2>::zeros([0, 8], &device).require_grad();
    let (weight, bias) = (
        Tensor::<2>::ones([8, 5], &device).require_grad(),
        Tensor::<1>::ones([8], &device),
    );
    assert_eq!(gelu_tanh(empty()).dims(), [0, 8]);
    let after_gelu = activated_linear(empty(), Activation::GeluErf, weight.clone(), None);
    assert_eq!(after_gelu.dims(), [0, 5]);
    assert_eq!(layer_norm(empty(), bias.clone(), bias, 1e-5).dims(), [0, 8]);
    let y = linear(empty(), weight.clone(), None);
    assert_eq!(y.dims(), [0, 5]);
    let grads = y.sum().backward();
    assert_eq!(values(weight.grad(&grads).unwrap()), [0.0; 40]);
}

#[test]
fn gelu_of_large_numbers_is_the_number_or_zero_and_nan_stays() {
    let device = Device::flex().autodiff();
    let x = Tensor::<2>::from_floats([[1e20, 50.0, -50.0, -1e20, 0.0, f32::NAN]], &device).require_grad();
    for gelu in [gelu_tanh, gelu_erf] {
        let y = gelu(x.clone());
        let slopes = values(x.grad(&y.clone().sum().backward()).unwrap());
        let y = values(y);
        assert_eq!(y[..5], [1e20, 50.0, 0.0, 0.0, 0.0]);
        assert_close(&slopes[..5], &[1.0, 1.0, 0.0, 0.0, 0.5], 1e-7, "slopes");
        assert!(y[5].is_nan() && slopes[5].is_nan());
    }
}

#[test]
fn the_first_adamw_step_moves_each_weight_by_the_learning_rate() {
    // mean = 0.1 g, square = 0.001 g^2; corrected: g and g^2; step = lr * g / |g|. Decay: 2 * (1 - 0.1 * 0.5) = 1.9.
    let device = Device::flex();
    let list = |values: [f32; 2]| Tensor::<1>::from_floats(values, &device);
    for eps_mode in [EpsMode::Torch, EpsMode::TensorFlow] {
        let step = AdamWStep {
            lr: 0.1,
            beta1: 0.9,
            beta2: 0.999,
            eps: 0.0,
            weight_decay: 0.5,
            step: 1,
            eps_mode,
        };
        let zeros = || list([0.0, 0.0]);
        let (param, mean, square) = adamw_step(list([2.0, 2.0]), list([3.0, -0.5]), zeros(), zeros(), &step);
        assert_close(&values(param), &[1.8, 2.0], 1e-6, "parameter");
        assert_close(&values(mean), &[0.3, -0.05], 1e-6, "mean");
        assert_close(&values(square), &[0.009, 0.000_25], 1e-5, "mean of squares");
    }
}

#[test]
fn adamw_writes_unshared_buffers_in_place() {
    let tensor = || FlexTensor::from_data(TensorData::new(vec![1.0_f32; 100], [100]));
    let step = AdamWStep {
        lr: 0.1,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        weight_decay: 0.0,
        step: 1,
        eps_mode: EpsMode::Torch,
    };
    let (param, mean, square) = (tensor(), tensor(), tensor());
    let shared = param.clone();
    let before = [&mean, &square].map(|tensor| tensor.bytes().as_ptr());
    let (param, mean, square) = Flex::fused_adamw(param, tensor(), mean, square, step);
    assert_eq!([&mean, &square].map(|tensor| tensor.bytes().as_ptr()), before);
    assert_ne!(param.bytes(), shared.bytes());
}

#[test]
fn the_two_places_of_epsilon_differ_as_documented() {
    // One step with g = 1: v_hat = 1, v = 0.001. eps = 0.5.
    // Torch: 1 / (1 + 0.5) = 0.66667. TensorFlow: sqrt(0.001) / 0.1 * 0.1 / (sqrt(0.001) + 0.5) = 0.0594835.
    let device = Device::flex();
    let updates = [EpsMode::Torch, EpsMode::TensorFlow].map(|eps_mode| {
        let step = AdamWStep {
            lr: 1.0,
            beta1: 0.9,
            beta2: 0.999,
            eps: 0.5,
            weight_decay: 0.0,
            step: 1,
            eps_mode,
        };
        let zeros = || Tensor::<1>::zeros([1], &device);
        let (param, ..) = adamw_step(zeros(), Tensor::ones([1], &device), zeros(), zeros(), &step);
        values(param)[0]
    });
    assert_close(&updates, &[-0.666_667, -0.059_483_5], 1e-5, "updates");
}
