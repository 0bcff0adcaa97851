//! Model directories as other programs leave them: odd, and either read for what they mean or refused with the word that
//! helps. Each case stands for a public bug report of some other program.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rlhf_core::{TokenBatch, to_host};
use rlhf_model::{
    CausalLm, Placement, WeightPrecision, load_causal_lm, load_config, load_scalar_model, save_causal_lm,
};
use safetensors::{Dtype, SafeTensors, serialize, tensor::TensorView};
use serde_json::{Map, Value, json};
use tempfile::{TempDir, tempdir};

use crate::fixtures::{CONFIGS, model_dir};
use crate::tiny::{device, sequences};

const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// A tensor of a file: type, shape, bytes.
type Stored = (Dtype, Vec<usize>, Vec<u8>);

fn tensors(file: &Path) -> BTreeMap<String, Stored> {
    let bytes = fs::read(file).expect("the fixture is whole");
    let read = SafeTensors::deserialize(&bytes).expect("the fixture is whole");
    let tensors = read.tensors().into_iter();
    tensors
        .map(|(name, view)| (name, (view.dtype(), view.shape().to_vec(), view.data().to_vec())))
        .collect()
}

fn write(file: &Path, tensors: &BTreeMap<String, Stored>) {
    let views = tensors.iter().map(|(name, (dtype, shape, bytes))| {
        let view = TensorView::new(*dtype, shape.clone(), bytes).expect("shape and bytes agree");
        (name, view)
    });
    fs::write(file, serialize(views, None).expect("names are distinct")).expect("a temporary file");
}

/// The fixture `model` with other fields, null for none, and other tensors.
fn changed(model: &str, fields: Value, change: impl FnOnce(&mut BTreeMap<String, Stored>)) -> TempDir {
    let dir = model_dir(model, CONFIGS[0]);
    let config = dir.path().join("config.json");
    let bytes = fs::read(&config).expect("the fixture is whole");
    let mut object: Map<String, Value> = serde_json::from_slice(&bytes).expect("JSON");
    object.extend(fields.as_object().expect("an object").clone());
    object.retain(|_, value| !value.is_null());
    fs::write(config, Value::Object(object).to_string()).expect("a temporary file");
    let file = dir.path().join(WEIGHTS);
    let mut stored = tensors(&file);
    change(&mut stored);
    write(&file, &stored);
    dir
}

fn logits(model: &CausalLm) -> Vec<f32> {
    let batch = TokenBatch::pack(&sequences(&[5, 3, 8], 9), 16).to_device(&device());
    to_host(model.logits(model.hidden_states(&batch)))
}

fn loaded(dir: &TempDir) -> Vec<f32> {
    logits(&load_causal_lm(dir.path(), &device()).expect("a model").0)
}

fn message(dir: &TempDir) -> String {
    load_causal_lm(dir.path(), &device()).expect_err("a fault").to_string()
}

#[track_caller]
fn refused(dir: &TempDir, wanted: &[&str]) {
    let message = message(dir);
    for part in wanted {
        assert!(message.contains(part), "`{message}` lacks `{part}`");
    }
}

/// transformers 42612: a head of its own beside `tie_word_embeddings` was left unread.
#[test]
fn the_head_of_a_file_is_used_whatever_its_configuration_says_of_ties() {
    let own = model_dir("llama_untied", CONFIGS[0]);
    let said_tied = changed("llama_untied", json!({"tie_word_embeddings": true}), |_| {});
    assert_eq!(loaded(&said_tied), loaded(&own));
    // What is written says what is so.
    let (model, config) = load_causal_lm(said_tied.path(), &device()).unwrap();
    let copy = tempdir().unwrap();
    save_causal_lm(copy.path(), &model, &config).unwrap();
    let written: Value = serde_json::from_slice(&fs::read(copy.path().join("config.json")).unwrap()).unwrap();
    assert_eq!(written["tie_word_embeddings"], false);
    assert!(tensors(&copy.path().join(WEIGHTS)).contains_key("lm_head.weight"));
}

#[test]
fn a_head_that_is_a_copy_stays_tied_and_one_that_stands_alone_is_the_embeddings() {
    let plain = model_dir("llama_tied", CONFIGS[0]);
    let copied = changed("llama_tied", json!({}), |tensors| {
        let embeddings = tensors["model.embed_tokens.weight"].clone();
        tensors.insert("lm_head.weight".into(), embeddings);
    });
    assert!(load_config(copied.path()).unwrap().architecture().tied_head);
    let alone = changed("llama_tied", json!({}), |tensors| {
        let embeddings = tensors.remove("model.embed_tokens.weight").unwrap();
        tensors.insert("lm_head.weight".into(), embeddings);
    });
    for dir in [&copied, &alone] {
        assert_eq!(loaded(dir), loaded(&plain));
    }
}

/// OpenRLHF 1165, vllm 22518: weights that are no numbers gave answers that looked like answers.
#[test]
fn a_weight_that_is_no_number_is_refused_by_its_tensor() {
    for (name, value) in [
        ("model.layers.1.mlp.down_proj.weight", f32::NAN),
        ("model.layers.0.self_attn.k_proj.weight", f32::INFINITY),
        ("model.norm.weight", f32::NEG_INFINITY),
        ("lm_head.weight", f32::NAN),
    ] {
        let dir = changed("llama_untied", json!({}), |tensors| {
            tensors.get_mut(name).unwrap().2[12..16].copy_from_slice(&value.to_le_bytes());
        });
        refused(&dir, &[WEIGHTS, name, "not finite", "at 3"]);
        let placement = Placement {
            device: &device(),
            weights: WeightPrecision::Bf16,
        };
        let halved = load_causal_lm(dir.path(), placement).expect_err("a fault").to_string();
        assert!(halved.contains(name), "{halved}");
    }
    // Stored in bf16 and held in bf16, numbers are taken as they lie in the file.
    let halves = changed("llama_tied_bf16", json!({}), |tensors| {
        let (dtype, _, bytes) = tensors.get_mut("model.embed_tokens.weight").unwrap();
        assert_eq!(*dtype, Dtype::BF16);
        bytes[2..4].copy_from_slice(&0x7fc0_u16.to_le_bytes());
    });
    let placement = Placement {
        device: &device(),
        weights: WeightPrecision::Bf16,
    };
    let message = load_causal_lm(halves.path(), placement)
        .expect_err("a fault")
        .to_string();
    assert!(
        message.contains("model.embed_tokens.weight") && message.contains("at 1"),
        "{message}"
    );
}

#[test]
fn a_score_that_is_no_number_is_refused_by_its_tensor() {
    let dir = changed("llama_reward", json!({}), |tensors| {
        tensors.get_mut("score.weight").unwrap().2[0..4].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    let message = load_scalar_model(dir.path(), &device())
        .expect_err("a fault")
        .to_string();
    assert!(message.contains("score.weight"), "{message}");
}

/// nanoGPT 325: `torch.compile` and DDP put their names before those of the tensors.
#[test]
fn names_of_wrapped_models_are_read() {
    let plain = model_dir("llama_untied", CONFIGS[0]);
    for wrapper in ["_orig_mod.", "module.", "module._orig_mod.", "pretrained_model."] {
        let dir = changed("llama_untied", json!({}), |tensors| {
            *tensors = std::mem::take(tensors)
                .into_iter()
                .map(|(name, tensor)| (format!("{wrapper}{name}"), tensor))
                .collect();
        });
        assert_eq!(loaded(&dir), loaded(&plain), "{wrapper}");
    }
    let with_value_head = changed("llama_untied", json!({}), |tensors| {
        let bias = (Dtype::F32, vec![1], vec![0; 4]);
        tensors.insert("v_head.summary.bias".into(), bias);
    });
    assert_eq!(loaded(&with_value_head), loaded(&plain));
}

#[test]
fn what_is_missing_is_told_with_what_is_there_instead() {
    let dir = changed("llama_untied", json!({}), |tensors| {
        *tensors = std::mem::take(tensors)
            .into_iter()
            .map(|(name, tensor)| (format!("actor.{name}"), tensor))
            .collect();
    });
    refused(
        &dir,
        &[
            "`model.embed_tokens.weight` is missing",
            "`actor.lm_head.weight`",
            "others instead",
        ],
    );
}

/// The fixture in two files with an index that lists `listed` too.
fn in_parts(listed: &[&str], change: impl FnOnce(&mut [BTreeMap<String, Stored>; 2])) -> TempDir {
    let dir = model_dir("llama_untied", CONFIGS[0]);
    let all = tensors(&dir.path().join(WEIGHTS));
    let files = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let (second, first) = all
        .into_iter()
        .partition(|(name, _)| name.starts_with("model.layers.1."));
    let mut parts = [first, second];
    change(&mut parts);
    let mut weight_map = Map::new();
    for (file, part) in files.iter().zip(&parts) {
        write(&dir.path().join(file), part);
        weight_map.extend(part.keys().map(|name| (name.clone(), json!(file))));
    }
    weight_map.extend(listed.iter().map(|name| ((*name).to_owned(), json!(files[1]))));
    fs::write(dir.path().join(INDEX), json!({"weight_map": weight_map}).to_string()).expect("a temporary file");
    fs::remove_file(dir.path().join(WEIGHTS)).expect("it was there");
    dir
}

/// huggingface_hub 4728: indices list buffers that were never written, and heads that were left out.
#[test]
fn an_index_may_list_what_no_part_has() {
    let plain = model_dir("llama_untied", CONFIGS[0]);
    let stale = [
        "model.layers.0.self_attn.rotary_emb.inv_freq",
        "mtp.fc.weight",
        "lm_head.bias",
    ];
    assert_eq!(loaded(&in_parts(&stale, |_| {})), loaded(&plain));
}

#[test]
fn a_tensor_in_two_parts_is_read_if_they_are_alike_and_refused_if_they_differ() {
    let plain = model_dir("llama_untied", CONFIGS[0]);
    let name = "lm_head.weight";
    let alike = in_parts(&[], |[first, second]| {
        drop(second.insert(name.into(), first[name].clone()))
    });
    assert_eq!(loaded(&alike), loaded(&plain));
    let other = in_parts(&[], |[first, second]| {
        let mut copy = first[name].clone();
        copy.2[0] ^= 1;
        second.insert(name.into(), copy);
    });
    refused(
        &other,
        &[
            "model-00002-of-00002.safetensors",
            name,
            "model-00001-of-00002.safetensors too",
        ],
    );
}

/// transformers 27923: what stands where weights should be is told.
#[test]
fn what_stands_in_for_weights_is_named() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 269060552\n";
    for (content, wanted) in [
        (pointer, "Git LFS pointer"),
        ("<!DOCTYPE html><html></html>", "web page"),
        ("PK\u{3}\u{4}archive/data.pkl", "zip archive"),
    ] {
        let dir = model_dir("llama_tied", CONFIGS[0]);
        fs::write(dir.path().join(WEIGHTS), content).unwrap();
        refused(&dir, &[WEIGHTS, wanted]);
        let dir = model_dir("llama_tied", CONFIGS[0]);
        fs::write(dir.path().join("config.json"), content).unwrap();
        refused(&dir, &["config.json", wanted]);
    }
    let older = model_dir("llama_tied", CONFIGS[0]);
    fs::rename(older.path().join(WEIGHTS), older.path().join("pytorch_model.bin")).unwrap();
    refused(&older, &["pytorch_model.bin", "convert"]);
    let parts = in_parts(&[], |_| {});
    fs::remove_file(parts.path().join(INDEX)).unwrap();
    refused(&parts, &[INDEX, "model-00001-of-00002.safetensors"]);
    let gguf = model_dir("llama_tied", CONFIGS[0]);
    fs::rename(gguf.path().join(WEIGHTS), gguf.path().join("model.Q8_0.gguf")).unwrap();
    refused(&gguf, &["model.Q8_0.gguf"]);
}

/// mlx-vlm 1464: quantised weights, and a field on quantisation that was left over on whole ones.
#[test]
fn quantised_weights_are_refused_as_such_and_a_left_over_field_does_no_harm() {
    let four_bits = |tensors: &mut BTreeMap<String, Stored>| {
        for name in [
            "model.layers.0.self_attn.q_proj.weight",
            "model.layers.0.mlp.up_proj.weight",
        ] {
            let (_, shape, _) = tensors[name].clone();
            let size = shape.iter().product::<usize>() / 2;
            tensors.insert(name.into(), (Dtype::U8, vec![size, 1], vec![0; size]));
            tensors.insert(format!("{name}.absmax"), (Dtype::F32, vec![1], vec![0; 4]));
        }
    };
    let field = json!({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": true}});
    refused(
        &changed("llama_untied", field.clone(), four_bits),
        &["config.json", "quantization_config", "bitsandbytes"],
    );
    refused(
        &changed("llama_untied", json!({}), four_bits),
        &[WEIGHTS, "absmax", "quantised"],
    );
    let mlx = json!({"quantization": {"group_size": 64, "bits": 4}});
    refused(
        &changed("llama_untied", mlx, four_bits),
        &["config.json", "`quantization`"],
    );
    let left_over = changed("llama_untied", field, |_| {});
    assert_eq!(loaded(&left_over), loaded(&model_dir("llama_untied", CONFIGS[0])));
    let (model, config) = load_causal_lm(left_over.path(), &device()).unwrap();
    let copy = tempdir().unwrap();
    save_causal_lm(copy.path(), &model, &config).unwrap();
    let written = fs::read_to_string(copy.path().join("config.json")).unwrap();
    assert!(!written.contains("quantization"), "{written}");
}

/// transformers 33783: of `rope_scaling` and `rope_parameters` one was passed over.
#[test]
fn rope_scaling_counts_beside_rope_parameters_and_a_contradiction_is_refused() {
    let yarn = json!({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8});
    let default = json!({"rope_type": "default", "rope_theta": 10000.0});
    let mut whole = yarn.clone();
    whole["rope_theta"] = json!(10000.0);
    let scaled = changed("llama_untied", json!({"rope_parameters": whole}), |_| {});
    let both = changed(
        "llama_untied",
        json!({"rope_parameters": default, "rope_scaling": yarn}),
        |_| {},
    );
    let plain = changed("llama_untied", json!({"rope_parameters": default}), |_| {});
    assert_eq!(loaded(&both), loaded(&scaled));
    assert_ne!(loaded(&both), loaded(&plain));
    let linear = json!({"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0});
    let others = json!({"rope_parameters": linear, "rope_scaling": yarn});
    refused(
        &changed("llama_untied", others, |_| {}),
        &["rope_scaling", "which is meant"],
    );
    let theta = json!({"rope_parameters": default, "rope_theta": 500000.0});
    refused(
        &changed("llama_untied", theta, |_| {}),
        &["rope_theta", "500000", "10000"],
    );
    let kinds = json!({"rope_parameters": {"type": "linear", "rope_type": "yarn", "factor": 2.0, "rope_theta": 1e4}});
    refused(&changed("llama_untied", kinds, |_| {}), &["rope_type", "linear"]);
}

/// transformers 42959, dynamo 3043, transformers 25773.
#[test]
fn odd_configurations_are_read() {
    let plain = loaded(&model_dir("llama_untied", CONFIGS[0]));
    for fields in [
        json!({"initializer_range": 0.0}),
        json!({"pad_token_id": -1}),
        json!({"eos_token_id": [-1]}),
        json!({"model_type": null, "architectures": ["LlamaForCausalLM"]}),
    ] {
        assert_eq!(
            loaded(&changed("llama_untied", fields.clone(), |_| {})),
            plain,
            "{fields}"
        );
    }
    let with_word = model_dir("llama_untied", CONFIGS[0]);
    let file = with_word.path().join("config.json");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        text.replacen('{', "{\"loss_free_balance\": NaN, \"limit\": -Infinity,", 1),
    )
    .unwrap();
    assert_eq!(loaded(&with_word), plain);
    for content in ["", " \n", "{\"eos_token_id\": 0, \"length_penalty\": NaN}"] {
        let dir = model_dir("llama_untied", CONFIGS[0]);
        fs::write(dir.path().join("generation_config.json"), content).unwrap();
        assert_eq!(loaded(&dir), plain, "{content:?}");
    }
    let untyped = changed(
        "llama_untied",
        json!({"model_type": null, "architectures": null}),
        |_| {},
    );
    refused(&untyped, &["config.json", "model_type", "missing", "llama"]);
}
