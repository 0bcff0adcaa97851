//! Rankings of the sampled answers, and how far labelers agree.

use rlhf_core::stats::Interval;
use rlhf_core::{permutation, rng};
use rlhf_data::{Comparison, Prompt};
use rlhf_eval::LabelReport;
use rlhf_tasks::{GoldJudge, Labeler, LabelerPool, Ranking, SimulatedLabeler};
use serde_json::Value;

use super::opinions::{Opinion, OutsideModel};
use super::rankings::{by_command, by_openai, by_people, by_score, rankings_of_people, sampled};
use super::sample::Answered;
use super::task::{gold_judge, rows_of_judge};
use super::{REPORT, Sample, WEIGHTS};
use crate::config::{Config, LabelerKind};
use crate::error::Result;
use crate::files::{write_json, write_rows};
use crate::inputs::Inputs;
use crate::settings::Settings;
use crate::stage::Stage;
use crate::workspace::Workspace;

/// Ranks the sampled answers, or takes the comparisons that people made.
#[derive(Debug, Clone, Copy)]
pub struct Label;

impl Label {
    /// Rankings of training labelers on training prompts, in the stage's folder.
    pub(super) const COMPARISONS: &str = "comparisons.jsonl";
    /// Rankings of training labelers on validation prompts.
    pub(super) const VALIDATION: &str = "validation.jsonl";
    /// Rankings of held-out labelers on validation prompts.
    pub(super) const HELD_OUT: &str = "held_out_labelers.jsonl";
}

impl Stage for Label {
    fn name(&self) -> &'static str {
        "label"
    }

    fn about(&self) -> &'static str {
        "Rank the answers (step 2)"
    }

    fn settings(&self, config: &Config) -> Value {
        let settings = Settings::new();
        match config.label.labeler {
            LabelerKind::Files => settings.keys(self.name(), &config.label, &["labeler"]).keys(
                "data",
                &config.data,
                &["comparisons", "comparisons_part", "validation_fraction"],
            ),
            LabelerKind::Nobody => settings.keys(self.name(), &config.label, &["labeler"]),
            LabelerKind::Simulated | LabelerKind::Judge => settings.section(self.name(), &config.label).task(config),
            LabelerKind::RewardModel => settings
                .keys(self.name(), &config.label, &["labeler", "prompts", "reward_model"])
                .conversations(config, &["max_seq_len"]),
            LabelerKind::Export => settings.keys(self.name(), &config.label, &["labeler", "prompts"]),
            LabelerKind::Command => settings.keys(self.name(), &config.label, &["labeler", "prompts", "command"]),
            LabelerKind::Openai => settings.keys(self.name(), &config.label, &["labeler", "prompts", "openai"]),
        }
        .into()
    }

    fn inputs<'a>(&self, work: &'a Workspace<'_>) -> Result<Inputs<'a>> {
        let config = work.config();
        let of_samples = || {
            let inputs = work.inputs().output(&Sample, Sample::TRAINING)?;
            inputs.output(&Sample, Sample::VALIDATION)
        };
        match config.label.labeler {
            LabelerKind::Nobody => Ok(work.inputs()),
            LabelerKind::Files => work.inputs().sources(&config.data.comparisons),
            LabelerKind::Simulated | LabelerKind::Judge => of_samples()?.rows(&rows_of_judge(config.data.source)),
            LabelerKind::RewardModel => of_samples()?.model(&config.label.reward_model, &[WEIGHTS]),
            LabelerKind::Command | LabelerKind::Openai => of_samples(),
            LabelerKind::Export => {
                let inputs = of_samples()?;
                Ok(rankings_of_people(work)?.into_iter().fold(inputs, Inputs::file))
            }
        }
    }

    fn run(&self, work: &Workspace<'_>) -> Result<()> {
        let report = match work.config().label.labeler {
            LabelerKind::Files => from_files(work)?,
            LabelerKind::Simulated => simulated(work)?,
            LabelerKind::Judge => {
                let judge = gold_judge(work)?.expect("this labeler is refused where no judge is");
                by_score(work, "judge", &Opinion::Judge(judge))?
            }
            LabelerKind::RewardModel => {
                let model = OutsideModel::load(work, &work.config().label.reward_model)?;
                by_score(work, "reward_model", &Opinion::Model(Box::new(model)))?
            }
            LabelerKind::Export => by_people(work)?,
            LabelerKind::Command => by_command(work)?,
            LabelerKind::Openai => by_openai(work)?,
            LabelerKind::Nobody => {
                work.note("nothing: nobody ranks (label.labeler)");
                LabelReport::of_people(&[], work.seed())
            }
        };
        write_json(&work.dir().path().join(REPORT), &report)
    }
}

/// Writes the rankings to train on, those of training labelers on validation prompts, and those of held-out labelers.
pub(super) fn write(work: &Workspace<'_>, rankings: [&[Comparison]; 3]) -> Result<()> {
    let files = [Label::COMPARISONS, Label::VALIDATION, Label::HELD_OUT];
    let mut files = files.into_iter().zip(rankings);
    files.try_for_each(|(file, rows)| write_rows(&work.dir().path().join(file), rows))
}

fn from_files(work: &Workspace<'_>) -> Result<LabelReport> {
    let halves = work.human_comparisons()?;
    if halves.train.is_empty() || halves.validation.is_empty() {
        work.note("all rows are on one side of the split (data.validation_fraction): stage `reward` needs some for training and some for validation");
    }
    write(work, [&halves.train, &halves.validation, &[]])?;
    let report = LabelReport::of_people(&halves.train, work.seed());
    let agreement = report.labeler_agreement.map_or_else(String::new, |found| {
        let Interval { value, low, high, n } = found;
        let [value, low, high] = [value, low, high].map(|share| 100.0 * share);
        format!("; people who ranked the same two answers agree on {value:.1} % ({low:.1} to {high:.1}) of {n}")
    });
    work.note(&format!(
        "{} comparisons made by people, {} pairs{agreement}",
        halves.train.len(),
        report.pairs
    ));
    Ok(report)
}

fn simulated(work: &Workspace<'_>) -> Result<LabelReport> {
    let config = &work.config().label;
    let [train, validation] = sampled(work)?;
    let judge = gold_judge(work)?.expect("simulated labelers are refused where no judge is");
    let mut pool = LabelerPool::new(work.seed(), judge.clone(), &config.simulated);
    calibrate(work, &mut pool, &validation)?;
    let mut desk = Desk {
        work,
        judge: judge.as_ref(),
        done: 0,
        total: (train.len() + 2 * validation.len()) as u64,
    };
    let comparisons = desk.rank(&train, pool.training(), &|row| drawn(work, row))?;
    let training = desk.rank(&validation, pool.training(), &|_| all(pool.training()))?;
    let held_out = desk.rank(&validation, pool.held_out(), &|_| all(pool.held_out()))?;

    write(work, [&comparisons, &training, &held_out])?;
    let report = LabelReport::of_simulated(judge.as_ref(), &comparisons, &training, &held_out, work.seed())?;
    if let (Some(labelers), Some(gold)) = (&report.labeler_agreement, &report.gold_accuracy) {
        work.note(&format!(
            "{} prompts ranked by {} labelers each, {} rankings, {} pairs; labelers agree on {:.1} % of pairs, the noise-free judge with them on {:.1} %",
            train.len(),
            config.rankings_per_prompt,
            comparisons.len(),
            report.pairs,
            100.0 * labelers.value,
            100.0 * gold.value,
        ));
    }
    Ok(report)
}

/// Sets the labelers' noise so that they agree as wanted, or as nearly as these answers allow: there is no agreeing on
/// answers that are all alike.
fn calibrate(work: &Workspace<'_>, pool: &mut LabelerPool, answered: &[Answered]) -> Result<()> {
    let wanted = work.config().label.simulated.agreement;
    let answers: Vec<(Prompt, Vec<String>)> = answered
        .iter()
        .map(|row| (row.prompt.clone(), row.completions.clone()))
        .collect();
    match pool.calibrate(&answers, wanted) {
        Err(rlhf_tasks::Error::Unreachable { quiet, .. }) => {
            work.note(&format!(
                "the labelers cannot agree on {:.1} % of these pairs; without noise they do on {:.1} %",
                100.0 * wanted,
                100.0 * quiet,
            ));
            Ok(())
        }
        found => Ok(found.map(drop)?),
    }
}

/// The labelers' table, and the number of prompts that have passed.
struct Desk<'a> {
    work: &'a Workspace<'a>,
    judge: &'a dyn GoldJudge,
    done: u64,
    total: u64,
}

impl Desk<'_> {
    /// Rankings of each prompt by those of the labelers, by index, that are `asked` about it.
    fn rank(
        &mut self,
        answered: &[Answered],
        labelers: &[SimulatedLabeler],
        asked: &dyn Fn(usize) -> Vec<usize>,
    ) -> Result<Vec<Comparison>> {
        let mut out = Vec::new();
        for (row, answered) in answered.iter().enumerate() {
            self.work.check_stop()?;
            // Judged once for all labelers.
            let verdicts = self.judge.assess_completions(&answered.prompt, &answered.completions)?;
            for labeler in asked(row) {
                let labeler = &labelers[labeler];
                let ranking = labeler.rank_judged(&answered.prompt, &answered.completions, &verdicts)?;
                out.push(comparison(answered, labeler.id(), ranking));
            }
            self.done += 1;
            self.work.report(self.done, self.total, "prompts ranked");
        }
        Ok(out)
    }
}

/// Every labeler, in order.
fn all(labelers: &[SimulatedLabeler]) -> Vec<usize> {
    (0..labelers.len()).collect()
}

/// The labelers who rank a training prompt.
fn drawn(work: &Workspace<'_>, row: usize) -> Vec<usize> {
    let config = &work.config().label;
    let mut rng = rng(work.seed(), "label.assign", &[row as u64]);
    let mut order = permutation(config.simulated.training, &mut rng);
    order.truncate(config.rankings_per_prompt);
    order
}

pub(super) fn comparison(answered: &Answered, labeler: &str, ranking: Ranking) -> Comparison {
    Comparison {
        id: answered.prompt.id.clone(),
        messages: answered.prompt.messages.clone(),
        completions: answered.completions.clone(),
        ranking: ranking.ranks,
        labeler: Some(labeler.to_owned()),
        confidence: Some(ranking.confidence),
        margin: None,
        task: answered.prompt.task.clone(),
        source: None,
        origin: Default::default(),
    }
}
