//! Decoding with the key/value cache equals a pass over the whole sequence.

use proptest::prelude::*;
use rand::Rng;
use rlhf_core::{TokenBatch, int_tensor, rng, to_host};
use rlhf_model::{CausalLm, KvCache};

use crate::tiny::{D_MODEL, assert_close, causal_lm, long_lm, proptest_config, sequences};

const SAME: (f64, f64) = (2e-6, 2e-6);

/// Hidden states `[len, d_model]` of one sequence, without a cache.
fn uncached(model: &CausalLm, sequence: &[u32]) -> Vec<f32> {
    to_host(model.hidden_states(&TokenBatch::pack(&[sequence], 1).to_device(&crate::tiny::device())))
}

/// Feeds columns `columns` of the left-padded rows, and returns the hidden states `[rows * columns, d_model]`.
fn feed(
    model: &CausalLm,
    rows: &[(usize, Vec<u32>)],
    columns: std::ops::Range<usize>,
    cache: &mut KvCache,
) -> Vec<f32> {
    assert_eq!(cache.filled(), columns.start);
    let device = crate::tiny::device();
    let places = rows
        .iter()
        .flat_map(|(pad, tokens)| columns.clone().map(move |c| (c.checked_sub(*pad), tokens)));
    let (ids, positions): (Vec<i32>, Vec<i32>) = places
        .map(|(place, tokens)| place.map_or((0, 0), |t| (tokens[t] as i32, t as i32)))
        .unzip();
    to_host(
        model
            .transformer
            .decode(int_tensor(&ids, &device), int_tensor(&positions, &device), cache),
    )
}

proptest! {
    #![proptest_config(proptest_config(12))]

    #[test]
    fn any_split_into_calls_gives_the_uncached_hidden_states(
        lens in prop::collection::vec(1usize..14, 1..5), seed in any::<u64>(), spare in 0usize..5
    ) {
        let model = causal_lm(seed, true, &crate::tiny::device());
        let longest = lens.iter().copied().max().unwrap_or(1);
        let rows: Vec<(usize, Vec<u32>)> = sequences(&lens, seed).into_iter().map(|s| (longest - s.len(), s)).collect();
        let pads: Vec<usize> = rows.iter().map(|(pad, _)| *pad).collect();
        let mut cache = model.transformer.new_cache(&pads, longest + spare);
        let mut rng = rng(seed, "tests.split", &[]);
        let mut start = 0;
        while start < longest {
            let end = rng.random_range(start + 1..=longest);
            let states = feed(&model, &rows, start..end, &mut cache);
            for (row, (pad, tokens)) in rows.iter().enumerate() {
                let whole = uncached(&model, tokens);
                for column in start.max(*pad)..end {
                    let found = &states[(row * (end - start) + column - start) * D_MODEL..][..D_MODEL];
                    let t = column - pad;
                    assert_close(format!("row {row}, token {t}"), found, &whole[t * D_MODEL..][..D_MODEL], SAME);
                }
            }
            start = end;
        }
    }

    #[test]
    fn rows_kept_in_any_order_go_on_as_before(
        lens in prop::collection::vec(1usize..10, 2..6), seed in any::<u64>()
    ) {
        let model = causal_lm(seed, true, &crate::tiny::device());
        let longest = lens.iter().copied().max().unwrap_or(1);
        // Three tokens beyond the prompt; rows are dropped or exchanged before each of them.
        let grown: Vec<usize> = lens.iter().map(|len| len + 3).collect();
        let mut rows: Vec<(usize, Vec<u32>)> =
            sequences(&grown, seed).into_iter().zip(&lens).map(|(s, len)| (longest - len, s)).collect();
        let pads: Vec<usize> = rows.iter().map(|(pad, _)| *pad).collect();
        let mut cache = model.transformer.new_cache(&pads, longest + 3);
        feed(&model, &rows, 0..longest, &mut cache);
        let mut rng = rng(seed, "tests.rows", &[]);
        for column in longest..longest + 3 {
            let mut kept = rlhf_core::permutation(rows.len(), &mut rng);
            kept.truncate(rng.random_range(1..=rows.len()));
            cache.select_rows(&kept);
            rows = kept.iter().map(|&row| rows[row].clone()).collect();
            prop_assert_eq!(cache.batch(), rows.len());
            let states = feed(&model, &rows, column..column + 1, &mut cache);
            for ((pad, tokens), found) in rows.iter().zip(states.chunks(D_MODEL)) {
                let whole = uncached(&model, &tokens[..=column - pad]);
                assert_close("kept row", found, &whole[(column - pad) * D_MODEL..], SAME);
            }
        }
    }
}

#[test]
fn a_long_prompt_then_single_tokens_give_the_uncached_hidden_states() {
    let model = long_lm(32, &crate::tiny::device());
    let rows: Vec<(usize, Vec<u32>)> = sequences(&[256, 130, 201], 32)
        .into_iter()
        .map(|s| (256 - s.len(), s))
        .collect();
    let pads: Vec<usize> = rows.iter().map(|(pad, _)| *pad).collect();
    let whole: Vec<Vec<f32>> = rows.iter().map(|(_, tokens)| uncached(&model, tokens)).collect();
    let mut cache = model.transformer.new_cache(&pads, 256);
    feed(&model, &rows, 0..200, &mut cache);
    for column in 200..256 {
        let states = feed(&model, &rows, column..column + 1, &mut cache);
        for ((found, whole), pad) in states.chunks(D_MODEL).zip(&whole).zip(&pads) {
            let place = (column - pad) * D_MODEL;
            assert_close(format!("column {column}"), found, &whole[place..place + D_MODEL], SAME);
        }
    }
}
