//! Every operation once, forward and backward, on shapes so small that Miri can follow each access to memory: through the
//! vector blocks and what is left of them, through several threads, and with nothing in it.
//!
//! `cargo +nightly miri test` runs these alone: see the crate's README.

use burn::tensor::{Device, Tensor};

use super::{Host, Operation, assert_close, assert_error, check, ints, relative_error, rng, run, third_step, values};
use crate::{
    KvLayer, adamw_step, causal_attention, composed, decode_attention, gelu_tanh, grouped_attention, layer_norm,
    linear, rms_norm, rotary, swiglu, token_logprobs, visible_from,
};

/// Values and gradients of the fused operation and the composed one; the finite differences of [`check`] take Miri too long.
fn compare(fused: Operation<'_>, composed: Operation<'_>, inputs: &[Host]) {
    let rng = &mut rng(7);
    if !cfg!(miri) {
        return check(fused, composed, inputs, rng);
    }
    let plain: Vec<_> = inputs.iter().map(|input| input.on(&Device::flex())).collect();
    let upstream = Host::random(rng, fused(&plain).dims(), 1.0);
    let (actual, expected) = (run(fused, inputs, &upstream), run(composed, inputs, &upstream));
    for (actual, expected) in actual.iter().zip(&expected) {
        // Miri rounds logarithms and their like differently each time, as it may.
        assert_error(relative_error(actual, expected, 0.01), 1e-4, "output and gradients");
    }
}

fn hosts<const N: usize>(dims: [[usize; 2]; N]) -> [Host; N] {
    let rng = &mut rng(1);
    dims.map(|dims| Host::random(rng, dims, 1.0))
}

fn row(matrix: &Tensor<2>) -> Tensor<1> {
    let [_, len] = matrix.dims();
    matrix.clone().reshape([len])
}

#[test]
fn small_linear() {
    for (tokens, inputs, out) in [(3, 18, 5), (17, 2, 16)] {
        compare(
            &|t| linear(t[0].clone(), t[1].clone(), Some(row(&t[2]))),
            &|t| composed::linear(t[0].clone(), t[1].clone(), Some(row(&t[2]))),
            &hosts([[tokens, inputs], [inputs, out], [1, out]]),
        );
    }
    compare(
        &|t| linear(t[0].clone(), t[1].clone().transpose(), None),
        &|t| composed::linear(t[0].clone(), t[1].clone().transpose(), None),
        &hosts([[2, 3], [4, 3]]),
    );
}

#[test]
fn small_pointwise() {
    let [x, weight, bias] = hosts([[3, 66], [1, 66], [1, 66]]);
    compare(
        &|t| gelu_tanh(t[0].clone()),
        &|t| composed::gelu_tanh(t[0].clone()),
        std::slice::from_ref(&x),
    );
    compare(
        &|t| swiglu(t[0].clone()),
        &|t| composed::swiglu(t[0].clone()),
        std::slice::from_ref(&x),
    );
    let norms = [x, weight, bias];
    compare(
        &|t| layer_norm(t[0].clone(), row(&t[1]), row(&t[2]), 1e-2),
        &|t| composed::layer_norm(t[0].clone(), row(&t[1]), row(&t[2]), 1e-2),
        &norms,
    );
    compare(
        &|t| rms_norm(t[0].clone(), row(&t[1]), 1e-2),
        &|t| composed::rms_norm(t[0].clone(), row(&t[1]), 1e-2),
        &norms[..2],
    );
}

#[test]
fn small_rotary() {
    let [x, angles] = hosts([[2, 2 * 6], [2, 2]]);
    let turned = |t: &[Tensor<2>], rotary: fn(Tensor<3>, Tensor<2>, Tensor<2>) -> Tensor<3>| {
        let angles = angles.on(&t[0].device());
        rotary(t[0].clone().reshape([2, 2, 6]), angles.clone().cos(), angles.sin()).reshape([2, 12])
    };
    compare(&|t| turned(t, rotary), &|t| turned(t, composed::rotary), &[x]);
}

#[test]
fn small_attention() {
    // Two rows of five tokens: two sequences in the first, one with a gap in the second.
    let visible = [
        [[0, 0, 0], [0, 0, 0], [2, 0, 0], [2, 0, 0], [2, 0, 0]],
        [[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 1, 3], [0, 1, 3]],
    ];
    let attend = |t: &[Tensor<2>], attention: fn(Tensor<3>, _, usize) -> Tensor<3>| {
        let visible = ints(visible.as_flattened().as_flattened(), &t[0].device()).reshape([2, 5, 3]);
        attention(t[0].clone().reshape([2, 5, 18]), visible, 2).reshape([10, 6])
    };
    compare(
        &|t| attend(t, causal_attention),
        &|t| attend(t, composed::causal_attention),
        &hosts([[10, 18]]),
    );
    let grouped = |t: &[Tensor<2>], attention: fn(Tensor<4>, Tensor<4>, Tensor<4>, _) -> Tensor<3>| {
        let visible = ints(visible.as_flattened().as_flattened(), &t[0].device()).reshape([2, 5, 3]);
        let [query, key, value] =
            [(0, 2), (1, 1), (2, 1)].map(|(i, heads)| t[i as usize].clone().reshape([2, 5, heads, 3]));
        attention(query, key, value, visible).reshape([10, 6])
    };
    compare(
        &|t| grouped(t, grouped_attention),
        &|t| grouped(t, composed::grouped_attention),
        &hosts([[10, 6], [10, 3], [10, 3]]),
    );
}

#[test]
fn small_logprobs() {
    let targets = |t: &Tensor<2>| ints(&[0, 17, 4], &t.device());
    compare(
        &|t| {
            token_logprobs(t[0].clone(), t[1].clone(), targets(&t[0]), 0.7)
                .logprobs
                .unsqueeze_dim(1)
        },
        &|t| {
            composed::token_logprobs(t[0].clone(), t[1].clone(), targets(&t[0]), 0.7)
                .logprobs
                .unsqueeze_dim(1)
        },
        &hosts([[3, 5], [18, 5]]),
    );
}

#[test]
fn small_adamw() {
    let tensors = || hosts([[1, 35]; 4]).map(|host| host.on(&Device::flex()));
    let [param, grad, mean, square] = tensors();
    let actual = adamw_step(param, grad, mean, square.abs(), &third_step());
    let [param, grad, mean, square] = tensors();
    let expected = composed::adamw_step(param, grad, mean, square.abs(), &third_step());
    assert_close(&values(actual.0), &values(expected.0), 1e-5, "parameter");
}

/// Single tokens, each by a loop, and five at once, by matrix products.
#[test]
fn small_decoding() {
    let device = Device::flex();
    let [qkv] = hosts([[2 * 7, 3 * 40]]);
    let qkv = qkv.on(&device).reshape([2, 7, 120]);
    let first = [0, 1].map(|p: usize| (0..7).map(move |t| p.min(t)));
    let visible: Vec<usize> = first.into_iter().flatten().collect();
    let expected = causal_attention(qkv.clone(), visible_from(ints(&visible, &device).reshape([2, 7])), 2);
    let mut cache = KvLayer::new([2, 2, 9, 20], &device);
    for tokens in [0..1, 1..6, 6..7] {
        let part = qkv.clone().slice([0..2, tokens.clone(), 0..120]);
        let (output, next) = decode_attention(cache, part, ints(&[0, 1], &device), tokens.start, 2);
        let expected = expected.clone().slice([0..2, tokens, 0..40]);
        assert_close(&values(output), &values(expected), 1e-4, "step");
        cache = next;
    }
}
