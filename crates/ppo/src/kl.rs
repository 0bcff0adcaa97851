//! Kullback-Leibler divergence between policy and reference: estimators, exact value, controllers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Estimator of the divergence from the log-prob of one sampled token.
///
/// With `d = logprob - ref_logprob` of a token that the policy sampled
/// (Schulman, "Approximating KL Divergence", 2020, <http://joschu.net/blog/kl-approx.html>):
///
/// | name | value | property |
/// | --- | --- | --- |
/// | `k1` | `d` | unbiased, may be negative; what the RLHF papers put in the reward |
/// | `k2` | `d² / 2` | not negative, biased, low variance |
/// | `k3` | `exp(-d) - 1 + d` | not negative, unbiased |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KlEstimator {
    /// The log-ratio `d`. The only one whose sum over a response is `ln(pi/ref)` of that response.
    #[default]
    K1,
    /// Half the squared log-ratio.
    K2,
    /// The log-ratio with a control variate that keeps it above 0.
    K3,
}

impl KlEstimator {
    /// The estimate in nats, given `log_ratio = logprob - ref_logprob` of a token sampled from the policy.
    pub fn of(self, log_ratio: f64) -> f64 {
        match self {
            Self::K1 => log_ratio,
            Self::K2 => 0.5 * log_ratio * log_ratio,
            Self::K3 => (-log_ratio).exp_m1() + log_ratio,
        }
    }
}

/// Estimates of `KL(policy || reference)` of each token of a response, in nats.
///
/// # Shapes
/// `logprobs`, `ref_logprobs`: `[response_len]`; result `[response_len]`.
///
/// # Panics
/// When the lengths differ.
pub fn token_kl(estimator: KlEstimator, logprobs: &[f64], ref_logprobs: &[f64]) -> Vec<f64> {
    assert_eq!(logprobs.len(), ref_logprobs.len(), "one reference log-prob per token");
    logprobs
        .iter()
        .zip(ref_logprobs)
        .map(|(logprob, ref_logprob)| estimator.of(logprob - ref_logprob))
        .collect()
}

/// Bound on the relative error that one update of [`KlController::Adaptive`] may see (Ziegler, arXiv 1909.08593).
const MAX_RELATIVE_ERROR: f64 = 0.2;

/// Holds the weight of the KL penalty from update to update, and is part of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum KlController {
    /// The coefficient never moves (Stiennon, InstructGPT).
    Fixed {
        /// Reward per nat.
        coef: f64,
    },
    /// The coefficient follows the measured divergence (Ziegler).
    Adaptive {
        /// Reward per nat, now.
        coef: f64,
        /// Nats per response to steer towards.
        target: f64,
        /// Episodes over which a relative error of 1 would double the coefficient.
        horizon: f64,
    },
}

impl KlController {
    /// The weight of the penalty in the next rollout, in reward per nat.
    pub fn coef(&self) -> f64 {
        match *self {
            Self::Fixed { coef } | Self::Adaptive { coef, .. } => coef,
        }
    }

    /// Takes in the result of a rollout of `episodes` responses.
    ///
    /// `kl` is the batch mean of the *summed* k1 of each response, in nats. Adaptive:
    /// `coef *= 1 + clamp(kl / target - 1, -0.2, 0.2) * episodes / horizon`.
    /// A divergence that is not finite changes nothing.
    pub fn update(&mut self, kl: f64, episodes: usize) {
        if let Self::Adaptive { coef, target, horizon } = self
            && kl.is_finite()
        {
            let error = (kl / *target - 1.0).clamp(-MAX_RELATIVE_ERROR, MAX_RELATIVE_ERROR);
            *coef *= 1.0 + error * episodes as f64 / *horizon;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{assert_close, cases, matrix, number, tensor3};

    /// Exact divergence of two next-token distributions: `sum_v p_v (ln p_v - ln q_v)`, in nats.
    ///
    /// Both rows are logits; log-probs are logits too. A token of probability 0 under the policy contributes nothing.
    ///
    /// # Shapes
    /// `logits`, `ref_logits`: `[vocab]`.
    ///
    /// # Panics
    /// When the lengths differ.
    fn full_kl(logits: &[f64], ref_logits: &[f64]) -> f64 {
        assert_eq!(logits.len(), ref_logits.len(), "both rows cover the vocabulary");
        let (norm, ref_norm) = (log_sum_exp(logits), log_sum_exp(ref_logits));
        logits
            .iter()
            .zip(ref_logits)
            .map(|(logit, ref_logit)| {
                let (logprob, ref_logprob) = (logit - norm, ref_logit - ref_norm);
                let probability = logprob.exp();
                if probability == 0.0 {
                    0.0
                } else {
                    probability * (logprob - ref_logprob)
                }
            })
            .sum()
    }

    fn log_sum_exp(logits: &[f64]) -> f64 {
        let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        max + logits.iter().map(|logit| (logit - max).exp()).sum::<f64>().ln()
    }

    #[test]
    fn estimators_and_full_kl_match_pytorch() {
        for case in cases("kl.json") {
            let (logprobs, ref_logprobs) = (matrix(&case["logprobs"]), matrix(&case["ref_logprobs"]));
            for (estimator, name) in [
                (KlEstimator::K1, "k1"),
                (KlEstimator::K2, "k2"),
                (KlEstimator::K3, "k3"),
            ] {
                for (row, expected) in matrix(&case[name]).iter().enumerate() {
                    assert_close(
                        &token_kl(estimator, &logprobs[row], &ref_logprobs[row]),
                        expected,
                        1e-12,
                    );
                }
            }
            let (logits, ref_logits) = (tensor3(&case["logits"]), tensor3(&case["ref_logits"]));
            for (row, expected) in matrix(&case["full_kl"]).iter().enumerate() {
                let found: Vec<f64> = logits[row]
                    .iter()
                    .zip(&ref_logits[row])
                    .map(|(p, q)| full_kl(p, q))
                    .collect();
                assert_close(&found, expected, 1e-12);
            }
        }
    }

    #[test]
    fn k1_and_k3_average_to_the_full_kl() {
        // p = (3/4, 1/4), q = (1/2, 1/2): the mean of both estimators under p is KL(p || q).
        let (p, q) = ([0.75f64, 0.25], [0.5f64, 0.5]);
        let logs = |row: [f64; 2]| row.map(f64::ln);
        let exact = full_kl(&logs(p), &logs(q));
        for estimator in [KlEstimator::K1, KlEstimator::K3] {
            let mean: f64 = (0..2).map(|v| p[v] * estimator.of(p[v].ln() - q[v].ln())).sum();
            assert_close(&[mean], &[exact], 1e-15);
        }
    }

    #[test]
    fn kl_of_a_policy_with_itself_is_zero() {
        let row = [-0.3, 2.0, f64::NEG_INFINITY, -900.0];
        assert_eq!(full_kl(&row, &row), 0.0);
        for estimator in [KlEstimator::K1, KlEstimator::K2, KlEstimator::K3] {
            assert_eq!(token_kl(estimator, &[-1.5, -0.2], &[-1.5, -0.2]), [0.0, 0.0]);
        }
    }

    #[test]
    fn full_kl_ignores_a_constant_added_to_logits() {
        let (p, q) = ([1.0, -2.0, 0.5], [0.0, 0.3, -1.0]);
        let shifted = p.map(|logit| logit + 700.0);
        assert_close(&[full_kl(&shifted, &q)], &[full_kl(&p, &q)], 1e-12);
    }

    #[test]
    fn adaptive_controller_follows_the_reference_sequence() {
        for case in cases("adaptive_kl.json") {
            let mut controller = KlController::Adaptive {
                coef: number(&case["init_kl_coef"]),
                target: number(&case["target"]),
                horizon: number(&case["horizon"]),
            };
            for step in case["sequence"].as_array().unwrap() {
                controller.update(number(&step["kl"]), number(&step["n_steps"]) as usize);
                assert_close(&[controller.coef()], &[number(&step["coef_after"])], 1e-15);
            }
        }
    }

    #[test]
    fn adaptive_controller_matches_zieglers_settings() {
        // From 0.15 with 512 episodes, target 6 and horizon 10,000: 0.15 (1 ± 0.2 · 512 / 10,000) at the bounds.
        for (kl, expected) in [(9.0, 0.151536), (3.0, 0.148464), (6.3, 0.150384)] {
            let mut controller = KlController::Adaptive {
                coef: 0.15,
                target: 6.0,
                horizon: 10_000.0,
            };
            controller.update(kl, 512);
            assert_close(&[controller.coef()], &[expected], 1e-12);
        }
    }

    #[test]
    fn fixed_controller_stays_and_survives_a_checkpoint() {
        let mut controller = KlController::Fixed { coef: 0.05 };
        controller.update(100.0, 512);
        assert_eq!(controller.coef(), 0.05);
        let text = serde_json::to_string(&controller).unwrap();
        assert_eq!(serde_json::from_str::<KlController>(&text).unwrap(), controller);
    }

    #[test]
    fn a_divergence_that_is_not_finite_leaves_the_coefficient_alone() {
        let mut controller = KlController::Adaptive {
            coef: 0.1,
            target: 6.0,
            horizon: 1.0,
        };
        controller.update(f64::NAN, 512);
        assert_eq!(controller.coef(), 0.1);
    }
}
