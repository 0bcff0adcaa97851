//! Weights held as bf16 give what their numbers give as f32.

use burn::tensor::{DType, Device, Tensor};
use proptest::prelude::*;

use super::{Host, ints, rng};
use crate::{linear, token_logprobs};

#[track_caller]
fn assert_close<const D: usize>(found: Tensor<D>, expected: Tensor<D>) {
    let values = |tensor: Tensor<D>| tensor.into_data().try_to_vec::<f32>().expect("f32");
    let (found, expected) = (values(found), values(expected));
    assert_eq!(found.len(), expected.len());
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let error = (found - expected).abs();
        assert!(error <= 2e-6 * (1.0 + expected.abs()), "{i}: {found} {expected}");
    }
}

/// A weight as bf16, and the same numbers as f32.
fn both(rng: &mut rand_chacha::ChaCha8Rng, dims: [usize; 2], device: &Device) -> [Tensor<2>; 2] {
    let half = Host::random(rng, dims, 1.0).on(device).cast(DType::BF16);
    [half.clone(), half.cast(DType::F32)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn products_and_their_gradients_are_those_of_the_widened_weight(
        tokens in prop_oneof![1usize..20, 250usize..270], inputs in 1usize..40, out in 1usize..150,
        with_bias: bool, seed: u64,
    ) {
        let plain = Device::flex();
        let device = plain.clone().autodiff();
        let mut rng = rng(seed);
        let weights = both(&mut rng, [inputs, out], &plain);
        let bias = Host::random(&mut rng, [1, out], 1.0).on(&plain).reshape([out]);
        let bias = with_bias.then_some(bias);
        let x = Host::random(&mut rng, [tokens, inputs], 1.0);
        let upstream = Host::random(&mut rng, [tokens, out], 1.0).on(&plain);
        assert_close(
            linear(x.on(&plain), weights[0].clone(), bias.clone()),
            linear(x.on(&plain), weights[1].clone(), bias.clone()),
        );
        let gradient = |weight: Tensor<2>| {
            let x = x.on(&device).require_grad();
            let y = linear(x.clone(), Tensor::from_inner(weight), bias.clone().map(Tensor::from_inner));
            let mut gradients = (y * Tensor::from_inner(upstream.clone())).sum().backward();
            x.grad_remove(&mut gradients).expect("x requires one")
        };
        assert_close(gradient(weights[0].clone()), gradient(weights[1].clone()));
    }

    #[test]
    fn log_probabilities_and_their_gradients_are_those_of_the_widened_head(
        selected in 1usize..30, vocab in 2usize..90, d_model in 1usize..24, seed: u64,
    ) {
        let plain = Device::flex();
        let device = plain.clone().autodiff();
        let mut rng = rng(seed);
        let heads = both(&mut rng, [vocab, d_model], &plain);
        let hidden = Host::random(&mut rng, [selected, d_model], 2.0);
        let targets: Vec<usize> = (0..selected).map(|i| (i * 7 + seed as usize % 5) % vocab).collect();
        let of = |head: &Tensor<2>| {
            let hidden = hidden.on(&device).require_grad();
            let found = token_logprobs(hidden.clone(), Tensor::from_inner(head.clone()), ints(&targets, &plain), 0.8);
            let mut gradients = found.logprobs.clone().sum().backward();
            let gradient = hidden.grad_remove(&mut gradients).expect("hidden requires one");
            (found.logprobs.inner(), found.entropy.inner(), gradient)
        };
        let (found, expected) = (of(&heads[0]), of(&heads[1]));
        assert_close(found.0, expected.0);
        assert_close(found.1, expected.1);
        assert_close(found.2, expected.2);
    }
}
