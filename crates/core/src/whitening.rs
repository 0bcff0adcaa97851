//! Whitening on the host: lists hold real tokens alone, so there is no mask.

use crate::stats::{mean, variance};

/// Added to the variance before its root is taken (OpenAI's code, N+).
const EPS: f64 = 1e-8;

/// Treatment of the mean of whitened values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhitenedMean {
    /// It is taken away: advantages.
    Zero,
    /// It stays: rewards, which would otherwise change sign.
    Kept,
}

/// The values brought to population variance 1: `(x - mean) / sqrt(variance + 1e-8)`, plus the mean again if it is kept.
///
/// Values that are all alike become 0, or their mean; no values give none.
pub fn whiten(values: &[f64], whitened_mean: WhitenedMean) -> Vec<f64> {
    let mean = mean(values);
    let scale = 1.0 / (variance(values) + EPS).sqrt();
    let centre = match whitened_mean {
        WhitenedMean::Zero => 0.0,
        WhitenedMean::Kept => mean,
    };
    values.iter().map(|value| (value - mean) * scale + centre).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn flat(rows: &Value) -> Vec<f64> {
        let rows = rows.as_array().unwrap().iter();
        rows.flat_map(|row| row.as_array().unwrap())
            .map(|x| x.as_f64().unwrap())
            .collect()
    }

    #[test]
    fn whitening_matches_pytorch() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/ppo/whiten.json");
        let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let mut checked = 0;
        for case in cases.iter().filter(|case| case["unbiased"] == false) {
            let mask = flat(&case["mask"]);
            let real = |key: &str| -> Vec<f64> {
                let values = flat(&case[key]).into_iter().zip(&mask);
                values.filter(|(_, keep)| **keep != 0.0).map(|(x, _)| x).collect()
            };
            let whitened_mean = if case["shift_mean"].as_bool().unwrap() {
                WhitenedMean::Zero
            } else {
                WhitenedMean::Kept
            };
            let found = whiten(&real("values"), whitened_mean);
            for (found, expected) in found.iter().zip(real("out")) {
                assert!((found - expected).abs() < 1e-9, "found {found}, expected {expected}");
            }
            checked += 1;
        }
        assert_eq!(checked, 8);
    }

    #[test]
    fn advantages_of_the_worked_example_are_whitened_both_ways() {
        // `docs/algorithm.md`, worked example: one sequence of four tokens.
        let advantages = [0.63245, 0.571, 0.48, 0.3];
        let check = |whitened_mean, expected: [f64; 4]| {
            for (found, expected) in whiten(&advantages, whitened_mean).iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6, "found {found}, expected {expected}");
            }
        };
        check(WhitenedMean::Zero, [1.089085, 0.599112, -0.126480, -1.561717]);
        check(WhitenedMean::Kept, [1.584948, 1.094974, 0.369382, -1.065854]);
    }

    #[test]
    fn nothing_and_values_without_spread_give_finite_numbers() {
        assert!(whiten(&[], WhitenedMean::Zero).is_empty());
        assert_eq!(whiten(&[5.0, 5.0], WhitenedMean::Zero), [0.0, 0.0]);
        assert_eq!(whiten(&[5.0, 5.0], WhitenedMean::Kept), [5.0, 5.0]);
    }

    proptest! {
        #[test]
        fn whitened_values_have_variance_1_and_the_wanted_mean(values in prop::collection::vec(-10.0..10.0_f64, 2..40)) {
            prop_assume!(variance(&values) > 1e-2);
            let whitened = whiten(&values, WhitenedMean::Zero);
            prop_assert!(mean(&whitened).abs() < 1e-9);
            prop_assert!((variance(&whitened) - 1.0).abs() < 1e-5);
            prop_assert!((mean(&whiten(&values, WhitenedMean::Kept)) - mean(&values)).abs() < 1e-9);
        }
    }
}
