//! Causal attention over packed rows.

use burn::tensor::{Device, Int, Tensor};
use proptest::prelude::*;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::{Host, assert_close, check, ints, rng, values};
use crate::{causal_attention, composed, visible_from};

/// Rows filled with sequences of random length: each token sees back to its sequence's start.
fn random_segments(rng: &mut ChaCha8Rng, rows: usize, row_len: usize, longest: usize) -> Vec<[usize; 3]> {
    let mut visible = Vec::new();
    for _ in 0..rows {
        let mut start = 0;
        while start < row_len {
            let end = (start + rng.random_range(1..=longest)).min(row_len);
            visible.extend(std::iter::repeat_n([start, 0, 0], end - start));
            start = end;
        }
    }
    visible
}

struct Case {
    rows: usize,
    row_len: usize,
    n_heads: usize,
    d_head: usize,
    visible: Vec<[usize; 3]>,
}

impl Case {
    fn d_model(&self) -> usize {
        self.n_heads * self.d_head
    }

    fn qkv(&self, rng: &mut ChaCha8Rng) -> Host {
        Host::random(rng, [self.rows * self.row_len, 3 * self.d_model()], 1.5)
    }

    fn attend(&self, qkv: &Tensor<2>, attention: fn(Tensor<3>, Tensor<3, Int>, usize) -> Tensor<3>) -> Tensor<2> {
        let visible = ints(self.visible.as_flattened(), &qkv.device()).reshape([self.rows, self.row_len, 3]);
        let qkv = qkv.clone().reshape([self.rows, self.row_len, 3 * self.d_model()]);
        attention(qkv, visible, self.n_heads).reshape([self.rows * self.row_len, self.d_model()])
    }

    fn check(&self, rng: &mut ChaCha8Rng) {
        let qkv = self.qkv(rng);
        check(
            &|t| self.attend(&t[0], causal_attention),
            &|t| self.attend(&t[0], composed::causal_attention),
            &[qkv],
            rng,
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn packed_rows_match_composed(
        rows in 1..4_usize,
        row_len in 1..200_usize,
        n_heads in 1..4_usize,
        d_head in prop::sample::select(vec![1, 8, 24, 32, 64]),
        longest in 1..250_usize,
        seed: u64,
    ) {
        let rng = &mut rng(seed);
        let visible = random_segments(rng, rows, row_len, longest);
        Case { rows, row_len, n_heads, d_head, visible }.check(rng);
    }

    #[test]
    fn anything_visible_matches_composed(row_len in 1..150_usize, seed: u64) {
        let rng = &mut rng(seed);
        let visible = (0..2 * row_len).map(|i| {
            let t = i % row_len;
            let gap_from = rng.random_range(0..=t);
            [rng.random_range(0..=t), gap_from, rng.random_range(gap_from..=t)]
        }).collect();
        Case { rows: 2, row_len, n_heads: 2, d_head: 8, visible }.check(rng);
    }

    #[test]
    fn packing_and_padding_on_either_side_change_nothing(lengths in prop::collection::vec(1..90_usize, 1..5), seed: u64) {
        let rng = &mut rng(seed);
        let (n_heads, d_head) = (2, 8);
        let width = 3 * n_heads * d_head;
        let sequences: Vec<Host> = lengths.iter().map(|&len| Host::random(rng, [len, width], 1.5)).collect();
        // Lays a sequence into a row of padding, which sees itself only, and reads its outputs.
        let alone = |sequence: &Host, before: usize, after: usize, rng: &mut ChaCha8Rng| {
            let len = sequence.dims[0];
            let mut row = Host::random(rng, [before, width], 9.0);
            row.values.extend(&sequence.values);
            row.values.extend(Host::random(rng, [after, width], 9.0).values);
            let row_len = before + len + after;
            row.dims = [row_len, width];
            let first = |t| if (before..before + len).contains(&t) { before } else { t };
            let visible = (0..row_len).map(|t| [first(t), 0, 0]).collect();
            let case = Case { rows: 1, row_len, n_heads, d_head, visible };
            let output = values(case.attend(&row.on(&Device::flex()), causal_attention));
            output[before * n_heads * d_head..(before + len) * n_heads * d_head].to_vec()
        };
        let packed = Host {
            values: sequences.iter().flat_map(|sequence| sequence.values.clone()).collect(),
            dims: [lengths.iter().sum(), width],
        };
        let mut starts = Vec::new();
        for &len in &lengths {
            starts.extend(std::iter::repeat_n([starts.len(), 0, 0], len));
        }
        let case = Case { rows: 1, row_len: starts.len(), n_heads, d_head, visible: starts };
        let packed = values(case.attend(&packed.on(&Device::flex()), causal_attention));

        let mut position = 0;
        for sequence in &sequences {
            let len = sequence.values.len() / 3;
            let expected = alone(sequence, 0, 0, rng);
            assert_close(&alone(sequence, 70, 0, rng), &expected, 1e-5, "left padding");
            assert_close(&alone(sequence, 0, 70, rng), &expected, 1e-5, "right padding");
            assert_close(&packed[position..position + len], &expected, 1e-5, "packed");
            position += len;
        }
    }
}

#[test]
fn one_token_returns_its_value() {
    // A softmax over one score is 1, so the output is the value: the last third.
    let qkv = Tensor::<3>::from_floats([[[9.0, -3.0, 4.0, 5.0, 0.25, -7.0]]], &Device::flex());
    let output = causal_attention(qkv, visible_from(Tensor::zeros([1, 1], &Device::flex())), 2);
    assert_eq!(values(output), [0.25, -7.0]);
}

#[test]
fn large_scores_pick_one_value() {
    // Scores of the second query: 0 * 1e4 and 1e4 * 1e4; all weight falls on the second value.
    let rows = [[0.0_f32, 0.0, 1.0], [1e4, 1e4, 2.0]];
    let device = Device::flex().autodiff();
    let qkv = Tensor::<3>::from_floats([rows], &device).require_grad();
    let output = causal_attention(qkv.clone(), visible_from(Tensor::zeros([1, 2], &device)), 1);
    let slopes = values(qkv.grad(&output.clone().sum().backward()).unwrap());
    assert_eq!(values(output), [1.0, 2.0]);
    assert_eq!(slopes, [0.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
}
