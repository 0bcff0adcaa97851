//! What must hold by construction, checked while training (ALGORITHM, section 8). A broken one stops the run.

use rlhf_core::masked::{masked_mean, masked_variance};

use crate::config::{AdvantageWhitening, PpoConfig, RewardWhitening};
use crate::error::{Error, Result};
use crate::loss::PolicyStats;
use crate::rollout::Episode;

/// Largest |ratio - 1| before the first step of an update, in f32 (ALGORITHM, section 8).
const RATIO_TOLERANCE: f64 = 1e-4;
/// Largest approximate KL before the first step of an update, in f32, in nats per token.
const FIRST_KL_TOLERANCE: f64 = 1e-6;
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
    if policy_is_reference {
        let kl = episodes.iter().map(|e| e.sequence_kl().abs()).fold(0.0, f64::max);
        if kl > 1e-4 {
            return broken(
                "KL between the untouched policy and the reference",
                kl,
                "0 within 1e-4 nats",
                "policy and reference must start from the same weights and be read the same way",
            );
        }
    }
    let gap = sampler_gap(episodes);
    if gap.is_nan() || gap > SAMPLER_TOLERANCE {
        return broken(
            "mean gap between the sampler's log-probs and the training pass's",
            gap,
            "below 0.01 nats",
            "sampling and training see different distributions: padding, positions, cache or temperature",
        );
    }
    if config.whiten_rewards == RewardWhitening::Off {
        for episode in episodes {
            let total: f64 = episode.rewards.iter().sum();
            let formula = episode.effective_score - kl_coef * episode.kl.iter().sum::<f64>();
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

fn check_whitened(update: u64, episodes: &[Episode]) -> Result<()> {
    let all: Vec<f64> = episodes
        .iter()
        .flat_map(|e| e.advantages[..e.response_len()].iter().copied())
        .collect();
    // What they were whitened from: returns are advantages plus values.
    let raw: Vec<f64> = episodes
        .iter()
        .flat_map(|e| e.returns.iter().zip(&e.values).take(e.response_len()))
        .map(|(g, v)| g - v)
        .collect();
    let steps = vec![true; all.len()];
    let (mean, std) = (masked_mean(&all, &steps), masked_variance(&all, &steps).sqrt());
    // Whitening divides by sqrt(var + 1e-8), which leaves advantages that are all alike below deviation 1.
    let raw_variance = masked_variance(&raw, &steps);
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
pub(crate) fn check_first_step(update: u64, max_ratio_error: f64, stats: &PolicyStats) -> Result<()> {
    let checks = [
        (
            "largest |ratio - 1| before the first step",
            max_ratio_error,
            RATIO_TOLERANCE,
            "below 1e-4",
        ),
        ("clip fraction before the first step", stats.clipfrac, 0.0, "0"),
        (
            "approximate KL before the first step",
            stats.approx_kl_k2,
            FIRST_KL_TOLERANCE,
            "below 1e-6 nats",
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
        for (a, b) in episode.sampled_logprobs.iter().zip(&episode.old_logprobs) {
            total += (a - b).abs();
            tokens += 1;
        }
    }
    total / tokens.max(1) as f64
}
