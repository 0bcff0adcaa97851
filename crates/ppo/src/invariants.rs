//! Invariants: what holds by construction, checked while training (`docs/algorithm.md`, "Checked while training"). A broken one stops the run.

use rlhf_core::stats::{mean, variance};

use crate::config::{AdvantageWhitening, PpoConfig, RewardWhitening};
use crate::episode::Episode;
use crate::error::{Error, Result};
use crate::loss::PolicyStats;

/// Largest |ratio - 1| before the first step of an update, in f32 (`docs/algorithm.md`, "Checked while training").
const RATIO_TOLERANCE: f64 = 1e-4;
/// Largest approximate KL before the first step of an update, in f32, in nats per token.
const FIRST_KL_TOLERANCE: f64 = 1e-6;
/// Largest |KL| of a response between the untouched policy and the reference, in f32, in nats.
const SELF_KL_TOLERANCE: f64 = 1e-4;
/// Tokens of a response for which [`SELF_KL_TOLERANCE`] holds: errors of tokens add up.
const TOKENS_OF_TOLERANCE: f64 = 64.0;
/// Tokens of a sequence for which the tolerances of a single token hold: what attention sums up errs with its root.
const CONTEXT_OF_TOLERANCE: f64 = 512.0;
/// Largest error of the mean and of the deviation of whitened advantages.
const WHITENING_TOLERANCE: f64 = 1e-4;
/// Largest mean |log-prob of the sampler - log-prob of the training pass|, in nats.
const SAMPLER_TOLERANCE: f64 = 1e-2;

/// Checks a rollout before anything is learnt from it.
///
/// # Errors
/// [`Error::Invariant`], naming what is broken and what usually causes it.
pub(crate) fn check_rollout(
    update: u64,
    policy_is_reference: bool,
    kl_coef: f64,
    episodes: &[Episode],
    config: &PpoConfig,
) -> Result<()> {
    let broken = |name, found, expected, explanation| {
        Err(Error::Invariant {
            update,
            name,
            found,
            expected,
            explanation,
        })
    };
    let tolerance = of_a_token(episodes, config);
    if policy_is_reference {
        let kl = self_kl(episodes);
        if kl.is_nan() || kl > tolerance * SELF_KL_TOLERANCE {
            return broken(
                "KL between the untouched policy and the reference, for every 64 tokens",
                kl,
                "0 within 1e-4 nats, times ppo.tolerance",
                "policy and reference must start from the same weights and be read the same way",
            );
        }
    }
    let gap = sampler_gap(episodes);
    if gap.is_nan() || gap > tolerance * SAMPLER_TOLERANCE {
        return broken(
            "mean gap between the sampler's log-probs and the training pass's",
            gap,
            "below 0.01 nats, times ppo.tolerance",
            "sampling and training see different distributions: padding, positions, cache or temperature",
        );
    }
    if config.whiten_rewards == RewardWhitening::Off {
        for episode in episodes {
            let total: f64 = episode.steps.rewards.iter().sum();
            let scored = &episode.scored;
            let formula = scored.effective_score - kl_coef * scored.kl.iter().sum::<f64>();
            if (total - formula).abs() > 1e-6 * (1.0 + formula.abs()) {
                return broken(
                    "sum of a response's rewards minus (score - kl_coef * KL)",
                    total - formula,
                    "0",
                    "a reward was lost or counted twice",
                );
            }
        }
    }
    if config.whiten_advantages == AdvantageWhitening::Rollout {
        check_whitened(update, episodes)?;
    }
    Ok(())
}

/// Largest |KL| of a response to the reference, in nats for every 64 tokens of a longer one.
fn self_kl(episodes: &[Episode]) -> f64 {
    let of_response = |e: &Episode| {
        let units = (e.response.len() as f64 / TOKENS_OF_TOLERANCE).max(1.0);
        e.scored.sequence_kl().abs() / units
    };
    // Not f64::max, which would pass over a NaN.
    let larger = |a: f64, b: f64| if b <= a { a } else { b };
    episodes.iter().map(of_response).fold(0.0, larger)
}

/// Multiple of the tolerances of a token: what is configured, times what the longest sequence and the temperature add.
fn of_a_token(episodes: &[Episode], config: &PpoConfig) -> f64 {
    let longest = episodes.iter().map(|e| e.response.sequence.len()).max().unwrap_or(0);
    let context = (longest as f64 / CONTEXT_OF_TOLERANCE).sqrt().max(1.0);
    config.tolerance * context * config.temperature.recip().max(1.0)
}

fn check_whitened(update: u64, episodes: &[Episode]) -> Result<()> {
    let all: Vec<f64> = episodes
        .iter()
        .flat_map(|e| e.action_advantages().iter().copied())
        .collect();
    // What they were whitened from: returns are advantages plus values.
    let raw: Vec<f64> = episodes
        .iter()
        .flat_map(|e| e.steps.returns.iter().zip(&e.steps.values).take(e.response.len()))
        .map(|(g, v)| g - v)
        .collect();
    let (mean, std) = (mean(&all), variance(&all).sqrt());
    // Whitening divides by sqrt(var + 1e-8), which leaves advantages that are all alike below deviation 1.
    let raw_variance = variance(&raw);
    let expected_std = (raw_variance / (raw_variance + 1e-8)).sqrt();
    let mean_is_off = mean.is_nan() || mean.abs() > WHITENING_TOLERANCE;
    if mean_is_off || (std - expected_std).abs() > WHITENING_TOLERANCE {
        return Err(Error::Invariant {
            update,
            name: "mean or deviation of the whitened advantages",
            found: if mean_is_off { mean } else { std },
            expected: "0 and 1 within 1e-4",
            explanation: "whitening saw other tokens than the loss",
        });
    }
    Ok(())
}

/// Checks, before the first optimiser step of an update, that the policy is the one that sampled: the ratio is 1, nothing
/// is clipped, the approximate KL is 0.
///
/// # Errors
/// [`Error::Invariant`].
pub(crate) fn check_first_step(
    update: u64,
    max_ratio_error: f64,
    stats: &PolicyStats,
    episodes: &[Episode],
    config: &PpoConfig,
) -> Result<()> {
    let tolerance = of_a_token(episodes, config);
    let checks = [
        (
            "largest |ratio - 1| before the first step",
            max_ratio_error,
            tolerance * RATIO_TOLERANCE,
            "below 1e-4, times ppo.tolerance",
        ),
        ("clip fraction before the first step", stats.clipfrac, 0.0, "0"),
        (
            "approximate KL before the first step",
            stats.approx_kl_k2,
            // It grows with the square of what the log-probs err by.
            tolerance * tolerance * FIRST_KL_TOLERANCE,
            "below 1e-6 nats, times ppo.tolerance squared",
        ),
    ];
    for (name, found, tolerance, expected) in checks {
        if found.is_nan() || found > tolerance {
            return Err(Error::Invariant {
                update,
                name,
                found,
                expected,
                explanation: "the update pass must read the rollout as the rollout was scored: dropout, temperature, shift or mask",
            });
        }
    }
    Ok(())
}

/// Counts updates in a row with a mean KL below 0 and ends the run after too many.
///
/// # Errors
/// [`Error::Invariant`].
pub(crate) fn check_kl_sign(update: u64, mean_kl: f64, in_a_row: &mut usize, limit: usize) -> Result<()> {
    *in_a_row = if mean_kl < 0.0 { *in_a_row + 1 } else { 0 };
    if *in_a_row < limit {
        return Ok(());
    }
    Err(Error::Invariant {
        update,
        name: "mean KL of the policy from the reference",
        found: mean_kl,
        expected: "not below 0 for this many updates in a row",
        explanation: "samples do not come from the distribution whose log-probs are recorded: a sampling filter, or padding in the sum",
    })
}

/// Mean |log-prob of the sampler - log-prob of the training pass| over all tokens, in nats.
pub(crate) fn sampler_gap(episodes: &[Episode]) -> f64 {
    let (mut total, mut tokens) = (0.0, 0usize);
    for episode in episodes {
        for (a, b) in episode
            .response
            .sampled_logprobs
            .iter()
            .zip(&episode.scored.old_logprobs)
        {
            total += (a - b).abs();
            tokens += 1;
        }
    }
    total / tokens.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::episode::{Response, Scored, Steps};
    use crate::rollout::whiten_episodes;

    const KL_COEF: f64 = 0.1;

    /// Two responses whose rewards, returns and advantages belong together.
    fn rollout() -> Vec<Episode> {
        let episode = |scale: f64| {
            let kl = vec![0.2 * scale, -0.1 * scale];
            let score = 0.5 + scale;
            let rewards = vec![-KL_COEF * kl[0], score - KL_COEF * kl[1]];
            let values = vec![0.1, 0.3 * scale];
            // gamma = lambda = 1: what is still to come, less the value.
            let advantages = vec![rewards[0] + rewards[1] - values[0], rewards[1] - values[1]];
            Episode {
                response: Response {
                    prompt: 0,
                    prompt_len: 1,
                    sequence: vec![3, 4, 0],
                    finished: true,
                    sampled_logprobs: vec![-1.0, -2.0],
                },
                scored: Scored {
                    score,
                    effective_score: score,
                    old_logprobs: vec![-1.0, -2.0],
                    ref_logprobs: kl.iter().zip([-1.0, -2.0]).map(|(kl, old)| old - kl).collect(),
                    entropy: vec![1.0, 1.0],
                    kl,
                },
                steps: Steps {
                    returns: advantages.iter().zip(&values).map(|(a, v)| a + v).collect(),
                    values,
                    rewards,
                    advantages,
                },
            }
        };
        let mut episodes = vec![episode(1.0), episode(-2.0)];
        whiten_episodes(&mut episodes);
        episodes
    }

    fn name_of(result: Result<()>) -> Option<&'static str> {
        match result {
            Ok(()) => None,
            Err(Error::Invariant { name, .. }) => Some(name),
            Err(other) => panic!("{other}"),
        }
    }

    fn broken_by(policy_is_reference: bool, change: impl FnOnce(&mut Vec<Episode>)) -> Option<&'static str> {
        let mut episodes = rollout();
        change(&mut episodes);
        name_of(check_rollout(
            3,
            policy_is_reference,
            KL_COEF,
            &episodes,
            &PpoConfig::default(),
        ))
    }

    #[test]
    fn a_rollout_that_is_computed_right_breaks_nothing() {
        assert_eq!(broken_by(false, |_| ()), None);
        assert_eq!(
            broken_by(true, |e| e
                .iter_mut()
                .for_each(|e| e.scored.ref_logprobs = e.scored.old_logprobs.clone())),
            None
        );
    }

    #[test]
    fn each_broken_invariant_of_a_rollout_is_named() {
        let check = |expected: &str, found: Option<&'static str>| {
            assert!(
                found.is_some_and(|name| name.contains(expected)),
                "{expected}: {found:?}"
            );
        };
        check("untouched policy", broken_by(true, |_| ()));
        check(
            "sampler's log-probs",
            broken_by(false, |e| e[0].response.sampled_logprobs[1] -= 0.1),
        );
        check(
            "sampler's log-probs",
            broken_by(false, |e| e[0].response.sampled_logprobs[1] = f64::NAN),
        );
        check("rewards minus", broken_by(false, |e| e[1].steps.rewards[0] += 1e-3));
        check("whitened", broken_by(false, |e| e[0].steps.advantages[0] += 1e-3));
        check(
            "whitened",
            broken_by(false, |e| {
                e.iter_mut()
                    .flat_map(|e| &mut e.steps.advantages)
                    .for_each(|a| *a *= 1.001)
            }),
        );
    }

    #[test]
    fn the_first_step_finds_the_policy_that_sampled() {
        let stats = |clipfrac, approx_kl_k2| PolicyStats {
            loss: 0.0,
            clipfrac,
            ratio_outside: 0.0,
            approx_kl_k1: 0.0,
            approx_kl_k2,
            approx_kl_k3: 0.0,
            ratio_mean: 1.0,
            ratio_var: 0.0,
        };
        let check = |expected: Option<&str>, ratio_error, stats| {
            let found = name_of(check_first_step(
                0,
                ratio_error,
                &stats,
                &rollout(),
                &PpoConfig::default(),
            ));
            assert!(
                found.zip(expected).is_none_or(|(f, e)| f.contains(e)) && found.is_some() == expected.is_some(),
                "{expected:?}: {found:?}"
            );
        };
        check(None, 9e-5, stats(0.0, 9e-7));
        check(Some("ratio"), 2e-4, stats(0.0, 0.0));
        check(Some("ratio"), f64::NAN, stats(0.0, 0.0));
        check(Some("clip fraction"), 0.0, stats(0.01, 0.0));
        check(Some("approximate KL"), 0.0, stats(0.0, 2e-6));
    }

    #[test]
    fn a_mean_kl_below_zero_is_borne_until_it_has_come_too_often() {
        let mut in_a_row = 0;
        for kl in [-0.1, -0.1, 0.1, -0.1, -0.1] {
            assert!(check_kl_sign(0, kl, &mut in_a_row, 3).is_ok());
        }
        assert_eq!(
            name_of(check_kl_sign(0, -0.1, &mut in_a_row, 3)),
            Some("mean KL of the policy from the reference")
        );
    }
}
