//! GGUF files: those of other programs mean what they say, and those that we write mean the same model.
//!
//! `tests/golden/gguf/README.md` says how the files and the numbers beside them were made. `crates/gguf/tests` holds what can
//! be told without running a model.

use std::fs;
use std::path::{Path, PathBuf};

use rlhf_core::{TokenBatch, to_host};
use rlhf_data::{ChatTemplate, Tokenizer};
use rlhf_inference::{GenerateOptions, Generator, Sampling};
use rlhf_model::{
    CausalLm, GgufOptions, LoraConfig, ModelConfig, TensorType, load_causal_adapter, load_causal_lm, load_config,
    load_scalar_model, save_causal_adapter, save_causal_lm, save_gguf, sequence_logprobs,
};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::families;
use crate::fixtures::{CONFIGS, model_dir, path};
use crate::tiny::{assert_close, device, sequences, shaken};

/// Log-probabilities; blocks of 256 numbers have weights of up to some hundreds.
const LOGPROB: (f64, f64) = (2e-5, 0.0);
const OF_SUPER_BLOCKS: (f64, f64) = (7e-5, 0.0);

/// The models of `tests/golden/gguf` with the numbers beside them.
fn models() -> Vec<(PathBuf, Value)> {
    let mut found: Vec<(PathBuf, Value)> = Vec::new();
    for entry in fs::read_dir(path("gguf")).expect("part of the repository") {
        let file = entry.expect("a readable folder").path();
        if file.extension().is_some_and(|ending| ending == "gguf") {
            let expected = fs::read(file.with_extension("json")).expect("numbers stand beside each file");
            found.push((file, serde_json::from_slice(&expected).expect("JSON")));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(found.len() > 30, "{} files", found.len());
    found
}

fn name(file: &Path) -> String {
    file.file_name().expect("a file").to_string_lossy().into_owned()
}

fn ids(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).expect("token ids")
}

fn numbers(value: &Value) -> Vec<f32> {
    serde_json::from_value(value.clone()).expect("numbers")
}

#[test]
fn files_of_every_family_and_number_type_give_the_log_probabilities_of_the_reference() {
    for (file, expected) in models() {
        let (model, _) = load_causal_lm(&file, &device()).expect("a sound file");
        let tolerance = if name(&file).starts_with("llama256") {
            OF_SUPER_BLOCKS
        } else {
            LOGPROB
        };
        for sequence in expected["sequences"].as_array().expect("a list") {
            let ids = ids(&sequence["ids"]);
            let found = sequence_logprobs(&model, &[ids], &[1], 1.0, 4096);
            assert_close(
                name(&file),
                &found.logprobs[0],
                &numbers(&sequence["logprobs"]),
                tolerance,
            );
        }
        let greedy = &expected["greedy"];
        let wanted = ids(&greedy["new_tokens"]);
        let options = GenerateOptions {
            max_new_tokens: wanted.len(),
            eos_token_id: u32::MAX,
            sampling: Sampling::greedy(),
            ..GenerateOptions::default()
        };
        let found = Generator::new(&model).generate(&[ids(&greedy["prompt_ids"])], &options);
        assert_eq!(found.expect("a prompt that fits")[0].tokens, wanted, "{}", name(&file));
    }
}

/// Texts with their tokens; some files have the tokenizer of another and none of their own.
fn texts(expected: &Value) -> impl Iterator<Item = &Value> {
    expected["tokenizer"]["encode"].as_array().into_iter().flatten()
}

#[test]
fn tokenizers_of_files_cut_texts_as_the_reference_does() {
    for (file, expected) in models() {
        let tokenizer = Tokenizer::load(&file).expect("a sound file");
        for case in texts(&expected) {
            let text = case["text"].as_str().expect("a text");
            let place = format!("{}: {text:?}", name(&file));
            assert_eq!(tokenizer.encode_with_special_tokens(text), ids(&case["ids"]), "{place}");
            if let Some(plain) = case.get("ids_specials_as_text") {
                assert_eq!(tokenizer.encode(text), ids(plain), "{place}");
            }
        }
    }
}

/// A folder made of a file is the same model and the same tokenizer, for us and for whoever else reads folders.
#[test]
fn a_file_written_as_a_folder_is_the_same_model() {
    for (file, expected) in models() {
        let (model, config) = load_causal_lm(&file, &device()).expect("a sound file");
        let tokenizer = Tokenizer::load(&file).expect("a sound file");
        let dir = tempdir().expect("a temporary folder");
        save_causal_lm(dir.path(), &model, &config).expect("a temporary folder");
        tokenizer.save(dir.path()).expect("a temporary folder");
        let (again, found) = load_causal_lm(dir.path(), &device()).expect("a saved model");
        assert_eq!(found.architecture(), config.architecture(), "{}", name(&file));
        assert_eq!(logits(&again), logits(&model), "{}", name(&file));
        let back = Tokenizer::load(dir.path()).expect("a saved tokenizer");
        for case in texts(&expected) {
            let text = case["text"].as_str().expect("a text");
            assert_eq!(
                back.encode_with_special_tokens(text),
                tokenizer.encode_with_special_tokens(text)
            );
            assert_eq!(
                back.encode_document(text),
                tokenizer.encode_document(text),
                "{}: {text:?}",
                name(&file)
            );
        }
        let template = |place: &Path| ChatTemplate::load(place).expect("a template or none");
        let source = |template: Option<ChatTemplate>| template.map(|template| template.source().to_owned());
        assert_eq!(source(template(dir.path())), source(template(&file)));
    }
}

fn logits(model: &CausalLm) -> Vec<f32> {
    let batch = TokenBatch::pack(&sequences(&[5, 3, 8], 9), 16).to_device(&device());
    to_host(model.logits(model.hidden_states(&batch)))
}

/// The model in a GGUF file of `tensor_type`, and again in memory.
fn exported(model: &CausalLm, config: &ModelConfig, tensor_type: TensorType) -> (TempDir, CausalLm, ModelConfig) {
    let dir = tempdir().expect("a temporary folder");
    let file = dir.path().join("model.gguf");
    let options = GgufOptions {
        tensor_type,
        tokenizer: None,
        name: "tiny",
    };
    save_gguf(&file, model, config, &options).expect("a model that GGUF has names for");
    let (model, config) = load_causal_lm(&file, &device()).expect("a sound file");
    (dir, model, config)
}

#[test]
fn models_written_as_f32_are_read_back_to_the_bit() {
    for model in [
        "gpt2",
        "gpt_neox",
        "llama_tied",
        "llama_untied",
        "llama_sharded",
        "qwen2",
        "qwen3",
    ] {
        let dir = model_dir(model, CONFIGS[0]);
        let (original, config) = load_causal_lm(dir.path(), &device()).expect("the fixture is whole");
        let (_dir, again, found) = exported(&original, &config, TensorType::F32);
        assert_eq!(logits(&again), logits(&original), "{model}");
        assert_eq!(
            found.architecture().tied_head,
            config.architecture().tied_head,
            "{model}"
        );
    }
}

#[test]
fn scaled_rotary_embeddings_survive_a_file() {
    let scaled = |rope: Value| {
        let fields = json!({
            "model_type": "llama", "vocab_size": 23, "hidden_size": 16, "intermediate_size": 21, "num_hidden_layers": 2,
            "num_attention_heads": 2, "max_position_embeddings": 64, "initializer_range": 0.3, "rope_parameters": rope,
        });
        ModelConfig::from_fields(fields.as_object().expect("an object").clone()).expect("without faults")
    };
    for rope in [
        json!({"rope_type": "linear", "rope_theta": 100.0, "factor": 2.5}),
        json!({"rope_type": "yarn", "rope_theta": 100.0, "factor": 4.0, "original_max_position_embeddings": 8}),
        json!({"rope_type": "llama3", "rope_theta": 100.0, "factor": 4.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 16}),
        json!({"rope_type": "freq_factors", "rope_theta": 100.0, "freq_factors": [1.0, 1.5, 2.0, 8.0]}),
    ] {
        let config = scaled(rope.clone());
        let model = shaken(CausalLm::init(&config, 5, &device()), 5);
        let (_dir, again, _) = exported(&model, &config, TensorType::F32);
        assert_close(&rope, &logits(&again), &logits(&model), (2e-5, 2e-5));
        let plain = scaled(json!({"rope_type": "default", "rope_theta": 100.0}));
        let unscaled = shaken(CausalLm::init(&plain, 5, &device()), 5);
        assert_ne!(logits(&unscaled), logits(&model), "{rope}");
    }
}

#[test]
fn adapters_are_merged_into_the_file() {
    let dir = model_dir("llama_untied", CONFIGS[0]);
    let (base, config) = load_causal_lm(dir.path(), &device()).expect("the fixture is whole");
    let adapted = base.with_lora(&LoraConfig::default(), 3).expect("layers of the family");
    let adapted = shaken(adapted, 7);
    let adapter = dir.path().join("adapter");
    save_causal_adapter(&adapter, &adapted, "base").expect("a temporary folder");
    let (base, _) = load_causal_lm(dir.path(), &device()).expect("the fixture is whole");
    let adapted = load_causal_adapter(&adapter, base).expect("saved just now");
    let (_dir, again, _) = exported(&adapted, &config, TensorType::F32);
    assert_close("merged", &logits(&again), &logits(&adapted), (2e-5, 2e-5));
}

#[test]
fn what_gguf_has_no_name_for_is_refused_by_its_field() {
    let dir = tempdir().expect("a temporary folder");
    let file = dir.path().join("model.gguf");
    for (name, config) in families::cases() {
        if !["smollm3", "phi3", "mistral"].contains(&name) {
            continue;
        }
        let model = families::model(&config);
        let options = GgufOptions {
            tensor_type: TensorType::F16,
            tokenizer: None,
            name,
        };
        let message = save_gguf(&file, &model, &config, &options)
            .expect_err("no name")
            .to_string();
        let wanted = if name == "mistral" {
            "sliding_window"
        } else {
            "model_type"
        };
        assert!(message.contains(wanted), "{message}");
        assert!(!file.exists(), "nothing half written");
    }
}

/// None of them panics, hangs or passes for a model.
#[test]
fn damaged_files_are_refused_by_their_names() {
    let folder = path("gguf/damaged");
    let manifest = fs::read(folder.join("manifest.json")).expect("part of the repository");
    let manifest: Vec<Value> = serde_json::from_slice(&manifest).expect("JSON");
    assert!(manifest.len() > 80);
    for case in manifest {
        let name = case["file"].as_str().expect("a name");
        let file = folder.join(name);
        let model = load_causal_lm(&file, &device())
            .map(drop)
            .map_err(|error| error.to_string());
        let tokenizer = Tokenizer::load(&file).map(drop).map_err(|error| error.to_string());
        let faults: Vec<String> = [model, tokenizer].into_iter().filter_map(Result::err).collect();
        assert!(
            case["verdict"] != "refuse" || !faults.is_empty(),
            "{name} was read: {}",
            case["says"]
        );
        assert!(faults.iter().all(|fault| fault.contains(name)), "{faults:?}");
        let _ = (load_config(&file), load_scalar_model(&file, &device()));
    }
}
