//! `config.json`, beside weights of each family; `generation_config.json` and PEFT's `adapter_config.json`.
//!
//! The first byte says which family's weights there are, or which file the rest is.
#![no_main]

use std::sync::LazyLock;

use burn::tensor::Device;
use libfuzzer_sys::fuzz_target;
use rlhf_fuzz::{Folder, run_causal, run_scalar};
use rlhf_model::{
    CausalLm, Gpt2Config, LoraConfig, load_causal_adapter, load_causal_lm, load_config, load_scalar_model,
    save_causal_adapter,
};

/// The weights of a golden model.
macro_rules! weights {
    ($model:literal) => {
        LazyLock::new(|| {
            let bytes = include_bytes!(concat!("../../tests/golden/models/", $model, "/model.safetensors"));
            Folder::with(&[("model.safetensors", bytes)])
        })
    };
}

static GPT2: LazyLock<Folder> = weights!("gpt2");
static GPT2_REWARD: LazyLock<Folder> = weights!("gpt2_reward");
static GPT_NEOX: LazyLock<Folder> = weights!("gpt_neox");
static LLAMA: LazyLock<Folder> = weights!("llama_tied");
static QWEN2: LazyLock<Folder> = weights!("qwen2");
static QWEN3: LazyLock<Folder> = weights!("qwen3");
static ADAPTERS: LazyLock<Folder> = LazyLock::new(|| {
    let folder = Folder::default();
    let lora = LoraConfig {
        rank: 1,
        ..LoraConfig::default()
    };
    let model = base().with_lora(&lora, 1).expect("adapters on every layer");
    save_causal_adapter(folder.path(), &model, "base").expect("the temporary folder can be written to");
    folder
});

fuzz_target!(|input: &[u8]| {
    let Some((kind, input)) = input.split_first() else {
        return;
    };
    match kind {
        b'g' => causal(&GPT2, input),
        b'n' => causal(&GPT_NEOX, input),
        b'l' => causal(&LLAMA, input),
        b'2' => causal(&QWEN2, input),
        b'3' => causal(&QWEN3, input),
        b'r' => scalar(&GPT2_REWARD, input),
        b'e' => drop(load_config(
            Folder::with(&[("config.json", b"{}"), ("generation_config.json", input)]).path(),
        )),
        b'a' => adapters(&ADAPTERS, input),
        _ => {}
    }
});

fn causal(folder: &Folder, config: &[u8]) {
    folder.write("config.json", config);
    if let Ok((model, _)) = load_causal_lm(folder.path(), &Device::flex()) {
        run_causal(&model);
    }
}

fn scalar(folder: &Folder, config: &[u8]) {
    folder.write("config.json", config);
    if let Ok((model, _)) = load_scalar_model(folder.path(), &Device::flex()) {
        run_scalar(&model);
    }
}

fn adapters(folder: &Folder, config: &[u8]) {
    folder.write("adapter_config.json", config);
    if let Ok(model) = load_causal_adapter(folder.path(), base()) {
        run_causal(&model);
        run_causal(&model.merged());
    }
}

/// What the adapters belong to.
fn base() -> CausalLm {
    let config = Gpt2Config {
        vocab_size: 5,
        n_positions: 4,
        n_embd: 4,
        n_layer: 1,
        n_head: 2,
        ..Gpt2Config::default()
    };
    CausalLm::init(&config.into(), 1, &Device::flex())
}
