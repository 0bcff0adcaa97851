//! `rlhf eval reward`.

mod rows;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rlhf_eval::SampledPrompt;
use rlhf_model::{ScalarModel, group_scores};
use rlhf_pipeline::{Listener, Locations};
use rlhf_reward::{
    BestOfNPoint, REWARD_SCHEMA, RewardEvaluation, RewardEvaluationSettings, RewardSummary, ScoredComparison,
    accuracy_beside, invariance,
};
use serde::Serialize;

use self::rows::{ComparedRow, Encoded, read};
use super::findings::{Findings, Running, json_lines, version};
use super::named::{NamedModel, check_names};
use crate::commands::{TOKENS_AT_ONCE, check_finite, check_stop};
use crate::error::Result;
use crate::progress::{Terminal, say};

/// Prompts whose answers are scored before the next are looked at.
const PROMPTS_AT_ONCE: usize = 32;
/// Answers that are scored in five ways.
const ANSWERS_OF_INVARIANCE: usize = 64;

/// Options of the evaluation.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A reward model, as often as you like: a folder, adapters or `hf://org/name`; others are compared with the first
    #[arg(long = "model", value_name = "NAME=DIR", required = true)]
    models: Vec<NamedModel>,
    /// Comparisons in any form that stages read, RewardBench's {"prompt","chosen","rejected","subset"} among them; may be given several times
    #[arg(long, value_name = "FILE", required = true)]
    comparisons: Vec<PathBuf>,
    /// The column that holds a field under another name, such as labeler=worker; may be given several times
    #[arg(long, value_name = "FIELD=COLUMN")]
    column: Vec<String>,
    /// The column of what each of a row's completions is worth: an array of numbers, which gives a best-of-n curve
    #[arg(long, value_name = "COLUMN", default_value = "gold")]
    gold: String,
    /// Prompts of more tokens lose the end of their last question, as in a run with this data.max_prompt_tokens
    #[arg(long, value_name = "N")]
    max_prompt_tokens: Option<usize>,
    /// Only the first N rows
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Bins of the calibration curve
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    bins: u64,
    #[command(flatten)]
    running: Running,
    /// Folder for summary.json, scores.jsonl and model_card.md
    #[arg(long, value_name = "DIR", default_value = "evals/reward")]
    out: PathBuf,
}

/// A row for every comparison and model.
const ROWS: &str = "scores.jsonl";

/// One of them.
#[derive(Serialize)]
struct ScoreRow {
    model: String,
    file: PathBuf,
    line: Option<usize>,
    scores: Vec<f64>,
}

/// Evaluates.
pub(crate) fn run(args: &Args, locations: &Locations) -> Result<()> {
    check_names(&args.models)?;
    let rows = read(args, locations)?;
    // Configurations and tokenizers of all are looked at before the weights of any.
    let encoded = args
        .models
        .iter()
        .map(|named| {
            let folder = args.running.open(&named.path, locations)?;
            let encoded = Encoded::new(&rows, &folder, args.max_prompt_tokens)?;
            Ok((folder, encoded))
        })
        .collect::<Result<Vec<_>>>()?;
    let (mut models, mut lines) = (BTreeMap::new(), String::new());
    let mut first: Option<Vec<Option<ScoredComparison>>> = None;
    for (named, (folder, encoded)) in args.models.iter().zip(encoded) {
        let model = folder.scalar_model()?;
        let scores = scores(&model, &encoded, &named.name)?;
        let scored = encoded.scored(&rows, &scores);
        lines.push_str(&score_lines(&named.name, &rows, &scored)?);
        let mut found = evaluation(args, &scored);
        found.path = named.path.display().to_string();
        found.invariance = invariance(&model, encoded.first_answers(ANSWERS_OF_INVARIANCE));
        found.beside_first = first
            .as_ref()
            .and_then(|first| accuracy_beside(&scored, first, args.running.seed));
        models.insert(named.name.clone(), found);
        first.get_or_insert(scored);
    }
    let file_name = |path: &PathBuf| path.file_name().unwrap_or(path.as_os_str()).display().to_string();
    let summary = RewardSummary {
        schema: REWARD_SCHEMA.to_owned(),
        order: args.models.iter().map(|model| model.name.clone()).collect(),
        models,
        settings: RewardEvaluationSettings {
            files: args.comparisons.iter().map(file_name).collect(),
            limit: args.limit.map(|limit| limit as usize),
            bins: args.bins as usize,
            seed: args.running.seed,
        },
        versions: [version()].into(),
    };
    let findings = Findings {
        out: &args.out,
        rows: (ROWS, lines),
        card: summary.card(),
    };
    findings.write(&summary)?;
    for line in summary.to_string().trim_end().lines() {
        say(line)?;
    }
    say(&format!("\nfindings in {}", args.out.display()))
}

/// The score of every answer to every prompt, each once.
fn scores(model: &ScalarModel, encoded: &Encoded, name: &str) -> Result<Vec<Vec<f32>>> {
    let bar = Terminal.begin("eval");
    let total = encoded.answers.len();
    let mut scores: Vec<Vec<f32>> = Vec::with_capacity(total);
    for part in encoded.answers.chunks(PROMPTS_AT_ONCE) {
        check_stop()?;
        let groups: Vec<&[Vec<u32>]> = part.iter().map(Vec::as_slice).collect();
        let found = group_scores(model, &groups, TOKENS_AT_ONCE);
        for scores in &found {
            check_finite(scores, "scores")?;
        }
        scores.extend(found);
        bar.report(scores.len() as u64, total as u64, &format!("prompts scored by {name}"));
    }
    bar.finish();
    Ok(scores)
}

/// What scores say of a model, the rows aside that it could not read.
fn evaluation(args: &Args, scored: &[Option<ScoredComparison>]) -> RewardEvaluation {
    let rows: Vec<ScoredComparison> = scored.iter().flatten().cloned().collect();
    let mut found = RewardEvaluation::new(&rows, args.bins as usize, args.running.seed);
    found.left_out = scored.len() - rows.len();
    found.best_of_n = best_of_n(&rows, args.running.seed);
    found
}

/// The best-of-n curve of rows with gold, up to the fewest answers that one of them has.
fn best_of_n(rows: &[ScoredComparison], seed: u64) -> Vec<BestOfNPoint> {
    let with_gold: Vec<(&ScoredComparison, &Vec<f64>)> =
        rows.iter().filter_map(|row| Some((row, row.gold.as_ref()?))).collect();
    let most = with_gold.iter().map(|(row, _)| row.scores.len()).min().unwrap_or(0);
    let ns: Vec<usize> = (1..=most).collect();
    // Of several rows of a prompt the first.
    let mut prompts: BTreeMap<usize, [SampledPrompt; 2]> = BTreeMap::new();
    for (row, gold) in with_gold {
        let chosen_by = |scores: &[f64]| SampledPrompt::best_of(&ns, scores, gold);
        prompts
            .entry(row.prompt)
            .or_insert_with(|| [chosen_by(&row.scores), chosen_by(gold)]);
    }
    let point = |(place, &n): (usize, &usize)| {
        let of_prompt = |[own, ideal]: &[SampledPrompt; 2]| [own.proxy[place], own.gold[place], ideal.gold[place]];
        BestOfNPoint::new(n, &prompts.values().map(of_prompt).collect::<Vec<_>>(), seed)
    };
    ns.iter().enumerate().map(point).collect()
}

fn score_lines(model: &str, rows: &[ComparedRow], scored: &[Option<ScoredComparison>]) -> Result<String> {
    let line = |(row, scored): (&'_ ComparedRow, &'_ Option<ScoredComparison>)| {
        let scores = scored.as_ref()?.scores.clone();
        Some(ScoreRow {
            model: model.to_owned(),
            file: row.comparison.origin.path().unwrap_or(Path::new("")).to_owned(),
            line: row.comparison.origin.line(),
            scores,
        })
    };
    json_lines(ROWS, rows.iter().zip(scored).filter_map(line))
}
