//! Model directories: what is written is read back, what transformers wrote is written again, what is broken is refused
//! by file and name.

use std::{fs, path::Path};

use rlhf_core::{TensorMap, TokenBatch, to_host};
use rlhf_model::{
    CausalLm, ModelConfig, load_causal_lm, load_config, load_scalar_model, read_safetensors, save_causal_lm,
    save_scalar_model,
};
use safetensors::{Dtype, serialize, tensor::TensorView};
use tempfile::{TempDir, tempdir};

use crate::fixtures::{CONFIGS, model_dir, path};
use crate::tiny::{causal_lm, config, scalar_model, sequences};

const WEIGHTS: &str = "model.safetensors";

fn logits(model: &CausalLm) -> Vec<f32> {
    let batch = TokenBatch::pack(&sequences(&[5, 3, 8], 9), 16).to_device(&crate::tiny::device());
    to_host(model.logits(model.hidden_states(&batch)))
}

fn bytes(dir: &Path) -> [Vec<u8>; 2] {
    ["config.json", WEIGHTS].map(|file| fs::read(dir.join(file)).expect("a saved model has both files"))
}

#[test]
fn a_saved_language_model_loads_with_the_same_outputs_and_saves_to_the_same_bytes() {
    for tied in [true, false] {
        for device in [crate::tiny::device(), crate::tiny::device().autodiff()] {
            let (first, second) = (tempdir().unwrap(), tempdir().unwrap());
            let model = causal_lm(6, tied, &device);
            save_causal_lm(first.path(), &model, &config(tied)).unwrap();
            let (loaded, found) = load_causal_lm(first.path(), &crate::tiny::device()).unwrap();
            assert_eq!(found, config(tied));
            assert_eq!(logits(&loaded), logits(&causal_lm(6, tied, &crate::tiny::device())));
            save_causal_lm(second.path(), &loaded, &found).unwrap();
            assert_eq!(bytes(second.path()), bytes(first.path()));
        }
    }
}

#[test]
fn a_saved_scalar_model_loads_with_the_same_scores_and_saves_to_the_same_bytes() {
    let (first, second) = (tempdir().unwrap(), tempdir().unwrap());
    let model = scalar_model(6, &crate::tiny::device());
    let batch = TokenBatch::pack(&sequences(&[5, 3, 8], 9), 16).to_device(&crate::tiny::device());
    save_scalar_model(first.path(), &model, &config(true)).unwrap();
    let (loaded, found) = load_scalar_model(first.path(), &crate::tiny::device()).unwrap();
    assert_eq!(
        to_host(loaded.token_scores(&batch)),
        to_host(model.token_scores(&batch))
    );
    save_scalar_model(second.path(), &loaded, &found).unwrap();
    assert_eq!(bytes(second.path()), bytes(first.path()));
}

#[test]
fn a_model_of_transformers_is_written_with_the_tensors_it_came_with() {
    let original = read_safetensors(&path("models/gpt2").join(WEIGHTS)).unwrap();
    for name in ["gpt2", "gpt2_hub_keys"] {
        let (source, copy) = (model_dir(name, CONFIGS[0]), tempdir().unwrap());
        let (model, config) = load_causal_lm(source.path(), &crate::tiny::device()).unwrap();
        save_causal_lm(copy.path(), &model, &config).unwrap();
        assert!(
            read_safetensors(&copy.path().join(WEIGHTS)).unwrap() == original,
            "{name}: tensors differ"
        );
    }
}

#[test]
fn both_spellings_of_a_config_mean_the_same() {
    for name in ["gpt2", "gpt2_hub_keys", "gpt2_reward"] {
        let [new, old] = CONFIGS.map(|config| load_config(model_dir(name, config).path()).unwrap());
        assert_eq!(new, old);
        let wanted = ModelConfig {
            vocab_size: 97,
            n_positions: 64,
            n_embd: 32,
            n_layer: 2,
            n_head: 4,
            bos_token_id: Some(1),
            eos_token_id: Some(2),
            pad_token_id: Some(0),
            ..Default::default()
        };
        assert_eq!(new, wanted);
    }
}

#[test]
fn a_language_model_can_be_read_from_a_reward_model_and_the_other_way_round() {
    let reward = model_dir("gpt2_reward", CONFIGS[0]);
    assert!(load_causal_lm(reward.path(), &crate::tiny::device()).is_ok());
    // A language model has no scalar head, and one made of zeros would pass for a reward model.
    let language = model_dir("gpt2", CONFIGS[0]);
    let message = load_scalar_model(language.path(), &crate::tiny::device())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("score.weight") && message.contains("missing"),
        "{message}"
    );
}

/// A copy of the tied GPT-2 fixture whose tensors went through `change`.
fn changed(change: impl FnOnce(&mut TensorMap)) -> TempDir {
    let dir = model_dir("gpt2", CONFIGS[0]);
    let file = dir.path().join(WEIGHTS);
    let mut tensors = read_safetensors(&file).expect("the fixture is whole");
    change(&mut tensors);
    let data: Vec<(String, Vec<usize>, Vec<u8>)> = (tensors.into_iter())
        .map(|(name, (shape, values))| (name, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views = data.iter().map(|(name, shape, bytes)| {
        (
            name,
            TensorView::new(Dtype::F32, shape.clone(), bytes).expect("shape and values agree"),
        )
    });
    let bytes = serialize(views, None).expect("names are distinct");
    fs::write(&file, bytes).expect("a temporary file");
    dir
}

/// Asserts that loading fails and that the message holds every one of `wanted`.
#[track_caller]
fn refused(dir: &TempDir, wanted: &[&str]) {
    let message = load_causal_lm(dir.path(), &crate::tiny::device())
        .expect_err("a broken model")
        .to_string();
    assert!(
        wanted.iter().all(|part| message.contains(part)),
        "`{message}` lacks one of {wanted:?}"
    );
}

#[test]
fn a_missing_tensor_is_named() {
    let dir = changed(|tensors| {
        tensors.remove("transformer.h.1.attn.c_proj.bias");
    });
    refused(
        &dir,
        &[WEIGHTS, "`transformer.h.1.attn.c_proj.bias`", "missing", "[32]"],
    );
}

#[test]
fn a_surplus_tensor_is_named() {
    let dir = changed(|tensors| {
        tensors.insert("transformer.h.2.ln_1.weight".into(), (vec![2], vec![0.0; 2]));
    });
    refused(&dir, &[WEIGHTS, "surplus", "transformer.h.2.ln_1.weight"]);
}

#[test]
fn a_tensor_of_another_shape_is_named_with_both_shapes() {
    let dir = changed(|tensors| {
        let (shape, _) = tensors.get_mut("transformer.h.0.mlp.c_fc.weight").unwrap();
        shape.reverse();
    });
    refused(
        &dir,
        &[
            WEIGHTS,
            "`transformer.h.0.mlp.c_fc.weight`",
            "[128, 32]",
            "expected [32, 128]",
        ],
    );
}

#[test]
fn a_tensor_of_another_type_is_named() {
    let dir = model_dir("gpt2", CONFIGS[0]);
    let bytes = [0u8; 8];
    let view = TensorView::new(Dtype::F16, vec![4], &bytes).unwrap();
    fs::write(
        dir.path().join(WEIGHTS),
        serialize([("transformer.wte.weight", view)], None).unwrap(),
    )
    .unwrap();
    refused(&dir, &[WEIGHTS, "`transformer.wte.weight`", "F16", "F32"]);
}

#[test]
fn a_truncated_weights_file_is_refused_at_any_length() {
    let whole = fs::read(path("models/gpt2").join(WEIGHTS)).unwrap();
    let dir = model_dir("gpt2", CONFIGS[0]);
    for len in [0, 4, 8, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(dir.path().join(WEIGHTS), &whole[..len]).unwrap();
        refused(&dir, &[WEIGHTS, "not a whole safetensors file"]);
    }
}

#[test]
fn a_missing_file_is_named() {
    for file in ["config.json", WEIGHTS] {
        let dir = model_dir("gpt2", CONFIGS[0]);
        fs::remove_file(dir.path().join(file)).unwrap();
        refused(&dir, &[file, "No such file"]);
    }
}

#[test]
fn a_malformed_config_is_refused_with_the_field_at_fault() {
    let cases: [(&str, &str, &[&str]); 8] = [
        ("\"n_head\": 4", "\"n_head\": 5", &["`n_head`", "5", "32"]),
        ("\"n_head\": 4", "\"n_head\": 0", &["`n_head`"]),
        ("\"n_embd\": 32", "\"n_embd\": \"wide\"", &["wide", "line"]),
        (
            "\"model_type\": \"gpt2\"",
            "\"model_type\": \"llama\"",
            &["`model_type`", "llama", "gpt2"],
        ),
        ("gelu_new", "relu", &["`activation_function`", "relu"]),
        ("\"vocab_size\": 97", "\"vocab_size\": -97", &["-97"]),
        ("\"vocab_size\": 97\n}", "\"vocab_size\": 97\n", &["EOF", "line"]),
        (
            "\"n_positions\": 64",
            "\"n_positions\": 65",
            &["transformer.wpe.weight", "[64, 32]", "[65, 32]"],
        ),
    ];
    for (from, to, wanted) in cases {
        let dir = model_dir("gpt2", CONFIGS[0]);
        let file = dir.path().join("config.json");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from), "the fixture holds {from}");
        fs::write(&file, text.replace(from, to)).unwrap();
        refused(&dir, wanted);
    }
}

#[test]
fn an_attention_variant_that_would_give_other_numbers_is_refused() {
    for (field, usual, variant) in [
        ("scale_attn_weights", "true", "false"),
        ("scale_attn_by_inverse_layer_idx", "false", "true"),
        ("add_cross_attention", "false", "true"),
    ] {
        let dir = model_dir("gpt2", CONFIGS[0]);
        let file = dir.path().join("config.json");
        let (from, to) = (format!("\"{field}\": {usual}"), format!("\"{field}\": {variant}"));
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(&from), "the fixture holds {from}");
        fs::write(&file, text.replace(&from, &to)).unwrap();
        refused(&dir, &["config.json", &format!("`{field}`"), variant, usual]);
    }
}
