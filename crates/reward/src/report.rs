//! Accuracy and calibration of a reward model, on prompts that neither training nor a choice has seen, and on labelers it has not.

use std::collections::BTreeMap;

use rlhf_core::stats::{Interval, mean_std};
use serde::{Deserialize, Serialize};

use crate::config::RewardConfig;
use crate::groups::RankedPrompt;
use crate::length::LengthReport;
use crate::metrics::{
    Bucket, CalibrationBin, ScoredPair, accuracy_by_confidence, accuracy_by_labeler, accuracy_by_length,
    calibration_curve, calibration_error, pair_accuracy,
};
use crate::train::RewardData;

/// Accuracy and calibration of a trained reward model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RewardReport {
    /// Optimiser steps, all seeds together.
    pub steps: u64,
    /// Validation loss of each seed; the lowest was kept.
    pub seed_losses: Vec<f64>,
    /// Share of the test prompts' pairs ordered as the training labelers did. Equal scores count one half.
    pub pair_accuracy: Interval,
    /// The same against labelers whose rankings were never learnt from.
    pub pair_accuracy_held_out_labelers: Option<Interval>,
    /// By labeler.
    pub by_labeler: BTreeMap<String, Interval>,
    /// What length says of the held-out pairs, and the model where length misleads.
    pub length: LengthReport,
    /// The same by the data set that the prompts came from, where there are several, and no more than 32.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub by_source: BTreeMap<String, LengthReport>,
    /// Accuracy of the log-probability per token that the model from which training began gives each held-out completion: what
    /// it preferred before anybody ranked. Whoever has that model fills it in.
    #[serde(default)]
    pub base_logprob: Option<Interval>,
    /// By how many tokens longer the preferred completion is.
    pub by_length: Vec<Bucket>,
    /// By the labeler's confidence.
    pub by_confidence: Vec<Bucket>,
    /// sigmoid(score gap) against how often the labeler agreed.
    pub calibration: Vec<CalibrationBin>,
    /// Mean distance of that curve from the diagonal, weighted by pairs.
    pub calibration_error: f64,
    /// Mean score of the demonstrations after calibration: 0 by construction.
    pub demonstration_mean: f64,
    /// Standard deviation of the scores of the demonstrations.
    pub demonstration_std: f64,
}

/// Scores of a reward model after calibration.
pub(crate) struct CalibratedScores {
    pub(crate) test: Vec<Vec<f64>>,
    pub(crate) held_out_labelers: Vec<Vec<f64>>,
    pub(crate) demonstrations: Vec<f64>,
}

pub(crate) fn report(
    scores: &CalibratedScores,
    data: &RewardData<'_>,
    config: &RewardConfig,
    seed: u64,
    seed_losses: Vec<f64>,
    steps: u64,
) -> RewardReport {
    let pairs = scored_pairs(data.test, &scores.test);
    let held_out = scored_pairs(data.held_out_labelers, &scores.held_out_labelers);
    let (demonstration_mean, demonstration_std) = mean_std(&scores.demonstrations);
    let calibration = calibration_curve(&pairs, config.calibration_bins);
    let mut by_labeler = accuracy_by_labeler(&pairs);
    by_labeler.extend(accuracy_by_labeler(&held_out));
    RewardReport {
        steps,
        seed_losses,
        pair_accuracy: pair_accuracy(&pairs),
        pair_accuracy_held_out_labelers: (!held_out.is_empty()).then(|| pair_accuracy(&held_out)),
        by_labeler,
        length: LengthReport::new(data.test, scores.test.iter().map(Vec::as_slice), seed),
        by_source: by_source(data.test, &scores.test, seed),
        base_logprob: None,
        by_length: accuracy_by_length(&pairs, &config.length_edges),
        by_confidence: accuracy_by_confidence(&pairs, &config.confidence_edges),
        calibration_error: calibration_error(&calibration),
        calibration,
        demonstration_mean,
        demonstration_std,
    }
}

/// More names than these are of no data sets.
const MOST_SOURCES: usize = 32;

/// A report for each data set, if there are several.
fn by_source(prompts: &[RankedPrompt], scores: &[Vec<f64>], seed: u64) -> BTreeMap<String, LengthReport> {
    let mut sources: BTreeMap<&str, (Vec<&RankedPrompt>, Vec<&[f64]>)> = BTreeMap::new();
    for (prompt, scores) in prompts.iter().zip(scores) {
        let (of_source, their_scores) = sources.entry(prompt.source.as_deref().unwrap_or("other")).or_default();
        of_source.push(prompt);
        their_scores.push(scores);
    }
    if !(2..=MOST_SOURCES).contains(&sources.len()) {
        return BTreeMap::new();
    }
    let report = |(name, (prompts, scores)): (&str, (Vec<&RankedPrompt>, Vec<&[f64]>))| {
        (name.to_owned(), LengthReport::new(prompts, scores, seed))
    };
    sources.into_iter().map(report).collect()
}

/// Every annotated pair with the gap of its scores.
pub(crate) fn scored_pairs(prompts: &[RankedPrompt], scores: &[Vec<f64>]) -> Vec<ScoredPair> {
    let mut pairs = Vec::new();
    for (number, (prompt, scores)) in prompts.iter().zip(scores).enumerate() {
        for annotation in &prompt.annotations {
            for &(better, worse) in &annotation.pairs {
                pairs.push(ScoredPair {
                    prompt: number,
                    gap: scores[better] - scores[worse],
                    chosen_len: prompt.sequences[better].len(),
                    rejected_len: prompt.sequences[worse].len(),
                    labeler: annotation.labeler.clone(),
                    confidence: annotation.confidence,
                });
            }
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::groups::Annotation;

    #[test]
    fn each_data_set_has_a_report_of_its_own_where_there_are_several() {
        let prompt = |source: Option<&str>| RankedPrompt {
            sequences: vec![vec![1, 2, 3], vec![1, 4]],
            prompt_len: 1,
            annotations: vec![Annotation {
                labeler: None,
                pairs: vec![(0, 1)],
                margin: 0.0,
                confidence: None,
            }],
            source: source.map(str::to_owned),
        };
        let prompts = [prompt(Some("chats")), prompt(None), prompt(Some("chats"))];
        let scores = [vec![1.0, 0.0], vec![0.0, 1.0], vec![0.0, 1.0]];
        let found = by_source(&prompts, &scores, 1);
        let accuracy = |name: &str| (found[name].accuracy.value, found[name].accuracy.n);
        assert_eq!((accuracy("chats"), accuracy("other")), ((0.5, 2), (0.0, 1)));
        assert_eq!(found["chats"].longer.value, 1.0);
        assert!(by_source(&prompts[..1], &scores[..1], 1).is_empty());
    }
}
