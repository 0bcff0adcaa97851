//! The policy on prompts that it does not learn from, while it learns: when to stop, and which policy to keep.

use rlhf_core::stats::mean;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{PpoConfig, ScoreBaseline};
use crate::error::Result;
use crate::kl::KlEstimator;
use crate::rollout::{RolloutModels, RolloutRequest, answer_and_score};
use crate::scorer::Scorer;

/// Evaluations on held-out prompts while the policy learns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluateConfig {
    /// Updates between evaluations, of which the first is before the first update; 0: none.
    pub every: usize,
    /// Held-out prompts at most. Every evaluation answers them with the same random numbers, so that two differ by the policy alone.
    pub prompts: usize,
    /// Answers to each.
    pub answers: usize,
}

impl Default for EvaluateConfig {
    fn default() -> Self {
        Self {
            every: 0,
            prompts: 256,
            answers: 1,
        }
    }
}

/// The policy that a run ends with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Select {
    /// The last one. The papers.
    #[default]
    Last,
    /// The one whose answers to the held-out prompts have the highest mean score by what is optimised.
    Score,
    /// The one with the highest mean reward on the held-out prompts: score less the KL penalty. What is optimised cannot say when it
    /// is over-optimised; this only guards against a policy that got worse by its own measure.
    Reward,
    /// The one whose answers the judge likes best, who is not what is optimised.
    Judge,
}

/// When a run ends before its last update.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StopConfig {
    /// Evaluations in a row that are no better than the best, by `select`, after which the run stops; 0: never.
    pub patience: usize,
    /// The run stops when an evaluation's mean KL to the SFT model exceeds this, in nats per response. Stiennon et al. (arXiv 2009.01325,
    /// figure 5) find that what people prefer falls again with that distance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_kl: Option<f64>,
}

/// Figures of an evaluation, means over held-out prompts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Updates that the policy has learnt from.
    pub update: u64,
    /// Score by what is optimised.
    pub score: f64,
    /// Summed log-ratio of a response to the reference, in nats.
    pub kl: f64,
    /// Score after the missing-EOS rule, less the penalty on the KL.
    pub reward: f64,
    /// Tokens of a response.
    pub length: f64,
    /// Share of responses that end.
    pub eos_fraction: f64,
    /// Score by the judge, of the answers that the judge has an opinion on.
    pub judge: Option<f64>,
}

impl Evaluation {
    /// Answers the `chosen` prompts and has them scored, by the judge too if there is one.
    pub(crate) fn new(
        update: u64,
        models: &RolloutModels<'_>,
        judge: Option<&dyn Scorer>,
        request: &RolloutRequest<'_>,
        config: &PpoConfig,
    ) -> Result<Self> {
        let config = PpoConfig {
            samples_per_prompt: 1,
            score_baseline: ScoreBaseline::Off,
            kl: crate::config::KlConfig {
                estimator: KlEstimator::K1,
                ..config.kl.clone()
            },
            ..config.clone()
        };
        let answered = answer_and_score(models, judge, request, &config)?;
        let of = |values: Vec<f64>| mean(&values);
        let kl = of(answered.scored.iter().map(|s| s.sequence_kl()).collect());
        let effective = of(answered.scored.iter().map(|s| s.effective_score).collect());
        let judged: Vec<f64> = answered.judged.iter().copied().flatten().collect();
        Ok(Self {
            update,
            score: of(answered.scored.iter().map(|s| s.score).collect()),
            kl,
            reward: effective - request.kl_coef * kl,
            length: of(answered.responses.iter().map(|r| r.len() as f64).collect()),
            eos_fraction: of(answered
                .responses
                .iter()
                .map(|r| f64::from(u8::from(r.finished)))
                .collect()),
            judge: (!judged.is_empty()).then(|| mean(&judged)),
        })
    }

    /// What `select` goes by; nothing where the last policy is kept, or the judge had no opinion.
    pub fn measure(&self, select: Select) -> Option<f64> {
        match select {
            Select::Last => None,
            Select::Score => Some(self.score),
            Select::Reward => Some(self.reward),
            Select::Judge => self.judge,
        }
    }

    /// As they are logged.
    pub(crate) fn metrics(&self) -> Vec<(&'static str, f64)> {
        let mut values = vec![
            ("evaluation/scores", self.score),
            ("evaluation/kl", self.kl),
            ("evaluation/rlhf_reward", self.reward),
            ("evaluation/response_len", self.length),
            ("evaluation/eos_fraction", self.eos_fraction),
        ];
        values.extend(self.judge.map(|judge| ("evaluation/judge", judge)));
        values
    }
}

/// The evaluations of a run so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Watch {
    pub(crate) evaluations: Vec<Evaluation>,
    /// Why the run stopped, if it has.
    pub(crate) stopped: Option<String>,
}

impl Watch {
    /// The place of the best evaluation among all: the first of equals.
    pub(crate) fn best(&self, select: Select) -> Option<usize> {
        let mut best: Option<(usize, f64)> = None;
        for (place, evaluation) in self.evaluations.iter().enumerate() {
            let Some(measure) = evaluation.measure(select) else {
                continue;
            };
            if best.is_none_or(|(_, so_far)| measure > so_far) {
                best = Some((place, measure));
            }
        }
        best.map(|(place, _)| place)
    }

    /// Takes an evaluation in. True if its policy is the best so far by `select`.
    pub(crate) fn add(&mut self, evaluation: Evaluation, config: &PpoConfig) -> bool {
        self.evaluations.push(evaluation);
        let last = self.evaluations.len() - 1;
        let best = self.best(config.select);
        let (patience, waited) = (config.stop.patience, best.map_or(0, |best| last - best));
        if patience > 0 && waited >= patience {
            self.stopped = Some(format!("{waited} evaluations in a row are no better than the best"));
        }
        if let Some(max_kl) = config.stop.max_kl.filter(|&max_kl| evaluation.kl > max_kl) {
            self.stopped = Some(format!(
                "{:.2} nats from the SFT model, more than ppo.stop.max_kl {max_kl}",
                evaluation.kl
            ));
        }
        best == Some(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluation(update: u64, judge: f64, kl: f64) -> Evaluation {
        Evaluation {
            update,
            score: update as f64,
            kl,
            reward: update as f64 - kl,
            length: 1.0,
            eos_fraction: 1.0,
            judge: judge.is_finite().then_some(judge),
        }
    }

    fn config(select: Select, patience: usize, max_kl: Option<f64>) -> PpoConfig {
        PpoConfig {
            select,
            stop: StopConfig { patience, max_kl },
            ..PpoConfig::default()
        }
    }

    /// Adds evaluations until the run stops; gives the updates at which a new best was found, and the reason.
    fn watch(config: &PpoConfig, judged: &[f64]) -> (Vec<u64>, Option<String>, usize) {
        let (mut watch, mut bests) = (Watch::default(), Vec::new());
        for (update, &judge) in judged.iter().enumerate() {
            if watch.add(evaluation(update as u64, judge, update as f64), config) {
                bests.push(update as u64);
            }
            if watch.stopped.is_some() {
                break;
            }
        }
        (bests, watch.stopped, watch.evaluations.len())
    }

    #[test]
    fn the_judge_chooses_the_peak_and_patience_ends_the_run_behind_it() {
        let judged = [0.1, 0.3, 0.3, 0.2, 0.4, 0.3, 0.2, 0.1, 0.9];
        let (bests, stopped, seen) = watch(&config(Select::Judge, 3, None), &judged);
        // The second 0.3 is no better than the first; three behind the 0.4 end it before the 0.9.
        assert_eq!((bests, seen), (vec![0, 1, 4], 8));
        assert_eq!(
            stopped.expect("it stops"),
            "3 evaluations in a row are no better than the best"
        );
        let (bests, stopped, _) = watch(&config(Select::Judge, 0, None), &judged);
        assert_eq!((bests, stopped), (vec![0, 1, 4, 8], None));
    }

    #[test]
    fn a_limit_of_kl_ends_the_run_whoever_chooses() {
        let (bests, stopped, seen) = watch(&config(Select::Last, 0, Some(2.5)), &[0.0; 9]);
        assert_eq!((bests, seen), (vec![], 4));
        assert!(stopped.expect("it stops").starts_with("3.00 nats"));
    }

    #[test]
    fn each_rule_goes_by_its_own_measure() {
        let found = evaluation(7, 0.25, 2.0);
        let measures = [Select::Last, Select::Score, Select::Reward, Select::Judge].map(|select| found.measure(select));
        assert_eq!(measures, [None, Some(7.0), Some(5.0), Some(0.25)]);
        // A judge without an opinion chooses nothing.
        let (bests, ..) = watch(&config(Select::Judge, 2, None), &[f64::NAN; 4]);
        assert_eq!(bests, Vec::<u64>::new());
    }
}
