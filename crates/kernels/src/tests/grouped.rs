//! Attention with shared key heads, and the operations around it that Llama and its kin need.

use burn::tensor::{Device, Int, Tensor};
use proptest::prelude::*;
use rand::Rng;

use super::{Host, assert_close, check, ints, rng, values};
use crate::{
    DecodeView, KvLayer, composed, gelu_erf, grouped_attention, grouped_decode_attention, rms_norm, rotary, swiglu,
};

type Attention = fn(Tensor<4>, Tensor<4>, Tensor<4>, Tensor<3, Int>) -> Tensor<3>;

/// A batch of rows with `group` query heads to each key head.
#[derive(Debug, Clone, Copy)]
struct Shape {
    rows: usize,
    row_len: usize,
    n_kv_heads: usize,
    group: usize,
    d_head: usize,
}

impl Shape {
    fn tokens(self) -> usize {
        self.rows * self.row_len
    }

    fn n_heads(self) -> usize {
        self.n_kv_heads * self.group
    }

    /// Queries, keys and values, `[tokens, heads * d_head]`.
    fn inputs(self, rng: &mut rand_chacha::ChaCha8Rng) -> [Host; 3] {
        [self.n_heads(), self.n_kv_heads, self.n_kv_heads]
            .map(|heads| Host::random(rng, [self.tokens(), heads * self.d_head], 1.5))
    }

    fn heads(self, flat: &Tensor<2>) -> Tensor<4> {
        let width = flat.dims()[1];
        flat.clone()
            .reshape([self.rows, self.row_len, width / self.d_head, self.d_head])
    }

    fn attend(self, inputs: &[Tensor<2>], visible_from: &[usize], attention: Attention) -> Tensor<2> {
        let visible = crate::visible_from(ints(visible_from, &inputs[0].device()).reshape([self.rows, self.row_len]));
        let [query, key, value] = [0, 1, 2].map(|i| self.heads(&inputs[i]));
        attention(query, key, value, visible).reshape([self.tokens(), self.n_heads() * self.d_head])
    }
}

fn shapes() -> impl Strategy<Value = Shape> {
    let d_head = prop::sample::select(vec![1, 8, 24]);
    (1..3_usize, 1..70_usize, 1..3_usize, 1..4_usize, d_head).prop_map(|(rows, row_len, n_kv_heads, group, d_head)| {
        Shape {
            rows,
            row_len,
            n_kv_heads,
            group,
            d_head,
        }
    })
}

/// The definition, one query at a time, in double precision.
fn by_definition(shape: Shape, inputs: &[Host], visible_from: &[usize]) -> Vec<f32> {
    let Shape {
        row_len, group, d_head, ..
    } = shape;
    let at = |which: usize, token: usize, head: usize| {
        let width = inputs[which].dims[1];
        &inputs[which].values[token * width + head * d_head..][..d_head]
    };
    let mut out = Vec::new();
    for (token, &first) in visible_from.iter().enumerate() {
        let (row, t) = (token / row_len * row_len, token % row_len);
        for head in 0..shape.n_heads() {
            let query = at(0, token, head);
            let weights: Vec<f64> = (first..=t)
                .map(|s| {
                    let key = at(1, row + s, head / group);
                    let dot: f64 = query.iter().zip(key).map(|(&q, &k)| f64::from(q) * f64::from(k)).sum();
                    (dot / (d_head as f64).sqrt()).exp()
                })
                .collect();
            let total: f64 = weights.iter().sum();
            out.extend((0..d_head).map(|feature| {
                let terms = weights.iter().zip(first..=t);
                let sum: f64 = terms
                    .map(|(w, s)| w * f64::from(at(2, row + s, head / group)[feature]))
                    .sum();
                (sum / total) as f32
            }));
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn grouped_attention_is_its_definition(shape in shapes(), seed: u64) {
        let rng = &mut rng(seed);
        let inputs = shape.inputs(rng);
        let visible_from: Vec<usize> =
            (0..shape.tokens()).map(|i| rng.random_range(0..=i % shape.row_len)).collect();
        let expected = by_definition(shape, &inputs, &visible_from);
        let plain: Vec<_> = inputs.iter().map(|input| input.on(&Device::flex())).collect();
        for attention in [grouped_attention as Attention, composed::grouped_attention] {
            assert_close(&values(shape.attend(&plain, &visible_from, attention)), &expected, 1e-5, "output");
        }
        check(
            &|t| shape.attend(t, &visible_from, grouped_attention),
            &|t| shape.attend(t, &visible_from, composed::grouped_attention),
            &inputs,
            rng,
        );
    }

    #[test]
    fn grouped_decoding_in_steps_is_grouped_attention(
        shape in shapes(),
        steps in prop::collection::vec(1..20_usize, 1..6),
        window in prop::option::of(1..30_usize),
        seed: u64,
    ) {
        let rng = &mut rng(seed);
        let device = Device::flex();
        let shape = Shape { row_len: steps.iter().sum(), ..shape };
        let inputs = shape.inputs(rng).map(|input| input.on(&device));
        let padding: Vec<usize> = (0..shape.rows).map(|_| rng.random_range(0..shape.row_len)).collect();
        let first_seen = |t: usize| window.map_or(0, |window| (t + 1).saturating_sub(window));
        let visible_from: Vec<usize> = padding
            .iter()
            .flat_map(|&p| (0..shape.row_len).map(move |t| p.min(t).max(first_seen(t))))
            .collect();
        let expected = shape.attend(&inputs, &visible_from, composed::grouped_attention);
        let width = shape.n_heads() * shape.d_head;
        let expected = expected.reshape([shape.rows, shape.row_len, width]);

        let [query, key, value] = [0, 1, 2].map(|i| shape.heads(&inputs[i]));
        let mut cache = KvLayer::new([shape.rows, shape.n_kv_heads, shape.row_len + 3, shape.d_head], &device);
        let mut filled = 0;
        for new in steps {
            let tokens = filled..filled + new;
            let part = |heads: &Tensor<4>| heads.clone().slice([0..shape.rows, tokens.clone()]);
            let view = DecodeView { visible_from: ints(&padding, &device), filled, window };
            let (output, next) = grouped_decode_attention(cache, part(&query), part(&key), part(&value), view);
            let expected = expected.clone().slice([0..shape.rows, tokens.clone()]);
            assert_close(&values(output), &values(expected), 1e-5, "step");
            cache = next;
            filled += new;
        }
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
    fn rms_norm_is_composed_rms_norm(rows in 1..300_usize, width in 1..200_usize, seed: u64) {
        let rng = &mut rng(seed);
        let tensors = [Host::random(rng, [rows, width], 2.0), Host::random(rng, [1, width], 1.0)];
        check(
            &|t| rms_norm(t[0].clone(), row(&t[1]), 1e-2),
            &|t| composed::rms_norm(t[0].clone(), row(&t[1]), 1e-2),
            &tensors,
            rng,
        );
    }

    #[test]
    fn swiglu_is_composed_swiglu(tokens in 1..80_usize, d_inner in 1..200_usize, seed: u64) {
        let rng = &mut rng(seed);
        let gate_up = Host::random(rng, [tokens, 2 * d_inner], 4.0);
        check(&|t| swiglu(t[0].clone()), &|t| composed::swiglu(t[0].clone()), &[gate_up], rng);
    }

    #[test]
    fn rotary_is_composed_rotary(
        tokens in 1..100_usize, heads in 1..4_usize, pairs in 1..20_usize, stay in 0..5_usize, seed: u64,
    ) {
        let rng = &mut rng(seed);
        let d_head = 2 * pairs + stay;
        let x = Host::random(rng, [tokens, heads * d_head], 1.0);
        let angles = Host::random(rng, [tokens, pairs], 3.0);
        let by = |turn: fn(Tensor<3>, Tensor<2>, Tensor<2>) -> Tensor<3>, x: &Tensor<2>| {
            let angles = angles.on(&x.device());
            let turned = turn(x.clone().reshape([tokens, heads, d_head]), angles.clone().cos(), angles.sin());
            turned.reshape([tokens, heads * d_head])
        };
        check(&|t| by(rotary, &t[0]), &|t| by(composed::rotary, &t[0]), &[x], rng);
    }
}

#[test]
fn gates_far_from_zero_are_open_or_closed_and_nan_stays() {
    let device = Device::flex().autodiff();
    let gates = [1e20, 100.0, -100.0, -1e20, f32::NAN];
    let x = Tensor::<2>::from_floats([gates, [2.0; 5]], &device)
        .reshape([1, 10])
        .require_grad();
    let y = swiglu(x.clone());
    let slopes = values(x.grad(&y.clone().sum().backward()).unwrap());
    let y = values(y);
    assert_eq!(y[..4], [2e20, 200.0, 0.0, 0.0]);
    assert_eq!(slopes[..4], [2.0, 2.0, 0.0, 0.0]);
    assert!(y[4].is_nan() && slopes[4].is_nan());
}

#[test]
fn no_tokens_stay_none() {
    let device = Device::flex().autodiff();
    assert_eq!(swiglu(Tensor::zeros([0, 8], &device)).dims(), [0, 4]);
    assert_eq!(
        rms_norm(Tensor::zeros([0, 8], &device), Tensor::ones([8], &device), 1e-5).dims(),
        [0, 8]
    );
    let angles = || Tensor::zeros([0, 2], &device);
    assert_eq!(
        rotary(Tensor::zeros([0, 3, 4], &device), angles(), angles()).dims(),
        [0, 3, 4]
    );
}

#[test]
fn rms_norm_of_two_numbers() {
    // Mean square of (3, 4) is 12.5; with eps 3.5 the root is 4: 3 / 4 * 2 = 1.5 and 4 / 4 * -1 = -1.
    let device = Device::flex();
    let x = Tensor::<2>::from_floats([[3.0, 4.0]], &device);
    let weight = Tensor::<1>::from_floats([2.0, -1.0], &device);
    assert_eq!(values(rms_norm(x, weight, 3.5)), [1.5, -1.0]);
}

#[test]
fn swiglu_gates_the_second_half_by_the_first() {
    // silu(0) = 0; silu(ln 3) = ln 3 * 3 / 4.
    let gate_up = Tensor::<2>::from_floats([[0.0, 3.0_f32.ln(), 5.0, 2.0]], &Device::flex());
    assert_close(&values(swiglu(gate_up)), &[0.0, 1.5 * 3.0_f32.ln()], 1e-6, "swiglu");
}

#[test]
fn gelu_erf_is_x_times_the_normal_distribution() {
    // Φ(1) = 0.8413447, Φ(-2) = 0.0227501; the tanh form gives 0.8411920 and -0.0454023.
    let x = Tensor::<2>::from_floats([[1.0, -2.0, 0.0]], &Device::flex());
    assert_close(&values(gelu_erf(x)), &[0.841_344_7, -0.045_500_26, 0.0], 1e-6, "gelu");
}

#[test]
fn rotary_turns_pairs_of_halves_and_leaves_the_rest() {
    // One token, one head of five features, two pairs: (1, 3) turned by 90°, (2, 4) by 180°, 5 stays.
    let device = Device::flex();
    let x = Tensor::<3>::from_floats([[[1.0, 2.0, 3.0, 4.0, 5.0]]], &device);
    let cos = Tensor::<2>::from_floats([[0.0, -1.0]], &device);
    let sin = Tensor::<2>::from_floats([[1.0, 0.0]], &device);
    assert_eq!(values(rotary(x, cos, sin)), [-3.0, -2.0, 1.0, -4.0, 5.0]);
}
