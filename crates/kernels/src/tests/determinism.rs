//! The same bits in every run and for every number of threads.

use rand::Rng;

use super::{Host, Operation, ints, rng, run};
use crate::{causal_attention, gelu_tanh, layer_norm, linear, rms_norm, rotary, swiglu, token_logprobs};

/// Output and gradients have the same bits in ten runs, and with one, two and three threads.
fn check(operation: Operation<'_>, inputs: &[Host], output: [usize; 2]) {
    let upstream = Host::random(&mut rng(99), output, 1.0);
    let bits = || -> Vec<Vec<u32>> {
        let tensors = run(operation, inputs, &upstream);
        tensors
            .iter()
            .map(|values| values.iter().map(|value| value.to_bits()).collect())
            .collect()
    };
    let first = bits();
    for repeat in 0..10 {
        assert!(bits() == first, "repeat {repeat} differs");
    }
    for threads in [1, 2, 3] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("threads start");
        assert!(pool.install(bits) == first, "other bits with {threads} threads");
    }
}

#[test]
fn linear_gives_the_same_bits() {
    for (tokens, inputs, out) in [(700, 96, 200), (64, 256, 256), (3, 33, 500), (1, 256, 768)] {
        let rng = &mut rng(1);
        let tensors = [
            Host::random(rng, [tokens, inputs], 1.0),
            Host::random(rng, [inputs, out], 1.0),
            Host::random(rng, [1, out], 1.0),
        ];
        let operation: Operation<'_> = &|t| linear(t[0].clone(), t[1].clone(), Some(t[2].clone().reshape([out])));
        check(operation, &tensors, [tokens, out]);
    }
}

#[test]
fn gelu_gives_the_same_bits() {
    let x = Host::random(&mut rng(2), [300, 333], 3.0);
    check(&|t| gelu_tanh(t[0].clone()), &[x], [300, 333]);
}

#[test]
fn layer_norm_gives_the_same_bits() {
    let rng = &mut rng(3);
    let tensors = [
        Host::random(rng, [900, 72], 2.0),
        Host::random(rng, [1, 72], 1.0),
        Host::random(rng, [1, 72], 1.0),
    ];
    let operation: Operation<'_> = &|t| {
        let [weight, bias] = [1, 2].map(|i: usize| t[i].clone().reshape([72]));
        layer_norm(t[0].clone(), weight, bias, 1e-5)
    };
    check(operation, &tensors, [900, 72]);
}

#[test]
fn rms_norm_swiglu_and_rotary_give_the_same_bits() {
    let rng = &mut rng(6);
    let tensors = [Host::random(rng, [900, 72], 2.0), Host::random(rng, [1, 72], 1.0)];
    check(
        &|t| rms_norm(t[0].clone(), t[1].clone().reshape([72]), 1e-5),
        &tensors,
        [900, 72],
    );
    check(&|t| swiglu(t[0].clone()), &tensors[..1], [900, 36]);
    let angles = Host::random(rng, [900, 9], 3.0);
    let operation: Operation<'_> = &|t| {
        let angles = angles.on(&t[0].device());
        rotary(t[0].clone().reshape([900, 4, 18]), angles.clone().cos(), angles.sin()).reshape([900, 72])
    };
    check(operation, &tensors[..1], [900, 72]);
}

#[test]
fn attention_gives_the_same_bits() {
    let (rows, row_len, d_model) = (3, 150, 48);
    let qkv = Host::random(&mut rng(4), [rows * row_len, 3 * d_model], 1.5);
    let visible_from: Vec<usize> = (0..rows * row_len).map(|t| t % row_len / 40 * 40).collect();
    let operation: Operation<'_> = &|t| {
        let visible = crate::visible_from(ints(&visible_from, &t[0].device()).reshape([rows, row_len]));
        let qkv = t[0].clone().reshape([rows, row_len, 3 * d_model]);
        causal_attention(qkv, visible, 2).reshape([rows * row_len, d_model])
    };
    check(operation, &[qkv], [rows * row_len, d_model]);
}

#[test]
fn logprobs_give_the_same_bits() {
    let (rng, vocab) = (&mut rng(5), 5000);
    let tensors = [Host::random(rng, [600, 40], 1.0), Host::random(rng, [vocab, 40], 1.0)];
    let targets: Vec<usize> = (0..600).map(|_| rng.random_range(0..vocab)).collect();
    let operation: Operation<'_> = &|t| {
        let targets = ints(&targets, &t[0].device());
        token_logprobs(t[0].clone(), t[1].clone(), targets, 0.7)
            .logprobs
            .unsqueeze_dim(1)
    };
    check(operation, &tensors, [600, 1]);
}
