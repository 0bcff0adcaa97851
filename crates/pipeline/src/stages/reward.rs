//! The reward model.

use std::path::Path;

use rlhf_data::{Comparison, Error as DataError, Tokenizer, all_comparison_tokens, answered_tokens, read_comparisons};
use rlhf_model::{ScalarModel, StorageType, load_config, load_decoder, save_scalar_model};
use rlhf_reward::{
    RankedPrompt, RewardConfig, RewardData, RewardOutcome, RewardReport, group_comparisons, memory_forecast, train,
};
use serde_json::Value;

use super::adapters;
use super::{Label, REPORT, Sft, WEIGHTS};
use crate::config::{Config, LabelerKind};
use crate::error::{Error, Result};
use crate::files::write_json;
use crate::inputs::Inputs;
use crate::memory::Savings;
use crate::rows::{BOTH, DEMONSTRATIONS, Halves, RowsRead};
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
            .keys("data", &config.data, &["max_seq_len", "chat_date"])
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
        let max_seq_len = work.max_seq_len(&config);
        let read = |file: &str| comparisons(&work.output(&Label, file)?);
        let ranked = |rows: &[Comparison]| ranked_prompts(work, rows, &tokenizer, max_seq_len);
        let halves = Halves {
            train: read(Label::COMPARISONS)?,
            validation: read(Label::VALIDATION)?,
        };
        let list = match work.config().label.labeler {
            LabelerKind::Files => "comparisons",
            LabelerKind::Simulated => "reward_prompts",
        };
        let halves = halves.with(BOTH, list, work.config().data.validation_fraction, Comparison::key)?;
        let (train_prompts, validation) = (ranked(&halves.train)?, ranked(&halves.validation)?);
        // Nothing is learnt or chosen by these: where they prefer nothing, there is only less to report.
        let held_out = match read(Label::HELD_OUT) {
            Err(Error::Data(DataError::AllTies { .. })) => Vec::new(),
            found => ranked(&found?)?,
        };
        let demonstrations: Vec<Vec<u32>> = work
            .demonstrations(&[])?
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
            "pair accuracy on held-out prompts {:.1} % ({:.1} to {:.1}); {}",
            100.0 * report.pair_accuracy.value,
            100.0 * report.pair_accuracy.low,
            100.0 * report.pair_accuracy.high,
            of_demonstrations(&report),
        ));
        let dir = work.dir().model_dir();
        write_json(&dir.join(REPORT), &report)?;
        adapters::save_scalar(dir, &model, &base)?;
        save_scalar_model(dir, &model, &config)?;
        Ok(tokenizer.save(dir)?)
    }
}

/// The zero of the scores, in words.
fn of_demonstrations(report: &RewardReport) -> String {
    let (mean, deviation) = (report.demonstration_mean, report.demonstration_std);
    if mean.is_finite() {
        format!("demonstrations score {mean:+.4} ± {deviation:.2}")
    } else {
        "no demonstration fits, so that the scores have no zero".to_owned()
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

/// Rankings that stage `label` wrote, of which there may be none.
fn comparisons(path: &Path) -> Result<Vec<Comparison>> {
    if std::fs::metadata(path).is_ok_and(|m| m.len() == 0) {
        return Ok(Vec::new());
    }
    Ok(read_comparisons(path)?.rows)
}

fn ranked_prompts(
    work: &Workspace<'_>,
    rows: &[Comparison],
    tokenizer: &Tokenizer,
    max_seq_len: usize,
) -> Result<Vec<RankedPrompt>> {
    let tokens: Vec<_> = all_comparison_tokens(tokenizer, rows, max_seq_len)?
        .into_iter()
        .flatten()
        .collect();
    if tokens.len() < rows.len() {
        work.note(&format!(
            "{} of {} comparisons are left out: no pair of their answers fits, or those that do have the same tokens",
            rows.len() - tokens.len(),
            rows.len()
        ));
    }
    Ok(group_comparisons(&tokens))
}
