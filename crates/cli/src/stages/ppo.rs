//! PPO against the reward model.

use std::path::{Path, PathBuf};

use rlhf_core::atomic;
use rlhf_core::hash::Fingerprint;
use rlhf_data::Tokenizer;
use rlhf_model::{
    CausalLm, ModelConfig, ScalarModel, StorageType, load_causal_lm, load_config, load_scalar_adapter,
    load_scalar_model, save_causal_lm, save_scalar_model,
};
use rlhf_ppo::{
    Episode, Observer, PpoConfig, PpoData, PpoModels, PpoOutcome, PpoPrompt, ValueInit, memory_forecast, train,
};
use serde_json::json;

use super::adapters::{self, ADAPTER};
use super::dataset::text_windows;
use super::pretrain::save_model;
use super::samples::write_samples;
use crate::error::{Error, Result};
use crate::memory::Savings;
use crate::progress::note;
use crate::run::Workspace;
use crate::stages::Stage;

/// The averaged policy, beside `model`.
pub(crate) const EMA_MODEL: &str = "ema_model";

pub(crate) fn run(work: &Workspace, fingerprint: &Fingerprint) -> Result<()> {
    let tokenizer = work.tokenizer(Stage::Sft)?;
    let config = load_config(&work.path("sft"))?;
    adapters::check(Stage::Ppo, work.config.ppo.lora.as_ref(), &config)?;
    let config = config.with_storage(StorageType::F32);
    let prompts = work.ppo_prompts()?.train;
    let max_new_tokens = work.config.ppo.max_new_tokens;
    let (ids, kept) = work.prompt_ids(&tokenizer, &prompts, max_new_tokens, config.max_seq_len())?;
    let task_of = |row: usize| prompts[row].task.clone();
    let prompts: Vec<PpoPrompt> = (ids.into_iter().zip(kept))
        .map(|(input_ids, row)| PpoPrompt {
            input_ids,
            task: task_of(row),
        })
        .collect();
    let documents = match work.config.ppo.ptx.is_on() {
        true => work.documents()?.train,
        false => Vec::new(),
    };
    let pretraining = text_windows(&tokenizer, &documents, config.max_seq_len());
    let data = PpoData {
        prompts: &prompts,
        pretraining: &pretraining,
        eos_token_id: tokenizer.eos_token_id(),
    };
    let settings = &work.config.ppo;
    let is_shared = shares_backbone(work)?;
    let placement = adapters::placement(&work.device, settings.lora.as_ref());
    let outline = CausalLm::outline(&config, placement);
    let outline = with_reward_model(outline, is_shared, work, |dir| {
        Ok(ScalarModel::outline(&load_config(dir)?, &work.device))
    })?;
    let forecast = memory_forecast(&outline, data, settings, work.config.seed)?;
    work.announce_memory(&forecast, savings(settings))?;
    let (sft, _) = load_causal_lm(&work.path("sft"), placement)?;
    let models = with_reward_model(sft, is_shared, work, |dir| Ok(load_scalar_model(dir, &work.device)?.0))?;
    let reward_has_adapters = models
        .scorer
        .model()
        .is_some_and(|model| model.transformer.lora().is_some());
    let value_base = match settings.value_init {
        ValueInit::RewardModel if !reward_has_adapters => "reward",
        _ => "sft",
    };
    let mut observer = RolloutSamples {
        path: work.dir.samples_path(),
        tokenizer: &tokenizer,
    };
    let context = work.context(fingerprint)?;
    let outcome = train(models, data, settings, &context, &mut observer)?;
    work.bar.finish();
    let report = &outcome.report;
    note(&format!(
        "      ppo score {:+.3} -> {:+.3} at {:.2} nats from the SFT model",
        report.first_score, report.last_score, report.last_kl,
    ));
    work.write_json(&work.dir.path().join("report.json"), report)?;
    save(work, &outcome, &work.path(value_base), &config, &tokenizer)
}

/// Writes policy, average and value model. The adapters of the value model belong to `value_base`.
fn save(
    work: &Workspace,
    outcome: &PpoOutcome,
    value_base: &Path,
    config: &ModelConfig,
    tokenizer: &Tokenizer,
) -> Result<()> {
    let base = work.path("sft");
    if let Some(ema) = &outcome.ema {
        atomic::write_dir(work.dir.other_model_dir(EMA_MODEL), |dir| -> Result<()> {
            adapters::save_causal(dir, ema, &base)?;
            save_causal_lm(dir, ema, config)?;
            Ok(tokenizer.save(dir)?)
        })?;
    }
    atomic::write_dir(work.dir.other_model_dir("value_model"), |dir| -> Result<()> {
        adapters::save_scalar(dir, &outcome.value, value_base)?;
        save_scalar_model(dir, &outcome.value, config)?;
        Ok(tokenizer.save(dir)?)
    })?;
    adapters::save_causal(work.dir.model_dir(), &outcome.policy, &base)?;
    save_model(work, &outcome.policy, config, tokenizer)
}

/// The file of the reward model's adapters, if PPO may read them in place of the merged model: where it trains adapters
/// itself, so that no weight of the trunk changes.
pub(crate) fn reward_adapter(work: &Workspace) -> Option<PathBuf> {
    let path = work.path("reward").join(ADAPTER).join("adapter_model.safetensors");
    (work.config.ppo.lora.is_some() && path.exists()).then_some(path)
}

/// Whether the reward model is adapters on the trunk of the SFT model, trained on this very model, so that all models of PPO
/// can share it.
fn shares_backbone(work: &Workspace) -> Result<bool> {
    const SFT_WEIGHTS: &str = "sft/model.safetensors";
    let trained_on = work.run.stage(Stage::Reward.name()).completion()?;
    let trained_on = trained_on.and_then(|completion| completion.inputs.get(SFT_WEIGHTS).cloned());
    let is_shared =
        reward_adapter(work).is_some() && trained_on.is_some() && trained_on == work.input_hash(SFT_WEIGHTS);
    if is_shared {
        note("      ppo policy, reference, reward and value models share one backbone");
    }
    Ok(is_shared)
}

/// The SFT model and the reward model, on its trunk or `alone`, from the folder it is in.
fn with_reward_model(
    sft: CausalLm,
    is_shared: bool,
    work: &Workspace,
    alone: impl FnOnce(&Path) -> Result<ScalarModel>,
) -> Result<PpoModels> {
    let dir = work.path("reward");
    let reward = match is_shared {
        true => load_scalar_adapter(&dir.join(ADAPTER), sft.transformer.clone())?,
        false => alone(&dir)?,
    };
    Ok(PpoModels::with_reward_model(sft, reward, &work.config.ppo))
}

/// How the stage could do with less memory.
fn savings(settings: &PpoConfig) -> Savings<'static> {
    Savings {
        section: "ppo",
        microbatch_tokens: settings.microbatch_tokens,
        gradient_checkpointing: settings.gradient_checkpointing,
        could_have_adapters: settings.lora.is_none(),
    }
}

struct RolloutSamples<'a> {
    path: PathBuf,
    tokenizer: &'a Tokenizer,
}

impl Observer for RolloutSamples<'_> {
    type Error = Error;

    fn sampled(&mut self, update: u64, episodes: &[Episode]) -> Result<()> {
        let rows = episodes
            .iter()
            .map(|Episode { response, scored, .. }| {
                json!({
                    "score": scored.score,
                    "kl": scored.sequence_kl(),
                    "prompt": self.tokenizer.decode(response.prompt_tokens(), true),
                    "completion": self.tokenizer.decode(response.tokens(), true),
                })
            })
            .collect();
        write_samples(&self.path, update, rows)
    }
}
