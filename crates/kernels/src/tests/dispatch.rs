//! The same bits from every instruction set: only the products of matrices may differ, and those are `gemm`'s.

use burn::tensor::{Device, Tensor};

use super::{Host, Operation, ints, rng, run, third_step, values};
use crate::flex::dispatch::tests::{Limit, with};
use crate::{
    Activation, KvLayer, activated_linear, adamw_step, causal_attention, decode_attention, gelu_erf, gelu_tanh,
    layer_norm, linear, logprob_sum, rms_norm, rotary, swiglu, token_logprobs,
};

/// The result of `work` is the same with the best instructions that the machine has and with fewer.
fn check(work: impl Fn() -> Vec<Vec<f32>>) {
    let bits = |limit| -> Vec<Vec<u32>> {
        let tensors = with(limit, &work);
        tensors
            .iter()
            .map(|values| values.iter().map(|value| value.to_bits()).collect())
            .collect()
    };
    let best = bits(None);
    assert!(best == bits(Some(Limit::Avx2)), "AVX2 differs");
    assert!(best == bits(Some(Limit::Portable)), "portable instructions differ");
}

/// Output and gradients of an operation.
fn check_operation(operation: Operation<'_>, inputs: &[[usize; 2]], output: [usize; 2]) {
    let rng = &mut rng(11);
    let inputs: Vec<Host> = inputs.iter().map(|&dims| Host::random(rng, dims, 2.0)).collect();
    let upstream = Host::random(rng, output, 1.0);
    check(|| run(operation, &inputs, &upstream));
}

fn row(matrix: &Tensor<2>) -> Tensor<1> {
    let [_, len] = matrix.dims();
    matrix.clone().reshape([len])
}

/// Whole blocks of every vector width, and what is left of them.
const WIDTH: usize = 150;

#[test]
fn pointwise_operations_do_not_depend_on_the_instruction_set() {
    check_operation(&|t| gelu_tanh(t[0].clone()), &[[5, WIDTH]], [5, WIDTH]);
    check_operation(&|t| gelu_erf(t[0].clone()), &[[5, WIDTH]], [5, WIDTH]);
    check_operation(&|t| swiglu(t[0].clone()), &[[5, WIDTH]], [5, WIDTH / 2]);
    check_operation(
        &|t| rms_norm(t[0].clone(), row(&t[1]), 1e-5),
        &[[5, WIDTH], [1, WIDTH]],
        [5, WIDTH],
    );
    check_operation(
        &|t| layer_norm(t[0].clone(), row(&t[1]), row(&t[2]), 1e-5),
        &[[5, WIDTH], [1, WIDTH], [1, WIDTH]],
        [5, WIDTH],
    );
    let angles = Host::random(&mut rng(12), [5, 20], 3.0);
    let turned: Operation<'_> = &|t| {
        let angles = angles.on(&t[0].device());
        rotary(t[0].clone().reshape([5, 3, 50]), angles.clone().cos(), angles.sin()).reshape([5, WIDTH])
    };
    check_operation(turned, &[[5, WIDTH]], [5, WIDTH]);
}

#[test]
fn what_stands_around_matrix_products_does_not_depend_on_the_instruction_set() {
    check_operation(
        &|t| linear(t[0].clone(), t[1].clone(), Some(row(&t[2]))),
        &[[140, 7], [7, WIDTH], [1, WIDTH]],
        [140, WIDTH],
    );
    for activation in [Activation::GeluTanh, Activation::GeluErf] {
        check_operation(
            &|t| activated_linear(t[0].clone(), activation, t[1].clone(), None),
            &[[5, WIDTH], [WIDTH, 3]],
            [5, 3],
        );
    }
    check_operation(
        &|t| activated_linear(t[0].clone(), Activation::SwiGlu, t[1].clone(), None),
        &[[5, 2 * WIDTH], [WIDTH, 3]],
        [5, 3],
    );
    let visible: Vec<[usize; 3]> = (0..90).map(|t| [t / 40 * 40, t / 2, t / 2 + t % 3]).collect();
    let attend: Operation<'_> = &|t| {
        let visible = ints(visible.as_flattened(), &t[0].device()).reshape([1, 90, 3]);
        causal_attention(t[0].clone().reshape([1, 90, 144]), visible, 2).reshape([90, 48])
    };
    check_operation(attend, &[[90, 144]], [90, 48]);
    let logprobs: Operation<'_> = &|t| {
        let targets = ints(&[3, 149, 70], &t[0].device());
        token_logprobs(t[0].clone(), t[1].clone(), targets, 0.7)
            .logprobs
            .unsqueeze_dim(1)
    };
    check_operation(logprobs, &[[3, 20], [WIDTH, 20]], [3, 1]);
    let sum: Operation<'_> = &|t| {
        let device = t[0].device();
        let targets = ints(&[3, 149, 300], &device);
        let weights = Tensor::<1>::from_floats([0.5, -2.0, 1.0], &device);
        logprob_sum(t[0].clone(), t[1].clone(), targets, weights).unsqueeze_dim(1)
    };
    check_operation(sum, &[[3, 20], [2 * WIDTH + 1, 20]], [1, 1]);
}

#[test]
fn updates_and_decoding_do_not_depend_on_the_instruction_set() {
    let device = Device::flex();
    let rng = &mut rng(13);
    let hosts: [Host; 4] = std::array::from_fn(|_| Host::random(rng, [1, WIDTH], 1.0));
    check(|| {
        let [param, grad, mean, square] = hosts.each_ref().map(|host| host.on(&device));
        let (param, mean, square) = adamw_step(param, grad, mean, square.square(), &third_step());
        vec![values(param), values(mean), values(square)]
    });
    // Features of a head in blocks of 64 and 8, and three more; keys in blocks of 64 and 16, and single ones.
    let qkv = Host::random(rng, [100, 3 * WIDTH], 1.5);
    check(|| {
        let qkv = qkv.on(&device).reshape([1, 100, 3 * WIDTH]);
        let mut cache = KvLayer::new([1, 2, 101, WIDTH / 2], &device);
        let mut outputs = Vec::new();
        for tokens in [0..98, 98..99, 99..100] {
            let part = qkv.clone().slice([0..1, tokens.clone(), 0..3 * WIDTH]);
            let (output, next) = decode_attention(cache, part, ints(&[5], &device), tokens.start, 2);
            outputs.push(values(output));
            cache = next;
        }
        outputs
    });
}
