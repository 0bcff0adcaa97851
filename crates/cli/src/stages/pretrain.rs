//! Pretraining on text, from random weights, or a model that the user brings.

use rlhf_core::hash::Fingerprint;
use rlhf_data::Tokenizer;
use rlhf_hub::Want;
use rlhf_model::{CausalLm, ModelConfig, load_causal_lm, save_causal_lm};
use rlhf_sft::{SftData, SftOutcome, memory_forecast, train};

use super::dataset::text_windows;
use super::samples::{self, SampleObserver};
use super::sft::savings;
use crate::error::Result;
use crate::progress::note;
use crate::run::Workspace;
use crate::stages::Stage;

/// Tokens of the beginning that a sample of pretraining goes on from.
const SAMPLE_PROMPT_TOKENS: usize = 12;
/// Texts that are continued at each evaluation.
const SAMPLES: usize = 4;

pub(crate) fn run(work: &Workspace, fingerprint: &Fingerprint) -> Result<()> {
    let tokenizer = work.tokenizer(Stage::Tokenizer)?;
    if let Some(base) = work.config.data.base() {
        let (model, config) = load_causal_lm(&work.places.model(&base, Want::Model)?, &work.device)?;
        tokenizer.check_vocab_size(config.vocab_size())?;
        note(&format!(" pretrain starts from {} and trains nothing", base.display()));
        return save_model(work, &model, &config, &tokenizer);
    }
    let architecture = work.config.model.model_config(
        tokenizer.vocab_size(),
        tokenizer.eos_token_id(),
        tokenizer.pad_token_id(),
    );
    let config: ModelConfig = architecture.clone().into();
    let documents = work.documents()?;
    let train_windows = text_windows(&tokenizer, &documents.train, config.max_seq_len());
    let validation = text_windows(&tokenizer, &documents.validation, config.max_seq_len());
    let outline = CausalLm::outline(&config, &work.device);
    note(&format!(
        " pretrain {} parameters on {} tokens of text",
        rlhf_core::count_parameters(&outline),
        train_windows.iter().map(|w| w.len()).sum::<usize>(),
    ));
    let prompts: Vec<Vec<u32>> = validation
        .iter()
        .filter(|w| w.len() > SAMPLE_PROMPT_TOKENS)
        .map(|w| w.input_ids[..SAMPLE_PROMPT_TOKENS].to_vec())
        .take(SAMPLES)
        .collect();
    let max_new_tokens = 48.min(config.max_seq_len() - SAMPLE_PROMPT_TOKENS);
    let data = SftData {
        train: &train_windows,
        validation: &validation,
    };
    let (seed, settings) = (work.config.seed, &work.config.pretrain);
    let sampled = samples::forecast(&outline, &prompts, max_new_tokens);
    let forecast = memory_forecast(&outline, data, settings, seed, sampled)?;
    work.announce_memory(&forecast, savings("pretrain", settings))?;
    let model = work.config.model.init.model(&architecture, seed, &work.device);
    let mut observer = SampleObserver {
        path: work.dir.samples_path(),
        tokenizer: &tokenizer,
        prompts,
        shown: SAMPLES,
        max_new_tokens,
        sampling: work.config.eval.sampling.clone(),
        seed: work.config.seed,
        reward_model: None,
    };
    let context = work.context(fingerprint)?;
    let SftOutcome { model, report } = train(model, data, settings, &context, &mut observer)?;
    work.bar.finish();
    note(&format!(
        " pretrain validation perplexity {:.1} -> {:.2}",
        report.initial.perplexity(),
        report.selected.perplexity(),
    ));
    work.write_json(&work.dir.path().join("report.json"), &report)?;
    save_model(work, &model, &config, &tokenizer)
}

/// Writes the stage's model with its tokenizer, each file whole or not at all.
pub(crate) fn save_model(
    work: &Workspace,
    model: &CausalLm,
    config: &ModelConfig,
    tokenizer: &Tokenizer,
) -> Result<()> {
    save_causal_lm(work.dir.model_dir(), model, config)?;
    Ok(tokenizer.save(work.dir.model_dir())?)
}
