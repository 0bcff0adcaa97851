//! The next-token distribution against the reference, filter by filter.

use rlhf_inference::{Sampling, next_token_distribution};
use serde::Deserialize;

use crate::fixtures::json;

#[derive(Deserialize)]
struct Case {
    temperature: f64,
    top_k: usize,
    top_p: f64,
    min_p: f64,
    repetition_penalty: f64,
    previous_tokens: Vec<Vec<u32>>,
    logits: Vec<Vec<f64>>,
    probs: Vec<Vec<f64>>,
}

#[test]
fn next_token_distributions_follow_the_golden_vectors() {
    for (i, case) in json::<Vec<Case>>("ppo/sampling.json").into_iter().enumerate() {
        let Case {
            temperature,
            top_k,
            top_p,
            min_p,
            repetition_penalty,
            ..
        } = case;
        let sampling = Sampling {
            repetition_penalty,
            temperature,
            top_k,
            top_p,
            min_p,
        };
        for (row, ((logits, previous), wanted)) in case
            .logits
            .iter()
            .zip(&case.previous_tokens)
            .zip(&case.probs)
            .enumerate()
        {
            let found = next_token_distribution(logits, &sampling, previous);
            assert_eq!(found.len(), wanted.len());
            for (token, (found, wanted)) in found.iter().zip(wanted).enumerate() {
                assert_eq!(
                    *found == 0.0,
                    *wanted == 0.0,
                    "case {i}, row {row}, token {token}: {found}, expected {wanted}"
                );
                assert!(
                    (found - wanted).abs() <= 1e-13,
                    "case {i}, row {row}, token {token}: {found}, expected {wanted}"
                );
            }
        }
    }
}
