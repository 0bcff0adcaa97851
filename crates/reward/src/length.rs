//! Length and preference: what length alone would say of held-out pairs, and ways to keep a reward model from learning it.
//!
//! People often prefer the longer answer, and length is the easiest thing to learn: a model trained on few comparisons may have
//! learnt little else (Singhal et al. 2023, arXiv 2310.03716).

use rand::Rng;
use rlhf_core::rng;
use rlhf_core::stats::{Interval, bootstrap_share, order_agreement};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::groups::{Annotation, RankedPrompt};
use crate::loss::sigmoid;

/// Treatment of the length of completions in training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LengthBias {
    /// It is learnt with the rest.
    #[default]
    Keep,
    /// Pairs whose better completion is the longer one, or those whose better one is the shorter, are left out at random until
    /// there are as many of the others.
    Balance,
    /// A weight per token is fitted to the pairs first; in the loss it is added to the scores, which need not say again what it
    /// says, and it is left off when the model is used.
    FitOut,
}

/// Two completions whose lengths differ by less than this share of the longer one's are of like length.
const LIKE_LENGTH: f64 = 0.1;

/// What length says of held-out pairs, and what the model makes of those that it misleads. Intervals are of a bootstrap over
/// prompts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LengthReport {
    /// Accuracy of the model.
    pub accuracy: Interval,
    /// Accuracy of "the longer one is better".
    pub longer: Interval,
    /// Accuracy of "the shorter one is better".
    pub shorter: Interval,
    /// Accuracy of the model on pairs of like length: within a tenth.
    pub on_like_length: Interval,
    /// Accuracy of the model on pairs whose better completion is the longer one.
    pub on_longer_better: Interval,
    /// Accuracy of the model on pairs whose better completion is the shorter one.
    pub on_shorter_better: Interval,
}

/// A held-out pair: tokens of the better and of the worse completion, and the gap of their scores.
pub(crate) struct Pair {
    pub(crate) better: f64,
    pub(crate) worse: f64,
    pub(crate) gap: f64,
}

impl LengthReport {
    /// The report of the scores of held-out completions.
    pub(crate) fn new<'a>(
        prompts: impl IntoIterator<Item = &'a RankedPrompt>,
        scores: impl IntoIterator<Item = &'a [f64]>,
        seed: u64,
    ) -> Self {
        let pairs_of = |(prompt, scores): (&RankedPrompt, &[f64])| -> Vec<Pair> {
            let len = |completion: usize| (prompt.sequences[completion].len() - prompt.prompt_len) as f64;
            let pairs = prompt.annotations.iter().flat_map(|annotation| &annotation.pairs);
            let pair = |&(better, worse): &(usize, usize)| Pair {
                better: len(better),
                worse: len(worse),
                gap: scores[better] - scores[worse],
            };
            pairs.map(pair).collect()
        };
        let clusters: Vec<Vec<Pair>> = prompts.into_iter().zip(scores).map(pairs_of).collect();
        Self::of_clusters(&clusters, seed)
    }

    /// The report of pairs, those of each prompt together.
    pub(crate) fn of_clusters(clusters: &[Vec<Pair>], seed: u64) -> Self {
        let share = |is_asked: &dyn Fn(&Pair) -> bool, gap: &dyn Fn(&Pair) -> f64| {
            let of_cluster = |pairs: &Vec<Pair>| {
                let asked: Vec<f64> = pairs.iter().filter(|pair| is_asked(pair)).map(gap).collect();
                (asked.iter().copied().map(order_agreement).sum(), asked.len())
            };
            bootstrap_share(&clusters.iter().map(of_cluster).collect::<Vec<_>>(), seed)
        };
        let (all, by_model) = (|_: &Pair| true, |pair: &Pair| pair.gap);
        let is_alike = |pair: &Pair| (pair.better - pair.worse).abs() <= LIKE_LENGTH * pair.better.max(pair.worse);
        Self {
            accuracy: share(&all, &by_model),
            longer: share(&all, &|pair| pair.better - pair.worse),
            shorter: share(&all, &|pair| pair.worse - pair.better),
            on_like_length: share(&is_alike, &by_model),
            on_longer_better: share(&|pair| pair.better > pair.worse, &by_model),
            on_shorter_better: share(&|pair| pair.better < pair.worse, &by_model),
        }
    }
}

/// Share of the pairs that somebody's scores of the completions order as the labelers did, equal scores counting half, with the
/// interval of a bootstrap over prompts.
pub fn pair_share(prompts: &[RankedPrompt], scores: &[Vec<f64>], seed: u64) -> Interval {
    let of_prompt = |(prompt, scores): (&RankedPrompt, &Vec<f64>)| {
        let pairs = prompt.annotations.iter().flat_map(|annotation| &annotation.pairs);
        let agreed = pairs
            .clone()
            .map(|&(better, worse)| order_agreement(scores[better] - scores[worse]));
        (agreed.sum(), pairs.count())
    };
    bootstrap_share(&prompts.iter().zip(scores).map(of_prompt).collect::<Vec<_>>(), seed)
}

/// Tokens by which the better completion of each pair is longer.
fn differences(prompts: &[RankedPrompt]) -> Vec<f64> {
    let of_prompt = |prompt: &RankedPrompt| {
        let pairs = prompt.annotations.iter().flat_map(|annotation| &annotation.pairs);
        let len = |completion: usize| prompt.sequences[completion].len() as f64;
        pairs
            .map(|&(better, worse)| len(better) - len(worse))
            .collect::<Vec<f64>>()
    };
    prompts.iter().flat_map(of_prompt).collect()
}

/// The weight per token that explains most of the preferences. 0 where lengths say nothing.
pub(crate) fn fitted_weight(prompts: &[RankedPrompt]) -> f64 {
    // A hundred tokens are of the order of one.
    const UNIT: f64 = 100.0;
    let differences: Vec<f64> = differences(prompts).into_iter().map(|d| d / UNIT).collect();
    fitted_scale(&differences) / UNIT
}

/// The factor that explains most of the preferences for what is higher by these differences: the maximum of
/// `sum ln sigmoid(factor · difference)`, by Newton's method on a concave function of one number. 0 where they say nothing.
pub(crate) fn fitted_scale(differences: &[f64]) -> f64 {
    const STEPS: usize = 50;
    // Preferences that are explained wholly have no maximum.
    const MOST: f64 = 1000.0;
    let mut weight = 0.0;
    for _ in 0..STEPS {
        let (mut slope, mut curvature) = (0.0, 0.0);
        for d in differences {
            let surprise = 1.0 - sigmoid(weight * d);
            slope += d * surprise;
            curvature += d * d * surprise * (1.0 - surprise);
        }
        if curvature <= 0.0 {
            break;
        }
        weight = (weight + slope / curvature).clamp(-MOST, MOST);
    }
    weight
}

/// The prompts without so many of the pairs that length would say right, or wrong, that both are equally many.
pub(crate) fn balanced(prompts: &[RankedPrompt], seed: u64) -> Vec<RankedPrompt> {
    let differences = differences(prompts);
    let count = |longer: bool| {
        differences
            .iter()
            .filter(|d| if longer { **d > 0.0 } else { **d < 0.0 })
            .count() as f64
    };
    let (longer, shorter) = (count(true), count(false));
    let kept_share = |difference: f64| match difference {
        d if d > 0.0 => (shorter / longer).min(1.0),
        d if d < 0.0 => (longer / shorter).min(1.0),
        _ => 1.0,
    };
    let mut draws = rng(seed, "reward.length_balance", &[]);
    let mut kept = Vec::with_capacity(prompts.len());
    for prompt in prompts {
        let len = |completion: usize| prompt.sequences[completion].len() as f64;
        let mut annotations: Vec<Annotation> = prompt.annotations.clone();
        for annotation in &mut annotations {
            (annotation.pairs).retain(|&(better, worse)| draws.random::<f64>() < kept_share(len(better) - len(worse)));
        }
        annotations.retain(|annotation| !annotation.pairs.is_empty());
        if !annotations.is_empty() {
            kept.push(RankedPrompt {
                annotations,
                ..prompt.clone()
            });
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A prompt of one token and two completions, the first of which is better.
    fn pair(better: usize, worse: usize) -> RankedPrompt {
        RankedPrompt {
            sequences: vec![vec![1; 1 + better], vec![1; 1 + worse]],
            prompt_len: 1,
            annotations: vec![Annotation {
                labeler: None,
                pairs: vec![(0, 1)],
                margin: 0.0,
                confidence: None,
            }],
            source: None,
        }
    }

    #[test]
    fn a_model_of_length_is_as_good_as_length_and_fails_where_the_shorter_is_better() {
        let prompts = [pair(10, 4), pair(9, 3), pair(2, 8), pair(20, 21)];
        let scores: Vec<Vec<f64>> = prompts
            .iter()
            .map(|prompt| prompt.sequences.iter().map(|s| s.len() as f64).collect())
            .collect();
        let report = LengthReport::new(&prompts, scores.iter().map(Vec::as_slice), 1);
        assert_eq!(
            (report.accuracy.value, report.longer.value, report.shorter.value),
            (0.5, 0.5, 0.5)
        );
        assert_eq!((report.on_longer_better.value, report.on_longer_better.n), (1.0, 2));
        assert_eq!((report.on_shorter_better.value, report.on_shorter_better.n), (0.0, 2));
        // 20 and 21 tokens are alike.
        assert_eq!((report.on_like_length.value, report.on_like_length.n), (0.0, 1));
    }

    #[test]
    fn the_fitted_weight_is_where_the_slope_is_zero() {
        // Three of four pairs that differ by ten tokens prefer the longer: sigmoid(10 w) = 3/4, w = ln 3 / 10.
        let prompts = [pair(20, 10), pair(20, 10), pair(20, 10), pair(10, 20)];
        assert!((fitted_weight(&prompts) - 3f64.ln() / 10.0).abs() < 1e-9);
        assert_eq!(fitted_weight(&[pair(5, 5)]), 0.0);
        assert!(fitted_weight(&[pair(20, 10)]).is_finite());
    }

    #[test]
    fn balanced_pairs_are_as_often_longer_as_shorter() {
        let prompts: Vec<RankedPrompt> = (0..4000)
            .map(|i| if i % 4 == 0 { pair(2, 3) } else { pair(3, 2) })
            .chain([pair(2, 2)])
            .collect();
        let kept = balanced(&prompts, 1);
        let count = |better: usize| kept.iter().filter(|p| p.sequences[0].len() == better).count();
        // 1000 are shorter, with one of equal length, and a third of 3000 longer: within 4 deviations of 26.
        assert_eq!(count(3), 1001);
        assert!(count(4).abs_diff(1000) < 104, "{}", count(4));
        assert_eq!(balanced(&prompts, 1), kept);
        assert!(fitted_weight(&kept).abs() < 0.1 * fitted_weight(&prompts).abs());
    }
}
