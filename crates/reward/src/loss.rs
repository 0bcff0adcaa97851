//! The K-wise loss of one prompt and its exact gradient with respect to the scores.
//!
//! The loop scores the K completions without a graph, calls [`kwise_loss`], and then back-propagates the completions in
//! chunks of whatever fits in memory with `sum_i grad[i] · r_i`, whose gradient is that of the loss.

use rlhf_config::ConfigErrors;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Number by which the sum over the pairs of a prompt is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PairDivisor {
    /// The pairs that have a winner: every prompt weighs the same, whatever its ties.
    #[default]
    KeptPairs,
    /// All `K (K - 1) / 2`: a prompt with ties weighs less.
    AllPairs,
}

/// The loss of one prompt: `-ln sigmoid(r_w - r_l - margin)` over pairs, ties left out, and what is added to it. Everything
/// beside the comparison is off by default, which is InstructGPT's loss.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KwiseConfig {
    /// Distance by which the score of the better completion should exceed the other's. Llama 2: from the data; here: `off`.
    pub margin: Margin,
    /// Share of the weight of a pair that goes to the opposite outcome, 0 to less than 0.5. Here: 0.
    pub label_smoothing: f64,
    /// Weight of the mean over pairs of `(r_w + r_l)²`. TRL suggests 0.01; here: 0.
    pub centering_coef: f64,
    /// Weight of the mean over completions of `r² / 2`. Open-Assistant: 0.001; here: 0.
    pub l2_coef: f64,
    /// Divisor of the sum over pairs once ties are dropped; InstructGPT does not say. Without ties both are the same.
    pub pair_divisor: PairDivisor,
}

/// Source of the margin of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Margin {
    /// There is none.
    #[default]
    Off,
    /// The comparison states it; 0 where it does not.
    Data,
    /// The same for all pairs, in units of the score.
    Fixed(f64),
}

impl Margin {
    /// The margin of a comparison that states `data`, 0 if it states none.
    pub fn of(self, data: f64) -> f64 {
        match self {
            Self::Off => 0.0,
            Self::Data => data,
            Self::Fixed(margin) => margin,
        }
    }
}

impl KwiseConfig {
    /// Faults of these settings; paths are relative to this struct.
    pub(crate) fn validate(&self) -> ConfigErrors {
        let mut errors = ConfigErrors::new();
        let smoothing = self.label_smoothing;
        errors.check((0.0..0.5).contains(&smoothing), "label_smoothing", || {
            format!("expected at least 0 and less than 0.5, found {smoothing}")
        });
        for (path, value) in [
            ("centering_coef", self.centering_coef),
            ("l2_coef", self.l2_coef),
            ("margin.fixed", self.margin.of(0.0)),
        ] {
            errors.check_not_negative(path, value);
        }
        errors
    }
}

/// A loss and its derivatives.
#[derive(Debug, Clone, PartialEq)]
pub struct KwiseLoss {
    /// In nats.
    pub loss: f64,
    /// `d loss / d score` of each completion.
    pub grad: Vec<f64>,
}

/// The pairs `(better, worse)` of a ranking, ties left out; rank 0 is best and any numbers in that order will do.
pub fn pairs_from_ranking(ranking: &[u32]) -> Vec<(usize, usize)> {
    let completions = 0..ranking.len();
    completions
        .clone()
        .flat_map(|winner| completions.clone().map(move |loser| (winner, loser)))
        .filter(|&(winner, loser)| ranking[winner] < ranking[loser])
        .collect()
}

/// The loss of one prompt by one labeler (InstructGPT, arXiv 2203.02155, equation 1):
/// `1/|P| · sum over (w, l) in P of -ln sigmoid(r_w - r_l - margin)`.
///
/// With label smoothing `e` a pair costs `(1 - e) · -ln sigmoid(z) - e · ln sigmoid(-z)`, where `z = r_w - r_l - margin`, and
/// [`KwiseConfig::margin`] says what becomes of the margin that the data states. [`KwiseConfig`] adds centring and L2. A
/// prompt without pairs costs nothing and has no gradient.
///
/// # Panics
/// When a pair points outside of `scores`.
pub fn kwise_loss(scores: &[f64], pairs: &[(usize, usize)], data_margin: f64, config: &KwiseConfig) -> KwiseLoss {
    let margin = config.margin.of(data_margin);
    let mut out = KwiseLoss {
        loss: 0.0,
        grad: vec![0.0; scores.len()],
    };
    if pairs.is_empty() {
        return out;
    }
    let divisor = match config.pair_divisor {
        PairDivisor::KeptPairs => pairs.len(),
        PairDivisor::AllPairs => scores.len() * (scores.len() - 1) / 2,
    } as f64;
    let smoothing = config.label_smoothing;
    let centering = config.centering_coef / pairs.len() as f64;
    for &(winner, loser) in pairs {
        let z = scores[winner] - scores[loser] - margin;
        let sum = scores[winner] + scores[loser];
        out.loss += ((1.0 - smoothing) * softplus(-z) + smoothing * softplus(z)) / divisor;
        out.loss += centering * sum * sum;
        let slope = (smoothing * sigmoid(z) - (1.0 - smoothing) * sigmoid(-z)) / divisor;
        out.grad[winner] += slope + 2.0 * centering * sum;
        out.grad[loser] += -slope + 2.0 * centering * sum;
    }
    let l2 = config.l2_coef / scores.len() as f64;
    for (grad, score) in out.grad.iter_mut().zip(scores) {
        out.loss += 0.5 * l2 * score * score;
        *grad += l2 * score;
    }
    out
}

/// The mean of the losses of several labelers who saw the same `n` completions; nothing when there are none.
pub fn mean_loss(losses: &[KwiseLoss], n: usize) -> KwiseLoss {
    let mut out = KwiseLoss {
        loss: 0.0,
        grad: vec![0.0; n],
    };
    let share = 1.0 / losses.len().max(1) as f64;
    for one in losses {
        out.loss += share * one.loss;
        for (sum, grad) in out.grad.iter_mut().zip(&one.grad) {
            *sum += share * grad;
        }
    }
    out
}

/// `1 / (1 + exp(-x))`: the probability that the better of two completions wins when its score is `x` higher.
pub fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        x.exp() / (1.0 + x.exp())
    }
}

/// `ln(1 + exp(x))`, which is `-ln sigmoid(-x)`, without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

#[cfg(test)]
#[path = "loss_tests.rs"]
mod tests;
