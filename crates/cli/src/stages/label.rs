//! Rankings of the sampled answers, and how far labelers agree.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use rlhf_core::rng;
use rlhf_data::{Comparison, Prompt};
use rlhf_tasks::{Agreement, Ballot, GoldJudge, Labeler, LabelerPool, Ranking, SimulatedLabeler, Verdict, agreement};
use serde::{Deserialize, Serialize};

use super::judge::gold_judge;
use super::sample::Answered;
use crate::config::LabelerKind;
use crate::error::{Error, Result};
use crate::progress::note;
use crate::run::Workspace;
use rlhf_core::stage::Progress;

/// What labelers said, in figures.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LabelReport {
    /// Pairs of completions that a training labeler ordered, ties left out.
    pub(crate) pairs: usize,
    /// Share of pairs on which two training labelers agree.
    pub(crate) labeler_agreement: Option<Agreement>,
    /// The same among all labelers, those held out included.
    pub(crate) all_agreement: Option<Agreement>,
    /// Share of a labeler's pairs that the noise-free judge orders alike: what no reward model can exceed on average.
    pub(crate) gold_accuracy: Option<rlhf_core::stats::Interval>,
}

/// Rankings of training labelers on training prompts.
pub(crate) const COMPARISONS: &str = "comparisons.jsonl";
/// Rankings of training labelers on validation prompts.
pub(crate) const VALIDATION: &str = "validation.jsonl";
/// Rankings of held-out labelers on validation prompts.
pub(crate) const HELD_OUT: &str = "held_out_labelers.jsonl";

pub(crate) fn run(work: &Workspace) -> Result<()> {
    let report = match work.config.label.labeler {
        LabelerKind::Files => from_files(work)?,
        LabelerKind::Simulated => simulated(work)?,
    };
    work.write_json(&work.dir.path().join("report.json"), &report)
}

fn from_files(work: &Workspace) -> Result<LabelReport> {
    let halves = work.human_comparisons()?;
    let dir = work.dir.path();
    work.write_rows(&dir.join(COMPARISONS), &halves.train)?;
    work.write_rows(&dir.join(VALIDATION), &halves.validation)?;
    work.write_rows::<Comparison>(&dir.join(HELD_OUT), &[])?;
    let pairs = halves.train.iter().map(|c| c.pairs().len()).sum();
    note(&format!(
        "    label {} comparisons made by people, {pairs} pairs",
        halves.train.len()
    ));
    Ok(LabelReport {
        pairs,
        labeler_agreement: None,
        all_agreement: None,
        gold_accuracy: None,
    })
}

fn simulated(work: &Workspace) -> Result<LabelReport> {
    let config = &work.config.label;
    let seed = work.config.seed;
    let train = read_answered(&work.path("sample/samples.jsonl"))?;
    let validation = read_answered(&work.path("sample/validation.jsonl"))?;
    let judge = gold_judge(work)?.expect("simulated labelers are refused where no judge is");
    let mut pool = LabelerPool::new(seed, Arc::clone(&judge), &config.simulated);
    let calibration: Vec<_> = validation
        .iter()
        .map(|a| (a.prompt.clone(), a.completions.clone()))
        .collect();
    calibrate(&mut pool, &calibration, config.simulated.agreement)?;
    let total = (train.len() + 2 * validation.len()) as u64;
    let mut done = 0;
    let mut rank = |answered: &[Answered], labelers: &dyn Fn(usize) -> Vec<usize>, of: &[SimulatedLabeler]| {
        let mut out = Vec::new();
        for (row, answered) in answered.iter().enumerate() {
            work.check_stop()?;
            // Judged once for all labelers.
            let verdicts = judge.assess_completions(&answered.prompt, &answered.completions)?;
            for labeler in labelers(row) {
                let labeler: &SimulatedLabeler = &of[labeler];
                let ranking = labeler.rank_judged(&answered.prompt, &answered.completions, &verdicts)?;
                out.push(comparison(answered, labeler.id(), ranking));
            }
            done += 1;
            work.bar.report(done, total, "prompts ranked");
        }
        Ok::<_, Error>(out)
    };
    let all = |labelers: &[SimulatedLabeler]| (0..labelers.len()).collect::<Vec<_>>();
    let some = |row: usize| {
        let mut order =
            rlhf_core::permutation(config.simulated.training, &mut rng(seed, "label.assign", &[row as u64]));
        order.truncate(config.rankings_per_prompt);
        order
    };
    let comparisons = rank(&train, &some, pool.training())?;
    let training = rank(&validation, &|_| all(pool.training()), pool.training())?;
    let held_out = rank(&validation, &|_| all(pool.held_out()), pool.held_out())?;

    let dir = work.dir.path();
    work.write_rows(&dir.join(COMPARISONS), &comparisons)?;
    work.write_rows(&dir.join(VALIDATION), &training)?;
    work.write_rows(&dir.join(HELD_OUT), &held_out)?;
    let everyone: Vec<Comparison> = training.iter().chain(&held_out).cloned().collect();
    let report = LabelReport {
        pairs: comparisons.iter().map(|c| c.pairs().len()).sum(),
        labeler_agreement: Some(agreement(&ballots(&training), seed)),
        all_agreement: Some(agreement(&ballots(&everyone), seed)),
        gold_accuracy: Some(gold_accuracy(judge.as_ref(), &training)?),
    };
    if let (Some(labelers), Some(gold)) = (&report.labeler_agreement, &report.gold_accuracy) {
        note(&format!(
            "    label {} pairs; labelers agree on {:.1} % of pairs, the noise-free judge with them on {:.1} %",
            report.pairs,
            100.0 * labelers.value,
            100.0 * gold.value,
        ));
    }
    Ok(report)
}

/// Sets the labelers' noise so that they agree as wanted, or as nearly as these answers allow: there is no agreeing on
/// answers that are all alike.
fn calibrate(pool: &mut LabelerPool, answers: &[(Prompt, Vec<String>)], wanted: f64) -> Result<()> {
    match pool.calibrate(answers, wanted) {
        Err(rlhf_tasks::Error::Unreachable { quiet, .. }) => {
            note(&format!(
                "    label the labelers cannot agree on {:.1} % of these pairs; without noise they do on {:.1} %",
                100.0 * wanted,
                100.0 * quiet,
            ));
            Ok(())
        }
        found => Ok(found.map(drop)?),
    }
}

fn comparison(answered: &Answered, labeler: &str, ranking: Ranking) -> Comparison {
    Comparison {
        id: answered.prompt.id.clone(),
        messages: answered.prompt.messages.clone(),
        completions: answered.completions.clone(),
        ranking: ranking.ranks,
        labeler: Some(labeler.to_owned()),
        confidence: Some(ranking.confidence),
        margin: None,
        task: answered.prompt.task.clone(),
    }
}

/// Rankings of the same prompt together.
fn ballots(rankings: &[Comparison]) -> Vec<Ballot> {
    let mut by_prompt: BTreeMap<&str, Ballot> = BTreeMap::new();
    for row in rankings {
        by_prompt.entry(&row.id).or_default().push(row.ranking.clone());
    }
    by_prompt.into_values().collect()
}

/// How often the noise-free judge orders a labeler's pair alike.
fn gold_accuracy(judge: &dyn GoldJudge, rankings: &[Comparison]) -> Result<rlhf_core::stats::Interval> {
    let (mut correct, mut pairs) = (0.0, 0);
    let mut judged: (&str, Vec<Verdict>) = ("", Vec::new());
    for row in rankings {
        let prompt = Prompt {
            id: row.id.clone(),
            messages: row.messages.clone(),
            task: row.task.clone(),
        };
        // The rankings of a prompt stand together.
        if judged.0 != row.id {
            judged = (row.id.as_str(), judge.assess_completions(&prompt, &row.completions)?);
        }
        let gold = &judged.1;
        for (better, worse) in row.pairs() {
            correct += match gold[better].gold.total_cmp(&gold[worse].gold) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            };
            pairs += 1;
        }
    }
    Ok(rlhf_core::stats::wilson(correct, pairs))
}

fn read_answered(path: &Path) -> Result<Vec<Answered>> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })?;
    text.lines()
        .enumerate()
        .map(|(index, line)| {
            serde_json::from_str(line).map_err(|e| Error::Row {
                path: path.to_owned(),
                line: index + 1,
                message: e.to_string(),
            })
        })
        .collect()
}
