//! The reward model.

use std::path::Path;

use rlhf_core::memory::MemoryForecast;
use rlhf_core::stats::Interval;
use rlhf_data::{
    Comparison, Error as DataError, Tokenizer, all_comparison_tokens, answered_tokens, is_test, read_comparisons,
};
use rlhf_model::{ScalarModel, StorageType, load_config, load_decoder, save_scalar_model};
use rlhf_reward::{
    LengthReport, RankedPrompt, RewardConfig, RewardData, RewardOutcome, RewardReport, group_comparisons,
    memory_forecast, train,
};
use serde_json::Value;

use super::adapters;
use super::base_logprob::{self, base_logprob};
use super::{Label, REPORT, Sft, WEIGHTS};
use crate::config::{Config, LabelerKind};
use crate::error::{Error, Result};
use crate::files::write_json;
use crate::inputs::Inputs;
use crate::memory::Savings;
use crate::rows::{BOTH, DEMONSTRATIONS, Halves, HeldOut, RowsRead};
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
        if !config.trains_reward_model() {
            return Settings::new().keys("label", &config.label, &["labeler"]).into();
        }
        Settings::new()
            .section(self.name(), &config.reward.identity())
            .rows(config, &reads())
            .conversations(config, &["max_seq_len", "chat_date"])
            .into()
    }

    fn inputs<'a>(&self, work: &'a Workspace<'_>) -> Result<Inputs<'a>> {
        if !work.config().trains_reward_model() {
            return Ok(work.inputs());
        }
        work.inputs()
            .output(&Sft, WEIGHTS)?
            .output(&Label, Label::COMPARISONS)?
            .output(&Label, Label::VALIDATION)?
            .output(&Label, Label::HELD_OUT)?
            .rows(&reads())
    }

    fn run(&self, work: &Workspace<'_>) -> Result<()> {
        if !work.config().trains_reward_model() {
            work.note("nothing: nobody ranks (label.labeler)");
            return Ok(());
        }
        let settings = &work.config().reward;
        let tokenizer = work.tokenizer(&Sft)?;
        let base = work.folder(&Sft);
        let config = load_config(&base)?;
        adapters::check(work, self, settings.lora.as_ref(), &config)?;
        let config = config.with_storage(StorageType::F32);
        let max_seq_len = work.max_seq_len(&config);
        let Rankings {
            train: train_prompts,
            validation,
            test,
            held_out,
        } = Rankings::read(work, &tokenizer, max_seq_len)?;
        let demonstrations = demonstrations(work, &tokenizer, max_seq_len)?;
        let data = RewardData {
            train: &train_prompts,
            validation: &validation,
            test: &test,
            held_out_labelers: &held_out,
            demonstrations: &demonstrations,
        };
        let placement = adapters::placement(work.device(), settings.lora.as_ref());
        let outline = ScalarModel::outline(&config, placement);
        work.doubt_rates(rlhf_core::count_parameters(&outline));
        let training = memory_forecast(&outline, data, settings, work.seed())?;
        let reading = base_logprob::forecast(work, &config, &test, settings.microbatch_tokens);
        let forecast = MemoryForecast::highest([training, reading]);
        work.announce_memory(&forecast, savings(self, settings))?;
        let (trunk, _) = load_decoder(&base, placement)?;
        let RewardOutcome { model, mut report } = train(trunk, data, settings, &work.context()?)?;
        let dir = work.dir().model_dir();
        adapters::save_scalar(dir, &model, &base)?;
        save_scalar_model(dir, &model, &config)?;
        drop(model);
        report.base_logprob = Some(base_logprob(work, &test, settings.microbatch_tokens)?);
        work.finish();
        work.note(&format!(
            "pair accuracy on test prompts {:.1} % ({:.1} to {:.1}); {}",
            100.0 * report.pair_accuracy.value,
            100.0 * report.pair_accuracy.low,
            100.0 * report.pair_accuracy.high,
            of_demonstrations(&report),
        ));
        for line in beside_length(&report) {
            work.note(&line);
        }
        write_json(&dir.join(REPORT), &report)?;
        Ok(tokenizer.save(dir)?)
    }
}

/// What stage `label` handed on, gathered by prompt.
struct Rankings {
    train: Vec<RankedPrompt>,
    /// Held-out prompts by which the best seed is chosen.
    validation: Vec<RankedPrompt>,
    /// Those that are measured.
    test: Vec<RankedPrompt>,
    /// Those that are measured, as labelers ranked them whose rankings are never learnt from.
    held_out: Vec<RankedPrompt>,
}

impl Rankings {
    fn read(work: &Workspace<'_>, tokenizer: &Tokenizer, max_seq_len: usize) -> Result<Self> {
        let read = |file: &str| comparisons(&work.output(&Label, file)?);
        let ranked = |rows: &[Comparison]| ranked_prompts(work, rows, tokenizer, max_seq_len);
        let halves = Halves {
            train: read(Label::COMPARISONS)?,
            validation: read(Label::VALIDATION)?,
        };
        let list = match work.config().label.labeler {
            LabelerKind::Files => "comparisons, in label/comparisons.jsonl and label/validation.jsonl",
            _ => "reward_prompts, ranked in label/comparisons.jsonl and label/validation.jsonl",
        };
        let halves = halves.with(BOTH, list, work.config().data.validation_fraction, Comparison::key)?;
        let held_out = HeldOut::new(halves.validation, Comparison::key);
        if held_out.is_shared {
            work.note_shared("rankings", held_out.test.len());
        }
        let is_measured = |row: &Comparison| held_out.is_shared || is_test(row.key());
        Ok(Self {
            train: ranked(&halves.train)?,
            validation: ranked(&held_out.validation)?,
            test: ranked(&held_out.test)?,
            // Nothing is learnt or chosen by these: where they prefer nothing, there is only less to report.
            held_out: match read(Label::HELD_OUT) {
                Err(Error::Data(DataError::AllTies { .. })) => Vec::new(),
                found => ranked(&found?.into_iter().filter(is_measured).collect::<Vec<_>>())?,
            },
        })
    }
}

/// Demonstrations that the scores get their zero from, as the reward model reads them.
fn demonstrations(work: &Workspace<'_>, tokenizer: &Tokenizer, max_seq_len: usize) -> Result<Vec<Vec<u32>>> {
    let rows = work.demonstrations(&[])?.train;
    let fitted = work
        .trimmed(tokenizer, &rows, "demonstrations")?
        .iter()
        .filter_map(|row| answered_tokens(tokenizer, row, max_seq_len).transpose())
        .collect::<Result<Vec<_>, _>>()?;
    let shortened = fitted.iter().filter(|fitted| fitted.is_shortened()).count();
    work.note_shortened(shortened, rows.len(), "demonstrations");
    Ok(fitted.into_iter().map(|fitted| fitted.value).collect())
}

/// The reward model beside what needs none, and where length misleads.
fn beside_length(report: &RewardReport) -> Vec<String> {
    let share = |found: &Interval| {
        format!(
            "{:.1} % ({:.1} to {:.1})",
            100.0 * found.value,
            100.0 * found.low,
            100.0 * found.high
        )
    };
    let length = &report.length;
    let of_source = |(source, length): (&String, &LengthReport)| {
        format!(
            "of {source}, {} pairs: {}; the longer {}",
            length.accuracy.n,
            share(&length.accuracy),
            share(&length.longer)
        )
    };
    let base = report.base_logprob.as_ref().map_or_else(String::new, |base| {
        format!("; likelier to the SFT model {}", share(base))
    });
    let all = [
        format!(
            "by prompts {}; without a reward model: the longer {}, the shorter {}{base}",
            share(&length.accuracy),
            share(&length.longer),
            share(&length.shorter),
        ),
        format!(
            "of {} pairs of like length {}; where the longer is better ({}) {}; where the shorter is ({}) {}",
            length.on_like_length.n,
            share(&length.on_like_length),
            length.on_longer_better.n,
            share(&length.on_longer_better),
            length.on_shorter_better.n,
            share(&length.on_shorter_better),
        ),
    ];
    all.into_iter().chain(report.by_source.iter().map(of_source)).collect()
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
    let trimmed = work.trimmed(tokenizer, rows, "comparisons")?;
    let fitted: Vec<_> = all_comparison_tokens(tokenizer, &trimmed, max_seq_len)?
        .into_iter()
        .flatten()
        .collect();
    let shortened = fitted.iter().filter(|fitted| fitted.is_shortened()).count();
    let tokens: Vec<_> = fitted.into_iter().map(|fitted| fitted.value).collect();
    if tokens.len() < rows.len() {
        work.note(&format!(
            "{} of {} comparisons are left out: no pair of their answers fits, or those that do have the same tokens",
            rows.len() - tokens.len(),
            rows.len()
        ));
    }
    work.note_shortened(shortened, rows.len(), "comparisons");
    Ok(group_comparisons(&tokens))
}
