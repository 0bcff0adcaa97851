//! Names of the metrics and how a rollout is summed up; `docs/metrics.md` defines each.

use rlhf_core::stats::mean;
use serde::{Deserialize, Serialize};

use crate::advantage::explained_variance;
use crate::config::PpoConfig;
use crate::invariants::sampler_gap;
use crate::loss::{PolicyStats, ValueStats};
use crate::rollout::Episode;

/// Mean summed log-ratio of a response to the reference, in nats.
pub const OBJECTIVE_KL: &str = "objective/kl";
/// Weight of the KL penalty in this update's rewards.
pub const KL_COEF: &str = "objective/kl_coef";
/// Mean score of the reward model, before the missing-EOS rule.
pub const OBJECTIVE_SCORES: &str = "objective/scores";

/// Figures of a rollout, by name.
pub(crate) fn rollout_metrics(episodes: &[Episode], kl_coef: f64, config: &PpoConfig) -> Vec<(&'static str, f64)> {
    let of = |f: &dyn Fn(&Episode) -> f64| mean(&episodes.iter().map(f).collect::<Vec<_>>());
    let kl = of(&|e| e.sequence_kl());
    let penalty = of(&|e| -kl_coef * e.kl.iter().sum::<f64>());
    let effective = of(&|e| e.effective_score);
    let values: Vec<f64> = episodes.iter().flat_map(|e| e.values.iter().copied()).collect();
    let returns: Vec<f64> = episodes.iter().flat_map(|e| e.returns.iter().copied()).collect();
    let entropies: Vec<f64> = episodes.iter().flat_map(|e| e.entropy.iter().copied()).collect();
    let finished = of(&|e| f64::from(u8::from(e.finished)));
    let mut metrics = vec![
        (OBJECTIVE_KL, kl),
        (KL_COEF, kl_coef),
        (OBJECTIVE_SCORES, of(&|e| e.score)),
        ("objective/non_score_reward", penalty),
        ("objective/rlhf_reward", effective + penalty),
        ("objective/entropy", of(&|e| -e.old_logprobs.iter().sum::<f64>())),
        ("policy/entropy", mean(&entropies)),
        ("rollout/eos_fraction", finished),
        ("rollout/response_len", of(&|e| e.response_len() as f64)),
        ("rollout/sampler_gap", sampler_gap(episodes)),
        ("value/mean", mean(&values)),
        ("value/returns", mean(&returns)),
    ];
    if let Some(explained) = explained_variance(&values, &returns) {
        metrics.push(("value/explained_variance", explained));
    }
    if finished < 0.8 && config.max_new_tokens > 1 {
        tracing::warn!(finished, "fewer than 80 % of the responses end with EOS");
    }
    metrics
}

/// Sums over the optimiser steps of an update, for their means.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct StepMeans {
    sums: Vec<(String, f64, usize)>,
}

impl StepMeans {
    pub(crate) fn add(&mut self, name: &str, value: f64) {
        match self.sums.iter_mut().find(|(n, ..)| n == name) {
            Some((_, sum, count)) => {
                *sum += value;
                *count += 1;
            }
            None => self.sums.push((name.to_owned(), value, 1)),
        }
    }

    pub(crate) fn add_policy(&mut self, stats: &PolicyStats, grad_norm: f64) {
        self.add("loss/policy", stats.loss);
        self.add("policy/clipfrac", stats.clipfrac);
        self.add("policy/ratio_outside", stats.ratio_outside);
        self.add("policy/approx_kl", stats.approx_kl_k2);
        self.add("policy/approx_kl_k3", stats.approx_kl_k3);
        self.add("policy/ratio", stats.ratio_mean);
        self.add("policy/ratio_var", stats.ratio_var);
        self.add("policy/grad_norm", grad_norm);
    }

    pub(crate) fn add_value(&mut self, stats: &ValueStats, grad_norm: f64) {
        self.add("loss/value", stats.loss);
        self.add("value/clipfrac", stats.clipfrac);
        self.add("value/grad_norm", grad_norm);
    }

    pub(crate) fn means(&self) -> impl Iterator<Item = (&str, f64)> {
        self.sums
            .iter()
            .map(|(name, sum, count)| (name.as_str(), sum / *count as f64))
    }
}
