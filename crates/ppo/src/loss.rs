//! Clipped losses of policy and value function on flat lists of tokens (Schulman et al., arXiv 1707.06347).

use burn::tensor::{Bool, Tensor};
use rlhf_core::to_host;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bound on the log-ratio before it is exponentiated, in nats (OpenRLHF, verl).
const MAX_LOG_RATIO: f64 = 20.0;

/// Shares of the tokens of a minibatch in the weight of 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// Every token weighs the same, so long responses weigh more (OpenAI's code, N+, TRL).
    #[default]
    TokenMean,
    /// Every response weighs the same, and so does every token inside it.
    SequenceMean,
}

/// Weight of each token of sequences with these lengths, one sequence after the other; they add up to 1.
///
/// Sequences of length 0 take no part. Taken over a whole minibatch, the weights make the loss independent of how the
/// minibatch is cut into micro-batches: weighted sums of the parts add up to the mean of the whole.
pub fn token_weights(lengths: &[usize], reduction: Reduction) -> Vec<f64> {
    let tokens: usize = lengths.iter().sum();
    let sequences = lengths.iter().filter(|&&len| len > 0).count();
    let weight = |len: usize| match reduction {
        Reduction::TokenMean => 1.0 / tokens as f64,
        Reduction::SequenceMean => 1.0 / (sequences * len) as f64,
    };
    lengths
        .iter()
        .flat_map(|&len| std::iter::repeat_n(weight(len.max(1)), len))
        .collect()
}

/// Inputs of [`policy_loss`], one entry per response token. Shapes: `[tokens]`.
#[derive(Debug, Clone)]
pub struct PolicyTerms {
    /// Of the policy being trained; gradients flow into it.
    pub logprobs: Tensor<1>,
    /// Of the policy that sampled.
    pub old_logprobs: Tensor<1>,
    /// As they enter the loss, whitened or not.
    pub advantages: Tensor<1>,
    /// From [`token_weights`] over the whole minibatch.
    pub weights: Tensor<1>,
}

/// Result of [`policy_loss`] for one micro-batch.
#[derive(Debug, Clone)]
pub struct PolicyLoss {
    /// The share of this micro-batch in the loss of the minibatch, `[1]`.
    pub loss: Tensor<1>,
    /// Weighted sums, detached; add those of all micro-batches, then read them with [`PolicyStats::read`].
    pub stats: Tensor<1>,
    /// Largest `|ratio - 1|` in the micro-batch, detached, `[1]`: 0 on the first pass, when policy and sampler agree.
    pub max_ratio_error: Tensor<1>,
}

/// The clipped surrogate: the weighted sum of `max(-A · ratio, -A · clamp(ratio, 1 - cliprange, 1 + cliprange))` with
/// `ratio = exp(logprobs - old_logprobs)`.
///
/// The log-ratio is clamped to ±20 before it is exponentiated.
pub fn policy_loss(terms: PolicyTerms, cliprange: f64) -> PolicyLoss {
    let PolicyTerms {
        logprobs,
        old_logprobs,
        advantages,
        weights,
    } = terms;
    let log_ratio = (logprobs - old_logprobs).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO);
    let ratio = log_ratio.clone().exp();
    let unclipped = -(advantages.clone() * ratio.clone());
    let clipped = -(advantages * ratio.clone().clamp(1.0 - cliprange, 1.0 + cliprange));
    let loss = (unclipped.clone().max_pair(clipped.clone()) * weights.clone()).sum();

    let (log_ratio, weights) = (log_ratio.inner(), weights.inner());
    let excess = ratio.inner() - 1.0;
    let distance = excess.clone().abs();
    let sum = |values: Tensor<1>| (values * weights.clone()).sum();
    let stats = Tensor::cat(
        vec![
            loss.clone().inner(),
            share(&weights, clipped.inner().greater(unclipped.inner())),
            share(&weights, distance.clone().greater_elem(cliprange)),
            sum(-log_ratio.clone()),
            sum(log_ratio.clone().square() * 0.5),
            sum(excess.clone() - log_ratio),
            sum(excess.clone()),
            sum(excess.square()),
        ],
        0,
    );
    PolicyLoss {
        loss,
        stats,
        max_ratio_error: distance.max(),
    }
}

/// Weight of the tokens where `mask` is true.
fn share(weights: &Tensor<1>, mask: Tensor<1, Bool>) -> Tensor<1> {
    weights.clone().mask_fill(mask.bool_not(), 0.0).sum()
}

/// Figures of one pass over a minibatch, on the host. Means are weighted as the loss is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PolicyStats {
    /// The loss.
    pub loss: f64,
    /// Share of tokens on which the clipped term is strictly the larger, so that they have no gradient.
    pub clipfrac: f64,
    /// Share of tokens with `|ratio - 1| > cliprange`, on either side of the advantage.
    pub ratio_outside: f64,
    /// Mean of `-d`, where `d = logprobs - old_logprobs`: estimates KL(old || new) without bias, in nats.
    pub approx_kl_k1: f64,
    /// Mean of `d² / 2`: OpenAI's `approxkl`.
    pub approx_kl_k2: f64,
    /// Mean of `exp(d) - 1 - d`: not negative and without bias.
    pub approx_kl_k3: f64,
    /// Mean of the ratio.
    pub ratio_mean: f64,
    /// Variance of the ratio.
    pub ratio_var: f64,
}

impl PolicyStats {
    /// Reads the sum of [`PolicyLoss::stats`] over the micro-batches of a minibatch.
    pub fn read(stats: Tensor<1>) -> Self {
        let sums: [f64; 8] = sums(stats);
        Self {
            loss: sums[0],
            clipfrac: sums[1],
            ratio_outside: sums[2],
            approx_kl_k1: sums[3],
            approx_kl_k2: sums[4],
            approx_kl_k3: sums[5],
            ratio_mean: 1.0 + sums[6],
            // Moments about 1, where the ratio is, keep the digits that moments about 0 would lose in f32.
            ratio_var: (sums[7] - sums[6] * sums[6]).max(0.0),
        }
    }
}

/// Inputs of [`value_loss`], one entry per step. Shapes: `[steps]`.
#[derive(Debug, Clone)]
pub struct ValueTerms {
    /// Of the value function being trained; gradients flow into it.
    pub values: Tensor<1>,
    /// Of the value function at the time of the rollout.
    pub old_values: Tensor<1>,
    /// Targets.
    pub returns: Tensor<1>,
    /// From [`token_weights`] over the whole minibatch.
    pub weights: Tensor<1>,
}

/// Result of [`value_loss`] for one micro-batch.
#[derive(Debug, Clone)]
pub struct ValueLoss {
    /// The share of this micro-batch in the loss of the minibatch, `[1]`.
    pub loss: Tensor<1>,
    /// Weighted sums, detached; add those of all micro-batches, then read them with [`ValueStats::read`].
    pub stats: Tensor<1>,
}

/// Half the weighted sum of `max((V - G)², (V_clip - G)²)`, where `V_clip` keeps `V` within `cliprange_value` of the
/// value at rollout time (OpenAI's baselines and `lm-human-preferences`). Without a range it is half the squared error.
pub fn value_loss(terms: ValueTerms, cliprange_value: Option<f64>) -> ValueLoss {
    let ValueTerms {
        values,
        old_values,
        returns,
        weights,
    } = terms;
    let plain = (values.clone() - returns.clone()).square();
    let (squared, clipfrac) = match cliprange_value {
        None => (plain, weights.clone().inner().sum() * 0.0),
        Some(range) => {
            // Not old + clamp(new - old): rounding would then move values that are inside the range.
            let clipped = values.max_pair(old_values.clone() - range).min_pair(old_values + range);
            let clipped = (clipped - returns).square();
            let active = clipped.clone().inner().greater(plain.clone().inner());
            (plain.max_pair(clipped), share(&weights.clone().inner(), active))
        }
    };
    let loss = (squared * weights).sum() * 0.5;
    let stats = Tensor::cat(vec![loss.clone().inner(), clipfrac], 0);
    ValueLoss { loss, stats }
}

/// Figures of the value function in one pass over a minibatch, on the host.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ValueStats {
    /// The loss.
    pub loss: f64,
    /// Share of steps on which the clipped error is strictly the larger.
    pub clipfrac: f64,
}

impl ValueStats {
    /// Reads the sum of [`ValueLoss::stats`] over the micro-batches of a minibatch.
    pub fn read(stats: Tensor<1>) -> Self {
        let [loss, clipfrac] = sums(stats);
        Self { loss, clipfrac }
    }
}

fn sums<const N: usize>(stats: Tensor<1>) -> [f64; N] {
    let values = to_host(stats);
    std::array::from_fn(|i| f64::from(values[i]))
}

#[cfg(test)]
#[path = "loss_tests.rs"]
mod tests;
