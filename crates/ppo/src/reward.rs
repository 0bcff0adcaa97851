//! From the score of a response and its divergence to one reward per step.

use rlhf_core::{WhitenedMean, whiten};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Treatment of the score of a response that ran out of tokens before its end-of-sequence token.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MissingEos {
    /// Nothing: the reward model's opinion of the unfinished text stands.
    None,
    /// A penalty is taken off the score, after clipping. TRL: 1.0.
    Subtract {
        /// In units of the score.
        penalty: f64,
    },
    /// The score is replaced. OpenAI's code and N+: -1, on scores whose demonstrations have mean 0.
    Replace {
        /// The score of every unfinished response.
        score: f64,
    },
}

impl Default for MissingEos {
    fn default() -> Self {
        Self::Replace { score: -1.0 }
    }
}

/// The step of an episode that receives the score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Terminal {
    /// The last real token (OpenRLHF, verl, NeMo-Aligner).
    #[default]
    LastToken,
    /// One step later, where TRL and N+ see the first pad, with its own value; the last real token when the response
    /// fills the whole budget.
    FirstPad,
}

impl Terminal {
    /// Steps of an episode that have a reward and a value.
    ///
    /// `response_len`, except under [`Terminal::FirstPad`] with budget left, where it is one more. The value of that
    /// extra step is read after the last token of the response. Only the first `response_len` steps are actions.
    pub fn steps(self, response_len: usize, max_new_tokens: usize) -> usize {
        match self {
            Self::FirstPad if response_len < max_new_tokens => response_len + 1,
            _ => response_len,
        }
    }
}

/// The score that enters the reward: clipped to `±score_clip` when given, then subject to the missing-EOS rule.
pub fn effective_score(score: f64, has_eos: bool, score_clip: Option<f64>, missing_eos: MissingEos) -> f64 {
    let clipped = match score_clip {
        Some(bound) => score.clamp(-bound, bound),
        None => score,
    };
    match missing_eos {
        MissingEos::Subtract { penalty } if !has_eos => clipped - penalty,
        MissingEos::Replace { score } if !has_eos => score,
        _ => clipped,
    }
}

/// Rewards of one episode: `R_t = -kl_coef · kl_t`, and the score on top at the last step (Stiennon, arXiv 2009.01325;
/// InstructGPT, equation 2).
///
/// They add up to `score - kl_coef · sum(kl)`, whatever the number of steps.
///
/// # Shapes
/// `kl`: `[response_len]`; result `[steps]`, where `steps` comes from [`Terminal::steps`].
///
/// # Panics
/// When `steps` is 0 or less than `response_len`.
pub fn token_rewards(kl: &[f64], score: f64, kl_coef: f64, steps: usize) -> Vec<f64> {
    assert!(steps > 0 && steps >= kl.len(), "{steps} steps for {} tokens", kl.len());
    let mut rewards: Vec<f64> = kl.iter().map(|kl| -kl_coef * kl).collect();
    rewards.resize(steps, 0.0);
    rewards[steps - 1] += score;
    rewards
}

/// Scales the rewards of a rollout to variance 1 and keeps their mean (Ziegler's code, `shift_mean=False`).
///
/// Population variance over all steps of all episodes. It changes the objective: their sum is no longer the score
/// minus the penalty. Needs a few episodes, hence the lower bound on `batch_size` in the configuration.
///
/// # Shapes
/// `rewards`, result: `[all steps]`, the steps of all episodes one after the other.
pub fn whiten_rewards(rewards: &[f64]) -> Vec<f64> {
    whiten(rewards, WhitenedMean::Kept)
}

/// Takes off each score the mean of the others of its group, `each` scores at a time.
pub(crate) fn less_mean_of_others(scores: &mut [f64], each: usize) {
    for group in scores.chunks_mut(each) {
        let (sum, others) = (group.iter().sum::<f64>(), group.len() as f64 - 1.0);
        for score in group.iter_mut() {
            *score -= (sum - *score) / others;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{assert_close, cases, lengths, matrix, number, vector};
    use crate::kl::{KlEstimator, token_kl};
    use proptest::prelude::*;

    #[test]
    fn rewards_match_pytorch() {
        for case in cases("rewards.json") {
            let estimator: KlEstimator = serde_json::from_value(case["kl_estimator"].clone()).unwrap();
            let missing_eos = match case["missing_eos_penalty"].as_f64() {
                Some(penalty) => MissingEos::Subtract { penalty },
                None => MissingEos::None,
            };
            let (logprobs, ref_logprobs) = (matrix(&case["logprobs"]), matrix(&case["ref_logprobs"]));
            let (scores, has_eos) = (vector(&case["scores"]), vector(&case["has_eos"]));
            for (row, &len) in lengths(&case["mask"]).iter().enumerate() {
                let score = effective_score(
                    scores[row],
                    has_eos[row] == 1.0,
                    case["score_clip"].as_f64(),
                    missing_eos,
                );
                assert_close(&[score], &[vector(&case["effective_scores"])[row]], 1e-12);
                let kl = token_kl(estimator, &logprobs[row][..len], &ref_logprobs[row][..len]);
                assert_close(&kl, &matrix(&case["kl"])[row][..len], 1e-12);
                let rewards = token_rewards(&kl, score, number(&case["kl_coef"]), len);
                assert_close(&rewards, &matrix(&case["rewards"])[row][..len], 1e-12);
            }
        }
    }

    #[test]
    fn rewards_match_the_worked_example() {
        // `docs/algorithm.md`, worked example.
        let (logprobs, ref_logprobs) = ([-1.0, -2.0, -0.5, -1.5], [-1.2, -1.7, -0.6, -1.5]);
        let kl = token_kl(KlEstimator::K1, &logprobs, &ref_logprobs);
        assert_close(&kl, &[0.2, -0.3, 0.1, 0.0], 1e-15);
        let k3 = token_kl(KlEstimator::K3, &logprobs, &ref_logprobs);
        assert_close(&k3, &[0.018731, 0.049859, 0.004837, 0.0], 5e-7);
        assert_close(&token_rewards(&kl, 0.8, 0.05, 4), &[-0.01, 0.015, -0.005, 0.8], 1e-15);
    }

    #[test]
    fn missing_eos_rules_touch_unfinished_responses_only() {
        let check = |has_eos, rule, expected: f64| {
            assert_eq!(effective_score(3.0, has_eos, Some(2.0), rule), expected);
        };
        check(false, MissingEos::None, 2.0);
        check(false, MissingEos::Subtract { penalty: 1.5 }, 0.5); // clipped to 2, then 2 - 1.5
        check(false, MissingEos::Replace { score: -7.0 }, -7.0); // outside the clip range on purpose
        check(true, MissingEos::Subtract { penalty: 1.5 }, 2.0);
        check(true, MissingEos::Replace { score: -7.0 }, 2.0);
    }

    #[test]
    fn first_pad_adds_a_step_while_there_is_budget() {
        assert_eq!(Terminal::LastToken.steps(3, 8), 3);
        assert_eq!(Terminal::FirstPad.steps(3, 8), 4);
        assert_eq!(Terminal::FirstPad.steps(8, 8), 8);
        assert_close(&token_rewards(&[0.5, 1.0], 2.0, 0.1, 3), &[-0.05, -0.1, 2.0], 1e-15);
    }

    #[test]
    fn whitened_rewards_keep_their_mean() {
        // Mean 2, population variance 1: nothing changes but for the 1e-8 under the root.
        assert_close(&whiten_rewards(&[1.0, 3.0, 1.0, 3.0]), &[1.0, 3.0, 1.0, 3.0], 1e-8);
        // Mean 2, variance 4: distances from the mean are halved.
        assert_close(&whiten_rewards(&[0.0, 4.0]), &[1.0, 3.0], 1e-8);
    }

    proptest! {
        #[test]
        fn rewards_of_a_response_add_up_to_score_minus_penalty(
            kl in prop::collection::vec(-5.0f64..5.0, 1..40), score in -9.0f64..9.0, kl_coef in 0.0f64..2.0, extra in 0usize..2
        ) {
            let total: f64 = token_rewards(&kl, score, kl_coef, kl.len() + extra).iter().sum();
            let expected = score - kl_coef * kl.iter().sum::<f64>();
            prop_assert!((total - expected).abs() < 1e-11);
        }
    }

    #[test]
    fn a_score_less_the_mean_of_the_others_says_how_much_better_it_is() {
        let mut scores = [1.0, 0.0, 0.5, 2.0, 2.0, 2.0];
        less_mean_of_others(&mut scores, 3);
        // 1 - (0 + 0.5) / 2, 0 - (1 + 0.5) / 2, 0.5 - 1 / 2; then nothing.
        assert_eq!(scores, [0.75, -0.75, 0.0, 0.0, 0.0, 0.0]);
    }
}
