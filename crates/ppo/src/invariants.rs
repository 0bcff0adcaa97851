//! What must hold by construction, checked while training (ALGORITHM, section 8). A broken one stops the run.

use crate::config::{AdvantageWhitening, PpoConfig, RewardWhitening};
use crate::error::{Error, Result};
use crate::rollout::Episode;

/// Largest |ratio - 1| before the first step of an update, in f32.
const RATIO_TOLERANCE: f64 = 1e-3;
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
    let (mean, std) = rlhf_core::stats::mean_std(&all);
    if mean.abs() > 1e-6 || (std - 1.0).abs() > 0.05 && std > 1e-6 {
        return Err(Error::Invariant {
            update,
            name: "mean or deviation of the whitened advantages",
            found: if mean.abs() > 1e-6 { mean } else { std },
            expected: "0 and 1",
            explanation: "whitening saw other tokens than the loss",
        });
    }
    Ok(())
}

/// Checks that the ratio is 1 before the first optimiser step of an update.
///
/// # Errors
/// [`Error::Invariant`].
pub(crate) fn check_first_ratio(update: u64, max_ratio_error: f64) -> Result<()> {
    if max_ratio_error <= RATIO_TOLERANCE {
        return Ok(());
    }
    Err(Error::Invariant {
        update,
        name: "largest |ratio - 1| before the first step",
        found: max_ratio_error,
        expected: "below 0.001",
        explanation: "the update pass must read the rollout as the rollout was scored: dropout, temperature, shift or mask",
    })
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
