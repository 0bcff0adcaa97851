//! The pretraining mix of PPO-ptx: the unit of its loss, and its gradient beside that of PPO.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::loss::{Reduction, token_weights};

/// The loss that the pretraining coefficient multiplies.
///
/// InstructGPT (arXiv 2203.02155, section 3.5) writes an expectation over sequences, `E[ln pi(x)]`, and 27.8 for its
/// coefficient; code bases multiply a mean over tokens. The two differ by the length of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PtxUnit {
    /// Mean negative log-prob of a token (DeepSpeed-Chat, align-anything).
    #[default]
    TokenMean,
    /// Mean over sequences of the mean over their tokens.
    SequenceMean,
    /// Mean over sequences of the sum over their tokens: the formula as it is printed.
    SequenceSum,
}

/// Weight of each predicted token in the pretraining loss, one sequence after the other.
///
/// `lengths` counts the predicted tokens of each sequence of the optimiser batch; sequences of length 0 take no part. The
/// weights add up to 1, or to the mean length under [`PtxUnit::SequenceSum`].
pub fn ptx_weights(lengths: &[usize], unit: PtxUnit) -> Vec<f64> {
    match unit {
        PtxUnit::TokenMean => token_weights(lengths, Reduction::TokenMean),
        PtxUnit::SequenceMean => token_weights(lengths, Reduction::SequenceMean),
        PtxUnit::SequenceSum => {
            let sequences = lengths.iter().filter(|&&len| len > 0).count();
            vec![1.0 / sequences as f64; lengths.iter().sum()]
        }
    }
}

/// Norms and inner product of the two gradients of one policy step, before any coefficient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GradientPair {
    /// Euclidean norm of the PPO gradient.
    pub ppo_norm: f64,
    /// Euclidean norm of the gradient of the pretraining loss.
    pub ptx_norm: f64,
    /// Inner product of the two.
    pub dot: f64,
}

impl GradientPair {
    /// `coef · |g_ptx| / |g_ppo|`: how loud the pretraining term is; `None` when PPO is silent.
    pub fn ratio(&self, coef: f64) -> Option<f64> {
        (self.ppo_norm > 0.0).then(|| coef * self.ptx_norm / self.ppo_norm)
    }

    /// Cosine of the angle between the gradients; below 0 they pull against each other. `None` when one is 0.
    pub fn cosine(&self) -> Option<f64> {
        let product = self.ppo_norm * self.ptx_norm;
        (product > 0.0).then(|| (self.dot / product).clamp(-1.0, 1.0))
    }

    /// The coefficient that makes [`ratio`](Self::ratio) equal `target`; 0 when the pretraining gradient is 0.
    pub fn coef_for_ratio(&self, target: f64) -> f64 {
        if self.ptx_norm > 0.0 {
            target * self.ppo_norm / self.ptx_norm
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::assert_close;

    #[test]
    fn the_three_units_weigh_the_same_losses_as_their_names_say() {
        // Sequences of 1 and 3 tokens with losses 4 | 1 2 3.
        let losses = [4.0, 1.0, 2.0, 3.0];
        for (unit, expected) in [
            (PtxUnit::TokenMean, 2.5),    // 10 / 4
            (PtxUnit::SequenceMean, 3.0), // (4 + 2) / 2
            (PtxUnit::SequenceSum, 5.0),  // (4 + 6) / 2
        ] {
            let weights = ptx_weights(&[1, 3], unit);
            let found: f64 = weights.iter().zip(losses).map(|(weight, loss)| weight * loss).sum();
            assert_close(&[found], &[expected], 1e-15);
        }
    }

    #[test]
    fn sequences_without_predictions_take_no_part() {
        for unit in [PtxUnit::TokenMean, PtxUnit::SequenceMean, PtxUnit::SequenceSum] {
            assert_eq!(ptx_weights(&[2, 0, 3], unit), ptx_weights(&[2, 3], unit));
            assert!(ptx_weights(&[0], unit).is_empty());
        }
    }

    #[test]
    fn gradients_are_compared_by_length_and_angle() {
        // (3, 4) and (0, 2): norms 5 and 2, inner product 8.
        let pair = GradientPair {
            ppo_norm: 5.0,
            ptx_norm: 2.0,
            dot: 8.0,
        };
        assert_eq!(pair.ratio(10.0), Some(4.0));
        assert_eq!(pair.cosine(), Some(0.8));
        assert_eq!(pair.coef_for_ratio(0.5), 1.25);
        assert_eq!(pair.ratio(pair.coef_for_ratio(0.5)), Some(0.5));
    }

    #[test]
    fn a_gradient_of_zero_has_no_angle() {
        let pair = GradientPair {
            ppo_norm: 0.0,
            ptx_norm: 0.0,
            dot: 0.0,
        };
        assert_eq!((pair.ratio(1.0), pair.cosine()), (None, None));
        assert_eq!(pair.coef_for_ratio(1.0), 0.0);
    }
}
