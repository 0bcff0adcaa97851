//! The reward model.

use std::path::Path;

use rlhf_data::{Comparison, Tokenizer, all_comparison_tokens, answered_tokens, read_comparisons};
use rlhf_model::{ScalarModel, StorageType, load_config, load_decoder, save_scalar_model};
use rlhf_reward::{RankedPrompt, RewardConfig, RewardData, RewardOutcome, group_comparisons, memory_forecast, train};
use serde_json::Value;

use super::adapters;
use super::{Label, REPORT, Sft, WEIGHTS};
use crate::config::Config;
use crate::error::Result;
use crate::files::write_json;
use crate::inputs::Inputs;
use crate::memory::Savings;
use crate::rows::{DEMONSTRATIONS, RowsRead};
use crate::settings::Settings;
use crate::stage::Stage;
use crate::workspace::Workspace;

/// Trains a reward model on the rankings, from the SFT model.
#[derive(Debug, Clone, Copy)]
pub struct Reward;

fn reads() -> Vec<RowsRead> {
    vec![DEMONSTRATIONS.train()]
}

impl Stage for Reward {
    fn name(&self) -> &'static str {
        "reward"
    }

    fn about(&self) -> &'static str {
        "Train the reward model on the rankings (step 2)"
    }

    fn settings(&self, config: &Config) -> Value {
        Settings::new()
            .section(self.name(), &config.reward.identity())
            .rows(config, &reads())
            .keys("data", &config.data, &["chat_date"])
            .into()
    }

    fn inputs<'a>(&self, work: &'a Workspace<'_>) -> Result<Inputs<'a>> {
        work.inputs()
            .output(&Sft, WEIGHTS)?
            .output(&Label, Label::COMPARISONS)?
            .output(&Label, Label::VALIDATION)?
            .output(&Label, Label::HELD_OUT)?
            .rows(&reads())
    }

    fn run(&self, work: &Workspace<'_>) -> Result<()> {
        let settings = &work.config().reward;
        let tokenizer = work.tokenizer(&Sft)?;
        let base = work.folder(&Sft);
        let config = load_config(&base)?;
        adapters::check(work, self, settings.lora.as_ref(), &config)?;
        let config = config.with_storage(StorageType::F32);
        let max_seq_len = config.max_seq_len();
        let read = |file: &str| ranked_prompts(work, &work.output(&Label, file)?, &tokenizer, max_seq_len);
        let train_prompts = read(Label::COMPARISONS)?;
        let validation = read(Label::VALIDATION)?;
        let held_out = read(Label::HELD_OUT)?;
        let demonstrations: Vec<Vec<u32>> = work
            .demonstrations()?
            .train
            .iter()
            .filter_map(|row| answered_tokens(&tokenizer, row, max_seq_len).transpose())
            .collect::<Result<_, _>>()?;
        let data = RewardData {
            train: &train_prompts,
            validation: &validation,
            held_out_labelers: &held_out,
            demonstrations: &demonstrations,
        };
        let placement = adapters::placement(work.device(), settings.lora.as_ref());
        let outline = ScalarModel::outline(&config, placement);
        let forecast = memory_forecast(&outline, data, settings, work.seed())?;
        work.announce_memory(&forecast, savings(self, settings))?;
        let (trunk, _) = load_decoder(&base, placement)?;
        let RewardOutcome { model, report } = train(trunk, data, settings, &work.context()?)?;
        work.finish();
        work.note(&format!(
            "pair accuracy on held-out prompts {:.1} % ({:.1} to {:.1}); demonstrations score {:+.4} ± {:.2}",
            100.0 * report.pair_accuracy.value,
            100.0 * report.pair_accuracy.low,
            100.0 * report.pair_accuracy.high,
            report.demonstration_mean,
            report.demonstration_std,
        ));
        let dir = work.dir().model_dir();
        write_json(&dir.join(REPORT), &report)?;
        adapters::save_scalar(dir, &model, &base)?;
        save_scalar_model(dir, &model, &config)?;
        Ok(tokenizer.save(dir)?)
    }
}

/// Ways to do the stage with less memory.
fn savings(stage: &dyn Stage, settings: &RewardConfig) -> Savings<'static> {
    Savings {
        section: stage.name(),
        microbatch_tokens: settings.microbatch_tokens,
        gradient_checkpointing: settings.gradient_checkpointing,
        could_have_adapters: settings.lora.is_none(),
        generates: false,
    }
}

fn ranked_prompts(
    work: &Workspace<'_>,
    path: &Path,
    tokenizer: &Tokenizer,
    max_seq_len: usize,
) -> Result<Vec<RankedPrompt>> {
    if std::fs::metadata(path).is_ok_and(|m| m.len() == 0) {
        return Ok(Vec::new());
    }
    let rows: Vec<Comparison> = read_comparisons(path)?.rows;
    let tokens: Vec<_> = all_comparison_tokens(tokenizer, &rows, max_seq_len)?
        .into_iter()
        .flatten()
        .collect();
    if tokens.len() < rows.len() {
        work.note(&format!(
            "{} of {} comparisons are too long and left out",
            rows.len() - tokens.len(),
            rows.len()
        ));
    }
    Ok(group_comparisons(&tokens))
}
