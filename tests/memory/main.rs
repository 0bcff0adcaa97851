//! The most that a stage allocates, beside the forecast of what it needs.
//!
//! The allocator of this binary counts, so the whole binary is one test.

use std::path::Path;

use burn::tensor::Device;
use peak_alloc::PeakAlloc;
use rlhf_core::hash::fingerprint;
use rlhf_core::memory::MemoryForecast;
use rlhf_core::rng;
use rlhf_core::stage::{Quiet, StageContext};
use rlhf_core::{CheckpointStore, permutation};
use rlhf_data::TokenSequence;
use rlhf_model::{
    CausalLm, LoraConfig, ModelConfig, Placement, ScalarModel, StorageType, WeightPrecision, load_causal_lm,
    load_decoder, save_causal_lm,
};
use rlhf_ppo::{EmaConfig, EmaPer, PpoConfig, PpoData, PpoModels, PpoPrompt, PtxConfig};
use rlhf_reward::{Annotation, RankedPrompt, RewardConfig, RewardData};
use rlhf_sft::{Selection, SftConfig, SftData};
use serde_json::{Map, Value, json};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Share of what was measured that a forecast may be off.
const TOLERANCE: f64 = 0.15;

const VOCAB: usize = 1500;

/// Small, but large enough that what is counted outweighs what is not.
fn model(family: &str) -> ModelConfig {
    let fields = match family {
        "gpt2" => json!({
            "model_type": "gpt2", "vocab_size": VOCAB, "n_embd": 128, "n_layer": 4, "n_head": 4, "n_positions": 256,
        }),
        _ => json!({
            "model_type": family, "vocab_size": VOCAB, "hidden_size": 128, "intermediate_size": 352,
            "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256,
            "tie_word_embeddings": false,
        }),
    };
    let Value::Object(fields) = fields else {
        unreachable!("written as an object")
    };
    ModelConfig::from_fields(Map::from_iter(fields)).expect("a configuration without faults")
}

/// Tokens that mean nothing.
fn tokens(count: usize, seed: u64) -> Vec<u32> {
    let mut rng = rng(seed, "tests.memory", &[]);
    let order = permutation(VOCAB, &mut rng);
    order.into_iter().cycle().take(count).map(|id| id as u32).collect()
}

fn supervised(len: usize, seed: u64) -> TokenSequence {
    TokenSequence {
        input_ids: tokens(len, seed),
        loss_mask: (0..len).map(|t| t > 0).collect(),
    }
}

/// A folder with a model, and a context to train in.
struct SavedModel {
    dir: tempfile::TempDir,
}

impl SavedModel {
    fn write(config: &ModelConfig) -> Self {
        let saved = Self {
            dir: tempfile::tempdir().expect("a folder"),
        };
        let model = CausalLm::init(config, 1, &Device::flex());
        save_causal_lm(saved.path(), &model, config).expect("it is written");
        saved
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn context(&self) -> StageContext<'_> {
        let checkpoints = CheckpointStore::open(self.path().join("checkpoints"), 1).expect("a folder");
        let of = fingerprint(&json!({})).expect("plain data");
        StageContext::new(Device::flex(), 1, self.path(), checkpoints, of, &Quiet)
    }
}

fn placement<'a>(device: &'a Device, lora: Option<&LoraConfig>) -> Placement<'a> {
    Placement {
        device,
        weights: lora.map_or(WeightPrecision::F32, |lora| lora.base_weights),
    }
}

/// Runs a stage, models loaded inside of it, and compares what it allocated with the forecast.
fn compare(name: &str, forecast: &MemoryForecast, stage: impl FnOnce()) {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    stage();
    let measured = (ALLOCATOR.peak_usage() - before) as f64;
    let off = forecast.total() as f64 / measured - 1.0;
    eprintln!(
        "{name}: forecast {:.1} MB, measured {:.1} MB: {:+.1} %",
        forecast.total() as f64 / 1e6,
        measured / 1e6,
        100.0 * off
    );
    assert!(off.abs() <= TOLERANCE, "{name}: {off:+.3}: {forecast:?}");
}

fn sft(name: &str, family: &str, settings: SftConfig) {
    let (device, config) = (Device::flex(), model(family).with_storage(StorageType::Bf16));
    let saved = SavedModel::write(&config);
    let rows: Vec<TokenSequence> = (0..16).map(|i| supervised(128, i)).collect();
    let data = SftData {
        train: &rows,
        validation: &rows[..1],
    };
    let settings = SftConfig {
        epochs: 1,
        batch_size: 8,
        ..settings
    };
    let placement = placement(&device, settings.lora.as_ref());
    let outline = CausalLm::outline(&config, placement);
    let forecast = rlhf_sft::memory_forecast(&outline, data, &settings, 1, MemoryForecast::default());
    compare(&format!("sft {name}"), &forecast.expect("adapters that fit"), || {
        let (model, _) = load_causal_lm(saved.path(), placement).expect("it was written");
        rlhf_sft::train(model, data, &settings, &saved.context(), &mut Quiet).expect("it learns");
    });
}

fn reward(name: &str, family: &str, settings: RewardConfig) {
    let (device, config) = (Device::flex(), model(family));
    let saved = SavedModel::write(&config);
    let prompts: Vec<RankedPrompt> = (0..8)
        .map(|i| RankedPrompt {
            sequences: (0..4).map(|k| [tokens(40, i), tokens(50, 100 + k)].concat()).collect(),
            prompt_len: 40,
            annotations: vec![Annotation {
                labeler: None,
                pairs: vec![(0, 1), (1, 2), (2, 3)],
                margin: 0.0,
                confidence: None,
            }],
            source: None,
        })
        .collect();
    let data = RewardData {
        train: &prompts,
        validation: &prompts[..1],
        test: &prompts[..1],
        held_out_labelers: &[],
        demonstrations: &[tokens(60, 1)],
    };
    let settings = RewardConfig {
        epochs: 1,
        batch_prompts: 4,
        ..settings
    };
    let placement = placement(&device, settings.lora.as_ref());
    let outline = ScalarModel::outline(&config, placement);
    let forecast = rlhf_reward::memory_forecast(&outline, data, &settings, 1);
    compare(&format!("reward {name}"), &forecast.expect("adapters that fit"), || {
        let (trunk, _) = load_decoder(saved.path(), placement).expect("it was written");
        rlhf_reward::train(trunk, data, &settings, &saved.context()).expect("it learns");
    });
}

fn ppo(name: &str, family: &str, settings: PpoConfig) {
    let (device, config) = (Device::flex(), model(family));
    let saved = SavedModel::write(&config);
    let prompts: Vec<PpoPrompt> = (0..16).map(|i| tokens(40, i).into()).collect();
    let text: Vec<TokenSequence> = (0..8).map(|i| supervised(200, i)).collect();
    // No token ends an answer, so that every one is as long as it may be.
    let data = PpoData {
        prompts: &prompts,
        held_out: 0,
        pretraining: &text,
        eos_token_id: u32::MAX,
        stop_token_ids: &[],
    };
    let settings = PpoConfig {
        episodes: 32,
        batch_size: 16,
        n_minibatches: 2,
        max_new_tokens: 60,
        ..settings
    };
    let placement = placement(&device, settings.lora.as_ref());
    let outline = PpoModels::with_reward_model(
        CausalLm::outline(&config, placement),
        ScalarModel::outline(&config, &device),
        &settings,
    );
    let forecast = rlhf_ppo::memory_forecast(&outline, data, &settings, 1);
    compare(&format!("ppo {name}"), &forecast.expect("adapters that fit"), || {
        let (sft, _) = load_causal_lm(saved.path(), placement).expect("it was written");
        let (trunk, _) = load_decoder(saved.path(), &device).expect("it was written");
        let models = PpoModels::with_reward_model(sft, ScalarModel::zero_head(trunk, &device), &settings);
        rlhf_ppo::train(models, data, &settings, &saved.context(), &mut Quiet).expect("it learns");
    });
}

#[test]
fn forecasts_are_what_the_stages_allocate() {
    let lora = |base_weights| {
        Some(LoraConfig {
            base_weights,
            ..LoraConfig::default()
        })
    };
    for family in ["gpt2", "llama", "qwen3"] {
        sft(family, family, SftConfig::default());
    }
    for gradient_checkpointing in [false, true] {
        let settings = SftConfig {
            gradient_checkpointing,
            select: Selection::Last,
            ..SftConfig::default()
        };
        let in_two = SftConfig {
            microbatch_tokens: 512,
            ..settings.clone()
        };
        sft(&format!("in two passes, {gradient_checkpointing}"), "gpt2", in_two);
        sft(&format!("in one pass, {gradient_checkpointing}"), "llama", settings);
    }
    let adapters = SftConfig {
        lora: lora(WeightPrecision::Bf16),
        ..SftConfig::default()
    };
    sft("adapters on bf16", "llama", adapters);
    reward("all weights", "gpt2", RewardConfig::default());
    let adapters = RewardConfig {
        lora: lora(WeightPrecision::F32),
        ..RewardConfig::default()
    };
    reward("adapters", "llama", adapters);
    let no_extras = PpoConfig {
        ptx: PtxConfig {
            coef: 0.0,
            target_grad_ratio: None,
            ..PtxConfig::default()
        },
        ema: EmaConfig {
            per: EmaPer::Off,
            ..EmaConfig::default()
        },
        ..PpoConfig::default()
    };
    ppo("without extras", "gpt2", no_extras);
    ppo("with pretraining text and average", "gpt2", PpoConfig::default());
    let adapters = PpoConfig {
        lora: lora(WeightPrecision::F32),
        ..PpoConfig::default()
    };
    ppo("adapters", "llama", adapters);
}
