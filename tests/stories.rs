//! A pretrained Llama against numbers computed from it in double precision.
//!
//! The model is not part of the repository: `RLHF_STORIES260K` names its folder, with `config.json`, `model.safetensors`
//! and `reference.json`.

use std::{env, fs, path::PathBuf};

use rlhf_core::{TokenBatch, to_host};
use rlhf_inference::{GenerateOptions, Generator, Sampling};
use rlhf_model::{load_causal_lm, sequence_logprobs};
use serde::Deserialize;

use crate::tiny::{assert_close, device};

/// The reference has five decimals.
const ROUNDED: (f64, f64) = (1.5e-5, 0.0);

#[derive(Deserialize)]
struct Reference {
    greedy_from_bos_ids: Vec<u32>,
    greedy_logprobs: Vec<f32>,
    logits_after_bos: Vec<f32>,
}

#[test]
#[ignore = "needs the folder that RLHF_STORIES260K names"]
fn a_pretrained_model_continues_as_its_reference_does() {
    let dir = PathBuf::from(env::var_os("RLHF_STORIES260K").expect("RLHF_STORIES260K names the model's folder"));
    let text = fs::read_to_string(dir.join("reference.json")).expect("the folder has a reference.json");
    let Reference {
        greedy_from_bos_ids,
        greedy_logprobs,
        logits_after_bos,
    } = serde_json::from_str(&text).expect("the reference has these lists");
    let (model, config) = load_causal_lm(&dir, &device()).expect("the folder holds a model");
    assert_eq!(config.bos_token_id(), Some(greedy_from_bos_ids[0]));

    let start = [greedy_from_bos_ids[..1].to_vec()];
    let batch = TokenBatch::pack(&start, 1).to_device(&device());
    let logits = to_host(model.logits(model.hidden_states(&batch)));
    assert_close("logits after the first token", &logits, &logits_after_bos, ROUNDED);

    let options = GenerateOptions {
        max_new_tokens: greedy_logprobs.len(),
        eos_token_id: u32::MAX,
        sampling: Sampling::greedy(),
        ..Default::default()
    };
    let completions = Generator::new(&model)
        .generate(&start, &options)
        .expect("the prompt fits");
    assert_eq!(completions[0].tokens, greedy_from_bos_ids[1..]);

    let found = sequence_logprobs(&model, &[&greedy_from_bos_ids], &[1], 1.0, 4096);
    assert_close("log-probs", &found.logprobs[0], &greedy_logprobs, ROUNDED);
}
