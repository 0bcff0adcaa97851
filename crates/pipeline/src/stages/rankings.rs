//! Rankings of the sampled answers by somebody from outside: people, a program, a model behind a server, a reward model.

use std::path::PathBuf;

use rlhf_core::StopFlag;
use rlhf_data::{Comparison, Prompt};
use rlhf_eval::LabelReport;
use rlhf_judges::{Command, Imported, OpenAiJudge, RankTask, export, import, ranking_files};
use rlhf_tasks::Ranking;

use super::Sample;
use super::label::{comparison, write};
use super::opinions::Opinion;
use super::sample::Answered;
use crate::error::{Error, Result};
use crate::files::read_rows;
use crate::workspace::Workspace;

/// The folder of the run to which tasks for people are written, and into which they put their rankings. It is no stage's, so that
/// nothing that people wrote is removed with a stage's results.
const PEOPLE: &str = "people";
/// Verdicts of the judge behind a server, in the folder of the run for the same reason: they were paid for.
const JUDGE_CACHE: &str = "judge_cache.jsonl";

/// Answers to training prompts, as many as are to be ranked, and to validation prompts.
pub(super) fn sampled(work: &Workspace<'_>) -> Result<[Vec<Answered>; 2]> {
    let read = |file: &str| read_rows(&work.output(&Sample, file)?);
    let mut train: Vec<Answered> = read(Sample::TRAINING)?;
    match work.config().label.prompts {
        0 => {}
        most => train.truncate(most),
    }
    Ok([train, read(Sample::VALIDATION)?])
}

/// Writes the rankings; none are kept from the labeler who made them.
fn written(work: &Workspace<'_>, labeler: &str, [train, validation]: [Vec<Comparison>; 2]) -> Result<LabelReport> {
    write(work, [&train, &validation, &[]])?;
    let report = LabelReport::of_people(&train, work.seed());
    let rankings = train.len() + validation.len();
    work.note(&format!(
        "{rankings} rankings by {labeler}, {} pairs to train on",
        report.pairs
    ));
    Ok(report)
}

/// Rankings of the sampled answers by their scores; equal scores are ties.
pub(super) fn by_score(work: &Workspace<'_>, labeler: &str, opinion: &Opinion) -> Result<LabelReport> {
    let [train, validation] = sampled(work)?;
    let total = (train.len() + validation.len()) as u64;
    let mut done = 0;
    let mut rank = |answered: &[Answered]| -> Result<Vec<Comparison>> {
        let mut rows = Vec::with_capacity(answered.len());
        for answered in answered {
            work.check_stop()?;
            let prompts = vec![&answered.prompt; answered.completions.len()];
            let scores = opinion.scores(&prompts, &answered.completions)?;
            rows.push(comparison(answered, labeler, ranking_of(&scores)));
            done += 1;
            work.report(done, total, "prompts ranked");
        }
        Ok(rows)
    };
    let (train, validation) = (rank(&train)?, rank(&validation)?);
    written(work, labeler, [train, validation])
}

/// The order of scores, the highest first; what scores alike is a tie.
fn ranking_of(scores: &[f64]) -> Ranking {
    let better = |score: &f64| {
        let mut higher: Vec<f64> = scores.iter().copied().filter(|other| other > score).collect();
        higher.sort_by(f64::total_cmp);
        higher.dedup();
        higher.len() as u32
    };
    Ranking {
        ranks: scores.iter().map(better).collect(),
        confidence: 1.0,
    }
}

/// A row of each half as its labeler sees it, under an id of its own.
fn tasks(answered: &[Answered], half: &str) -> Vec<(Prompt, Vec<String>)> {
    let row = |(index, row): (usize, &Answered)| {
        let prompt = Prompt {
            id: format!("{half}-{index}"),
            ..row.prompt.clone()
        };
        (prompt, row.completions.clone())
    };
    answered.iter().enumerate().map(row).collect()
}

/// Names of the halves in ids.
const HALVES: [&str; 2] = ["train", "validation"];

/// Rankings of both halves by somebody who ranks some tasks at a time.
fn in_batches(
    work: &Workspace<'_>,
    labeler: &str,
    at_once: usize,
    mut rank: impl FnMut(&[RankTask]) -> Result<Vec<Ranking>>,
) -> Result<LabelReport> {
    let halves = sampled(work)?;
    let total: usize = halves.iter().map(Vec::len).sum();
    let mut done = 0;
    let mut ranked = [Vec::new(), Vec::new()];
    for ((answered, name), out) in halves.iter().zip(HALVES).zip(&mut ranked) {
        for (part, tasks) in answered.chunks(at_once).zip(tasks(answered, name).chunks(at_once)) {
            work.check_stop()?;
            let tasks: Vec<RankTask> = tasks
                .iter()
                .map(|(prompt, texts)| RankTask::new(prompt, texts))
                .collect();
            for (answered, ranking) in part.iter().zip(rank(&tasks)?) {
                out.push(comparison(answered, labeler, ranking));
            }
            done += part.len();
            work.report(done as u64, total as u64, "prompts ranked");
        }
    }
    written(work, labeler, ranked)
}

pub(super) fn by_command(work: &Workspace<'_>) -> Result<LabelReport> {
    let settings = &work.config().label.command;
    let command = Command::start(settings)?;
    let labeler = command.id().to_owned();
    in_batches(work, &labeler, settings.batch, |tasks| Ok(command.rank(tasks)?))
}

pub(super) fn by_openai(work: &Workspace<'_>) -> Result<LabelReport> {
    let settings = &work.config().label.openai;
    let judge = OpenAiJudge::new(settings, &work.path(JUDGE_CACHE))?;
    let is_stopped = || StopFlag::process().requested();
    let report = in_batches(work, judge.id(), settings.concurrency, |tasks| {
        Ok(judge.rank(tasks, &is_stopped)?)
    })?;
    let spent = judge.spent();
    work.note(&format!(
        "{} requests, {} and {} tokens, {} more from {JUDGE_CACHE}; cost {:.2}",
        spent.asked.requests,
        spent.asked.prompt_tokens,
        spent.asked.completion_tokens,
        spent.cached.requests,
        spent.cost,
    ));
    Ok(report)
}

/// The files of rankings that people have written so far.
pub(super) fn rankings_of_people(work: &Workspace<'_>) -> Result<Vec<PathBuf>> {
    let folder = work.path(PEOPLE);
    if !folder.exists() {
        return Ok(Vec::new());
    }
    Ok(ranking_files(&folder)?)
}

/// Writes tasks for people, and takes their rankings if enough lie there.
pub(super) fn by_people(work: &Workspace<'_>) -> Result<LabelReport> {
    let folder = work.path(PEOPLE);
    let halves = sampled(work)?;
    let rows: Vec<(Prompt, Vec<String>)> = halves
        .iter()
        .zip(HALVES)
        .flat_map(|(answered, name)| tasks(answered, name))
        .collect();
    export(&folder, &rows)?;
    let Imported { comparisons, missing } = import(&folder, &rows)?;
    let ranked = rows.len() - missing.len();
    if (ranked as f64) < work.config().label.ranked_share * rows.len() as f64 {
        return Err(Error::WaitsForPeople {
            folder,
            ranked,
            tasks: rows.len(),
        });
    }
    let trains = |row: &Comparison| row.id.starts_with(HALVES[0]);
    let (train, validation): (Vec<_>, Vec<_>) = comparisons.into_iter().partition(trains);
    written(work, "people", [train, validation])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_score_is_first_and_equal_scores_are_ties() {
        assert_eq!(ranking_of(&[0.5, 2.0, 0.5, -1.0]).ranks, [1, 0, 1, 2]);
        assert_eq!(ranking_of(&[1.0, 1.0]).ranks, [0, 0]);
    }
}
