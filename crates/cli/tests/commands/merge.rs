//! `rlhf merge`.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use rlhf_core::{TensorMap, load_trained_parameters, trained_parameters};
use rlhf_model::{
    CausalLm, LoraConfig, ScalarModel, load_causal_lm, load_decoder, read_safetensors, save_causal_adapter,
    save_causal_lm, save_scalar_adapter, save_scalar_model,
};

use crate::support::{folder, golden, language_model, rlhf, rlhf_reading};

/// Everything that is trained moved, so that no B is zero.
fn moved<M: burn::module::Module>(model: M) -> M {
    let parameters = trained_parameters(&model).into_iter().map(|mut parameter| {
        for (place, value) in parameter.values.iter_mut().enumerate() {
            *value += 0.01 * ((place % 7) as f32 - 3.0);
        }
        (parameter.name, (parameter.shape, parameter.values))
    });
    let mut parameters: TensorMap = parameters.collect();
    load_trained_parameters(model, &mut parameters).expect("the parameters are this model's")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("test folders have plain names")
}

/// A folder with the adapters of the language model `name`, and the model itself.
fn adapter(name: &str, dir: &Path) -> (PathBuf, CausalLm) {
    let (model, _) = load_causal_lm(&golden(name), &Device::flex()).expect("the fixture is whole");
    let model = moved(model.with_lora(&LoraConfig::default(), 1).expect("all layers"));
    save_causal_adapter(&dir.join("adapter"), &model, "base").expect("a test folder");
    (dir.join("adapter"), model)
}

#[test]
fn a_merged_language_model_is_the_one_that_a_stage_would_save() {
    for name in ["gpt2", "gpt_neox", "llama_tied"] {
        let dir = folder(&format!("merge_{name}"));
        let (adapter, model) = adapter(name, &dir);
        let (base, out, saved) = (golden(name), dir.join("out"), dir.join("saved"));
        rlhf(&[
            "merge",
            "--base",
            text(&base),
            "--adapter",
            text(&adapter),
            "--out",
            text(&out),
        ])
        .printed();
        std::fs::create_dir(&saved).expect("a test folder");
        let (_, config) = load_causal_lm(&base, &Device::flex()).expect("the fixture is whole");
        save_causal_lm(&saved, &model, &config).expect("a test folder");
        let weights = |dir: &Path| read_safetensors(&dir.join("model.safetensors")).expect("whole");
        assert!(weights(&out) == weights(&saved), "{name}");
        assert!(weights(&out) != weights(&base), "{name}: nothing was merged");
    }
}

#[test]
fn a_merged_reward_model_has_its_head_whatever_head_the_base_has() {
    for name in ["gpt2", "llama_reward"] {
        let dir = folder(&format!("merge_scalar_{name}"));
        let (base, adapter, out, saved) = (golden(name), dir.join("adapter"), dir.join("out"), dir.join("saved"));
        let (trunk, config) = load_decoder(&base, &Device::flex()).expect("the fixture is whole");
        let model = ScalarModel::from_decoder(trunk, 5, &Device::flex());
        let model = moved(model.with_lora(&LoraConfig::default(), 1).expect("all layers"));
        save_scalar_adapter(&adapter, &model, "base").expect("a test folder");
        rlhf(&[
            "merge",
            "--base",
            text(&base),
            "--adapter",
            text(&adapter),
            "--out",
            text(&out),
        ])
        .printed();
        std::fs::create_dir(&saved).expect("a test folder");
        save_scalar_model(&saved, &model, &config).expect("a test folder");
        let weights = |dir: &Path| read_safetensors(&dir.join("model.safetensors")).expect("whole");
        assert!(weights(&out) == weights(&saved), "{name}");
    }
}

#[test]
fn what_cannot_be_merged_is_refused_and_leaves_nothing() {
    let dir = folder("merge_refused");
    let (adapter, _) = adapter("gpt2", &dir);
    let (base, out) = (golden("gpt2"), dir.join("out"));
    let merge = |base: &Path, adapter: &Path, out: &Path| {
        rlhf(&[
            "merge",
            "--base",
            text(base),
            "--adapter",
            text(adapter),
            "--out",
            text(out),
        ])
    };
    merge(&golden("qwen2"), &adapter, &out).refused(1, &["adapter_model.safetensors", "missing"]);
    merge(&base, &dir.join("nowhere"), &out)
        .refused(1, &["nowhere", "adapter_config.json", "expected a folder of adapters"]);
    merge(&dir.join("nowhere"), &adapter, &out)
        .refused(1, &["nowhere", "config.json", "expected the folder of a model"]);
    assert!(!out.exists());
    merge(&base, &adapter, &adapter).refused(1, &["--out", "is there already"]);
    assert!(adapter.join("adapter_config.json").exists());
}

#[test]
fn a_merged_model_has_the_tokenizer_and_the_template_that_the_adapters_bring() {
    let dir = folder("merge_tokenizer");
    let base = PathBuf::from(language_model(&dir));
    let (model, _) = load_causal_lm(&base, &Device::flex()).expect("it was just written");
    let model = moved(model.with_lora(&LoraConfig::default(), 1).expect("all layers"));
    let adapter = dir.join("adapter");
    save_causal_adapter(&adapter, &model, "base").expect("a test folder");
    let merge = |out: &Path| {
        rlhf(&[
            "merge",
            "--base",
            text(&base),
            "--adapter",
            text(&adapter),
            "--out",
            text(out),
        ])
    };
    std::fs::write(adapter.join("chat_template.jinja"), "of the adapter{{ eos_token }}").expect("a test folder");
    std::fs::write(adapter.join("tokenizer_config.json"), r#"{"eos_token": "<|user|>"}"#).expect("a test folder");
    let out = dir.join("out");
    merge(&out).printed();
    let row = "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}\n";
    let shown = rlhf_reading(&["template", "--model", text(&out), "--input", "-"], row).rows();
    assert_eq!(shown[0]["text"], "of the adapter<|user|>");
    // A tokenizer with more tokens than the base has rows is refused, and nothing is written.
    std::fs::copy(golden("../tokenizer/tokenizer.json"), adapter.join("tokenizer.json")).expect("a test folder");
    let out = dir.join("larger");
    merge(&out).refused(1, &["the tokenizer has ids up to 599", "rows of embedding"]);
    assert!(!out.exists());
}
