//! Model directories: what is written is read back, what transformers wrote is written again, what is broken is refused
//! by file and name.

use std::{collections::BTreeMap, fs, path::Path};

use rlhf_core::{TensorMap, TokenBatch, to_host};
use rlhf_model::{
    CausalLm, Gpt2Config, ModelConfig, ScalarModel, load_causal_lm, load_config, load_scalar_model, read_safetensors,
    save_causal_lm, save_scalar_model,
};
use safetensors::{Dtype, SafeTensors, serialize, tensor::TensorView};
use serde_json::{Map, Value, json};
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
            assert_eq!(found.architecture(), config(tied).architecture());
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
        assert_eq!(new.architecture(), old.architecture());
        let wanted: ModelConfig = Gpt2Config {
            vocab_size: 97,
            n_positions: 64,
            n_embd: 32,
            n_layer: 2,
            n_head: 4,
            ..Default::default()
        }
        .into();
        assert_eq!(new.architecture(), wanted.architecture());
        for config in [new, old] {
            let tokens = [config.bos_token_id(), config.eos_token_id(), config.pad_token_id()];
            assert_eq!(tokens, [Some(1), Some(2), Some(0)]);
        }
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

/// Every folder of the fixtures, and whether it is a reward model.
const FOLDERS: [(&str, bool); 11] = [
    ("gpt2", false),
    ("gpt2_hub_keys", false),
    ("gpt2_reward", true),
    ("gpt_neox", false),
    ("llama_reward", true),
    ("llama_sharded", false),
    ("llama_tied", false),
    ("llama_tied_bf16", false),
    ("llama_untied", false),
    ("qwen2", false),
    ("qwen3", false),
];

/// The stored bytes of every tensor of a folder, with type and shape.
fn stored_bytes(dir: &Path) -> BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)> {
    let files = fs::read_dir(dir)
        .expect("a folder")
        .map(|entry| entry.expect("readable").path());
    let weights = files.filter(|path| path.extension().is_some_and(|e| e == "safetensors"));
    let mut all = BTreeMap::new();
    for path in weights {
        let bytes = fs::read(path).expect("readable");
        for (name, view) in SafeTensors::deserialize(&bytes).expect("whole").iter() {
            let tensor = (view.dtype(), view.shape().to_vec(), view.data().to_vec());
            all.insert(name.to_owned(), tensor);
        }
    }
    all
}

#[test]
fn a_folder_of_transformers_is_written_with_the_bytes_of_its_weights_and_the_fields_of_its_config() {
    for (name, reward) in FOLDERS {
        for config_file in CONFIGS {
            let (source, copy) = (model_dir(name, config_file), tempdir().unwrap());
            if reward {
                let (model, config) = load_scalar_model(source.path(), &crate::tiny::device()).unwrap();
                save_scalar_model(copy.path(), &model, &config).unwrap();
            } else {
                let (model, config) = load_causal_lm(source.path(), &crate::tiny::device()).unwrap();
                save_causal_lm(copy.path(), &model, &config).unwrap();
            }
            // The older names are written as today's; our bias is the one tensor that others lack.
            let same = if name == "gpt2_hub_keys" { "gpt2" } else { name };
            let original = stored_bytes(model_dir(same, config_file).path());
            let mut written = stored_bytes(copy.path());
            assert_eq!(written.remove("score.bias").is_some(), reward, "{name}");
            assert!(written == original, "{name}/{config_file}: tensors differ");

            let fields = |dir: &Path| -> Map<String, Value> {
                serde_json::from_slice(&fs::read(dir.join("config.json")).unwrap()).unwrap()
            };
            let written = fields(copy.path());
            for (field, value) in fields(source.path()) {
                let ours = ["id2label", "label2id"].contains(&field.as_str());
                assert!(
                    ours || written[&field] == value,
                    "{name}/{config_file}: `{field}` differs"
                );
            }
            assert!(load_config(copy.path()).is_ok());
        }
    }
}

#[test]
fn a_generation_config_is_kept_or_made_from_the_special_tokens() {
    let read = |dir: &Path| -> Value {
        serde_json::from_slice(&fs::read(dir.join("generation_config.json")).unwrap()).unwrap()
    };
    let (source, copy) = (model_dir("llama_tied", CONFIGS[0]), tempdir().unwrap());
    let save = || {
        let (model, config) = load_causal_lm(source.path(), &crate::tiny::device()).unwrap();
        save_causal_lm(copy.path(), &model, &config).unwrap();
    };
    save();
    let made = json!({"_from_model_config": true, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0});
    assert_eq!(read(copy.path()), made);
    let own = json!({"eos_token_id": [2, 5], "temperature": 0.6});
    fs::write(source.path().join("generation_config.json"), own.to_string()).unwrap();
    save();
    assert_eq!(read(copy.path()), own);
}

#[test]
fn a_language_model_becomes_a_reward_model_of_its_family() {
    let (source, copy) = (model_dir("qwen2", CONFIGS[0]), tempdir().unwrap());
    let (model, config) = load_causal_lm(source.path(), &crate::tiny::device()).unwrap();
    let reward = ScalarModel::from_decoder(model.transformer, 3, &crate::tiny::device()).rescaled(2.0, -0.5);
    save_scalar_model(copy.path(), &reward, &config).unwrap();
    let fields: Value = serde_json::from_slice(&fs::read(copy.path().join("config.json")).unwrap()).unwrap();
    assert_eq!(fields["architectures"], json!(["Qwen2ForSequenceClassification"]));
    assert_eq!(fields["num_labels"], json!(1));
    let (loaded, _) = load_scalar_model(copy.path(), &crate::tiny::device()).unwrap();
    let batch = TokenBatch::pack(&sequences(&[5, 3], 9), 16).to_device(&crate::tiny::device());
    assert_eq!(
        to_host(loaded.token_scores(&batch)),
        to_host(reward.token_scores(&batch))
    );
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
    refused(
        &with_index(
            "model.layers.0.mlp.up_proj.weight",
            "model.layers.0.mlp.left_proj.weight",
        ),
        &[INDEX, "`model.layers.0.mlp.left_proj.weight`", first],
    );
    let dir = model_dir("llama_sharded", CONFIGS[0]);
    fs::copy(
        dir.path().join(first),
        dir.path().join("model-00002-of-00002.safetensors"),
    )
    .unwrap();
    refused(&dir, &["in another file"]);
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
