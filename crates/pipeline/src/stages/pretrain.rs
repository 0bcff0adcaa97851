//! Pretraining on text, from random weights, or a model that the user brings.

use std::path::Path;

use rlhf_data::{TokenSequence, Tokenizer, pack_documents};
use rlhf_hub::Want;
use rlhf_model::{CausalLm, ModelConfig, load_causal_lm, save_causal_lm};
use rlhf_sft::{SftData, SftOutcome, memory_forecast, train};
use serde_json::Value;

use super::samples::{self, SampleObserver};
use super::sft::savings;
use super::{REPORT, WEIGHTS, tokenizer};
use crate::config::Config;
use crate::error::Result;
use crate::files::write_json;
use crate::inputs::Inputs;
use crate::rows::{BOTH, DOCUMENTS, RowsRead};
use crate::settings::Settings;
use crate::stage::Stage;
use crate::workspace::Workspace;

/// Trains a language model on text, or copies the one to start from.
#[derive(Debug, Clone, Copy)]
pub struct Pretrain;

/// Tokens of the beginning that a sample of pretraining goes on from.
const SAMPLE_PROMPT_TOKENS: usize = 12;
/// Texts that are continued at each evaluation.
const SAMPLES: usize = 4;
/// Tokens of a sample at most.
const SAMPLE_TOKENS: usize = 48;

fn reads() -> Vec<RowsRead> {
    vec![DOCUMENTS.both()]
}

impl Stage for Pretrain {
    fn name(&self) -> &'static str {
        "pretrain"
    }

    fn about(&self) -> &'static str {
        "Train a language model on text, from random weights"
    }

    fn settings(&self, config: &Config) -> Value {
        let settings = Settings::new().keys("data", &config.data, &["base"]);
        if config.data.base().is_some() {
            return settings.into();
        }
        settings
            .section("model", &config.model)
            .section(self.name(), &config.pretrain.identity())
            .keys("data", &config.data, &["max_seq_len"])
            .rows(config, &reads())
            .into()
    }

    fn inputs<'a>(&self, work: &'a Workspace<'_>) -> Result<Inputs<'a>> {
        let inputs = work
            .inputs()
            .output(&tokenizer::Tokenizer, tokenizer::Tokenizer::FILE)?;
        match work.config().data.base() {
            Some(base) => inputs.model(&base, &[WEIGHTS, "config.json"]),
            None => inputs.rows(&reads()),
        }
    }

    fn run(&self, work: &Workspace<'_>) -> Result<()> {
        let tokenizer = work.tokenizer(&tokenizer::Tokenizer)?;
        match work.config().data.base() {
            Some(base) => copy(work, &base, &tokenizer),
            None => pretrain(work, &tokenizer),
        }
    }
}

/// The model that the user brings, in the stage's folder.
fn copy(work: &Workspace<'_>, base: &Path, tokenizer: &Tokenizer) -> Result<()> {
    let (model, config) = load_causal_lm(&work.locations().model(base, Want::Model)?, work.device())?;
    tokenizer.check_vocab_size(config.vocab_size())?;
    work.note(&format!("starts from {} and trains nothing", base.display()));
    save_model(work, &model, &config, tokenizer)
}

fn pretrain(work: &Workspace<'_>, tokenizer: &Tokenizer) -> Result<()> {
    let (settings, seed) = (&work.config().pretrain, work.seed());
    let architecture = work.config().model.model_config(
        tokenizer.vocab_size(),
        tokenizer.eos_token_id(),
        tokenizer.pad_token_id(),
    );
    let config: ModelConfig = architecture.clone().into();
    let documents = work.documents(BOTH)?;
    let max_seq_len = work.max_seq_len(&config);
    let train_windows = pack_documents(tokenizer, &documents.train, max_seq_len);
    let validation = pack_documents(tokenizer, &documents.validation, max_seq_len);
    let outline = CausalLm::outline(&config, work.device());
    work.note(&format!(
        "{} parameters on {} tokens of text",
        rlhf_core::count_parameters(&outline),
        train_windows.iter().map(TokenSequence::len).sum::<usize>(),
    ));
    let prompts = beginnings(&validation);
    let max_new_tokens = SAMPLE_TOKENS.min(max_seq_len.saturating_sub(SAMPLE_PROMPT_TOKENS));
    let data = SftData {
        train: &train_windows,
        validation: &validation,
    };
    let sampled = samples::forecast(&outline, &prompts, max_new_tokens);
    let forecast = memory_forecast(&outline, data, settings, seed, sampled)?;
    work.announce_memory(&forecast, savings(&Pretrain, settings, false))?;
    let model = work.config().model.init.model(&architecture, seed, work.device());
    let mut observer = SampleObserver {
        work,
        config: &config,
        path: work.dir().samples_path(),
        tokenizer,
        prompts,
        shown: SAMPLES,
        max_new_tokens,
        sampling: work.config().eval.sampling.clone(),
        seed,
        purpose: "pretrain.samples",
        reward_model: None,
    };
    let SftOutcome { model, report } = train(model, data, settings, &work.context()?, &mut observer)?;
    work.finish();
    work.note(&format!(
        "validation perplexity {:.1} -> {:.2}",
        report.initial.perplexity(),
        report.selected.perplexity(),
    ));
    write_json(&work.dir().path().join(REPORT), &report)?;
    save_model(work, &model, &config, tokenizer)
}

/// Beginnings of some of the windows, for samples that go on from there.
fn beginnings(windows: &[TokenSequence]) -> Vec<Vec<u32>> {
    let long_enough = windows.iter().filter(|window| window.len() > SAMPLE_PROMPT_TOKENS);
    let beginnings = long_enough.map(|window| window.input_ids[..SAMPLE_PROMPT_TOKENS].to_vec());
    beginnings.take(SAMPLES).collect()
}

/// Writes the stage's model with its tokenizer, each file whole or not at all.
pub(super) fn save_model(
    work: &Workspace<'_>,
    model: &CausalLm,
    config: &ModelConfig,
    tokenizer: &Tokenizer,
) -> Result<()> {
    save_causal_lm(work.dir().model_dir(), model, config)?;
    Ok(tokenizer.save(work.dir().model_dir())?)
}
