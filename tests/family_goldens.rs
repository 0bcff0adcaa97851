//! Families that no PyTorch fixture of `tests/golden/models` covers, against what transformers computes of tiny random models
//! in double precision: `tests/golden/families/make.py` makes them.

use rlhf_inference::{GenerateOptions, Generator, Sampling};
use rlhf_model::{load_causal_lm, sequence_logprobs};
use serde::Deserialize;

use crate::fixtures::{json, path};
use crate::tiny::{assert_close, device};

const CASES: [&str; 5] = ["phi3", "phi3_longrope", "smollm3", "smollm3_windows", "mistral"];
const LOGPROB: (f64, f64) = (2e-5, 0.0);

#[derive(Deserialize)]
struct Expected {
    input_ids: Vec<Vec<u32>>,
    logprobs: Vec<Vec<f32>>,
    greedy_after: Vec<u32>,
    greedy: Vec<u32>,
}

#[test]
fn log_probabilities_and_greedy_tokens_are_those_of_transformers() {
    for case in CASES {
        let expected: Expected = json(&format!("families/{case}/expected.json"));
        let (model, _) = load_causal_lm(&path("families").join(case), &device()).expect("the fixture is whole");
        let from = vec![1; expected.input_ids.len()];
        let found = sequence_logprobs(&model, &expected.input_ids, &from, 1.0, 4096);
        for (found, wanted) in found.logprobs.iter().zip(&expected.logprobs) {
            assert_close(case, found, wanted, LOGPROB);
        }
        let options = GenerateOptions {
            max_new_tokens: expected.greedy.len(),
            eos_token_id: u32::MAX,
            sampling: Sampling::greedy(),
            ..GenerateOptions::default()
        };
        let written = Generator::new(&model).generate(&[expected.greedy_after], &options);
        assert_eq!(
            written.expect("a prompt that fits")[0].tokens,
            expected.greedy,
            "{case}"
        );
    }
}
