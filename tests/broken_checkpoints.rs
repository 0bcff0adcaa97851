//! Model directories that are broken: refused by file, tensor or field.

use std::fs;

use rlhf_core::TensorMap;
use rlhf_model::{load_causal_lm, read_safetensors};
use safetensors::{Dtype, SafeTensors, serialize, tensor::TensorView};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::fixtures::{CONFIGS, model_dir, path};

const WEIGHTS: &str = "model.safetensors";

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

/// Nobody can tell which of the two is meant; once one of them was taken in silence.
#[test]
fn a_tensor_under_its_older_name_and_todays_is_refused_by_both() {
    let dir = changed(|tensors| {
        let weight = tensors["transformer.ln_f.weight"].clone();
        tensors.insert("ln_f.weight".into(), weight);
    });
    refused(&dir, &[WEIGHTS, "surplus", "ln_f.weight, transformer.ln_f.weight"]);
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
    let bytes = vec![0u8; 8 * 97 * 32];
    let view = TensorView::new(Dtype::F64, vec![97, 32], &bytes).unwrap();
    fs::write(
        dir.path().join(WEIGHTS),
        serialize([("transformer.wte.weight", view)], None).unwrap(),
    )
    .unwrap();
    refused(&dir, &[WEIGHTS, "`transformer.wte.weight`", "F64", "F32, F16 or BF16"]);
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
    for (file, said) in [("config.json", "No such file"), (WEIGHTS, "no weights")] {
        let dir = model_dir("gpt2", CONFIGS[0]);
        fs::remove_file(dir.path().join(file)).unwrap();
        refused(&dir, &[file, said]);
    }
}

#[test]
fn a_malformed_config_is_refused_with_the_field_at_fault() {
    let cases: [(&str, &str, &[&str]); 8] = [
        ("\"n_head\": 4", "\"n_head\": 5", &["`n_head`", "5", "32"]),
        ("\"n_head\": 4", "\"n_head\": 0", &["`n_head`"]),
        ("\"n_embd\": 32", "\"n_embd\": \"wide\"", &["`n_embd`", "wide"]),
        (
            "\"model_type\": \"gpt2\"",
            "\"model_type\": \"bloom\"",
            &["`model_type`", "bloom", "gpt2"],
        ),
        ("gelu_new", "relu", &["`activation_function`", "relu"]),
        ("\"vocab_size\": 97", "\"vocab_size\": -97", &["`vocab_size`", "-97"]),
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

/// `config.json` of the golden `model` with one field changed.
fn with_field(model: &str, field: &str, value: Value) -> TempDir {
    let dir = model_dir(model, CONFIGS[1]);
    let file = dir.path().join("config.json");
    let bytes = fs::read(&file).expect("a fixture");
    let mut fields: Map<String, Value> = serde_json::from_slice(&bytes).expect("a configuration");
    fields.insert(field.into(), value);
    fs::write(&file, Value::Object(fields).to_string()).expect("a temporary file");
    dir
}

/// Each is refused while nothing but the file has been read: none of these sizes fits into any memory, and zero divides nothing.
#[test]
fn absurd_sizes_are_refused_by_field_or_tensor() {
    let sizes = |model: &str, fields: &[&str]| {
        for field in fields {
            for value in [
                json!(0),
                json!(1_000_000_000_000_000_000_u64),
                json!(u64::MAX),
                json!(-1),
                json!(1e300),
            ] {
                refused(
                    &with_field(model, field, value),
                    &["config.json", &format!("`{field}`"), "expected"],
                );
            }
            // The largest that passes for a size is more than the file holds.
            let largest = with_field(model, field, json!(1 << 24));
            assert!(
                load_causal_lm(largest.path(), &crate::tiny::device()).is_err(),
                "{model}: {field}"
            );
        }
    };
    sizes(
        "gpt2",
        &["vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "n_inner"],
    );
    let llama = [
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
    ];
    sizes("gpt_neox", &llama);
    sizes(
        "llama_tied",
        &[&llama[..], &["num_key_value_heads", "head_dim"]].concat(),
    );
    sizes("qwen3", &["head_dim"]);
    refused(&with_field("gpt2", "n_layer", json!(1_000_000)), &["`n_layer`", "4096"]);
}

/// Finite numbers, each, whose quotients and products are not: they were taken, and every logit was NaN.
#[test]
fn rotary_numbers_whose_angles_are_no_numbers_are_refused() {
    for scaling in [
        json!({"rope_type": "linear", "factor": 1e-300}),
        json!({"rope_type": "llama3", "factor": 1e-44, "low_freq_factor": 1.0, "high_freq_factor": 4.0}),
        json!({"rope_type": "yarn", "factor": 4.0, "attention_factor": 1e300}),
        json!({"rope_type": "yarn", "factor": 4.0, "mscale": 1e300, "mscale_all_dim": 1e-300}),
    ] {
        let dir = with_field("llama_tied", "rope_scaling", scaling);
        refused(&dir, &["config.json", "`rope_theta`", "angles that are no numbers"]);
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

/// A copy of the sharded fixture with `from` replaced by `to` in its index.
fn with_index(from: &str, to: &str) -> TempDir {
    let dir = model_dir("llama_sharded", CONFIGS[0]);
    let file = dir.path().join(INDEX);
    let text = fs::read_to_string(&file).expect("the fixture has an index");
    assert!(text.contains(from), "the fixture holds {from}");
    fs::write(&file, text.replacen(from, to, 1)).expect("a temporary file");
    dir
}

const INDEX: &str = "model.safetensors.index.json";

#[test]
fn a_malformed_index_is_refused_with_the_tensor_or_file_at_fault() {
    let first = "model-00001-of-00002.safetensors";
    refused(&with_index("weight_map", "weights"), &[INDEX, "`weight_map`"]);
    refused(&with_index("{", "["), &[INDEX, "line"]);
    refused(
        &with_index(first, "../model.safetensors"),
        &[INDEX, "../model.safetensors"],
    );
    refused(&with_index(&format!("\"{first}\""), "7"), &[INDEX, "weight_map.", "7"]);
    refused(
        &with_index(first, "model-00003-of-00002.safetensors"),
        &["model-00003-of-00002", "No such file"],
    );
    let dir = model_dir("llama_sharded", CONFIGS[0]);
    fs::copy(
        dir.path().join(first),
        dir.path().join("model-00002-of-00002.safetensors"),
    )
    .unwrap();
    refused(&dir, &[INDEX, "missing"]);
}

#[test]
fn a_missing_part_of_a_fused_parameter_is_named_as_the_file_should_have_it() {
    let dir = model_dir("llama_untied", CONFIGS[0]);
    let file = dir.path().join(WEIGHTS);
    let bytes = fs::read(&file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let without = |missing: &str| {
        let views = tensors.iter().filter(|(name, _)| *name != missing);
        fs::write(&file, serialize(views, None).unwrap()).unwrap();
        refused(&dir, &[WEIGHTS, &format!("`{missing}`"), "missing"]);
    };
    without("model.layers.1.self_attn.k_proj.weight");
    without("model.layers.0.mlp.up_proj.weight");
    without("lm_head.weight");
    without("model.norm.weight");
}

#[test]
fn any_changed_byte_of_a_header_gives_an_error_or_a_model_and_never_a_panic() {
    let whole = fs::read(path("models/llama_tied").join(WEIGHTS)).unwrap();
    let dir = model_dir("llama_tied", CONFIGS[0]);
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    for place in (0..header).step_by(5) {
        for change in [1, 0x10, 0x80] {
            let mut bytes = whole.clone();
            bytes[place] ^= change;
            fs::write(dir.path().join(WEIGHTS), bytes).unwrap();
            // Metadata may change without harm; whatever else does is named.
            if let Err(error) = load_causal_lm(dir.path(), &crate::tiny::device()) {
                assert!(error.to_string().contains(WEIGHTS), "byte {place}: {error}");
            }
        }
    }
}
