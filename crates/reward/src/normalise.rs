//! The affine map that gives scores their zero and their unit after training.

use rlhf_core::stats::{mean, mean_std};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Change of the scores after training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Normalisation {
    /// Demonstrations get mean 0 (InstructGPT, N+). The loss does not see a shift, so its zero is arbitrary until then.
    #[default]
    Shift,
    /// Demonstrations get mean 0 and standard deviation 1 (after Ziegler, who uses samples of the initial policy).
    /// This changes what a KL coefficient means.
    ShiftAndScale,
    /// Nothing.
    Off,
}

/// `score = gain · raw + reward_bias`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ScoreMap {
    /// Factor; never 0.
    pub gain: f64,
    /// Added after the factor.
    pub reward_bias: f64,
}

impl ScoreMap {
    /// Leaves scores as they are.
    pub const IDENTITY: Self = Self {
        gain: 1.0,
        reward_bias: 0.0,
    };

    /// The map that brings `scores` of demonstrations where `normalisation` wants them.
    ///
    /// Scores that do not vary are shifted and not scaled; without scores nothing changes.
    pub fn fit(normalisation: Normalisation, scores: &[f64]) -> Self {
        if scores.is_empty() {
            return Self::IDENTITY;
        }
        match normalisation {
            Normalisation::Off => Self::IDENTITY,
            Normalisation::Shift => Self {
                gain: 1.0,
                reward_bias: -mean(scores),
            },
            Normalisation::ShiftAndScale => Self::match_moments(mean_std(scores), (0.0, 1.0)),
        }
    }

    /// The map from scores of mean and standard deviation `old` to `new`: `gain = s_new / s_old`,
    /// `reward_bias = m_new - gain · m_old` (Ziegler's `lm-human-preferences`). A deviation of 0 cannot be scaled: gain 1.
    pub fn match_moments(old: (f64, f64), new: (f64, f64)) -> Self {
        let gain = if old.1 > 0.0 && new.1 > 0.0 { new.1 / old.1 } else { 1.0 };
        Self {
            gain,
            reward_bias: new.0 - gain * old.0,
        }
    }

    /// The mapped score.
    pub fn apply(&self, raw: f64) -> f64 {
        self.gain * raw + self.reward_bias
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCORES: [f64; 4] = [1.0, 2.0, 3.0, 6.0]; // mean 3, deviation sqrt(14/3)

    fn mapped(normalisation: Normalisation) -> (f64, f64) {
        let map = ScoreMap::fit(normalisation, &SCORES);
        mean_std(&SCORES.map(|score| map.apply(score)))
    }

    #[test]
    fn demonstrations_get_mean_zero() {
        let (mean, std) = mapped(Normalisation::Shift);
        assert!(mean.abs() < 1e-15 && (std - (14f64 / 3.0).sqrt()).abs() < 1e-12);
        assert_eq!(ScoreMap::fit(Normalisation::Shift, &SCORES).reward_bias, -3.0);
    }

    #[test]
    fn scaling_gives_unit_deviation() {
        let (mean, std) = mapped(Normalisation::ShiftAndScale);
        assert!(mean.abs() < 1e-12 && (std - 1.0).abs() < 1e-12);
        assert_eq!(mapped(Normalisation::Off).0, 3.0);
    }

    #[test]
    fn moments_are_matched_as_in_the_original_code() {
        // From (2, 4) to (1, 0.5): gain 1/8, bias 1 - 2/8.
        let map = ScoreMap::match_moments((2.0, 4.0), (1.0, 0.5));
        assert_eq!((map.gain, map.reward_bias), (0.125, 0.75));
    }

    #[test]
    fn scores_without_spread_are_shifted_only() {
        let map = ScoreMap::fit(Normalisation::ShiftAndScale, &[2.0, 2.0]);
        assert_eq!((map.gain, map.apply(2.0)), (1.0, 0.0));
        assert_eq!(ScoreMap::fit(Normalisation::Shift, &[]), ScoreMap::IDENTITY);
    }
}
