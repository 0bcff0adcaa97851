//! A reward model on comparisons that it need not have been trained for: `rlhf eval reward`.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use rlhf_core::stats::{Interval, bootstrap_intervals};
use serde::{Deserialize, Serialize};

use crate::groups::RankedPrompt;
use crate::length::LengthReport;
use crate::metrics::{
    Bucket, CalibrationBin, ScoredPair, accuracy_by_confidence, accuracy_by_labeler, accuracy_by_length,
    accuracy_by_margin, calibration_curve, calibration_error, pair_accuracy,
};
use crate::report::scored_pairs;

/// The form of a [`RewardEvaluation`].
pub const REWARD_SCHEMA: &str = "rlhf-eval-reward/1";

/// Bins of the calibration curve, from 1/2 to 1.
const BINS: usize = 10;
/// Edges of the slices by how many tokens longer the preferred completion is.
const LENGTH_EDGES: [f64; 5] = [-50.0, -10.0, 0.0, 11.0, 51.0];
/// Edges of the slices by the labeler's confidence.
const CONFIDENCE_EDGES: [f64; 3] = [0.25, 0.5, 0.75];
/// Edges of the slices by the model's own margin, the distance of both scores.
const MARGIN_EDGES: [f64; 4] = [0.25, 0.5, 1.0, 2.0];
/// More names than these are of no subsets.
const MOST_SUBSETS: usize = 64;

/// What is measured of a reward model on comparisons. Intervals are of a bootstrap over prompts; equal scores count half.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RewardEvaluation {
    /// [`REWARD_SCHEMA`].
    pub schema: String,
    /// Where the model was named to lie.
    pub model: String,
    /// The file of comparisons, its name alone.
    pub comparisons: String,
    /// Prompts.
    pub prompts: usize,
    /// Share of pairs ordered as those who compared them did.
    pub pair_accuracy: Interval,
    /// The same beside what length alone would say, and where length misleads.
    pub length: LengthReport,
    /// Correlation of score and tokens among the completions of a prompt, each beside the mean of its prompt; nothing where either never differs.
    pub length_correlation: Option<Interval>,
    /// Accuracy by how many tokens longer the preferred completion is.
    pub by_length: Vec<Bucket>,
    /// Accuracy by the distance of the two scores: a model that knows what it does not know is surer where it is right.
    pub by_margin: Vec<Bucket>,
    /// Accuracy by the labeler's confidence, where it is known.
    pub by_confidence: Vec<Bucket>,
    /// Accuracy by labeler, where they are named.
    pub by_labeler: BTreeMap<String, Interval>,
    /// Accuracy by how many completions of the prompt there are.
    pub by_k: BTreeMap<usize, Interval>,
    /// Accuracy by subset or data set, where there are several.
    pub by_subset: BTreeMap<String, Interval>,
    /// The mean of the accuracies of the subsets, each counted alike, as RewardBench has it within a section; no interval is known.
    pub mean_of_subsets: Option<f64>,
    /// sigmoid(score gap) against how often the labeler agreed.
    pub calibration: RewardCalibration,
    /// How much a score depends on what it is computed beside.
    pub invariance: Option<Invariance>,
    /// Comparisons left out, because nothing in them fits or nobody prefers anything.
    pub left_out: usize,
    /// Seed of the intervals.
    pub seed: u64,
}

/// A calibration curve and its error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RewardCalibration {
    /// The curve.
    pub bins: Vec<CalibrationBin>,
    /// Mean distance of the curve from the diagonal, weighted by pairs.
    pub error: f64,
}

/// Scores of the same sequences computed in several ways.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Invariance {
    /// Sequences that were scored.
    pub sequences: usize,
    /// The largest distance of a score computed alone from that in a batch with others, which pad it.
    pub alone_or_together: f64,
    /// The largest distance of a score from that in a batch of the reverse order.
    pub order: f64,
    /// The standard deviation of the scores, beside which those are to be seen.
    pub deviation: f64,
}

/// Where an evaluation's rows come from.
#[derive(Debug, Clone)]
pub struct RewardSubject {
    /// Where the model was named to lie.
    pub model: String,
    /// The file of comparisons.
    pub comparisons: String,
    /// Comparisons left out.
    pub left_out: usize,
}

impl RewardEvaluation {
    /// The figures of `scores` of the completions of each prompt.
    ///
    /// # Panics
    /// If there are not as many scores as completions.
    pub fn new(
        subject: RewardSubject,
        prompts: &[RankedPrompt],
        scores: &[Vec<f64>],
        invariance: Option<Invariance>,
        seed: u64,
    ) -> Self {
        let pairs = scored_pairs(prompts, scores);
        let of = |is_in: &dyn Fn(&RankedPrompt) -> bool| {
            pair_accuracy(pairs.iter().filter(|pair| is_in(&prompts[pair.prompt])))
        };
        let mut sizes: Vec<usize> = prompts.iter().map(|prompt| prompt.sequences.len()).collect();
        sizes.sort_unstable();
        sizes.dedup();
        let by_k = sizes
            .into_iter()
            .map(|k| (k, of(&|prompt| prompt.sequences.len() == k)));
        let by_subset = by_subset(prompts, &pairs);
        let curve = calibration_curve(&pairs, BINS);
        Self {
            schema: REWARD_SCHEMA.to_owned(),
            model: subject.model,
            comparisons: subject.comparisons,
            prompts: prompts.len(),
            pair_accuracy: pair_accuracy(&pairs),
            length: LengthReport::new(prompts, scores.iter().map(Vec::as_slice), seed),
            length_correlation: length_correlation(prompts, scores, seed),
            by_length: accuracy_by_length(&pairs, &LENGTH_EDGES),
            by_margin: accuracy_by_margin(&pairs, &MARGIN_EDGES),
            by_confidence: if pairs.iter().any(|pair| pair.confidence.is_some()) {
                accuracy_by_confidence(&pairs, &CONFIDENCE_EDGES)
            } else {
                Vec::new()
            },
            by_labeler: accuracy_by_labeler(&pairs),
            by_k: by_k.collect(),
            mean_of_subsets: (!by_subset.is_empty())
                .then(|| by_subset.values().map(|subset| subset.value).sum::<f64>() / by_subset.len() as f64),
            by_subset,
            calibration: RewardCalibration {
                error: calibration_error(&curve),
                bins: curve,
            },
            invariance,
            left_out: subject.left_out,
            seed,
        }
    }

    /// A paragraph for a model card.
    pub fn card(&self) -> String {
        format!("## Reward model on `{}`\n\n{self}", self.comparisons)
    }
}

/// Accuracy by the source of the prompts, if there are several.
fn by_subset(prompts: &[RankedPrompt], pairs: &[ScoredPair]) -> BTreeMap<String, Interval> {
    let mut subsets: BTreeMap<&str, Vec<&ScoredPair>> = BTreeMap::new();
    for pair in pairs {
        let subset = prompts[pair.prompt].source.as_deref().unwrap_or("other");
        subsets.entry(subset).or_default().push(pair);
    }
    if !(2..=MOST_SUBSETS).contains(&subsets.len()) {
        return BTreeMap::new();
    }
    let accuracy = |(subset, pairs): (&str, Vec<&ScoredPair>)| (subset.to_owned(), pair_accuracy(pairs));
    subsets.into_iter().map(accuracy).collect()
}

/// Pearson's correlation of score and length within prompts.
fn length_correlation(prompts: &[RankedPrompt], scores: &[Vec<f64>], seed: u64) -> Option<Interval> {
    // Of each prompt the sums of squares and products about its own means.
    let sums = |(prompt, scores): (&RankedPrompt, &Vec<f64>)| {
        let lengths: Vec<f64> = prompt
            .sequences
            .iter()
            .map(|s| (s.len() - prompt.prompt_len) as f64)
            .collect();
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let (of_lengths, of_scores) = (mean(&lengths), mean(scores));
        lengths
            .iter()
            .zip(scores)
            .fold([0.0; 3], |sums: [f64; 3], (length, score)| {
                let (x, y) = (length - of_lengths, score - of_scores);
                [sums[0] + x * x, sums[1] + y * y, sums[2] + x * y]
            })
    };
    let sums: Vec<[f64; 3]> = prompts.iter().zip(scores).map(sums).collect();
    let correlation = |times: &dyn Fn(usize) -> f64| {
        let mut total = [0.0; 3];
        for (row, sums) in sums.iter().enumerate() {
            for (total, sum) in total.iter_mut().zip(sums) {
                *total += times(row) * sum;
            }
        }
        total[2] / (total[0] * total[1]).sqrt()
    };
    let value = correlation(&|_| 1.0);
    if !value.is_finite() {
        return None;
    }
    let drawn = |drawn: &[u32]| vec![correlation(&|row| f64::from(drawn[row]))];
    bootstrap_intervals(&[value], prompts.len(), seed, drawn)
        .into_iter()
        .next()
}

fn percent(interval: &Interval) -> String {
    let [value, low, high] = [interval.value, interval.low, interval.high].map(|x| 100.0 * x);
    format!("{value:.1} % ({low:.1} to {high:.1}) of {}", interval.n)
}

impl Display for RewardEvaluation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "| pairs | accuracy, 95 % interval over prompts |\n| --- | ---: |")?;
        let mut row = |name: &str, interval: &Interval| {
            if interval.n > 0 {
                writeln!(f, "| {name} | {} |", percent(interval))
            } else {
                Ok(())
            }
        };
        row("all", &self.pair_accuracy)?;
        let length = &self.length;
        row("\"the longer is better\" alone", &length.longer)?;
        row("\"the shorter is better\" alone", &length.shorter)?;
        row("of like length", &length.on_like_length)?;
        row("the longer is better", &length.on_longer_better)?;
        row("the shorter is better", &length.on_shorter_better)?;
        for (buckets, name) in [
            (&self.by_length, "better one longer by tokens"),
            (&self.by_margin, "scores apart"),
            (&self.by_confidence, "labeler's confidence"),
        ] {
            for bucket in buckets {
                row(&format!("{name} {}", bounds(bucket)), &bucket.accuracy)?;
            }
        }
        for (k, accuracy) in &self.by_k {
            row(&format!("{k} completions"), accuracy)?;
        }
        for (name, accuracy) in self.by_subset.iter().chain(&self.by_labeler) {
            row(name, accuracy)?;
        }
        if let Some(mean) = self.mean_of_subsets {
            writeln!(f, "\nmean of {} subsets: {:.1} %", self.by_subset.len(), 100.0 * mean)?;
        }
        if let Some(Interval { value, low, high, .. }) = self.length_correlation {
            writeln!(
                f,
                "\ncorrelation of score and length within prompts: {value:+.3} ({low:+.3} to {high:+.3})"
            )?;
        }
        writeln!(f, "calibration error: {:.3}", self.calibration.error)?;
        if let Some(found) = self.invariance {
            writeln!(
                f,
                "{} scores alone and in a batch differ by {:.1e} at most, in another order by {:.1e}; their standard deviation is {:.3}",
                found.sequences, found.alone_or_together, found.order, found.deviation
            )?;
        }
        writeln!(f, "{} prompts, {} comparisons left out", self.prompts, self.left_out)
    }
}

fn bounds(bucket: &Bucket) -> String {
    match (bucket.low, bucket.high) {
        (Some(low), Some(high)) => format!("{low} to below {high}"),
        (Some(low), None) => format!("from {low}"),
        (None, Some(high)) => format!("below {high}"),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::groups::Annotation;

    fn prompt(lengths: &[usize], source: &str) -> RankedPrompt {
        RankedPrompt {
            sequences: lengths.iter().map(|length| vec![1; 2 + length]).collect(),
            prompt_len: 2,
            annotations: vec![Annotation {
                labeler: Some("ann".to_owned()),
                // The first is best, the last worst.
                pairs: (0..lengths.len())
                    .flat_map(|a| (a + 1..lengths.len()).map(move |b| (a, b)))
                    .collect(),
                margin: 0.0,
                confidence: None,
            }],
            source: Some(source.to_owned()),
        }
    }

    fn subject() -> RewardSubject {
        RewardSubject {
            model: "m".to_owned(),
            comparisons: "c.jsonl".to_owned(),
            left_out: 1,
        }
    }

    #[test]
    fn slices_are_of_the_pairs_that_they_name() {
        let prompts = [
            prompt(&[9, 3], "one"),
            prompt(&[2, 90], "two"),
            prompt(&[5, 6, 7], "two"),
        ];
        // Right, wrong by 0.3; of three pairs two right.
        let scores = [vec![2.0, 0.0], vec![0.0, 0.3], vec![1.0, 0.0, 0.5]];
        let found = RewardEvaluation::new(subject(), &prompts, &scores, None, 1);
        assert_eq!((found.pair_accuracy.value, found.pair_accuracy.n), (3.0 / 5.0, 5));
        let of_k: Vec<(usize, f64, usize)> = found.by_k.iter().map(|(k, i)| (*k, i.value, i.n)).collect();
        assert_eq!(of_k, [(2, 0.5, 2), (3, 2.0 / 3.0, 3)]);
        assert_eq!((found.by_subset["one"].value, found.by_subset["two"].value), (1.0, 0.5));
        assert_eq!(found.mean_of_subsets, Some(0.75));
        // Distances 2, 0.3, 1, 0.5, 0.5: none below 0.25, one from 0.25, two from 0.5, one from 1, one from 2.
        let of_margin: Vec<usize> = found.by_margin.iter().map(|bucket| bucket.accuracy.n).collect();
        assert_eq!(of_margin, [0, 1, 2, 1, 1]);
        assert!(found.by_confidence.is_empty() && found.by_labeler["ann"].n == 5);
        let shown = found.card();
        for line in [
            "| all | 60.0 % (",
            "| two | 50.0 % (",
            "3 prompts, 1 comparisons left out",
            "| scores apart from 2 | 100.0 %",
        ] {
            assert!(shown.contains(line), "{line}:\n{shown}");
        }
        let text = serde_json::to_string(&found).unwrap();
        assert!(text.starts_with(r#"{"schema":"rlhf-eval-reward/1""#));
        assert_eq!(
            serde_json::from_str::<RewardEvaluation>(&text).unwrap().by_k,
            found.by_k
        );
    }

    #[test]
    fn score_follows_length_within_prompts_and_not_between_them() {
        // Within each prompt the longer scores higher; the prompt with the longer completions scores far lower.
        let prompts = [
            prompt(&[1, 2, 3], "x"),
            prompt(&[11, 12, 13], "x"),
            prompt(&[21, 22, 24], "x"),
        ];
        let scores = [vec![9.0, 10.0, 11.0], vec![1.0, 2.0, 3.0], vec![-9.0, -8.0, -6.0]];
        let found = length_correlation(&prompts, &scores, 1).unwrap();
        assert!((found.value - 1.0).abs() < 1e-12, "{found:?}");
        let turned = scores.map(|scores| scores.iter().map(|score| -score).collect::<Vec<f64>>());
        assert!((length_correlation(&prompts, &turned, 1).unwrap().value + 1.0).abs() < 1e-12);
        assert!(length_correlation(&prompts, &[vec![1.0; 3], vec![1.0; 3], vec![1.0; 3]], 1).is_none());
    }
}
