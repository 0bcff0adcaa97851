//! Padding, packing, order and micro-batches change no result: laws of the token layout, over random tiny models.

use burn::tensor::Tensor;
use proptest::prelude::*;
use rand::Rng;
use rlhf_core::{PaddingSide, TokenBatch, int_tensor, permutation, rng, to_host};
use rlhf_model::{CausalLm, sequence_logprobs, sequence_scores, sequence_values};

use crate::tiny::{D_MODEL, VOCAB, assert_close, causal_lm, long_lm, proptest_config, scalar_model, sequences};

/// Hidden states in two layouts: matrix products of other heights add in another order. Absolute and relative part.
const HIDDEN: (f64, f64) = (3e-6, 1e-6);
/// Numbers that are read from hidden states. Absolute and relative part.
const SAME: (f64, f64) = (1e-6, 1e-6);
const CASES: u32 = 12;

fn lens() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1usize..10, 1..7)
}

/// Hidden states of every real token, sequence after sequence.
fn hidden(model: &CausalLm, batch: &TokenBatch, sequences: &[Vec<u32>]) -> Vec<f32> {
    read(
        model.hidden_states(&batch.to_device(&crate::tiny::device())),
        batch,
        sequences,
    )
}

fn read(hidden: Tensor<2>, batch: &TokenBatch, sequences: &[Vec<u32>]) -> Vec<f32> {
    let [_, d_model] = hidden.dims();
    let hidden = to_host(hidden);
    let places = sequences
        .iter()
        .enumerate()
        .flat_map(|(i, s)| (0..s.len()).map(move |t| (i, t)));
    places
        .flat_map(|(i, t)| hidden[batch.flat_index(i, t) * d_model..][..d_model].to_vec())
        .collect()
}

/// Each sequence in a batch of its own.
fn one_by_one(model: &CausalLm, sequences: &[Vec<u32>]) -> Vec<f32> {
    let alone = |s: &Vec<u32>| {
        let sequences = std::slice::from_ref(s);
        hidden(model, &TokenBatch::pack(sequences, 1), sequences)
    };
    sequences.iter().flat_map(alone).collect()
}

proptest! {
    #![proptest_config(proptest_config(CASES))]

    #[test]
    fn every_layout_gives_the_hidden_states_of_each_sequence_alone(
        lens in lens(), row_len in 1usize..40, seed in any::<u64>()
    ) {
        let (model, sequences) = (causal_lm(seed, true, &crate::tiny::device()), sequences(&lens, seed));
        let alone = one_by_one(&model, &sequences);
        let layouts = [
            ("right padding", TokenBatch::padded(&sequences, PaddingSide::Right)),
            ("left padding", TokenBatch::padded(&sequences, PaddingSide::Left)),
            ("packing", TokenBatch::pack(&sequences, row_len)),
        ];
        for (name, batch) in layouts {
            assert_close(name, &hidden(&model, &batch, &sequences), &alone, HIDDEN);
        }
    }

    #[test]
    fn more_padding_changes_nothing(lens in lens(), side in prop::sample::select(vec![PaddingSide::Left, PaddingSide::Right]), seed in any::<u64>()) {
        let (model, mut sequences) = (causal_lm(seed, true, &crate::tiny::device()), sequences(&lens, seed));
        let batch = TokenBatch::padded(&sequences, side);
        let before = hidden(&model, &batch, &sequences);
        // A long neighbour makes every other row longer.
        sequences.push(vec![1; 20]);
        let batch = TokenBatch::padded(&sequences, side);
        sequences.pop();
        assert_close(format!("{side:?}"), &hidden(&model, &batch, &sequences), &before, HIDDEN);
    }

    #[test]
    fn what_stands_in_padding_changes_no_bit(lens in lens(), row_len in 1usize..40, seed in any::<u64>()) {
        let (model, sequences) = (causal_lm(seed, true, &crate::tiny::device()), sequences(&lens, seed));
        for batch in [
            TokenBatch::padded(&sequences, PaddingSide::Left),
            TokenBatch::padded(&sequences, PaddingSide::Right),
            TokenBatch::pack(&sequences, row_len),
        ] {
            let mut tensors = batch.to_device(&crate::tiny::device());
            let ids = to_host(tensors.input_ids.clone().float());
            let mut real = vec![false; ids.len()];
            for (i, sequence) in sequences.iter().enumerate() {
                (0..sequence.len()).for_each(|t| real[batch.flat_index(i, t)] = true);
            }
            let before = hidden(&model, &batch, &sequences);
            let mut rng = rng(seed, "tests.padding", &[]);
            let noisy: Vec<i32> =
                ids.iter().zip(&real).map(|(&id, &real)| if real { id as i32 } else { rng.random_range(0..VOCAB as i32) }).collect();
            tensors.input_ids = int_tensor(&noisy, &crate::tiny::device());
            prop_assert_eq!(read(model.hidden_states(&tensors), &batch, &sequences), before);
        }
    }

    #[test]
    fn tokens_after_a_position_do_not_reach_it(len in 2usize..12, cut in 1usize..11, seed in any::<u64>()) {
        let cut = cut.min(len - 1);
        let model = causal_lm(seed, true, &crate::tiny::device());
        let whole = sequences(&[len], seed);
        let prefix = vec![whole[0][..cut].to_vec()];
        let whole_states = one_by_one(&model, &whole);
        assert_close("prefix", &one_by_one(&model, &prefix), &whole_states[..cut * D_MODEL], HIDDEN);
    }

    #[test]
    fn permuting_the_batch_permutes_the_results(lens in lens(), seed in any::<u64>(), max_tokens in 1usize..60) {
        let device = crate::tiny::device();
        let (model, scalar, sequences) = (causal_lm(seed, false, &device), scalar_model(seed, &device), sequences(&lens, seed));
        let order = permutation(sequences.len(), &mut rng(seed, "tests.order", &[]));
        let shuffled: Vec<Vec<u32>> = order.iter().map(|&i| sequences[i].clone()).collect();
        let from: Vec<usize> = lens.iter().map(|len| len / 2).collect();
        let shuffled_from: Vec<usize> = order.iter().map(|&i| from[i]).collect();

        let before = sequence_logprobs(&model, &sequences, &from, 0.8, max_tokens);
        let after = sequence_logprobs(&model, &shuffled, &shuffled_from, 0.8, max_tokens);
        let values = sequence_values(&scalar, &sequences, &from, max_tokens);
        let shuffled_values = sequence_values(&scalar, &shuffled, &shuffled_from, max_tokens);
        let scores = sequence_scores(&scalar, &sequences, max_tokens);
        let shuffled_scores = sequence_scores(&scalar, &shuffled, max_tokens);
        for (new, &old) in order.iter().enumerate() {
            assert_close("log-probs", &after.logprobs[new], &before.logprobs[old], SAME);
            assert_close("entropy", &after.entropy[new], &before.entropy[old], SAME);
            assert_close("values", &shuffled_values[new], &values[old], SAME);
            assert_close("scores", &[shuffled_scores[new]], &[scores[old]], SAME);
        }
    }

    #[test]
    fn the_micro_batch_size_changes_nothing(lens in lens(), seed in any::<u64>(), max_tokens in 1usize..60) {
        let device = crate::tiny::device();
        let (model, scalar, sequences) = (causal_lm(seed, true, &device), scalar_model(seed, &device), sequences(&lens, seed));
        let from = vec![0; sequences.len()];
        let all = sequence_logprobs(&model, &sequences, &from, 1.0, 4096);
        let split = sequence_logprobs(&model, &sequences, &from, 1.0, max_tokens);
        assert_close("log-probs", &split.logprobs.concat(), &all.logprobs.concat(), SAME);
        assert_close("entropy", &split.entropy.concat(), &all.entropy.concat(), SAME);
        let all = sequence_values(&scalar, &sequences, &from, 4096);
        assert_close("values", &sequence_values(&scalar, &sequences, &from, max_tokens).concat(), &all.concat(), SAME);
        let all = sequence_scores(&scalar, &sequences, 4096);
        assert_close("scores", &sequence_scores(&scalar, &sequences, max_tokens), &all, SAME);
    }

    #[test]
    fn log_probs_are_those_of_a_softmax_over_the_logits(lens in lens(), seed in any::<u64>(), temperature in 0.3f64..3.0) {
        let (model, sequences) = (causal_lm(seed, false, &crate::tiny::device()), sequences(&lens, seed));
        let batch = TokenBatch::pack(&sequences, 16);
        let logits = to_host(model.logits(model.hidden_states(&batch.to_device(&crate::tiny::device()))));
        let found = sequence_logprobs(&model, &sequences, &vec![0; lens.len()], temperature, 4096);
        for (i, sequence) in sequences.iter().enumerate() {
            for t in 1..sequence.len() {
                let row = &logits[batch.flat_index(i, t - 1) * VOCAB..][..VOCAB];
                let scaled: Vec<f64> = row.iter().map(|&l| f64::from(l) / temperature).collect();
                let total: f64 = scaled.iter().map(|l| l.exp()).sum();
                let logprob = scaled[sequence[t] as usize] - total.ln();
                let entropy: f64 = scaled.iter().map(|l| l.exp() / total * (total.ln() - l)).sum();
                assert_close("log-prob", &[found.logprobs[i][t - 1]], &[logprob as f32], (1e-6, 1e-6));
                assert_close("entropy", &[found.entropy[i][t - 1]], &[entropy as f32], (1e-6, 1e-6));
            }
        }
    }
}

#[test]
fn long_sequences_are_packed_without_a_trace_too() {
    let lens = [150, 90, 40, 200, 7, 256];
    let (model, sequences) = (long_lm(31, &crate::tiny::device()), sequences(&lens, 31));
    let alone = one_by_one(&model, &sequences);
    for batch in [
        TokenBatch::pack(&sequences, 256),
        TokenBatch::padded(&sequences, PaddingSide::Left),
    ] {
        assert_close(
            format!("{} rows", batch.rows()),
            &hidden(&model, &batch, &sequences),
            &alone,
            SAME,
        );
    }
}

#[test]
fn a_sequence_with_nothing_to_score_gives_an_empty_list() {
    let device = crate::tiny::device();
    let (model, scalar) = (causal_lm(1, true, &device), scalar_model(1, &device));
    // Alone in its micro-batch, and beside one that has something.
    for max_tokens in [1, 4096] {
        let sequences = [vec![3, 4, 5], vec![6], vec![7, 8]];
        let result = sequence_logprobs(&model, &sequences, &[1, 0, 2], 1.0, max_tokens);
        assert_eq!(result.logprobs.iter().map(Vec::len).collect::<Vec<_>>(), [2, 0, 0]);
        assert_eq!(result.entropy.iter().map(Vec::len).collect::<Vec<_>>(), [2, 0, 0]);
        let values = sequence_values(&scalar, &sequences, &[1, 0, 2], max_tokens);
        assert_eq!(values.iter().map(Vec::len).collect::<Vec<_>>(), [2, 0, 0]);
    }
    assert!(
        sequence_logprobs(&model, &[] as &[Vec<u32>], &[], 1.0, 64)
            .logprobs
            .is_empty()
    );
    assert!(sequence_scores(&scalar, &[] as &[Vec<u32>], 64).is_empty());
}

#[test]
#[should_panic(expected = "sequence 1 is empty")]
fn the_score_of_an_empty_sequence_is_not_that_of_its_neighbour() {
    sequence_scores(&scalar_model(1, &crate::tiny::device()), &[vec![3, 4, 5], vec![]], 4096);
}
