//! PPO against the reward model.

use std::path::PathBuf;

use rlhf_core::atomic;
use rlhf_core::hash::Fingerprint;
use rlhf_data::Tokenizer;
use rlhf_model::{StorageType, load_causal_lm, load_scalar_model, save_causal_lm, save_scalar_model};
use rlhf_ppo::{Episode, Observer, PpoData, PpoModels, train};
use serde_json::json;

use super::dataset::text_windows;
use super::pretrain::save_model;
use super::samples::write_samples;
use crate::error::Result;
use crate::progress::note;
use crate::run::Workspace;
use crate::stages::Stage;

/// The averaged policy, beside `model`.
pub(crate) const EMA_MODEL: &str = "ema_model";

pub(crate) fn run(work: &Workspace, fingerprint: &Fingerprint) -> Result<()> {
    let tokenizer = work.tokenizer(Stage::Sft)?;
    let (sft, config) = load_causal_lm(&work.path("sft"), &work.device)?;
    let config = config.with_storage(StorageType::F32);
    let (reward, _) = load_scalar_model(&work.path("reward"), &work.device)?;
    let prompts = work.ppo_prompts()?.train;
    let max_new_tokens = work.config.ppo.max_new_tokens;
    let (prompts, _) = work.prompt_ids(&tokenizer, &prompts, max_new_tokens, config.max_seq_len())?;
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
    let mut observer = RolloutSamples {
        path: work.dir.samples_path(),
        tokenizer: &tokenizer,
    };
    let context = work.context(fingerprint)?;
    let outcome = train(
        PpoModels { sft, reward },
        data,
        &work.config.ppo,
        &context,
        &mut observer,
    )?;
    work.bar.finish();
    let report = &outcome.report;
    note(&format!(
        "      ppo score {:+.3} -> {:+.3} at {:.2} nats from the SFT model",
        report.first_score, report.last_score, report.last_kl,
    ));
    work.write_json(&work.dir.path().join("report.json"), report)?;
    if let Some(ema) = &outcome.ema {
        atomic::write_dir(work.dir.other_model_dir(EMA_MODEL), |dir| -> Result<()> {
            save_causal_lm(dir, ema, &config)?;
            Ok(tokenizer.save(dir)?)
        })?;
    }
    atomic::write_dir(work.dir.other_model_dir("value_model"), |dir| -> Result<()> {
        save_scalar_model(dir, &outcome.value, &config)?;
        Ok(tokenizer.save(dir)?)
    })?;
    save_model(work, &outcome.policy, &config, &tokenizer)
}

struct RolloutSamples<'a> {
    path: PathBuf,
    tokenizer: &'a Tokenizer,
}

impl Observer for RolloutSamples<'_> {
    fn sampled(&mut self, update: u64, episodes: &[Episode]) -> Result<(), String> {
        let rows = episodes
            .iter()
            .map(|episode| {
                json!({
                    "score": episode.score,
                    "kl": episode.sequence_kl(),
                    "prompt": self.tokenizer.decode(&episode.sequence[..episode.prompt_len], true),
                    "completion": self.tokenizer.decode(episode.response(), true),
                })
            })
            .collect();
        write_samples(&self.path, update, rows).map_err(|error| error.to_string())
    }
}
