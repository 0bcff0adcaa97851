//! Generalised advantage estimation on ragged episodes, whitening, explained variance.

use rlhf_core::stats::variance;
use rlhf_core::{WhitenedMean, whiten};

/// Generalised advantage estimation (Schulman et al., arXiv 1506.02438).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gae {
    /// Discount per step.
    pub gamma: f64,
    /// Weight of longer estimates: 0 is the one-step error, 1 the whole rest of the episode.
    pub gae_lambda: f64,
}

impl Gae {
    /// Advantages of one episode.
    ///
    /// Backwards from its last step: `delta_t = R_t + gamma · V_{t+1} - V_t`,
    /// `A_t = delta_t + gamma · gae_lambda · A_{t+1}`. The value after the last step is `bootstrap`: 0 for an episode that
    /// ended, as every response does here, and the value of the next state for one that was merely cut.
    ///
    /// # Shapes
    /// `rewards`, `values`, result: `[steps]`.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn advantages(&self, rewards: &[f64], values: &[f64], bootstrap: f64) -> Vec<f64> {
        assert_eq!(rewards.len(), values.len(), "one value per reward");
        let mut advantages = vec![0.0; rewards.len()];
        let (mut next_value, mut next_advantage) = (bootstrap, 0.0);
        for t in (0..rewards.len()).rev() {
            let delta = rewards[t] + self.gamma * next_value - values[t];
            next_advantage = delta + self.gamma * self.gae_lambda * next_advantage;
            next_value = values[t];
            advantages[t] = next_advantage;
        }
        advantages
    }
}

/// Targets of the value function: `G_t = A_t + V_t`, from advantages that have not been whitened.
///
/// # Panics
/// When the lengths differ.
pub fn returns(advantages: &[f64], values: &[f64]) -> Vec<f64> {
    assert_eq!(advantages.len(), values.len(), "one value per advantage");
    advantages.iter().zip(values).map(|(a, v)| a + v).collect()
}

/// The advantages of a rollout or a minibatch, brought to mean 0 and population variance 1 (OpenAI's code and N+, arXiv
/// 2403.17031: `whiten(advantages, shift_mean=True)`).
///
/// # Shapes
/// `advantages`, result: `[tokens]`, the real tokens of all episodes one after the other.
pub fn whiten_advantages(advantages: &[f64]) -> Vec<f64> {
    whiten(advantages, WhitenedMean::Zero)
}

/// `1 - E(G - V)² / Var(G)`: the share of the variance of the returns that the values explain.
///
/// 1 for exact values, 0 for a value function that says the mean everywhere, negative for one that is worse than that.
/// `None` when the returns do not vary.
///
/// # Panics
/// When the lengths differ.
pub fn explained_variance(values: &[f64], returns: &[f64]) -> Option<f64> {
    assert_eq!(values.len(), returns.len(), "one return per value");
    let variance = variance(returns);
    let squared: f64 = values.iter().zip(returns).map(|(v, g)| (g - v) * (g - v)).sum();
    (variance > 0.0).then(|| 1.0 - squared / returns.len() as f64 / variance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{assert_close, cases, flat, lengths, matrix, number, vector};
    use proptest::prelude::*;

    #[test]
    fn gae_matches_pytorch() {
        for case in cases("gae.json") {
            let gae = Gae {
                gamma: number(&case["gamma"]),
                gae_lambda: number(&case["lam"]),
            };
            let (rewards, values) = (matrix(&case["rewards"]), matrix(&case["values"]));
            for (row, &len) in lengths(&case["mask"]).iter().enumerate() {
                let bootstrap = match &case["bootstrap_values"] {
                    serde_json::Value::Null => 0.0,
                    given => vector(given)[row],
                };
                let advantages = gae.advantages(&rewards[row][..len], &values[row][..len], bootstrap);
                assert_close(&advantages, &matrix(&case["advantages"])[row][..len], 1e-12);
                let returns = returns(&advantages, &values[row][..len]);
                assert_close(&returns, &matrix(&case["returns"])[row][..len], 1e-12);
            }
        }
    }

    #[test]
    fn whitening_matches_pytorch() {
        let mut checked = 0;
        for case in cases("whiten.json") {
            if case["unbiased"] == true || case["shift_mean"] == false {
                continue; // advantages are whitened in one way
            }
            let lengths = lengths(&case["mask"]);
            let found = whiten_advantages(&flat(&case["values"], &lengths));
            assert_close(&found, &flat(&case["out"], &lengths), 1e-12);
            checked += 1;
        }
        assert_eq!(checked, 4);
    }

    #[test]
    fn the_worked_example_comes_out_to_every_printed_digit() {
        // `docs/algorithm.md`, worked example.
        let gae = Gae {
            gamma: 1.0,
            gae_lambda: 0.95,
        };
        let values = [0.1, 0.2, 0.3, 0.5];
        let advantages = gae.advantages(&[-0.01, 0.015, -0.005, 0.8], &values, 0.0);
        assert_close(&advantages, &[0.6324500, 0.571, 0.48, 0.3], 1e-12);
        assert_close(&returns(&advantages, &values), &[0.73245, 0.771, 0.78, 0.8], 1e-12);
        let whitened = [1.089085, 0.599112, -0.126480, -1.561717];
        assert_close(&whiten_advantages(&advantages), &whitened, 5e-7);
    }

    #[test]
    fn advantages_are_zero_when_values_are_exact() {
        // Rewards 1, 2, 3 and no discount: 6, 5, 3 are still to come.
        for gae_lambda in [0.0, 0.5, 1.0] {
            let gae = Gae { gamma: 1.0, gae_lambda };
            assert_eq!(gae.advantages(&[1.0, 2.0, 3.0], &[6.0, 5.0, 3.0], 0.0), [0.0; 3]);
        }
    }

    #[test]
    fn explained_variance_knows_its_anchors() {
        let targets = [1.0, 2.0, 3.0, 6.0]; // mean 3, variance 14/4
        assert_eq!(explained_variance(&targets, &targets), Some(1.0));
        assert_close(&[explained_variance(&[3.0; 4], &targets).unwrap()], &[0.0], 1e-15);
        // Zeros: 1 - (50/4) / (14/4) = -36/14.
        assert_close(
            &[explained_variance(&[0.0; 4], &targets).unwrap()],
            &[-36.0 / 14.0],
            1e-15,
        );
        assert_eq!(explained_variance(&[1.0, 2.0], &[5.0, 5.0]), None);
        assert_eq!(explained_variance(&[], &[]), None);
    }

    #[test]
    fn whitening_nothing_or_a_constant_gives_finite_numbers() {
        assert!(whiten_advantages(&[]).is_empty());
        assert_eq!(whiten_advantages(&[4.0]), [0.0]);
        assert_eq!(whiten_advantages(&[2.0; 3]), [0.0; 3]);
    }

    /// `A_t = sum_k (gamma · lambda)^k delta_{t+k}`, straight from the paper.
    fn naive(gae: Gae, rewards: &[f64], values: &[f64], bootstrap: f64) -> Vec<f64> {
        let value = |t: usize| values.get(t).copied().unwrap_or(bootstrap);
        let delta = |t: usize| rewards[t] + gae.gamma * value(t + 1) - value(t);
        (0..rewards.len())
            .map(|t| {
                (t..rewards.len())
                    .map(|k| (gae.gamma * gae.gae_lambda).powi((k - t) as i32) * delta(k))
                    .sum()
            })
            .collect()
    }

    fn episode() -> impl Strategy<Value = Vec<(f64, f64)>> {
        prop::collection::vec((-3.0f64..3.0, -3.0f64..3.0), 1..30)
    }

    fn close(found: &[f64], expected: &[f64]) -> bool {
        found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9)
    }

    proptest! {
        #[test]
        fn the_backward_pass_equals_the_double_loop(
            steps in episode(), gamma in 0.5f64..1.0, gae_lambda in 0.0f64..1.0, bootstrap in -2.0f64..2.0
        ) {
            let (rewards, values): (Vec<f64>, Vec<f64>) = steps.into_iter().unzip();
            let gae = Gae { gamma, gae_lambda };
            let found = gae.advantages(&rewards, &values, bootstrap);
            prop_assert!(close(&found, &naive(gae, &rewards, &values, bootstrap)));
        }

        #[test]
        fn lambda_zero_is_the_td_error(steps in episode(), gamma in 0.5f64..1.0) {
            let (rewards, values): (Vec<f64>, Vec<f64>) = steps.into_iter().unzip();
            let expected: Vec<f64> = (0..rewards.len())
                .map(|t| rewards[t] + gamma * values.get(t + 1).unwrap_or(&0.0) - values[t])
                .collect();
            let gae = Gae { gamma, gae_lambda: 0.0 };
            prop_assert!(close(&gae.advantages(&rewards, &values, 0.0), &expected));
        }

        #[test]
        fn lambda_and_gamma_one_is_reward_to_go_minus_value(steps in episode()) {
            let (rewards, values): (Vec<f64>, Vec<f64>) = steps.into_iter().unzip();
            let expected: Vec<f64> = (0..rewards.len())
                .map(|t| rewards[t..].iter().sum::<f64>() - values[t])
                .collect();
            let gae = Gae { gamma: 1.0, gae_lambda: 1.0 };
            prop_assert!(close(&gae.advantages(&rewards, &values, 0.0), &expected));
        }
    }
}
