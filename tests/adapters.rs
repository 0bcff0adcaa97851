//! Adapters in PEFT's files: what is written is read back and means what PEFT's formula says, what is broken is refused by
//! file and name.

use std::fs;
use std::path::Path;

use rlhf_core::{TensorMap, TokenBatch, to_host};
use rlhf_model::{
    AdapterTask, CausalLm, LoraConfig, ScalarModel, load_adapter_config, load_causal_adapter, load_causal_lm,
    load_config, load_decoder, load_scalar_adapter, load_scalar_model, read_safetensors, save_causal_adapter,
    save_causal_lm, save_scalar_adapter, save_scalar_model,
};
use safetensors::{Dtype, serialize, tensor::TensorView};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::fixtures::{CONFIGS, model_dir};
use crate::lora::{FIXTURES, adapted, everywhere, fixture, logits, shaken_adapters};
use crate::tiny::{device, sequences};

const WEIGHTS: &str = "adapter_model.safetensors";
const CONFIG: &str = "adapter_config.json";

/// A folder that holds the adapters of `model`.
fn saved(model: &CausalLm) -> TempDir {
    let dir = tempdir().expect("a temporary folder");
    save_causal_adapter(&dir.path().join("adapter"), model, "the/base").expect("the model has adapters");
    dir
}

fn tensors(dir: &Path) -> TensorMap {
    read_safetensors(&dir.join("adapter").join(WEIGHTS)).expect("whole")
}

fn config(dir: &Path) -> Value {
    let text = fs::read_to_string(dir.join("adapter").join(CONFIG)).expect("readable");
    serde_json::from_str(&text).expect("JSON")
}

fn only(targets: &[&str]) -> LoraConfig {
    LoraConfig {
        target_modules: targets.iter().map(|&target| target.to_owned()).collect(),
        ..everywhere()
    }
}

#[test]
fn saved_adapters_load_with_the_same_outputs_and_save_to_the_same_bytes() {
    for name in FIXTURES {
        let model = adapted(fixture(name), &everywhere(), 11);
        let first = saved(&model);
        let loaded = load_causal_adapter(&first.path().join("adapter"), fixture(name)).expect("whole");
        assert_eq!(logits(&loaded), logits(&model), "{name}");
        let second = saved(&loaded);
        for file in [WEIGHTS, CONFIG] {
            let read = |dir: &TempDir| fs::read(dir.path().join("adapter").join(file)).expect("written");
            assert!(read(&first) == read(&second), "{name}: {file} differs");
        }
    }
}

#[test]
fn tensors_and_fields_are_named_as_peft_names_them() {
    for (name, layer, modules, is_conv1d) in [
        ("gpt2", "transformer.h.1.", vec!["c_attn", "c_fc", "c_proj"], true),
        (
            "gpt_neox",
            "gpt_neox.layers.1.",
            vec!["dense", "dense_4h_to_h", "dense_h_to_4h", "query_key_value"],
            false,
        ),
        (
            "llama_tied",
            "model.layers.1.",
            vec![
                "down_proj",
                "gate_proj",
                "k_proj",
                "o_proj",
                "q_proj",
                "up_proj",
                "v_proj",
            ],
            false,
        ),
    ] {
        let dir = saved(&adapted(fixture(name), &everywhere(), 12));
        let config = config(dir.path());
        assert_eq!(config["target_modules"], json!(modules), "{name}");
        assert_eq!(config["fan_in_fan_out"], json!(is_conv1d), "{name}");
        assert_eq!(config["base_model_name_or_path"], json!("the/base"));
        assert_eq!((&config["r"], &config["lora_alpha"]), (&json!(4), &json!(6)));
        assert_eq!(
            (&config["peft_type"], &config["task_type"]),
            (&json!("LORA"), &json!("CAUSAL_LM"))
        );
        assert_eq!(config["modules_to_save"], Value::Null);
        let stored = tensors(dir.path());
        let base = stored_model(model_dir(name, CONFIGS[0]).path());
        let of_block = stored.keys().filter(|key| key.contains(layer));
        for key in of_block {
            let module = key.strip_prefix("base_model.model.").expect("PEFT's prefix");
            let (module, factor) = module.split_once(".lora_").expect("a factor");
            let shape = &base[&format!("{module}.weight")].0;
            let [out, input] = if is_conv1d {
                [shape[1], shape[0]]
            } else {
                [shape[0], shape[1]]
            };
            let expected = match factor {
                "A.weight" => vec![4, input],
                "B.weight" => vec![out, 4],
                other => panic!("{key}: {other}"),
            };
            assert_eq!(stored[key].0, expected, "{key}");
        }
    }
}

/// All tensors of a model folder of one file.
fn stored_model(dir: &Path) -> TensorMap {
    read_safetensors(&dir.join("model.safetensors")).expect("one whole file")
}

#[test]
fn merged_weights_are_those_of_the_base_and_scale_times_b_a() {
    for name in FIXTURES {
        let model = adapted(fixture(name), &everywhere(), 13);
        let (dir, merged) = (saved(&model), tempdir().expect("a temporary folder"));
        let source = model_dir(name, CONFIGS[0]);
        let config = load_config(source.path()).expect("the fixture's");
        save_causal_lm(merged.path(), &model, &config).expect("a temporary folder");
        let (base, merged, factors) = (
            stored_model(source.path()),
            stored_model(merged.path()),
            tensors(dir.path()),
        );
        let mut changed = 0;
        for (tensor, (shape, after)) in &merged {
            let (_, before) = &base[tensor];
            let module = tensor.strip_suffix(".weight").unwrap_or(tensor);
            let factor = |letter: &str| factors.get(&format!("base_model.model.{module}.lora_{letter}.weight"));
            let (Some((_, a)), Some((_, b))) = (factor("A"), factor("B")) else {
                assert_eq!(after, before, "{name}: {tensor}");
                continue;
            };
            changed += 1;
            let rank = 4;
            for (place, (after, before)) in after.iter().zip(before).enumerate() {
                let (row, column) = (place / shape[1], place % shape[1]);
                let (out, input) = if name == "gpt2" { (column, row) } else { (row, column) };
                let inputs = a.len() / rank;
                let product: f64 = (0..rank)
                    .map(|r| f64::from(b[out * rank + r]) * f64::from(a[r * inputs + input]))
                    .sum();
                let wanted = f64::from(*before) + 6.0 / 4.0 * product;
                assert!((f64::from(*after) - wanted).abs() < 1e-6, "{name}: {tensor} at {place}");
            }
        }
        assert_eq!(2 * changed, factors.len(), "{name}: every adapter belongs to a weight");
    }
}

#[test]
fn a_scalar_model_comes_back_with_its_head() {
    let batch = TokenBatch::pack(&sequences(&[5, 3, 8], 9), 16).to_device(&device());
    let scores = |model: &ScalarModel| to_host(model.token_scores(&batch));
    for name in ["gpt2", "llama_untied"] {
        let model = ScalarModel::from_decoder(fixture(name).transformer, 3, &device());
        let model = model.with_lora(&everywhere(), 3).expect("all layers");
        let model = shaken_adapters(model, 14).rescaled(2.0, -0.5);
        let dir = tempdir().expect("a temporary folder");
        let adapter = dir.path().join("adapter");
        save_scalar_adapter(&adapter, &model, "the/base").expect("the model has adapters");
        assert_eq!(load_adapter_config(&adapter).expect("whole").task, AdapterTask::Scalar);
        assert_eq!(config(dir.path())["modules_to_save"], json!(["score"]));
        let source = model_dir(name, CONFIGS[0]);
        let (trunk, _) = load_decoder(source.path(), &device()).expect("the fixture is whole");
        let loaded = load_scalar_adapter(&adapter, trunk).expect("whole");
        assert_eq!(scores(&loaded), scores(&model), "{name}");

        // Other programs leave out the bias that a classifier of transformers has not.
        let mut tensors = tensors(dir.path());
        tensors.remove("base_model.model.score.bias").expect("ours has one");
        write(&adapter.join(WEIGHTS), tensors);
        let loaded = load_scalar_adapter(&adapter, fixture(name).transformer).expect("whole");
        let shift = scores(&loaded)[0] - scores(&model)[0];
        assert!(
            scores(&loaded)
                .iter()
                .zip(scores(&model))
                .all(|(a, b)| (a - b - shift).abs() < 1e-5)
        );
    }
}

#[test]
fn a_scalar_model_with_adapters_is_written_merged() {
    let source = model_dir("qwen2", CONFIGS[0]);
    let (trunk, config) = load_decoder(source.path(), &device()).expect("the fixture is whole");
    let model = ScalarModel::from_decoder(trunk, 3, &device())
        .with_lora(&everywhere(), 3)
        .expect("all layers");
    let model = shaken_adapters(model, 15);
    let dir = tempdir().expect("a temporary folder");
    save_scalar_model(dir.path(), &model, &config).expect("a temporary folder");
    let (loaded, _) = load_scalar_model(dir.path(), &device()).expect("just written");
    let batch = TokenBatch::pack(&sequences(&[5, 3], 9), 16).to_device(&device());
    assert_eq!(
        to_host(loaded.token_scores(&batch)),
        to_host(model.merged().token_scores(&batch))
    );
}

#[test]
fn a_trunk_is_read_from_a_model_with_any_head() {
    for name in ["gpt2", "gpt2_reward", "llama_untied", "llama_reward", "gpt_neox"] {
        let source = model_dir(name, CONFIGS[0]);
        let (trunk, _) = load_decoder(source.path(), &device()).expect("the fixture is whole");
        let batch = TokenBatch::pack(&sequences(&[5, 3], 9), 16).to_device(&device());
        let other = if name.ends_with("_reward") {
            load_scalar_model(source.path(), &device())
                .expect("whole")
                .0
                .transformer
        } else {
            load_causal_lm(source.path(), &device()).expect("whole").0.transformer
        };
        assert_eq!(
            to_host(trunk.hidden_states(&batch)),
            to_host(other.hidden_states(&batch)),
            "{name}"
        );
    }
}

#[test]
fn adapters_on_some_layers_are_read_where_they_are() {
    for targets in [&["q_proj", "v_proj"][..], &["mlp.down_proj"]] {
        let model = adapted(fixture("llama_tied"), &only(targets), 16);
        let dir = saved(&model);
        assert_eq!(
            tensors(dir.path()).len(),
            2 * 2 * targets.len(),
            "two factors in each of two blocks"
        );
        let loaded = load_causal_adapter(&dir.path().join("adapter"), fixture("llama_tied")).expect("whole");
        assert_eq!(logits(&loaded), logits(&model), "{targets:?}");
    }
    // A name that means more layers than have adapters is written out.
    let dir = saved(&adapted(fixture("gpt2"), &only(&["attn.c_proj"]), 16));
    assert_eq!(config(dir.path())["target_modules"], json!(["attn.c_proj"]));
}

#[test]
fn a_model_without_adapters_cannot_be_written_as_one() {
    let dir = tempdir().expect("a temporary folder");
    let message = save_causal_adapter(&dir.path().join("adapter"), &fixture("gpt2"), "base").expect_err("no adapters");
    assert!(message.to_string().contains("no adapters"), "{message}");
    assert!(!dir.path().join("adapter").exists());
}

fn write(path: &Path, tensors: TensorMap) {
    let data: Vec<(String, Vec<usize>, Vec<u8>)> = (tensors.into_iter())
        .map(|(name, (shape, values))| (name, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views = data.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes).expect("shape and values agree");
        (name, view)
    });
    fs::write(path, serialize(views, None).expect("names are distinct")).expect("a temporary file");
}

/// The error on loading the adapters of a GPT-2 whose tensors went through `change`.
fn refusal(change: impl FnOnce(&mut TensorMap)) -> String {
    let dir = saved(&adapted(fixture("gpt2"), &everywhere(), 17));
    let mut tensors = tensors(dir.path());
    change(&mut tensors);
    let adapter = dir.path().join("adapter");
    write(&adapter.join(WEIGHTS), tensors);
    load_causal_adapter(&adapter, fixture("gpt2"))
        .expect_err("a fault")
        .to_string()
}

#[track_caller]
fn assert_says(message: &str, wanted: &[&str]) {
    assert!(
        wanted.iter().all(|part| message.contains(part)),
        "`{message}` lacks one of {wanted:?}"
    );
}

#[test]
fn a_tensor_that_is_missing_surplus_or_of_another_shape_is_named() {
    let (a, b) = (
        "base_model.model.transformer.h.1.mlp.c_fc.lora_A.weight",
        "base_model.model.transformer.h.1.mlp.c_fc.lora_B.weight",
    );
    for name in [a, b] {
        let message = refusal(|tensors| drop(tensors.remove(name)));
        assert_says(&message, &[WEIGHTS, name, "missing"]);
    }
    let message = refusal(|tensors| drop(tensors.insert(b.replace("h.1", "h.2"), (vec![1], vec![0.0]))));
    assert_says(&message, &[WEIGHTS, "surplus", "h.2.mlp.c_fc.lora_B"]);
    let message = refusal(|tensors| tensors.get_mut(a).expect("there").0.reverse());
    assert_says(&message, &[WEIGHTS, a, "expected [4, 32]", "[32, 4]"]);
    assert_says(
        &refusal(TensorMap::clear),
        &[WEIGHTS, "h.0.attn.c_attn.lora_A.weight", "missing"],
    );
}

#[test]
fn adapters_of_another_model_or_task_are_refused() {
    let dir = saved(&adapted(fixture("llama_tied"), &everywhere(), 18));
    let adapter = dir.path().join("adapter");
    let message = load_causal_adapter(&adapter, fixture("gpt2"))
        .expect_err("another family")
        .to_string();
    assert_says(&message, &[WEIGHTS, "h.0.attn.c_attn.lora_A.weight", "missing"]);
    let trunk = fixture("llama_tied").transformer;
    let message = load_scalar_adapter(&adapter, trunk)
        .expect_err("a language model")
        .to_string();
    assert_says(&message, &[CONFIG, "`task_type`", "CAUSAL_LM", "SEQ_CLS"]);
}

#[test]
fn a_damaged_config_or_weights_file_gives_an_error_and_never_a_panic() {
    let dir = saved(&adapted(fixture("gpt2"), &only(&["attn.c_proj"]), 19));
    let adapter = dir.path().join("adapter");
    for file in [CONFIG, WEIGHTS] {
        let path = adapter.join(file);
        let whole = fs::read(&path).expect("written");
        let mut cuts: Vec<Vec<u8>> = [0, 1, 8, whole.len() / 2, whole.len() - 1]
            .map(|len| whole[..len].to_vec())
            .into();
        cuts.extend(["{}", "[]", "{\"r\": 1e300}"].map(|text| text.as_bytes().to_vec()));
        for bytes in cuts {
            fs::write(&path, bytes).expect("a temporary file");
            let message = load_causal_adapter(&adapter, fixture("gpt2"))
                .expect_err("damage")
                .to_string();
            assert!(message.contains(file), "{message}");
        }
        // Some bytes may change without harm, the name of the base say.
        let header = whole.len().min(1500);
        for place in (0..header).step_by(7) {
            let mut bytes = whole.clone();
            bytes[place] ^= 0x11;
            fs::write(&path, bytes).expect("a temporary file");
            if let Err(error) = load_causal_adapter(&adapter, fixture("gpt2")) {
                assert!(!error.to_string().is_empty());
            }
        }
        fs::write(&path, &whole).expect("a temporary file");
    }
    fs::remove_file(adapter.join(WEIGHTS)).expect("written");
    let message = load_causal_adapter(&adapter, fixture("gpt2"))
        .expect_err("no weights")
        .to_string();
    assert_says(&message, &[WEIGHTS, "No such file"]);
}
