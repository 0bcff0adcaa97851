//! Samples of a model while it learns, for reading: `samples.jsonl` of a stage.

use std::path::{Path, PathBuf};

use rlhf_core::atomic;
use rlhf_core::memory::MemoryForecast;
use rlhf_core::stats::mean;
use rlhf_data::Tokenizer;
use rlhf_eval::answer_scores;
use rlhf_inference::{GenerateOptions, Generator, Sampling, generation_forecast};
use rlhf_model::{CausalLm, ModelConfig, ScalarModel, save_causal_lm};
use rlhf_sft::{Evaluation, Observer};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// Writes the rows of `step` behind those of earlier steps; rows of later steps, from a run that was cut off, go.
pub(super) fn write_samples(path: &Path, step: u64, rows: Vec<Value>) -> Result<()> {
    let earlier = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(source) => {
            return Err(Error::Io {
                path: path.to_owned(),
                source,
            });
        }
    };
    let is_earlier = |line: &&str| {
        serde_json::from_str::<Value>(line).is_ok_and(|row| row["step"].as_u64().is_some_and(|s| s < step))
    };
    let mut text: String = earlier
        .lines()
        .filter(is_earlier)
        .flat_map(|line| [line, "\n"])
        .collect();
    for mut row in rows {
        row["step"] = json!(step);
        text.push_str(&row.to_string());
        text.push('\n');
    }
    Ok(atomic::write_file(path, text.as_bytes())?)
}

/// Keeps the model after so many units of work whole.
pub(super) fn keep_model(
    work: &Workspace<'_>,
    done: u64,
    model: &CausalLm,
    config: &ModelConfig,
    tokenizer: &Tokenizer,
) -> Result<()> {
    let folder = work.kept_model(done);
    if let Some(parent) = folder.parent() {
        atomic::make_dir(parent)?;
    }
    atomic::write_dir(folder, |dir| -> Result<()> {
        save_causal_lm(dir, model, config)?;
        Ok(tokenizer.save(dir)?)
    })
}

/// Memory that answers to `prompts` need beside the model.
pub(super) fn forecast(model: &CausalLm, prompts: &[Vec<u32>], max_new_tokens: usize) -> MemoryForecast {
    let longest = prompts.iter().map(Vec::len).max().unwrap_or(0) + max_new_tokens;
    generation_forecast(model, prompts.len(), GenerateOptions::default().batch_size, longest)
}

/// Answers the same prompts at each evaluation, and scores the answers if there is a reward model.
pub(super) struct SampleObserver<'a> {
    pub(super) work: &'a Workspace<'a>,
    /// Configuration of the model, for those that are kept whole.
    pub(super) config: &'a ModelConfig,
    pub(super) path: PathBuf,
    pub(super) tokenizer: &'a Tokenizer,
    pub(super) prompts: Vec<Vec<u32>>,
    /// Prompts whose answers are written out.
    pub(super) shown: usize,
    pub(super) max_new_tokens: usize,
    pub(super) sampling: Sampling,
    pub(super) seed: u64,
    /// Purpose of the random streams.
    pub(super) purpose: &'static str,
    pub(super) reward_model: Option<ScalarModel>,
}

impl Observer for SampleObserver<'_> {
    type Error = Error;

    fn evaluated(&mut self, step: u64, model: &CausalLm, evaluation: &Evaluation) -> Result<Option<f64>> {
        let options = GenerateOptions {
            max_new_tokens: self.max_new_tokens,
            eos_token_id: self.tokenizer.eos_token_id(),
            stop_token_ids: self.tokenizer.other_eos_token_ids().to_vec(),
            sampling: self.sampling.clone(),
            seed: self.seed,
            purpose: self.purpose,
            ..GenerateOptions::default()
        };
        let asked = if self.reward_model.is_some() {
            self.prompts.len()
        } else {
            self.shown
        };
        let prompts = &self.prompts[..asked.min(self.prompts.len())];
        let completions = Generator::new(model).generate(prompts, &options)?;
        let rows = prompts
            .iter()
            .zip(&completions)
            .take(self.shown)
            .map(|(prompt, completion)| {
                json!({
                    "loss": evaluation.loss,
                    "prompt": self.tokenizer.decode(prompt, true),
                    "completion": self.tokenizer.decode(&completion.tokens, true),
                })
            })
            .collect();
        write_samples(&self.path, step, rows)?;
        let score = |reward_model| mean(&answer_scores(reward_model, prompts, &completions));
        // Of no answers there is no mean.
        Ok(self.reward_model.as_ref().filter(|_| !prompts.is_empty()).map(score))
    }

    fn checkpointed(&mut self, step: u64, model: &CausalLm) -> Result<()> {
        if self.work.keeps_model(step) {
            keep_model(self.work, step, model, self.config, self.tokenizer)?;
        }
        Ok(())
    }
}
