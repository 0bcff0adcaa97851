//! The reward model.

use std::path::Path;

use rlhf_core::hash::Fingerprint;
use rlhf_data::{Comparison, Tokenizer, all_comparison_tokens, answered_tokens, read_comparisons};
use rlhf_model::{ScalarModel, StorageType, load_config, load_decoder, save_scalar_model};
use rlhf_reward::{RankedPrompt, RewardConfig, RewardData, RewardOutcome, group_comparisons, memory_forecast, train};

use super::adapters;
use super::label::{COMPARISONS, HELD_OUT, VALIDATION};
use crate::error::Result;
use crate::memory::Savings;
use crate::progress::note;
use crate::run::Workspace;
use crate::stages::Stage;

pub(crate) fn run(work: &Workspace, fingerprint: &Fingerprint) -> Result<()> {
    let tokenizer = work.tokenizer(Stage::Sft)?;
    let base = work.path("sft");
    let config = load_config(&base)?;
    adapters::check(Stage::Reward, work.config.reward.lora.as_ref(), &config)?;
    let config = config.with_storage(StorageType::F32);
    let context_len = config.max_seq_len();
    let read = |file: &str| ranked_prompts(&work.path("label").join(file), &tokenizer, context_len);
    let (train_prompts, validation, held_out) = (read(COMPARISONS)?, read(VALIDATION)?, read(HELD_OUT)?);
    let demonstrations: Vec<Vec<u32>> = work
        .demonstrations()?
        .train
        .iter()
        .filter_map(|row| answered_tokens(&tokenizer, row, context_len).transpose())
        .collect::<Result<_, _>>()?;
    let data = RewardData {
        train: &train_prompts,
        validation: &validation,
        held_out_labelers: &held_out,
        demonstrations: &demonstrations,
    };
    let settings = &work.config.reward;
    let placement = adapters::placement(&work.device, settings.lora.as_ref());
    let outline = ScalarModel::outline(&config, placement);
    let forecast = memory_forecast(&outline, data, settings, work.config.seed)?;
    work.announce_memory(&forecast, savings(settings))?;
    let (trunk, _) = load_decoder(&base, placement)?;
    let context = work.context(fingerprint)?;
    let RewardOutcome { model, report } = train(trunk, data, settings, &context)?;
    work.bar.finish();
    note(&format!(
        "   reward pair accuracy on held-out prompts {:.1} % ({:.1} to {:.1}); demonstrations score {:+.4} ± {:.2}",
        100.0 * report.pair_accuracy.value,
        100.0 * report.pair_accuracy.low,
        100.0 * report.pair_accuracy.high,
        report.demonstration_mean,
        report.demonstration_std,
    ));
    work.write_json(&work.dir.path().join("report.json"), &report)?;
    adapters::save_scalar(work.dir.model_dir(), &model, &base)?;
    save_scalar_model(work.dir.model_dir(), &model, &config)?;
    Ok(tokenizer.save(work.dir.model_dir())?)
}

/// How the stage could do with less memory.
fn savings(settings: &RewardConfig) -> Savings<'static> {
    Savings {
        section: "reward",
        microbatch_tokens: settings.microbatch_tokens,
        gradient_checkpointing: settings.gradient_checkpointing,
        could_have_adapters: settings.lora.is_none(),
    }
}

fn ranked_prompts(path: &Path, tokenizer: &Tokenizer, context: usize) -> Result<Vec<RankedPrompt>> {
    if std::fs::metadata(path).is_ok_and(|m| m.len() == 0) {
        return Ok(Vec::new());
    }
    let rows: Vec<Comparison> = read_comparisons(path)?.rows;
    let tokens: Vec<_> = all_comparison_tokens(tokenizer, &rows, context)?
        .into_iter()
        .flatten()
        .collect();
    if tokens.len() < rows.len() {
        note(&format!(
            "          {} of {} comparisons are too long and left out",
            rows.len() - tokens.len(),
            rows.len()
        ));
    }
    Ok(group_comparisons(&tokens))
}
