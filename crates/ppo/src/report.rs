//! The end of a run: the networks, and what became of them.

use rlhf_model::{CausalLm, ScalarModel};
use serde::{Deserialize, Serialize};

use crate::evaluate::Evaluation;

/// The networks that PPO ends with.
#[derive(Debug, Clone)]
pub struct PpoOutcome {
    /// The policy that `select` chose: the one after the last step, or the best of those evaluated.
    pub policy: CausalLm,
    /// Its exponential moving average, if there is one.
    pub ema: Option<CausalLm>,
    /// The value network.
    pub value: ScalarModel,
    /// Figures of the run.
    pub report: PpoReport,
}

/// Figures of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PpoReport {
    /// Rollouts.
    pub updates: u64,
    /// Optimiser steps.
    pub steps: u64,
    /// Mean score of the first rollout.
    pub first_score: f64,
    /// Mean score of the last rollout.
    pub last_score: f64,
    /// Mean KL of the last rollout, in nats per response.
    pub last_kl: f64,
    /// Evaluations on held-out prompts.
    pub evaluations: Vec<Evaluation>,
    /// Updates that the policy has learnt from that the run ends with.
    pub selected: u64,
    /// Why the run ended before its last update, if it did.
    pub stopped: Option<String>,
}

impl PpoReport {
    /// The report once another update has ended.
    pub(crate) fn after(&self, update: u64, steps: u64, score: f64, kl: f64) -> Self {
        Self {
            updates: update + 1,
            steps,
            first_score: if update == 0 { score } else { self.first_score },
            last_score: score,
            last_kl: kl,
            ..self.clone()
        }
    }
}
