//! A reward model on comparisons of any origin: how often it is right, where, and how sure it may be.
//!
//! Pure functions of scores, lengths and orders, save for [`invariance`], which asks the model. Intervals are those of drawing prompts with
//! all that was said of them.

mod bench;
mod invariance;
mod show;
mod slices;

use std::collections::BTreeMap;

use rlhf_core::stats::{Interval, bootstrap_intervals, bootstrap_mean};
use serde::{Deserialize, Serialize};

use crate::length::{LengthReport, Pair, fitted_scale};
use crate::metrics::{CalibrationBin, ScoredPair, calibration_curve, calibration_error};

pub use bench::RewardBench;
pub use invariance::{Invariance, invariance};
pub use slices::Slice;

/// The form of a [`RewardSummary`].
pub const REWARD_SCHEMA: &str = "rlhf-eval-reward/1";

/// A row of comparisons whose answers were scored.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredComparison {
    /// Number of its prompt: rows of the same one are drawn together.
    pub prompt: usize,
    /// The score of each answer.
    pub scores: Vec<f64>,
    /// Tokens of each answer.
    pub lens: Vec<usize>,
    /// Places of answers, `(better, worse)`; ties are left out.
    pub pairs: Vec<(usize, usize)>,
    /// Who said so, if known.
    pub labeler: Option<String>,
    /// How sure they were, on the data set's own scale, if known.
    pub confidence: Option<f64>,
    /// By how much the better one is better, on the data set's own scale, if known.
    pub margin: Option<f64>,
    /// The data set that it came from, if known.
    pub source: Option<String>,
    /// Its subset of RewardBench, or of a file in that form.
    pub subset: Option<String>,
    /// What the answers are worth by somebody who is not asked for an order, one number for each, if known.
    pub gold: Option<Vec<f64>>,
}

impl ScoredComparison {
    /// Its pairs with the gap of their scores.
    fn scored_pairs(&self) -> impl Iterator<Item = ScoredPair> + '_ {
        self.pairs.iter().map(|&(better, worse)| ScoredPair {
            prompt: self.prompt,
            gap: self.scores[better] - self.scores[worse],
            chosen_len: self.lens[better],
            rejected_len: self.lens[worse],
            labeler: self.labeler.clone(),
            confidence: self.confidence,
        })
    }
}

/// Whether the chances that a model gives are those with which it is right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// sigmoid(score gap) against how often the labeler agreed.
    pub bins: Vec<CalibrationBin>,
    /// Mean distance of that curve from the diagonal, weighted by pairs; of few pairs it is above 0 by chance alone.
    pub error: f64,
    /// The factor on all scores with which sigmoid(score gap) explains the orders best: below 1 the model is too sure, above 1 too modest.
    pub best_scale: f64,
}

/// The answer that the model scores highest of n.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BestOfNPoint {
    /// Answers that it is taken of.
    pub n: usize,
    /// Its score, the mean over prompts and over all ways to draw n.
    pub score: Interval,
    /// What it is worth by gold.
    pub gold: Interval,
    /// What the best of n by gold itself is worth: no model can choose better.
    pub highest_gold: Interval,
}

/// Findings about a reward model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RewardEvaluation {
    /// Where the model was named to lie.
    pub path: String,
    /// Prompts.
    pub prompts: usize,
    /// Rows that were scored.
    pub rows: usize,
    /// Rows left out: no two answers of which one is better fit the model.
    pub left_out: usize,
    /// Accuracy beside "the longer one is better" and "the shorter one is better", and where these mislead.
    pub length: LengthReport,
    /// Accuracy minus that of "the longer one is better", of the same prompts.
    pub beside_longer: Interval,
    /// Correlation of score and length among the answers to one prompt, over all prompts.
    pub length_correlation: Interval,
    /// Chances against shares.
    pub calibration: Calibration,
    /// Accuracy by kind of slice: `length`, `margin`, `confidence`, `labeler`, `answers`, `source`, as far as rows tell.
    pub slices: BTreeMap<String, Vec<Slice>>,
    /// Subsets and sections, where rows name a `subset`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reward_bench: Option<RewardBench>,
    /// What the best of n is worth, where rows have gold; n up to the smallest number of answers of such a row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub best_of_n: Vec<BestOfNPoint>,
    /// How much scores depend on what they were computed beside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invariance: Option<Invariance>,
    /// Accuracy minus that of the first model, on the rows that both could read alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside_first: Option<Interval>,
}

/// Settings of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RewardEvaluationSettings {
    /// The files of comparisons, their names alone.
    pub files: Vec<String>,
    /// Rows at most, of all files.
    pub limit: Option<usize>,
    /// Bins of the calibration curve.
    pub bins: usize,
    /// Seed of the intervals.
    pub seed: u64,
}

/// What `rlhf eval reward` finds: its `summary.json`. Displayed, it is Markdown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RewardSummary {
    /// [`REWARD_SCHEMA`].
    pub schema: String,
    /// Names of the models in the order in which they were given.
    pub order: Vec<String>,
    /// Findings by model.
    pub models: BTreeMap<String, RewardEvaluation>,
    /// Settings.
    pub settings: RewardEvaluationSettings,
    /// Versions of what made it.
    pub versions: BTreeMap<String, String>,
}

impl RewardEvaluation {
    /// What rows of comparisons say of the model that scored them. What needs the model or other rows is left open: `path`, `left_out`,
    /// `best_of_n`, `invariance`, `beside_first`.
    ///
    /// # Panics
    /// If `bins` is 0, or a row has not a score and a length for each answer.
    pub fn new(rows: &[ScoredComparison], bins: usize, seed: u64) -> Self {
        assert!(bins > 0, "a calibration curve of no bins");
        let pairs: Vec<ScoredPair> = rows.iter().flat_map(ScoredComparison::scored_pairs).collect();
        let by_prompt = prompts_of(&pairs);
        let of_pair = |pair: &&ScoredPair| Pair {
            better: pair.chosen_len as f64,
            worse: pair.rejected_len as f64,
            gap: pair.gap,
        };
        let clusters: Vec<Vec<Pair>> = by_prompt
            .iter()
            .map(|pairs| pairs.iter().map(of_pair).collect())
            .collect();
        let curve = calibration_curve(&pairs, bins);
        let gaps: Vec<f64> = pairs
            .iter()
            .map(|pair| pair.gap)
            .filter(|gap| gap.is_finite())
            .collect();
        Self {
            path: String::new(),
            prompts: by_prompt.len(),
            rows: rows.len(),
            left_out: 0,
            length: LengthReport::of_clusters(&clusters, seed),
            beside_longer: share_difference(&by_prompt, seed),
            length_correlation: length_correlation(rows, seed),
            calibration: Calibration {
                error: calibration_error(&curve),
                bins: curve,
                best_scale: fitted_scale(&gaps),
            },
            slices: slices::slices(rows),
            reward_bench: RewardBench::new(rows, seed),
            best_of_n: Vec::new(),
            invariance: None,
            beside_first: None,
        }
    }
}

/// Accuracy of one model minus that of another on the rows that both read with the same pairs; nothing without any. `rows` are theirs in the order of
/// the file, with a place for each that was left out.
pub fn accuracy_beside(
    own: &[Option<ScoredComparison>],
    other: &[Option<ScoredComparison>],
    seed: u64,
) -> Option<Interval> {
    let mut prompts: BTreeMap<usize, (f64, usize)> = BTreeMap::new();
    for (own, other) in own.iter().zip(other) {
        let (Some(own), Some(other)) = (own, other) else {
            continue;
        };
        if own.pairs != other.pairs {
            continue;
        }
        for (a, b) in own.scored_pairs().zip(other.scored_pairs()) {
            let (sum, n) = prompts.entry(own.prompt).or_default();
            *sum += a.correct() - b.correct();
            *n += 1;
        }
    }
    let units: Vec<(f64, usize)> = prompts.into_values().collect();
    (!units.is_empty()).then(|| ratio(&units, seed))
}

/// The pairs of each prompt, in the order of their numbers.
fn prompts_of(pairs: &[ScoredPair]) -> Vec<Vec<&ScoredPair>> {
    let mut prompts: BTreeMap<usize, Vec<&ScoredPair>> = BTreeMap::new();
    for pair in pairs {
        prompts.entry(pair.prompt).or_default().push(pair);
    }
    prompts.into_values().collect()
}

/// A sum over a number, both of drawn units.
fn ratio(units: &[(f64, usize)], seed: u64) -> Interval {
    let mean = |drawn: &[u32]| {
        let drawn = units.iter().zip(drawn);
        let (sum, n) = drawn.fold((0.0, 0.0), |(sum, n), (unit, &times)| {
            (sum + f64::from(times) * unit.0, n + f64::from(times) * unit.1 as f64)
        });
        vec![sum / n]
    };
    let value = mean(&vec![1; units.len()]);
    let found = bootstrap_intervals(&value, units.len(), seed, mean).remove(0);
    let n = units.iter().map(|unit| unit.1).sum();
    Interval { n, ..found }
}

/// The accuracy of the scores minus that of length, of the same pairs.
fn share_difference(prompts: &[Vec<&ScoredPair>], seed: u64) -> Interval {
    let of_prompt = |pairs: &Vec<&ScoredPair>| {
        let longer = |pair: &ScoredPair| rlhf_core::stats::order_agreement(pair.length_difference() as f64);
        let sum: f64 = pairs.iter().map(|pair| pair.correct() - longer(pair)).sum();
        (sum, pairs.len())
    };
    ratio(&prompts.iter().map(of_prompt).collect::<Vec<_>>(), seed)
}

/// Pearson's correlation of scores and lengths, both less their mean of the row, so that prompts which ask for more do not count.
fn length_correlation(rows: &[ScoredComparison], seed: u64) -> Interval {
    let mut prompts: BTreeMap<usize, [f64; 3]> = BTreeMap::new();
    for row in rows {
        let count = row.scores.len().max(1) as f64;
        let score = row.scores.iter().sum::<f64>() / count;
        let len = row.lens.iter().sum::<usize>() as f64 / count;
        let products = prompts.entry(row.prompt).or_default();
        for (own, &tokens) in row.scores.iter().zip(&row.lens) {
            let (s, l) = (own - score, tokens as f64 - len);
            *products = [products[0] + s * l, products[1] + s * s, products[2] + l * l];
        }
    }
    let units: Vec<[f64; 3]> = prompts.into_values().collect();
    let correlation = |drawn: &[u32]| {
        let mut sums = [0.0; 3];
        for (unit, &times) in units.iter().zip(drawn) {
            for (sum, product) in sums.iter_mut().zip(unit) {
                *sum += f64::from(times) * product;
            }
        }
        vec![sums[0] / (sums[1] * sums[2]).sqrt()]
    };
    let value = correlation(&vec![1; units.len()]);
    bootstrap_intervals(&value, units.len(), seed, correlation).remove(0)
}

impl BestOfNPoint {
    /// A point of the curve, of each prompt's mean score, gold, and gold of the best by gold, at this n.
    pub fn new(n: usize, prompts: &[[f64; 3]], seed: u64) -> Self {
        let of = |place: usize| bootstrap_mean(&prompts.iter().map(|found| found[place]).collect::<Vec<_>>(), seed);
        Self {
            n,
            score: of(0),
            gold: of(1),
            highest_gold: of(2),
        }
    }
}

#[cfg(test)]
mod tests;
