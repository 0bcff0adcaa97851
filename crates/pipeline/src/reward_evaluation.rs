//! A reward model on a file of comparisons: what is read, scored and written.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use rlhf_core::stats::mean_std;
use rlhf_core::{StopFlag, atomic, parse_device};
use rlhf_data::{Comparison, Tokenizer, comparison_tokens, read_comparisons, read_objects};
use rlhf_hub::Want;
use rlhf_model::{Placement, ScalarModel, WeightPrecision, load_config, load_scalar_model, sequence_scores};
use rlhf_reward::{Invariance, RankedPrompt, RewardEvaluation, RewardSubject, group_comparisons};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::files::write_json;
use crate::listener::Listener;
use crate::locations::Locations;

/// An evaluation of a reward model.
#[derive(Debug, Clone)]
pub struct RewardEvaluationOptions {
    /// The model: a folder, a GGUF file, or a place on the Hub.
    pub model: PathBuf,
    /// Comparisons of any kind that the stages read; `subset` is told apart as `source` is.
    pub comparisons: PathBuf,
    /// So many rows, from the first; all without.
    pub limit: Option<usize>,
    /// The folder that is written to.
    pub out: PathBuf,
    /// Seed of the intervals.
    pub seed: u64,
    /// Name of the device.
    pub device: String,
    /// Type in which weights are held.
    pub weights: WeightPrecision,
}

/// Tokens that go through the model together.
const TOKENS_AT_ONCE: usize = 8192;
/// Prompts that are scored between two looks at whether to stop.
const PROMPTS_AT_ONCE: usize = 32;
/// Sequences that are scored in several ways, to see that it makes no difference.
const SCORED_ALIKE: usize = 48;

/// Scores every completion, says how far the scores agree with those who compared them, and writes it down.
///
/// # Errors
/// A model or rows that cannot be had, or scores that are no numbers.
pub fn evaluate_reward(
    options: &RewardEvaluationOptions,
    locations: &Locations,
    listener: &dyn Listener,
) -> Result<RewardEvaluation> {
    let folder = locations.model(&options.model, Want::Model)?;
    let tokenizer = Tokenizer::load(&folder)?;
    tokenizer.check_conversations()?;
    let context = load_config(&folder)?.max_seq_len();
    let (prompts, left_out) = ranked(options, locations, &tokenizer, context)?;
    let device = parse_device(&options.device)?;
    let (model, _) = load_scalar_model(
        &folder,
        Placement {
            device: &device,
            weights: options.weights,
        },
    )?;
    let bar = listener.begin("eval");
    let mut scores: Vec<Vec<f64>> = Vec::with_capacity(prompts.len());
    for some in prompts.chunks(PROMPTS_AT_ONCE) {
        if StopFlag::process().requested() {
            return Err(Error::Interrupted);
        }
        bar.report(scores.len() as u64, prompts.len() as u64, "scores of prompts");
        let sequences: Vec<&[u32]> = some
            .iter()
            .flat_map(|prompt| prompt.sequences.iter().map(Vec::as_slice))
            .collect();
        let mut found = sequence_scores(&model, &sequences, TOKENS_AT_ONCE)
            .into_iter()
            .map(f64::from);
        scores.extend(
            some.iter()
                .map(|prompt| found.by_ref().take(prompt.sequences.len()).collect::<Vec<f64>>()),
        );
    }
    let invariance = invariance(&model, &prompts);
    bar.finish();
    let subject = RewardSubject {
        model: options.model.display().to_string(),
        comparisons: options
            .comparisons
            .file_name()
            .unwrap_or_default()
            .display()
            .to_string(),
        left_out,
    };
    let found = RewardEvaluation::new(subject, &prompts, &scores, invariance, options.seed);
    atomic::make_dir(&options.out)?;
    write_json(&options.out.join("summary.json"), &found)?;
    atomic::write_file(options.out.join("model_card.md"), found.card().as_bytes())?;
    Ok(found)
}

/// The comparisons by prompt, those of each subset for themselves, and how many were left out.
fn ranked(
    options: &RewardEvaluationOptions,
    locations: &Locations,
    tokenizer: &Tokenizer,
    context: usize,
) -> Result<(Vec<RankedPrompt>, usize)> {
    let (mut rows, mut left_out) = (Vec::new(), 0);
    for file in locations.data(&options.comparisons)? {
        rows.extend(with_subsets(&file)?);
    }
    rows.truncate(options.limit.unwrap_or(usize::MAX));
    let mut subsets = BTreeMap::new();
    for row in &rows {
        match comparison_tokens(tokenizer, row, context)? {
            None => left_out += 1,
            Some(fitted) => {
                let of_subset: &mut Vec<_> = subsets.entry(row.source.clone()).or_default();
                of_subset.push(fitted.value);
            }
        }
    }
    let groups = subsets.values().flat_map(|rows| group_comparisons(rows));
    Ok((groups.collect(), left_out))
}

/// Comparisons, with the `subset` of their row as the data set that they came from, where they name no other.
fn with_subsets(file: &Path) -> Result<Vec<Comparison>> {
    let mut rows = read_comparisons(file)?.rows;
    if rows.iter().all(|row| row.source.is_none()) {
        let subset = |row: &rlhf_data::Row| Some((row.line(), row.get("subset").and_then(Value::as_str)?.to_owned()));
        let objects = read_objects(file, "rows of comparisons")?;
        let subsets: HashMap<usize, String> = objects.iter().filter_map(subset).collect();
        for row in &mut rows {
            row.source = row.origin.line().and_then(|line| subsets.get(&line).cloned());
        }
    }
    Ok(rows)
}

/// The same sequences scored alone, together, and together the other way about; nothing of less than two.
fn invariance(model: &ScalarModel, prompts: &[RankedPrompt]) -> Option<Invariance> {
    let sequences: Vec<&[u32]> = prompts
        .iter()
        .flat_map(|prompt| &prompt.sequences)
        .take(SCORED_ALIKE)
        .map(Vec::as_slice)
        .collect();
    if sequences.len() < 2 {
        return None;
    }
    let scores = |sequences: &[&[u32]]| -> Vec<f64> {
        sequence_scores(model, sequences, TOKENS_AT_ONCE)
            .into_iter()
            .map(f64::from)
            .collect()
    };
    let together = scores(&sequences);
    let alone: Vec<f64> = sequences.iter().flat_map(|sequence| scores(&[*sequence])).collect();
    let turned: Vec<&[u32]> = sequences.iter().rev().copied().collect();
    let mut turned = scores(&turned);
    turned.reverse();
    let largest = |other: &[f64]| {
        together
            .iter()
            .zip(other)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max)
    };
    Some(Invariance {
        sequences: sequences.len(),
        alone_or_together: largest(&alone),
        order: largest(&turned),
        deviation: mean_std(&together).1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_rewardbench_keep_their_subset() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bench.jsonl");
        let rows = [
            r#"{"prompt":"Why?","chosen":"So.","rejected":"No.","subset":"easy"}"#,
            r#"{"prompt":"How?","chosen":"Thus.","rejected":"Never.","subset":"hard"}"#,
        ];
        std::fs::write(&path, rows.join("\n")).unwrap();
        let found = with_subsets(&path).unwrap();
        let sources: Vec<_> = found.iter().map(|row| row.source.as_deref()).collect();
        assert_eq!(sources, [Some("easy"), Some("hard")]);
        assert_eq!(found[0].pairs(), [(0, 1)]);
    }
}
