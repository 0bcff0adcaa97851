//! Weights that are frozen: no gradient for them, and the same for what is not.

use burn::tensor::{Device, Tensor};

use super::{Host, Operation, ints, rng, values};
use crate::{Activation, activated_linear, layer_norm, linear, rms_norm, token_logprobs};

/// The gradient of each input but input `frozen`, which has none, is to the bit what it is when nothing is frozen.
fn check(operation: Operation<'_>, inputs: &[Host], frozen: usize) {
    let device = Device::flex().autodiff();
    let gradients = |frozen: Option<usize>| -> Vec<Option<Vec<f32>>> {
        let tensors: Vec<Tensor<2>> = (inputs.iter().enumerate())
            .map(|(index, input)| input.on(&device).set_require_grad(frozen != Some(index)))
            .collect();
        let gradients = operation(&tensors).square().sum().backward();
        tensors
            .iter()
            .map(|tensor| tensor.grad(&gradients).map(values))
            .collect()
    };
    let (mut all, some) = (gradients(None), gradients(Some(frozen)));
    assert!(all.iter().all(Option::is_some));
    all[frozen] = None;
    assert_eq!(some, all);
}

fn row(matrix: &Tensor<2>) -> Tensor<1> {
    let [_, len] = matrix.dims();
    matrix.clone().reshape([len])
}

#[test]
fn a_frozen_input_has_no_gradient_and_changes_no_other() {
    let rng = &mut rng(1);
    let mut random = |dims| Host::random(rng, dims, 1.0);
    let (x, weight, bias, gain) = (random([9, 6]), random([6, 7]), random([1, 7]), random([1, 6]));
    let (shift, words) = (random([1, 6]), random([11, 6]));
    for frozen in 0..3 {
        let inputs = [x.clone(), weight.clone(), bias.clone()];
        check(
            &|t| linear(t[0].clone(), t[1].clone(), Some(row(&t[2]))),
            &inputs,
            frozen,
        );
        let inputs = [x.clone(), gain.clone(), shift.clone()];
        check(
            &|t| layer_norm(t[0].clone(), row(&t[1]), row(&t[2]), 1e-5),
            &inputs,
            frozen,
        );
    }
    for frozen in 0..2 {
        check(
            &|t| linear(t[0].clone(), t[1].clone(), None),
            &[x.clone(), weight.clone()],
            frozen,
        );
        for activation in [Activation::GeluTanh, Activation::GeluErf] {
            check(
                &|t| activated_linear(t[0].clone(), activation, t[1].clone(), None),
                &[x.clone(), weight.clone()],
                frozen,
            );
        }
        check(
            &|t| rms_norm(t[0].clone(), row(&t[1]), 1e-5),
            &[x.clone(), gain.clone()],
            frozen,
        );
        let targets = |t: &Tensor<2>| ints(&[0, 3, 10, 1, 1, 7, 2, 9, 4], &t.device());
        let logprobs = |t: &[Tensor<2>]| token_logprobs(t[0].clone(), t[1].clone(), targets(&t[0]), 0.8).logprobs;
        check(&|t| logprobs(t).unsqueeze_dim(1), &[x.clone(), words.clone()], frozen);
    }
}
