//! Agreement of scores with labelers, on the host.
//!
//! A pair whose scores are equal counts as half right everywhere here. The pairs of one prompt, and what several labelers say of the same
//! completions, are no independent observations: intervals are those of drawing prompts.

use std::collections::BTreeMap;

use rlhf_core::stats::{Interval, bootstrap_share, order_agreement};
use serde::{Deserialize, Serialize};

use crate::loss::sigmoid;

/// A pair that a labeler ordered, with the scores of the reward model.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredPair {
    /// Number of its prompt: pairs of the same one are drawn together.
    pub prompt: usize,
    /// Score of the completion the labeler preferred minus that of the other.
    pub gap: f64,
    /// Tokens of the preferred completion.
    pub chosen_len: usize,
    /// Tokens of the other.
    pub rejected_len: usize,
    /// Who said so, if known.
    pub labeler: Option<String>,
    /// Confidence of the labeler, in 0..=1, if known.
    pub confidence: Option<f64>,
}

impl ScoredPair {
    /// 1 when the model agrees with the labeler, 1/2 at equal scores, else 0.
    pub fn correct(&self) -> f64 {
        order_agreement(self.gap)
    }

    /// Tokens by which the preferred completion is longer.
    pub fn length_difference(&self) -> i64 {
        self.chosen_len as i64 - self.rejected_len as i64
    }
}

/// Share of pairs on which model and labeler agree, with the 95 % interval of a bootstrap over prompts, which is the same for the same
/// pairs.
pub fn pair_accuracy<'a>(pairs: impl IntoIterator<Item = &'a ScoredPair>) -> Interval {
    const SEED: u64 = 0;
    let mut prompts: BTreeMap<usize, (f64, usize)> = BTreeMap::new();
    for pair in pairs {
        let (correct, n) = prompts.entry(pair.prompt).or_default();
        *correct += pair.correct();
        *n += 1;
    }
    let clusters: Vec<(f64, usize)> = prompts.into_values().collect();
    bootstrap_share(&clusters, SEED)
}

/// Accuracy on the pairs of each labeler; pairs of nobody known are left out.
pub fn accuracy_by_labeler(pairs: &[ScoredPair]) -> BTreeMap<String, Interval> {
    let mut groups: BTreeMap<&str, Vec<&ScoredPair>> = BTreeMap::new();
    for pair in pairs {
        if let Some(labeler) = &pair.labeler {
            groups.entry(labeler).or_default().push(pair);
        }
    }
    groups
        .into_iter()
        .map(|(labeler, pairs)| (labeler.to_owned(), pair_accuracy(pairs)))
        .collect()
}

/// Accuracy on the pairs whose quantity lies in `low..high`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// Lower bound, inside; absent for the first.
    pub low: Option<f64>,
    /// Upper bound, outside; absent for the last.
    pub high: Option<f64>,
    /// Accuracy on these pairs.
    pub accuracy: Interval,
}

/// Accuracy by [`ScoredPair::length_difference`], in the buckets between `edges`, which must rise.
///
/// A model that likes length is right above 0 and wrong below.
pub fn accuracy_by_length(pairs: &[ScoredPair], edges: &[f64]) -> Vec<Bucket> {
    buckets(pairs, edges, |pair| Some(pair.length_difference() as f64))
}

/// Accuracy by the labeler's confidence, in the buckets between `edges`, which must rise; unknown ones are left out.
pub fn accuracy_by_confidence(pairs: &[ScoredPair], edges: &[f64]) -> Vec<Bucket> {
    buckets(pairs, edges, |pair| pair.confidence)
}

fn buckets(pairs: &[ScoredPair], edges: &[f64], quantity: impl Fn(&ScoredPair) -> Option<f64>) -> Vec<Bucket> {
    (0..=edges.len())
        .map(|i| {
            let low = i.checked_sub(1).map(|below| edges[below]);
            let high = edges.get(i).copied();
            let inside = |pair: &&ScoredPair| {
                quantity(pair).is_some_and(|x| low.is_none_or(|low| x >= low) && high.is_none_or(|high| x < high))
            };
            Bucket {
                low,
                high,
                accuracy: pair_accuracy(pairs.iter().filter(inside)),
            }
        })
        .collect()
}

/// One bin of a calibration curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Lower bound of the predicted probability.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
    /// Mean predicted probability of the pairs in the bin; NaN, written as null, without pairs.
    #[serde(deserialize_with = "rlhf_core::stats::null_is_nan")]
    pub predicted: f64,
    /// Share on which the labeler agreed.
    pub observed: Interval,
}

/// Predicted against observed: the model gives the completion it prefers `sigmoid(|gap|)`, a number from 1/2 to 1, and
/// the labeler did or did not prefer it too. The bins have equal width.
pub fn calibration_curve(pairs: &[ScoredPair], bins: usize) -> Vec<CalibrationBin> {
    let width = 0.5 / bins as f64;
    let mut groups: Vec<Vec<&ScoredPair>> = vec![Vec::new(); bins];
    for pair in pairs.iter().filter(|pair| pair.gap.is_finite()) {
        let bin = ((sigmoid(pair.gap.abs()) - 0.5) / width) as usize;
        groups[bin.min(bins - 1)].push(pair);
    }
    groups
        .into_iter()
        .enumerate()
        .map(|(bin, pairs)| {
            let predicted: f64 = pairs.iter().map(|pair| sigmoid(pair.gap.abs())).sum();
            CalibrationBin {
                low: 0.5 + bin as f64 * width,
                high: 0.5 + (bin + 1) as f64 * width,
                predicted: predicted / pairs.len() as f64,
                observed: pair_accuracy(pairs),
            }
        })
        .collect()
}

/// Expected calibration error: the mean distance between predicted and observed over the bins, weighted by their pairs.
/// 0 for a perfectly calibrated model, and for no pairs.
pub fn calibration_error(curve: &[CalibrationBin]) -> f64 {
    let n: usize = curve.iter().map(|bin| bin.observed.n).sum();
    curve
        .iter()
        .filter(|bin| bin.observed.n > 0)
        .map(|bin| (bin.predicted - bin.observed.value).abs() * bin.observed.n as f64 / n as f64)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn pair(gap: f64, chosen_len: usize, rejected_len: usize) -> ScoredPair {
        ScoredPair {
            prompt: 0,
            gap,
            chosen_len,
            rejected_len,
            labeler: None,
            confidence: None,
        }
    }

    #[test]
    fn accuracy_matches_pytorch() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/golden/ppo/reward_model_loss.json"
        );
        let golden: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        for case in golden["pairwise"].as_array().unwrap() {
            let list = |name: &str| case[name].as_array().unwrap().clone();
            let pairs: Vec<ScoredPair> = list("chosen")
                .iter()
                .zip(list("rejected"))
                .map(|(chosen, rejected)| pair(chosen.as_f64().unwrap() - rejected.as_f64().unwrap(), 1, 1))
                .collect();
            let expected = case["accuracy"].as_f64().unwrap();
            assert!((pair_accuracy(&pairs).value - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn equal_scores_count_half() {
        let found = pair_accuracy(&[pair(1.0, 1, 1), pair(0.0, 1, 1), pair(-1.0, 1, 1), pair(2.0, 1, 1)]);
        assert_eq!((found.value, found.n), (2.5 / 4.0, 4));
    }

    /// Ten labelers who say the same of a prompt are no ten prompts.
    #[test]
    fn what_many_say_of_the_same_answers_makes_no_interval_narrower() {
        let pairs = |labelers: usize| -> Vec<ScoredPair> {
            let of_prompt = |prompt: usize| ScoredPair {
                prompt,
                ..pair(if prompt.is_multiple_of(3) { -1.0 } else { 1.0 }, 1, 1)
            };
            (0..300 * labelers).map(|i| of_prompt(i / labelers)).collect()
        };
        let (one, ten) = (pair_accuracy(&pairs(1)), pair_accuracy(&pairs(10)));
        assert_eq!((one.n, ten.n), (300, 3000));
        assert_eq!((one.value, one.low, one.high), (ten.value, ten.low, ten.high));
        // As of 300 independent observations: 2/3 ± 1.96 sqrt(2/9 / 300) = ± 0.0533.
        let half_width = (one.high - one.low) / 2.0;
        assert!((half_width - 0.0533).abs() < 0.006, "{half_width}");
    }

    #[test]
    fn a_score_that_is_not_a_number_is_wrong() {
        assert_eq!(pair(f64::NAN, 1, 1).correct(), 0.0);
        assert_eq!(calibration_curve(&[pair(f64::NAN, 1, 1)], 2)[0].observed.n, 0);
    }

    #[test]
    fn length_buckets_show_a_model_that_likes_length() {
        // Its score is the length: right on the longer, wrong on the shorter, undecided in between.
        let pairs: Vec<ScoredPair> = [(9, 2), (8, 4), (3, 3), (1, 7)]
            .map(|(chosen, rejected)| pair(chosen as f64 - rejected as f64, chosen, rejected))
            .to_vec();
        let found = accuracy_by_length(&pairs, &[0.0, 1.0]);
        let summary: Vec<(f64, usize)> = found.iter().map(|b| (b.accuracy.value, b.accuracy.n)).collect();
        assert_eq!(summary, [(0.0, 1), (0.5, 1), (1.0, 2)]);
        assert_eq!((found[0].low, found[0].high), (None, Some(0.0)));
        assert_eq!((found[2].low, found[2].high), (Some(1.0), None));
    }

    #[test]
    fn labelers_and_confidence_are_taken_apart() {
        let mut pairs = vec![pair(1.0, 1, 1), pair(-1.0, 1, 1), pair(1.0, 1, 1)];
        pairs[0].labeler = Some("ann".into());
        pairs[1].labeler = Some("bob".into());
        (pairs[0].confidence, pairs[1].confidence) = (Some(0.9), Some(0.5));
        let by_labeler = accuracy_by_labeler(&pairs);
        assert_eq!(by_labeler.len(), 2);
        assert_eq!((by_labeler["ann"].value, by_labeler["bob"].value), (1.0, 0.0));
        let by_confidence = accuracy_by_confidence(&pairs, &[0.7]);
        let summary: Vec<(f64, usize)> = by_confidence.iter().map(|b| (b.accuracy.value, b.accuracy.n)).collect();
        assert_eq!(summary, [(0.0, 1), (1.0, 1)]);
    }

    #[test]
    fn a_model_that_says_three_quarters_and_is_right_three_times_in_four_is_calibrated() {
        let gap = 3f64.ln(); // sigmoid(ln 3) = 3/4
        let pairs = [gap, gap, gap, -gap].map(|gap| pair(gap, 1, 1));
        let curve = calibration_curve(&pairs, 5);
        assert_eq!(
            curve.iter().map(|bin| bin.observed.n).collect::<Vec<_>>(),
            [0, 0, 4, 0, 0]
        );
        assert!(calibration_error(&curve) < 1e-12);
        // Right always, it is too modest by a quarter.
        let modest = calibration_curve(&[gap; 4].map(|gap| pair(gap, 1, 1)), 5);
        assert!((calibration_error(&modest) - 0.25).abs() < 1e-12);
    }

    #[test]
    fn bins_cover_one_half_to_one_inclusive() {
        let curve = calibration_curve(&[pair(0.0, 1, 1), pair(1e4, 1, 1)], 4);
        assert_eq!((curve[0].low, curve[3].high), (0.5, 1.0));
        assert_eq!((curve[0].observed.n, curve[3].observed.n), (1, 1));
        assert_eq!(calibration_error(&[]), 0.0);
    }
}
