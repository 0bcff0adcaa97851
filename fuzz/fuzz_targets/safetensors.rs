//! Weights, alone or with an index, in a folder whose configuration is sound; PEFT's adapters likewise.
//!
//! The first byte says which files the rest is: see `fuzz_target!` below.
#![no_main]

use std::path::Path;

use burn::tensor::Device;
use libfuzzer_sys::fuzz_target;
use rlhf_fuzz::{Folder, files, run_causal, run_scalar};
use rlhf_model::{
    CausalLm, Gpt2Config, load_causal_adapter, load_causal_lm, load_decoder, load_scalar_model, read_safetensors,
};

const GPT2: &[u8] =
    br#"{"model_type": "gpt2", "vocab_size": 5, "n_positions": 4, "n_embd": 4, "n_layer": 1, "n_head": 2}"#;
const GPT_NEOX: &[u8] = br#"{"model_type": "gpt_neox", "vocab_size": 5, "max_position_embeddings": 4, "hidden_size": 8,
    "intermediate_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2, "rotary_pct": 0.5}"#;
const LLAMA: &[u8] = br#"{"model_type": "llama", "vocab_size": 5, "max_position_embeddings": 4, "hidden_size": 4,
    "intermediate_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1}"#;
const ADAPTERS: &[u8] =
    br#"{"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 1, "lora_alpha": 2, "target_modules": ["c_attn"]}"#;

const WEIGHTS: &str = "model.safetensors";

fuzz_target!(|input: &[u8]| {
    let Some((kind, input)) = input.split_first() else {
        return;
    };
    match kind {
        b'g' => causal(Folder::with(&[("config.json", GPT2), (WEIGHTS, input)]).path()),
        b'n' => causal(Folder::with(&[("config.json", GPT_NEOX), (WEIGHTS, input)]).path()),
        b'l' => causal(Folder::with(&[("config.json", LLAMA), (WEIGHTS, input)]).path()),
        b'r' => scalar(Folder::with(&[("config.json", GPT2), (WEIGHTS, input)]).path()),
        b'i' => causal(sharded(input).path()),
        b'a' => adapters(input),
        b't' => drop(read_safetensors(
            &Folder::with(&[(WEIGHTS, input)]).path().join(WEIGHTS),
        )),
        _ => {}
    }
});

fn causal(dir: &Path) {
    let device = Device::flex();
    if let Ok((model, _)) = load_causal_lm(dir, &device) {
        run_causal(&model);
        // The trunk alone asks for less than the whole.
        load_decoder(dir, &device).expect("a language model has a trunk");
    }
}

fn scalar(dir: &Path) {
    if let Ok((model, _)) = load_scalar_model(dir, &Device::flex()) {
        run_scalar(&model);
    }
}

fn sharded(input: &[u8]) -> Folder {
    let [index, first, second] = files(input);
    Folder::with(&[
        ("config.json", GPT2),
        ("model.safetensors.index.json", index),
        ("a.safetensors", first),
        ("b.safetensors", second),
    ])
}

fn adapters(input: &[u8]) {
    let config = Gpt2Config {
        vocab_size: 5,
        n_positions: 4,
        n_embd: 4,
        n_layer: 1,
        n_head: 2,
        ..Gpt2Config::default()
    };
    let model = CausalLm::init(&config.into(), 1, &Device::flex());
    let folder = Folder::with(&[("adapter_config.json", ADAPTERS), ("adapter_model.safetensors", input)]);
    if let Ok(model) = load_causal_adapter(folder.path(), model) {
        run_causal(&model);
        run_causal(&model.merged());
    }
}
