//! PEFT reads our adapters, and we read PEFT's, with the same outputs; where `RLHF_PYTHON` names a Python with `peft`,
//! `torch` and `transformers`.

use std::fs;
use std::path::{Path, PathBuf};

use rlhf_core::{TokenBatch, named_parameters, to_host};
use rlhf_model::{
    CausalLm, ScalarModel, load_causal_adapter, load_scalar_adapter, save_causal_adapter, save_scalar_adapter,
};
use serde_json::{Value, json};

use crate::fixtures::{CONFIGS, model_dir};
use crate::lora::{FIXTURES, adapted, everywhere, fixture, shaken_adapters};
use crate::python;
use crate::tiny::{assert_close, device};

const SEQUENCES: [&[u32]; 3] = [&[5, 17, 3, 40, 96], &[8], &[1, 2, 60, 61, 62, 7, 9]];
const CLOSE: (f64, f64) = (1e-4, 1e-4);

/// The logits of the last token of each sequence.
fn last_logits(model: &CausalLm) -> Vec<Vec<f32>> {
    let vocab = model.transformer.vocab_size();
    let all = |ids: &&[u32]| {
        let batch = TokenBatch::pack(&[ids.to_vec()], 1).to_device(&device());
        to_host(model.logits(model.hidden_states(&batch)))
    };
    SEQUENCES
        .iter()
        .map(|ids| all(ids).split_off((ids.len() - 1) * vocab))
        .collect()
}

/// The score of each sequence, without the bias that transformers does not have.
fn scores(model: &ScalarModel) -> Vec<Vec<f32>> {
    let bias = named_parameters(model).last().expect("a head").values[0];
    let last = |ids: &&[u32]| {
        let batch = TokenBatch::pack(&[ids.to_vec()], 1).to_device(&device());
        to_host(model.token_scores(&batch))
            .last()
            .expect("no sequence is empty")
            - bias
    };
    SEQUENCES.iter().map(|ids| vec![last(ids)]).collect()
}

fn prepare(case: &Path, name: &str, task: &str, expected: &[Vec<f32>]) {
    let source = model_dir(name, CONFIGS[0]);
    fs::create_dir_all(case.join("base")).expect("a temporary folder");
    for entry in fs::read_dir(source.path()).expect("a copy of the fixture") {
        let path = entry.expect("readable").path();
        let file = path.file_name().expect("a file");
        fs::copy(&path, case.join("base").join(file)).expect("a temporary folder");
    }
    let ours = json!({"task": task, "input_ids": SEQUENCES, "expected": expected});
    fs::write(case.join("ours.json"), ours.to_string()).expect("a temporary folder");
}

fn theirs(case: &Path) -> Vec<f32> {
    let text = fs::read_to_string(case.join("theirs.json")).expect("the script writes it");
    let value: Value = serde_json::from_str(&text).expect("JSON");
    let rows = value["expected"].as_array().expect("a list of lists").iter();
    let numbers = rows.flat_map(|row| row.as_array().expect("a list of lists"));
    numbers
        .map(|number| number.as_f64().expect("a number") as f32)
        .collect()
}

#[test]
fn adapters_mean_the_same_to_peft() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut cases: Vec<(PathBuf, &str, bool)> = Vec::new();
    for name in FIXTURES {
        let case = dir.path().join(name);
        let model = adapted(fixture(name), &everywhere(), 31);
        prepare(&case, name, "CAUSAL_LM", &last_logits(&model));
        save_causal_adapter(&case.join("ours"), &model, "base").expect("a temporary folder");
        cases.push((case, name, false));
    }
    for name in ["gpt2", "llama_untied"] {
        let case = dir.path().join(format!("{name}_scalar"));
        let model = ScalarModel::from_decoder(fixture(name).transformer, 3, &device());
        let model = shaken_adapters(model.with_lora(&everywhere(), 3).expect("all layers"), 32);
        prepare(&case, name, "SEQ_CLS", &scores(&model));
        save_scalar_adapter(&case.join("ours"), &model, "base").expect("a temporary folder");
        cases.push((case, name, true));
    }
    let folders: Vec<PathBuf> = cases.iter().map(|(case, ..)| case.clone()).collect();
    if !python::run("peft/check.py", &folders) {
        return;
    }
    for (case, name, is_scalar) in cases {
        let adapter = case.join("theirs");
        let found = if is_scalar {
            scores(&load_scalar_adapter(&adapter, fixture(name).transformer).expect("PEFT wrote it"))
        } else {
            last_logits(&load_causal_adapter(&adapter, fixture(name)).expect("PEFT wrote it"))
        };
        assert_close(case.display(), &found.concat(), &theirs(&case), CLOSE);
    }
}
