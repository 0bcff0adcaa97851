//! Log-probabilities and entropies of target tokens.

use burn::tensor::{Device, Tensor};
use proptest::prelude::*;
use rand::Rng;

use super::{Host, assert_close, check, ints, rng, values};
use crate::{composed, logprob_sum, token_logprobs};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn logprobs_are_composed_logprobs(
        selected in prop_oneof![1..60_usize, Just(530)],
        vocab in prop_oneof![Just(101_usize), 2..300_usize, Just(4200)],
        temperature in 0.5..2.0_f64,
        seed: u64,
    ) {
        let rng = &mut rng(seed);
        let tensors = [Host::random(rng, [selected, 24], 1.0), Host::random(rng, [vocab, 24], 1.0)];
        let targets: Vec<usize> = (0..selected).map(|_| rng.random_range(0..vocab)).collect();
        let targets_on = |t: &Tensor<2>| ints(&targets, &t.device());
        check(
            &|t| token_logprobs(t[0].clone(), t[1].clone(), targets_on(&t[0]), temperature).logprobs.unsqueeze_dim(1),
            &|t| composed::token_logprobs(t[0].clone(), t[1].clone(), targets_on(&t[0]), temperature).logprobs.unsqueeze_dim(1),
            &tensors,
            rng,
        );
        let entropies = [token_logprobs, composed::token_logprobs].map(|logprobs| {
            let [hidden, weight] = [0, 1].map(|i: usize| tensors[i].on(&Device::flex()));
            values(logprobs(hidden.clone(), weight, targets_on(&hidden), temperature).entropy)
        });
        assert_close(&entropies[0], &entropies[1], 2e-5, "entropy");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn a_weighted_sum_and_its_gradients_are_those_of_the_log_probabilities(
        selected in prop_oneof![1..60_usize, Just(530)],
        vocab in prop_oneof![Just(101_usize), 2..300_usize, Just(4200)],
        seed: u64,
    ) {
        let rng = &mut rng(seed);
        let tensors = [Host::random(rng, [selected, 24], 1.0), Host::random(rng, [vocab, 24], 1.0)];
        let targets: Vec<usize> = (0..selected).map(|_| rng.random_range(0..vocab)).collect();
        let weights: Vec<f32> = (0..selected).map(|_| rng.random_range(-1.0..1.0)).collect();
        let targets_on = |t: &Tensor<2>| ints(&targets, &t.device());
        let weights_on = |t: &Tensor<2>| Tensor::<1>::from_floats(weights.as_slice(), &t.device());
        // Terms of both signs may cancel, and then rounding is that of the terms: their size stands beside the sum.
        let size = weights.iter().map(|weight| weight.abs()).sum::<f32>() * (vocab as f32).ln();
        let beside_size = |sum: Tensor<1>| {
            let size = Tensor::full([1, 1], size, &sum.device());
            Tensor::cat(vec![sum.unsqueeze_dim(1), size], 1)
        };
        check(
            &|t| beside_size(logprob_sum(t[0].clone(), t[1].clone(), targets_on(&t[0]), weights_on(&t[0]))),
            &|t| beside_size(composed::logprob_sum(t[0].clone(), t[1].clone(), targets_on(&t[0]), weights_on(&t[0]))),
            &tensors,
            rng,
        );
    }
}

#[test]
fn a_weighted_sum_is_the_same_with_a_large_vocabulary_and_with_one_gradient_alone() {
    let rng = &mut rng(3);
    let (plain, device) = (Device::flex(), Device::flex().autodiff());
    let (hidden, weight) = (Host::random(rng, [300, 6], 1.0), Host::random(rng, [17_000, 6], 1.0));
    let targets: Vec<usize> = (0..300).map(|i| 56 * i).collect();
    let weights = || Tensor::<1>::from_floats([0.01; 300].as_slice(), &plain);
    let expected =
        (token_logprobs(hidden.on(&plain), weight.on(&plain), ints(&targets, &plain), 1.0).logprobs * 0.01).sum();
    let expected = values(expected);
    let sum = logprob_sum(hidden.on(&plain), weight.on(&plain), ints(&targets, &plain), weights());
    assert_close(&values(sum), &expected, 1e-5, "sum without gradients");
    let mut found = Vec::new();
    for (of_hidden, of_weight) in [(true, true), (true, false), (false, true)] {
        let hidden = hidden.on(&device).set_require_grad(of_hidden);
        let weight = weight.on(&device).set_require_grad(of_weight);
        let sum = logprob_sum(hidden.clone(), weight.clone(), ints(&targets, &plain), weights());
        let gradients = (sum.clone() * -3.0).backward();
        assert_close(&values(sum), &expected, 1e-5, "sum");
        found.push((hidden.grad(&gradients).map(values), weight.grad(&gradients).map(values)));
    }
    assert!(found[0].0.is_some() && found[0].1.is_some());
    assert_eq!(found[0].0, found[1].0);
    assert_eq!(found[0].1, found[2].1);
    assert_eq!((&found[1].1, &found[2].0), (&None, &None));
}

#[test]
fn equal_logits_give_the_uniform_distribution() {
    let device = Device::flex();
    let output = token_logprobs(
        Tensor::zeros([3, 4], &device),
        Tensor::ones([101, 4], &device),
        ints(&[0, 50, 100], &device),
        1.0,
    );
    let ln_101 = 101.0_f32.ln();
    assert_close(&values(output.logprobs), &[-ln_101; 3], 1e-6, "log-probability");
    assert_close(&values(output.entropy), &[ln_101; 3], 1e-6, "entropy");
}

#[test]
fn extreme_logits_stay_finite() {
    // Logits 0, 1e6, -1e6: the second word has probability 1, the others e^-1e6 and e^-2e6, which is 0.
    let device = Device::flex().autodiff();
    let hidden = Tensor::<2>::from_floats([[1e3], [1e3], [1e3]], &device).require_grad();
    let weight = Tensor::<2>::from_floats([[0.0], [1e3], [-1e3]], &device).require_grad();
    let output = token_logprobs(hidden.clone(), weight.clone(), ints(&[0, 1, 2], &device), 1.0);
    let grads = output.logprobs.clone().sum().backward();
    assert_eq!(values(output.logprobs), [-1e6, 0.0, -2e6]);
    assert_eq!(values(output.entropy), [0.0; 3]);
    // d logprob / d hidden = weight[target] - weight[1]; d / d weight = hidden (onehot - softmax).
    assert_eq!(values(hidden.grad(&grads).unwrap()), [-1e3, 0.0, -2e3]);
    assert_eq!(values(weight.grad(&grads).unwrap()), [1e3, -2e3, 1e3]);
}

#[test]
fn nothing_selected_gives_nothing() {
    let device = Device::flex().autodiff();
    let weight = Tensor::<2>::ones([7, 4], &device).require_grad();
    let output = token_logprobs(Tensor::zeros([0, 4], &device), weight.clone(), ints(&[], &device), 1.0);
    assert_eq!(output.entropy.dims(), [0]);
    let grads = output.logprobs.sum().backward();
    assert_eq!(values(weight.grad(&grads).unwrap()), [0.0; 28]);
}

#[test]
fn a_weighted_sum_of_nothing_is_zero() {
    let device = Device::flex().autodiff();
    let weight = Tensor::<2>::ones([7, 4], &device).require_grad();
    let nothing = Tensor::<1>::zeros([0], &Device::flex());
    let sum = logprob_sum(
        Tensor::zeros([0, 4], &device),
        weight.clone(),
        ints(&[], &device),
        nothing,
    );
    let gradients = sum.clone().backward();
    assert_eq!(values(sum), [0.0]);
    assert_eq!(values(weight.grad(&gradients).unwrap()), [0.0; 28]);
}

#[test]
fn no_gradient_flows_through_the_entropy() {
    let device = Device::flex().autodiff();
    let hidden = Tensor::<2>::ones([2, 4], &device).require_grad();
    let output = token_logprobs(
        hidden.clone(),
        Tensor::ones([7, 4], &device),
        ints(&[1, 2], &device),
        1.0,
    );
    let grads = (output.logprobs * 0.0 + output.entropy).sum().backward();
    assert_eq!(values(hidden.grad(&grads).unwrap()), [0.0; 8]);
}
