//! Laws that hold for a model of any family, with every part that no PyTorch fixture covers: sliding windows, scaled
//! rotary embeddings, sequential GPT-NeoX, biases in Llama.

use std::fs;

use burn::module::Module;
use rlhf_core::{GradientBuffer, PaddingSide, TokenBatch, index_tensor, int_tensor, to_host};
use rlhf_model::{
    CausalLm, ModelConfig, StorageType, load_causal_lm, load_config, read_safetensors, save_causal_lm,
    save_causal_lm_in_shards,
};
use serde_json::{Map, Value, json};
use tempfile::{TempDir, tempdir};

use crate::fixtures::{CONFIGS, model_dir};
use crate::tiny::{assert_close, device, sequences, shaken};

const SAME: (f64, f64) = (5e-6, 5e-6);
/// Gradients, which are sums over tokens.
const GRADIENT: (f64, f64) = (2e-5, 2e-5);
/// The sliding window of the cases that have one.
const WINDOW: usize = 4;

/// A small model of the family `model_type` with `changes` to its configuration.
fn config(model_type: &str, changes: Value) -> ModelConfig {
    let mut fields = json!({
        "model_type": model_type,
        "vocab_size": 23,
        "hidden_size": 16,
        "intermediate_size": 21,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 32,
        "initializer_range": 0.3,
    });
    let fields = fields.as_object_mut().expect("written as an object");
    if model_type != "gpt_neox" {
        fields.insert("num_key_value_heads".into(), json!(2));
    }
    fields.extend(changes.as_object().expect("an object").clone());
    ModelConfig::from_fields(fields.clone()).expect("a configuration without faults")
}

fn scaled(rope: Value) -> ModelConfig {
    let mut rope = rope;
    rope["rope_theta"] = json!(100.0);
    config("llama", json!({"rope_parameters": rope}))
}

/// Families whose default special tokens are beyond a small vocabulary.
fn with_tokens(mut changes: Value) -> Value {
    changes["bos_token_id"] = json!(1);
    changes["eos_token_id"] = json!(2);
    changes["pad_token_id"] = json!(0);
    changes
}

pub(crate) fn cases() -> Vec<(&'static str, ModelConfig)> {
    let llama3 = json!({
        "rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16
    });
    let windows = json!({
        "use_sliding_window": true, "sliding_window": WINDOW, "layer_types": ["full_attention", "sliding_attention"]
    });
    let longrope = json!({
        "max_position_embeddings": 128, "original_max_position_embeddings": 32,
        "rope_parameters": {"rope_type": "longrope", "short_factor": [1.0, 1.5], "long_factor": [1.0, 4.0]},
    });
    vec![
        (
            "llama with biases",
            config("llama", json!({"attention_bias": true, "mlp_bias": true})),
        ),
        ("linear", scaled(json!({"rope_type": "linear", "factor": 2.5}))),
        ("dynamic", scaled(json!({"rope_type": "dynamic", "factor": 2.0}))),
        ("llama3", scaled(llama3)),
        (
            "yarn",
            scaled(json!({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8})),
        ),
        ("mistral", config("mistral", json!({"sliding_window": WINDOW}))),
        ("qwen2", config("qwen2", windows)),
        ("qwen3", config("qwen3", json!({"head_dim": 6}))),
        ("phi3", config("phi3", with_tokens(json!({"sliding_window": WINDOW})))),
        ("longrope", config("phi3", with_tokens(longrope))),
        (
            "smollm3",
            config("smollm3", with_tokens(json!({"no_rope_layers": [0, 1]}))),
        ),
        (
            "gpt_neox",
            config("gpt_neox", json!({"use_parallel_residual": false, "rotary_pct": 0.5})),
        ),
    ]
}

pub(crate) fn model(config: &ModelConfig) -> CausalLm {
    shaken(CausalLm::init(config, 5, &device()), 5)
}

/// Hidden states of every token of every sequence, `[real tokens, d_model]`.
fn hidden(model: &CausalLm, batch: &TokenBatch, sequences: &[Vec<u32>]) -> Vec<f32> {
    let d_model = model.transformer.d_model();
    let states = to_host(model.hidden_states(&batch.to_device(&device())));
    let places = sequences
        .iter()
        .enumerate()
        .flat_map(|(i, s)| (0..s.len()).map(move |t| (i, t)));
    places
        .flat_map(|(i, t)| states[batch.flat_index(i, t) * d_model..][..d_model].to_vec())
        .collect()
}

fn alone(model: &CausalLm, sequences: &[Vec<u32>]) -> Vec<f32> {
    let one = |s: &Vec<u32>| {
        let s = std::slice::from_ref(s);
        hidden(model, &TokenBatch::pack(s, 1), s)
    };
    sequences.iter().flat_map(one).collect()
}

#[test]
fn packing_and_padding_on_either_side_change_nothing() {
    for (name, config) in cases() {
        let (model, sequences) = (model(&config), sequences(&[9, 4, 13, 1], 2));
        let wanted = alone(&model, &sequences);
        for batch in [
            TokenBatch::padded(&sequences, PaddingSide::Left),
            TokenBatch::padded(&sequences, PaddingSide::Right),
            TokenBatch::pack(&sequences, 27),
        ] {
            assert_close(name, &hidden(&model, &batch, &sequences), &wanted, SAME);
        }
    }
}

#[test]
fn completions_see_their_prompt_and_not_each_other_where_the_prompt_stands_once() {
    // In windowed models the window lies within the prompt, across its end, and behind it.
    let prompt = &sequences(&[7], 3)[0];
    let group: Vec<Vec<u32>> = sequences(&[2, 9, 5], 4)
        .into_iter()
        .map(|end| [prompt.clone(), end].concat())
        .collect();
    for (name, config) in cases() {
        let model = model(&config);
        let batch = TokenBatch::pack_groups(&[&group], 64);
        assert_eq!((batch.rows(), batch.row_len()), (1, 7 + 2 + 9 + 5));
        assert_close(name, &hidden(&model, &batch, &group), &alone(&model, &group), SAME);
    }
}

#[test]
fn decoding_with_the_cache_gives_the_hidden_states_of_the_whole_sequence() {
    let pads = [0_usize, 5, 11];
    for (name, config) in cases() {
        let (model, rows) = (model(&config), sequences(&pads.map(|pad| 14 - pad), 3));
        let wanted = alone(&model, &rows);
        let d_model = model.transformer.d_model();
        let mut cache = model.transformer.new_cache(&pads, 16);
        let mut found = vec![Vec::new(); rows.len()];
        for columns in [0..12_usize, 12..13, 13..14] {
            let places = rows.iter().zip(pads).flat_map(|(row, pad)| {
                columns
                    .clone()
                    .map(move |c| c.checked_sub(pad).map_or((0, 0), |t| (row[t] as i32, t as i32)))
            });
            let (ids, positions): (Vec<i32>, Vec<i32>) = places.unzip();
            let ids = int_tensor(&ids, &device());
            let states = to_host(
                model
                    .transformer
                    .decode(ids, int_tensor(&positions, &device()), &mut cache),
            );
            for (row, states) in states.chunks(columns.len() * d_model).enumerate() {
                let padding = pads[row].saturating_sub(columns.start).min(columns.len());
                found[row].extend_from_slice(&states[padding * d_model..]);
            }
        }
        assert_close(name, &found.concat(), &wanted, SAME);
    }
}

#[test]
fn hidden_states_at_some_places_are_those_of_a_whole_pass_with_their_gradients() {
    // In no order, one of them twice, as the last token of a shared prompt is read by several completions.
    let places = [25_usize, 3, 8, 3, 0, 17];
    let sequences = sequences(&[9, 4, 13], 6);
    for (name, config) in cases() {
        let model = model(&config).train();
        let batch = TokenBatch::pack(&sequences, 26).to_device(&device());
        let whole = model.hidden_states(&batch).select(0, index_tensor(&places, &device()));
        let some = model.hidden_states_at(&batch, &places);
        assert_eq!(some.dims(), [places.len(), model.transformer.d_model()], "{name}");
        assert_close(name, &to_host(some.clone()), &to_host(whole.clone()), SAME);
        let [whole, some] = [whole, some].map(|hidden| {
            let mut gradients = GradientBuffer::new();
            gradients.add(&model, (hidden.clone() * hidden.sin()).sum().backward());
            gradients.to_named(&model)
        });
        for (whole, some) in whole.iter().zip(&some) {
            assert_eq!(whole.name, some.name, "{name}");
            let name = format!("{name}: gradient of {}", whole.name);
            assert_close(&name, &some.values, &whole.values, GRADIENT);
        }
        // The same tokens through a cache.
        let (plain, [tokens]) = (model.valid(), batch.input_ids.dims());
        let mut caches = [(); 2].map(|()| plain.transformer.new_cache(&[0], tokens));
        let [all, read] = &mut caches;
        let (ids, positions) = (batch.input_ids.clone(), batch.position_ids.clone());
        let whole = plain.transformer.decode(ids.clone(), positions.clone(), all);
        let whole = whole.select(0, index_tensor(&places, &device()));
        let some = plain.transformer.decode_at(ids, positions, &places, read);
        assert_close(name, &to_host(some), &to_host(whole), SAME);
    }
}

#[test]
fn a_sliding_window_sees_its_tokens_and_no_more() {
    // With one layer, the last token depends on those of its window alone, itself included.
    let one_layer = |model_type, mut changes: Value| {
        changes["num_hidden_layers"] = json!(1);
        changes["sliding_window"] = json!(WINDOW);
        config(model_type, changes)
    };
    for (name, config, windowed) in [
        ("mistral", one_layer("mistral", json!({})), true),
        (
            "qwen2 on",
            one_layer("qwen2", json!({"use_sliding_window": true})),
            true,
        ),
        (
            "qwen2 later layers",
            one_layer("qwen2", json!({"use_sliding_window": true, "max_window_layers": 1})),
            false,
        ),
        (
            "qwen2 off",
            one_layer("qwen2", json!({"use_sliding_window": false})),
            false,
        ),
        ("llama", one_layer("llama", json!({})), false),
    ] {
        let model = model(&config);
        let d_model = model.transformer.d_model();
        let last = |sequence: &Vec<u32>| alone(&model, std::slice::from_ref(sequence))[8 * d_model..].to_vec();
        let sequence = sequences(&[9], 4).remove(0);
        let before = last(&sequence);
        for t in 0..9 {
            let mut other = sequence.clone();
            other[t] = (other[t] + 1) % 23;
            let seen = last(&other) != before;
            assert_eq!(seen, !windowed || t + WINDOW > 8, "{name}, token {t}");
        }
    }
}

#[test]
fn mistral_without_a_window_is_llama() {
    let expected = crate::fixtures::Expected::of("llama_untied");
    let (sequences, _) = expected.sequences("right");
    let dir = model_dir("llama_untied", CONFIGS[0]);
    let (llama, _) = load_causal_lm(dir.path(), &device()).expect("a fixture");
    change(&dir, |fields| {
        fields.insert("model_type".into(), json!("mistral"));
        fields.insert("sliding_window".into(), Value::Null);
    });
    let (mistral, _) = load_causal_lm(dir.path(), &device()).expect("Llama's tensors are Mistral's");
    assert_eq!(alone(&mistral, &sequences), alone(&llama, &sequences));
}

/// Changes the configuration of a folder.
fn change(dir: &TempDir, edit: impl FnOnce(&mut Map<String, Value>)) {
    let file = dir.path().join("config.json");
    let text = fs::read_to_string(&file).expect("a model folder");
    let mut fields: Map<String, Value> = serde_json::from_str(&text).expect("an object");
    edit(&mut fields);
    fs::write(&file, Value::Object(fields).to_string()).expect("a temporary file");
}

/// A folder's weights, all files together.
fn stored(dir: &TempDir) -> rlhf_core::TensorMap {
    let files = fs::read_dir(dir.path())
        .expect("a folder")
        .map(|entry| entry.expect("readable").path());
    let weights = files.filter(|path| path.extension().is_some_and(|e| e == "safetensors"));
    weights
        .flat_map(|path| read_safetensors(&path).expect("whole"))
        .collect()
}

#[test]
fn a_saved_model_of_any_family_loads_with_the_same_outputs_and_saves_to_the_same_bytes() {
    for (name, config) in cases() {
        for storage in [StorageType::F32, StorageType::Bf16, StorageType::F16] {
            let config = config.clone().with_storage(storage);
            let (first, second) = (tempdir().unwrap(), tempdir().unwrap());
            let (model, sequences) = (model(&config), sequences(&[7, 5], 6));
            save_causal_lm(first.path(), &model, &config).unwrap();
            let (loaded, found) = load_causal_lm(first.path(), &device()).unwrap();
            assert_eq!(found.architecture(), config.architecture(), "{name}");
            assert_eq!(found.storage(), storage, "{name}");
            if storage == StorageType::F32 {
                assert_eq!(alone(&loaded, &sequences), alone(&model, &sequences), "{name}");
            }
            save_causal_lm(second.path(), &loaded, &found).unwrap();
            for file in ["config.json", "generation_config.json", "model.safetensors"] {
                let read = |dir: &TempDir| fs::read(dir.path().join(file)).unwrap();
                assert!(read(&first) == read(&second), "{name}: {file} differs");
            }
        }
    }
}

#[test]
fn a_model_in_several_files_is_the_same_model_and_replaces_one_in_a_single_file() {
    let (name, config) = cases().remove(0);
    let (model, sequences) = (model(&config), sequences(&[7, 5], 6));
    let (whole, parts) = (tempdir().unwrap(), tempdir().unwrap());
    save_causal_lm(whole.path(), &model, &config).unwrap();
    save_causal_lm(parts.path(), &model, &config).unwrap();
    save_causal_lm_in_shards(parts.path(), &model, &config, 4000).unwrap();
    assert!(!parts.path().join("model.safetensors").exists(), "{name}");
    let sizes: Vec<u64> = (fs::read_dir(parts.path()).unwrap())
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name().to_str().unwrap().ends_with(".safetensors"))
        .map(|entry| entry.metadata().unwrap().len())
        .collect();
    assert!(
        sizes.len() > 2 && sizes.iter().all(|&size| size < 4000 + 4096),
        "{sizes:?}"
    );
    assert!(stored(&parts) == stored(&whole));
    let (loaded, _) = load_causal_lm(parts.path(), &device()).unwrap();
    assert_eq!(alone(&loaded, &sequences), alone(&model, &sequences));
    save_causal_lm(parts.path(), &model, &config).unwrap();
    assert!(!parts.path().join("model.safetensors.index.json").exists());
    assert!(load_causal_lm(parts.path(), &device()).is_ok());
}

#[test]
fn the_spelling_of_transformers_4_means_the_same_scaling() {
    let old = config(
        "llama",
        json!({"rope_theta": 100.0, "rope_scaling": {"type": "linear", "factor": 2.5}}),
    );
    assert_eq!(
        old.architecture(),
        scaled(json!({"rope_type": "linear", "factor": 2.5})).architecture()
    );
    assert_ne!(
        old.architecture(),
        scaled(json!({"rope_type": "linear", "factor": 2.0})).architecture()
    );
}

#[test]
fn a_wrong_rotary_configuration_is_refused_by_the_path_of_its_field() {
    let cases: [(Value, &[&str]); 10] = [
        (
            json!({"rope_parameters": {"rope_type": "stretchy"}}),
            &["`rope_parameters.rope_type`", "stretchy", "yarn"],
        ),
        (
            json!({"rope_parameters": {"rope_type": "longrope", "original_max_position_embeddings": 8}}),
            &["`rope_parameters.short_factor`", "missing"],
        ),
        (
            json!({"rope_parameters": {"rope_type": "longrope", "short_factor": [1.0]}}),
            &["`rope_parameters.original_max_position_embeddings`", "missing"],
        ),
        (
            json!({"rope_scaling": {"rope_type": "linear"}}),
            &["`rope_scaling.factor`", "missing"],
        ),
        (
            json!({"rope_scaling": {"type": "linear", "factor": -2}}),
            &["`rope_scaling.factor`", "-2"],
        ),
        (
            json!({"rope_scaling": "linear"}),
            &["`rope_scaling`", "linear", "object"],
        ),
        (
            json!({"rope_scaling": {"type": "llama3", "factor": 2, "low_freq_factor": 4, "high_freq_factor": 1}}),
            &["`rope_scaling.high_freq_factor`"],
        ),
        (json!({"rope_theta": 0.5}), &["`rope_theta`", "0.5"]),
        (json!({"num_key_value_heads": 3}), &["`num_key_value_heads`", "3", "4"]),
        (
            json!({"num_hidden_layers": 16777216}),
            &["`num_hidden_layers`", "16777216"],
        ),
    ];
    for (changes, wanted) in cases {
        let dir = model_dir("llama_tied", CONFIGS[1]);
        change(&dir, |fields| {
            fields.extend(changes.as_object().expect("an object").clone())
        });
        let message = load_config(dir.path()).expect_err("a fault").to_string();
        let all = wanted.iter().chain(&["config.json"]);
        assert!(
            all.clone().all(|part| message.contains(part)),
            "`{message}` lacks one of {wanted:?}"
        );
    }
}

#[test]
fn a_config_that_asks_for_more_than_the_file_holds_is_refused_before_memory_is_taken() {
    // 16 million words of width 16 million would be a petabyte.
    let dir = model_dir("llama_tied", CONFIGS[0]);
    change(&dir, |fields| {
        for name in [
            "vocab_size",
            "hidden_size",
            "intermediate_size",
            "max_position_embeddings",
        ] {
            fields.insert(name.into(), json!(1 << 24));
        }
    });
    let message = load_causal_lm(dir.path(), &device())
        .expect_err("sizes that do not fit")
        .to_string();
    assert!(
        message.contains("`model.embed_tokens.weight`") && message.contains("[97, 32]"),
        "{message}"
    );
}
