//! The figures of a step and of an update; `docs/metrics.md` defines each name.

use rlhf_core::stats::mean;
use serde::{Deserialize, Serialize};

use crate::advantage::explained_variance;
use crate::episode::Episode;
use crate::invariants::sampler_gap;
use crate::loss::{PolicyStats, ValueStats};

/// Mean summed log-ratio of a response to the reference, in nats.
pub const OBJECTIVE_KL: &str = "objective/kl";
/// Weight of the KL penalty in this update's rewards.
pub const KL_COEF: &str = "objective/kl_coef";
/// Mean score, before the missing-EOS rule.
pub const OBJECTIVE_SCORES: &str = "objective/scores";

/// A share of finished responses below this is worth a warning.
const FEW_FINISHED: f64 = 0.8;

/// One optimiser step of each network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StepReport {
    /// Largest |ratio - 1|, where this is the first step of its update.
    pub(crate) first_ratio_error: Option<f64>,
    /// The pretraining term, where there is one.
    pub(crate) ptx: Option<PtxReport>,
    pub(crate) policy: PolicyStats,
    pub(crate) policy_grad_norm: f64,
    pub(crate) value: ValueStats,
    pub(crate) value_grad_norm: f64,
}

/// The pretraining term of a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PtxReport {
    pub(crate) loss: f64,
    pub(crate) coef: f64,
    /// Norm of its gradient over that of PPO; nothing when PPO has none.
    pub(crate) grad_ratio: Option<f64>,
    /// Cosine of the angle between the two gradients; nothing when one is 0.
    pub(crate) grad_cosine: Option<f64>,
}

/// The rollout of an update, as it is written down and as the run goes on from it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RolloutSummary {
    pub(crate) kl: f64,
    pub(crate) kl_coef: f64,
    pub(crate) scores: f64,
    non_score_reward: f64,
    rlhf_reward: f64,
    /// Summed over the tokens of a response.
    response_entropy: f64,
    /// Of a token.
    entropy: f64,
    eos_fraction: f64,
    response_len: f64,
    sampler_gap: f64,
    value_mean: f64,
    value_returns: f64,
    explained_variance: Option<f64>,
    /// Tokens of prompts and responses.
    pub(crate) tokens: usize,
}

impl RolloutSummary {
    /// Figures of the episodes of an update, whose rewards were made with `kl_coef`.
    pub(crate) fn of(episodes: &[Episode], kl_coef: f64) -> Self {
        let of = |f: &dyn Fn(&Episode) -> f64| mean(&episodes.iter().map(f).collect::<Vec<_>>());
        let penalty = of(&|e| -kl_coef * e.scored.kl.iter().sum::<f64>());
        let values: Vec<f64> = episodes.iter().flat_map(|e| e.steps.values.iter().copied()).collect();
        let returns: Vec<f64> = episodes.iter().flat_map(|e| e.steps.returns.iter().copied()).collect();
        let entropies: Vec<f64> = episodes.iter().flat_map(|e| e.scored.entropy.iter().copied()).collect();
        Self {
            kl: of(&|e| e.scored.sequence_kl()),
            kl_coef,
            scores: of(&|e| e.scored.score),
            non_score_reward: penalty,
            rlhf_reward: of(&|e| e.scored.effective_score) + penalty,
            response_entropy: of(&|e| -e.scored.old_logprobs.iter().sum::<f64>()),
            entropy: mean(&entropies),
            eos_fraction: of(&|e| f64::from(u8::from(e.response.finished))),
            response_len: of(&|e| e.response.len() as f64),
            sampler_gap: sampler_gap(episodes),
            value_mean: mean(&values),
            value_returns: mean(&returns),
            explained_variance: explained_variance(&values, &returns),
            tokens: episodes.iter().map(|e| e.response.sequence.len()).sum(),
        }
    }

    /// Warns of what a user should act on.
    pub(crate) fn warn(&self, max_new_tokens: usize) {
        if self.eos_fraction < FEW_FINISHED && max_new_tokens > 1 {
            tracing::warn!(
                finished = self.eos_fraction,
                "fewer than 80 % of the responses end with EOS"
            );
        }
    }

    fn metrics(&self) -> Vec<(&'static str, f64)> {
        let mut metrics = vec![
            (OBJECTIVE_KL, self.kl),
            (KL_COEF, self.kl_coef),
            (OBJECTIVE_SCORES, self.scores),
            ("objective/non_score_reward", self.non_score_reward),
            ("objective/rlhf_reward", self.rlhf_reward),
            ("objective/entropy", self.response_entropy),
            ("policy/entropy", self.entropy),
            ("rollout/eos_fraction", self.eos_fraction),
            ("rollout/response_len", self.response_len),
            ("rollout/sampler_gap", self.sampler_gap),
            ("value/mean", self.value_mean),
            ("value/returns", self.value_returns),
        ];
        metrics.extend(self.explained_variance.map(|v| ("value/explained_variance", v)));
        metrics
    }
}

/// Means over the optimiser steps of an update.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StepsSummary<'a>(pub(crate) &'a [StepReport]);

impl StepsSummary<'_> {
    /// Mean of a figure over the steps that have it.
    fn mean(&self, figure: impl Fn(&StepReport) -> Option<f64>) -> Option<f64> {
        let figures: Vec<f64> = self.0.iter().filter_map(figure).collect();
        (!figures.is_empty()).then(|| mean(&figures))
    }

    /// Share of tokens on which the clipped term is the larger.
    pub(crate) fn clipfrac(&self) -> Option<f64> {
        self.mean(|step| Some(step.policy.clipfrac))
    }

    fn metrics(&self) -> Vec<(&'static str, f64)> {
        let ptx = |figure: fn(&PtxReport) -> Option<f64>| self.mean(move |step| step.ptx.as_ref().and_then(figure));
        let policy = |figure: fn(&PolicyStats) -> f64| self.mean(move |step| Some(figure(&step.policy)));
        let value = |figure: fn(&ValueStats) -> f64| self.mean(move |step| Some(figure(&step.value)));
        let figures = [
            ("policy/first_ratio_error", self.mean(|step| step.first_ratio_error)),
            ("loss/ptx", ptx(|ptx| Some(ptx.loss))),
            ("ptx/coef", ptx(|ptx| Some(ptx.coef))),
            ("ptx/grad_ratio", ptx(|ptx| ptx.grad_ratio)),
            ("ptx/grad_cosine", ptx(|ptx| ptx.grad_cosine)),
            ("loss/policy", policy(|stats| stats.loss)),
            ("policy/clipfrac", self.clipfrac()),
            ("policy/ratio_outside", policy(|stats| stats.ratio_outside)),
            ("policy/approx_kl", policy(|stats| stats.approx_kl_k2)),
            ("policy/approx_kl_k3", policy(|stats| stats.approx_kl_k3)),
            ("policy/ratio", policy(|stats| stats.ratio_mean)),
            ("policy/ratio_var", policy(|stats| stats.ratio_var)),
            ("policy/grad_norm", self.mean(|step| Some(step.policy_grad_norm))),
            ("loss/value", value(|stats| stats.loss)),
            ("value/clipfrac", value(|stats| stats.clipfrac)),
            ("value/grad_norm", self.mean(|step| Some(step.value_grad_norm))),
        ];
        let known = figures.into_iter().filter_map(|(name, figure)| Some((name, figure?)));
        known.collect()
    }
}

/// Time and arithmetic of an update.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct UpdateCost {
    /// Time of the rollout, in seconds.
    pub(crate) rollout_seconds: f64,
    /// Time of the optimiser steps, in seconds.
    pub(crate) step_seconds: f64,
    /// Floating-point operations.
    pub(crate) flops: f64,
}

impl UpdateCost {
    fn metrics(&self, tokens: usize) -> [(&'static str, f64); 4] {
        let seconds = self.rollout_seconds + self.step_seconds;
        [
            ("time/rollout_s", self.rollout_seconds),
            ("time/update_s", self.step_seconds),
            ("time/tokens_per_s", tokens as f64 / seconds),
            ("time/gflops", self.flops / seconds / 1e9),
        ]
    }
}

/// A whole update in figures.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct UpdateSummary<'a> {
    pub(crate) rollout: RolloutSummary,
    pub(crate) steps: StepsSummary<'a>,
    /// Learning rate of the policy.
    pub(crate) lr: f64,
    /// Episodes of the run so far.
    pub(crate) episode: u64,
    pub(crate) cost: UpdateCost,
}

impl UpdateSummary<'_> {
    /// All figures by name.
    pub(crate) fn metrics(&self) -> Vec<(&'static str, f64)> {
        let mut metrics = self.rollout.metrics();
        metrics.extend(self.steps.metrics());
        metrics.extend([("lr", self.lr), ("episode", self.episode as f64)]);
        metrics.extend(self.cost.metrics(self.rollout.tokens));
        metrics
    }
}
