//! Speed of the fused operations on Flex, at the shapes of the `tiny` model (width 256, vocabulary 4096, 16 rows of 256
//! tokens). `cargo bench --profile dev -p rlhf-kernels --features allocator`; floating-point operations count as throughput elements, so
//! that "Gelem/s" of a matrix product reads as GFLOP/s.

#![allow(missing_docs, reason = "criterion_group! makes a public function")]

use std::hint::black_box;

use burn::tensor::{Device, Distribution, Int, Tensor};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rlhf_kernels::{
    Activation, AdamWStep, EpsMode, KvLayer, PackedWeight, activated_linear, adamw_step, causal_attention,
    decode_attention, exponentials, gelu_erf, gelu_tanh, layer_norm, linear, logprob_sum, rms_norm, rotary, swiglu,
    token_logprobs, visible_from,
};

/// As in the `rlhf` binary: the system's allocator would map and clear every large buffer again.
#[global_allocator]
static ALLOCATOR: rlhf_kernels::allocator::Allocator = rlhf_kernels::allocator::Allocator;

const ROWS: usize = 16;
const ROW_LEN: usize = 256;
const TOKENS: usize = ROWS * ROW_LEN;
const D_MODEL: usize = 256;
const N_HEADS: usize = 4;
const VOCAB: usize = 4096;

fn random<const D: usize>(dims: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(dims, Distribution::Normal(0.0, 1.0), device)
}

/// Measures an operation of one matrix forward, and forward with backward (the other inputs are captured).
fn forward_and_backward(
    criterion: &mut Criterion,
    name: &str,
    elements: usize,
    dims: [usize; 2],
    operation: impl Fn(Tensor<2>) -> Tensor<2>,
) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(elements as u64));
    let device = Device::flex().autodiff();
    let plain = random(dims, &device);
    group.bench_function("forward", |bencher| {
        bencher.iter(|| black_box(operation(plain.clone())));
    });
    let tracked = random(dims, &device).require_grad();
    group.bench_function("forward_backward", |bencher| {
        bencher.iter(|| black_box(operation(tracked.clone()).sum().backward()));
    });
    group.finish();
}

fn pointwise(criterion: &mut Criterion) {
    let device = Device::flex().autodiff();
    let weight = random([D_MODEL, 4 * D_MODEL], &device).require_grad();
    let bias = random([4 * D_MODEL], &device).require_grad();
    let flops = 2 * TOKENS * D_MODEL * 4 * D_MODEL;
    forward_and_backward(criterion, "linear_4096x256x1024", flops, [TOKENS, D_MODEL], |x| {
        linear(x, weight.clone(), Some(bias.clone()))
    });
    let features = 4 * D_MODEL;
    forward_and_backward(
        criterion,
        "gelu_4096x1024",
        TOKENS * features,
        [TOKENS, features],
        gelu_tanh,
    );
    forward_and_backward(
        criterion,
        "gelu_erf_4096x1024",
        TOKENS * features,
        [TOKENS, features],
        gelu_erf,
    );
    let back = random([features, D_MODEL], &device).require_grad();
    let activated = |inner| activated_linear(inner, Activation::GeluTanh, back.clone(), None);
    forward_and_backward(
        criterion,
        "activated_linear_4096x1024x256",
        flops,
        [TOKENS, features],
        activated,
    );
    let scale = Tensor::<1>::ones([D_MODEL], &device).require_grad();
    let shift = Tensor::<1>::zeros([D_MODEL], &device).require_grad();
    forward_and_backward(
        criterion,
        "layer_norm_4096x256",
        TOKENS * D_MODEL,
        [TOKENS, D_MODEL],
        |x| layer_norm(x, scale.clone(), shift.clone(), 1e-5),
    );
    forward_and_backward(
        criterion,
        "rms_norm_4096x256",
        TOKENS * D_MODEL,
        [TOKENS, D_MODEL],
        |x| rms_norm(x, scale.clone(), 1e-5),
    );
    forward_and_backward(
        criterion,
        "swiglu_4096x2x1024",
        TOKENS * features,
        [TOKENS, 2 * features],
        swiglu,
    );
    let angles = random([TOKENS, D_MODEL / N_HEADS / 2], &device);
    let (cos, sin) = (angles.clone().cos(), angles.sin());
    forward_and_backward(criterion, "rotary_4096x256", TOKENS * D_MODEL, [TOKENS, D_MODEL], |x| {
        let turned = rotary(
            x.reshape([TOKENS, N_HEADS, D_MODEL / N_HEADS]),
            cos.clone(),
            sin.clone(),
        );
        turned.reshape([TOKENS, D_MODEL])
    });
}

fn attention(criterion: &mut Criterion) {
    let device = Device::flex().autodiff();
    for segment in [ROW_LEN, 32] {
        let starts = Tensor::<1, Int>::arange(0..TOKENS as i64, &device).remainder_scalar(ROW_LEN as i64);
        let starts = visible_from((starts / segment as i64 * segment as i64).reshape([ROWS, ROW_LEN]));
        let name = format!("attention_16x256_segments_of_{segment}");
        forward_and_backward(criterion, &name, TOKENS, [TOKENS, 3 * D_MODEL], |qkv| {
            let qkv = qkv.reshape([ROWS, ROW_LEN, 3 * D_MODEL]);
            causal_attention(qkv, starts.clone(), N_HEADS).reshape([TOKENS, D_MODEL])
        });
    }
}

fn logprobs(criterion: &mut Criterion) {
    let device = Device::flex().autodiff();
    let weight = random([VOCAB, D_MODEL], &device).require_grad();
    let targets = Tensor::<1, Int>::arange(0..TOKENS as i64, &device);
    let flops = 2 * TOKENS * D_MODEL * VOCAB;
    forward_and_backward(
        criterion,
        "logprobs_4096x256x4096",
        flops,
        [TOKENS, D_MODEL],
        |hidden| {
            token_logprobs(hidden * 0.05, weight.clone(), targets.clone(), 1.0)
                .logprobs
                .unsqueeze_dim(1)
        },
    );
    let weights = Tensor::<1>::ones([TOKENS], &device.clone().inner());
    let sum = |hidden: Tensor<2>| {
        logprob_sum(hidden * 0.05, weight.clone(), targets.clone(), weights.clone()).unsqueeze_dim(1)
    };
    forward_and_backward(criterion, "logprob_sum_4096x256x4096", flops, [TOKENS, D_MODEL], sum);
}

fn adamw(criterion: &mut Criterion) {
    let device = Device::flex();
    let n = 1 << 20;
    let step = AdamWStep {
        lr: 1e-3,
        beta1: 0.9,
        beta2: 0.95,
        eps: 1e-8,
        weight_decay: 0.1,
        step: 10,
        eps_mode: EpsMode::Torch,
    };
    let mut group = criterion.benchmark_group("adamw_1M");
    group.throughput(Throughput::Elements(n as u64));
    let grad = random([n], &device);
    let mut state = Some((random([n], &device), grad.zeros_like(), grad.zeros_like()));
    group.bench_function("step", |bencher| {
        bencher.iter(|| {
            let (param, mean, square) = state.take().expect("each step puts it back");
            state = Some(adamw_step(param, grad.clone(), mean, square, &step));
        });
    });
    group.finish();
}

fn decode(criterion: &mut Criterion) {
    let device = Device::flex();
    let (batch, filled) = (64, 95);
    let mut group = criterion.benchmark_group("decode_attention_64x4x96x64");
    group.throughput(Throughput::Elements(batch as u64));
    let mut cache = Some(KvLayer::new([batch, N_HEADS, 96, D_MODEL / N_HEADS], &device));
    let visible_from = Tensor::<1, Int>::zeros([batch], &device);
    let qkv = random([batch, 1, 3 * D_MODEL], &device);
    group.bench_function("one_token", |bencher| {
        bencher.iter(|| {
            let layer = cache.take().expect("each step puts it back");
            let (output, layer) = decode_attention(layer, qkv.clone(), visible_from.clone(), filled, N_HEADS);
            cache = Some(layer);
            black_box(output)
        });
    });
    let weight = random([D_MODEL, 3 * D_MODEL], &device);
    let x = random([batch, D_MODEL], &device);
    group.bench_function("linear_64x256x768", |bencher| {
        bencher.iter(|| black_box(linear(x.clone(), weight.clone(), None)));
    });
    let packed = PackedWeight::new(&weight).expect("f32 on Flex");
    for rows in [16, batch] {
        let x = random([rows, D_MODEL], &device);
        group.bench_function(format!("packed_{rows}x256x768"), |bencher| {
            bencher.iter(|| black_box(packed.linear(x.clone(), None)));
        });
    }
    let head = PackedWeight::new(&random([D_MODEL, VOCAB], &device)).expect("f32 on Flex");
    let words: Vec<i64> = (0..batch as i64).map(|i| i * 61 % VOCAB as i64).collect();
    let words = Tensor::<1, Int>::from_data(words.as_slice(), &device);
    group.bench_function("packed_columns_64x256", |bencher| {
        bencher.iter(|| black_box(head.columns(words.clone())));
    });
    let logits: Vec<f32> = (0..VOCAB).map(|i| (i % 100) as f32 * 0.1).collect();
    let mut weights = vec![0.0; VOCAB];
    group.bench_function("exponentials_4096", |bencher| {
        bencher.iter(|| black_box(exponentials(&logits, 0.7, &mut weights)));
    });
    group.finish();
}

criterion_group!(benches, pointwise, attention, logprobs, adamw, decode);
criterion_main!(benches);
