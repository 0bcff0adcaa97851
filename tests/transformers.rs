//! Models that we save give the same outputs when transformers reads them; only where `RLHF_PYTHON` names a Python with
//! `torch` and `transformers`.

use std::fs;
use std::path::{Path, PathBuf};

use rlhf_core::{TokenBatch, named_parameters, to_host};
use rlhf_model::{CausalLm, Family, ModelConfig, ScalarModel, save_causal_lm, save_scalar_model};
use serde_json::json;

use crate::families::{self, model};
use crate::python;
use crate::tiny::{device, sequences};

/// Log-odds of every token of every sequence, row after row.
fn logits(model: &CausalLm, sequences: &[Vec<u32>]) -> Vec<Vec<f32>> {
    let of = |ids: &Vec<u32>| {
        let batch = TokenBatch::pack(std::slice::from_ref(ids), 1).to_device(&device());
        to_host(model.logits(model.hidden_states(&batch)))
    };
    sequences.iter().map(of).collect()
}

/// The score of each sequence without the bias, which transformers does not have.
fn scores(model: &ScalarModel, sequences: &[Vec<u32>]) -> Vec<Vec<f32>> {
    let bias = named_parameters(model).last().expect("a head").values[0];
    let of = |ids: &Vec<u32>| {
        let batch = TokenBatch::pack(std::slice::from_ref(ids), 1).to_device(&device());
        let all = to_host(model.token_scores(&batch));
        vec![all.last().expect("no sequence is empty") - bias]
    };
    sequences.iter().map(of).collect()
}

fn write(case: &Path, task: &str, sequences: &[Vec<u32>], expected: &[Vec<f32>]) {
    let ours = json!({"task": task, "input_ids": sequences, "expected": expected});
    fs::write(case.join("ours.json"), ours.to_string()).expect("a temporary folder");
}

#[test]
fn saved_models_mean_the_same_to_transformers() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let sequences = sequences(&[9, 1, 14, 30], 4);
    let gpt2 = ModelConfig::from(rlhf_model::Gpt2Config {
        vocab_size: 23,
        n_positions: 32,
        n_embd: 16,
        n_layer: 2,
        n_head: 4,
        initializer_range: 0.3,
        ..rlhf_model::Gpt2Config::default()
    });
    let mut cases: Vec<PathBuf> = Vec::new();
    for (name, config) in families::cases().into_iter().chain([("gpt2", gpt2)]) {
        let model = model(&config);
        let case = dir.path().join(name);
        fs::create_dir_all(&case).expect("a temporary folder");
        save_causal_lm(&case, &model, &config).expect("a temporary folder");
        write(&case, "CAUSAL_LM", &sequences, &logits(&model, &sequences));
        cases.push(case);
        if matches!(config.family(), Family::Gpt2 | Family::Llama | Family::Qwen3) {
            let scalar = ScalarModel::from_decoder(model.transformer, 3, &device());
            let case = dir.path().join(format!("{name} with scores"));
            fs::create_dir_all(&case).expect("a temporary folder");
            save_scalar_model(&case, &scalar, &config).expect("a temporary folder");
            write(&case, "SEQ_CLS", &sequences, &scores(&scalar, &sequences));
            cases.push(case);
        }
    }
    python::run("transformers/check.py", &cases);
}
