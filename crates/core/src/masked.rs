//! Masked reductions on the host: what stands where the mask is false has no influence on anything.
//!
//! Inputs may be `f32` or `f64`; sums are taken in `f64`.

/// How [`whiten`] scales values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Whitening {
    /// Whether the mean is taken away (advantages) or kept (rewards, which would otherwise change sign).
    pub shift_mean: bool,
    /// Whether the variance is divided by n - 1 (verl) or by n (OpenAI, N+, OpenRLHF).
    pub unbiased: bool,
    /// Added to the variance before its root is taken.
    pub eps: f64,
}

impl Whitening {
    /// For advantages: mean 0, population variance 1.
    pub const ADVANTAGES: Self = Self {
        shift_mean: true,
        unbiased: false,
        eps: 1e-8,
    };
    /// For rewards: variance 1, mean kept.
    pub const REWARDS: Self = Self {
        shift_mean: false,
        unbiased: false,
        eps: 1e-8,
    };
}

/// The values where `mask` is true.
///
/// # Panics
/// If the two differ in length.
fn kept<'a, T: Copy + Into<f64>>(values: &'a [T], mask: &'a [bool]) -> impl Iterator<Item = f64> + 'a {
    assert_eq!(values.len(), mask.len(), "values and mask must have the same length");
    values
        .iter()
        .zip(mask)
        .filter(|&(_, &keep)| keep)
        .map(|(&value, _)| value.into())
}

/// The mean over the mask; NaN over nothing.
pub fn masked_mean<T: Copy + Into<f64>>(values: &[T], mask: &[bool]) -> f64 {
    let (sum, n) = kept(values, mask).fold((0.0, 0_usize), |(sum, n), value| (sum + value, n + 1));
    sum / n as f64
}

/// The variance over the mask divided by n; NaN over nothing.
pub fn masked_variance<T: Copy + Into<f64>>(values: &[T], mask: &[bool]) -> f64 {
    let mean = masked_mean(values, mask);
    let (sum, n) = kept(values, mask).fold((0.0, 0_usize), |(sum, n), value| {
        (sum + (value - mean) * (value - mean), n + 1)
    });
    sum / n as f64
}

/// The variance over the mask divided by n - 1; 0 of a single value, NaN over nothing.
pub fn masked_variance_unbiased<T: Copy + Into<f64>>(values: &[T], mask: &[bool]) -> f64 {
    let n = mask.iter().filter(|&&keep| keep).count();
    let correction = if n > 1 { n as f64 / (n - 1) as f64 } else { 1.0 };
    masked_variance(values, mask) * correction
}

/// `(x - mean) / sqrt(variance + eps)` over the mask, plus the mean again unless it is to be shifted away; 0 elsewhere.
pub fn whiten<T: Copy + Into<f64>>(values: &[T], mask: &[bool], whitening: &Whitening) -> Vec<f64> {
    let mean = masked_mean(values, mask);
    let variance = if whitening.unbiased {
        masked_variance_unbiased(values, mask)
    } else {
        masked_variance(values, mask)
    };
    let scale = 1.0 / (variance + whitening.eps).sqrt();
    let centre = if whitening.shift_mean { 0.0 } else { mean };
    let whitened = |(&value, &keep): (&T, &bool)| {
        if keep {
            (value.into() - mean) * scale + centre
        } else {
            0.0
        }
    };
    values.iter().zip(mask).map(whitened).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "found {found}, expected {expected}");
    }

    fn flat(rows: &Value) -> Vec<f64> {
        let rows = rows.as_array().unwrap().iter();
        rows.flat_map(|row| row.as_array().unwrap())
            .map(|x| x.as_f64().unwrap())
            .collect()
    }

    #[test]
    fn whitening_matches_the_golden_vectors() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/ppo/whiten.json");
        let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(cases.len(), 16);
        for case in cases {
            let mask: Vec<bool> = flat(&case["mask"]).iter().map(|&x| x != 0.0).collect();
            let how = Whitening {
                shift_mean: case["shift_mean"].as_bool().unwrap(),
                unbiased: case["unbiased"].as_bool().unwrap(),
                eps: case["eps"].as_f64().unwrap(),
            };
            let found = whiten(&flat(&case["values"]), &mask, &how);
            for (found, expected) in found.iter().zip(flat(&case["out"])) {
                near(*found, expected);
            }
        }
    }

    #[test]
    fn advantages_of_the_worked_example_are_whitened_in_all_three_ways() {
        // ALGORITHM.md, section 9: one sequence of four tokens, here with a padded fifth.
        let advantages = [0.63245, 0.571, 0.48, 0.3, 99.0];
        let mask = [true, true, true, true, false];
        let check = |how: Whitening, expected: [f64; 4]| {
            let found = whiten(&advantages, &mask, &how);
            assert_eq!(found[4], 0.0);
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6, "found {found}, expected {expected}");
            }
        };
        check(Whitening::ADVANTAGES, [1.089085, 0.599112, -0.126480, -1.561717]);
        check(Whitening::REWARDS, [1.584948, 1.094974, 0.369382, -1.065854]);
        let unbiased = Whitening {
            unbiased: true,
            ..Whitening::ADVANTAGES
        };
        check(unbiased, [0.943176, 0.518846, -0.109535, -1.352486]);
    }

    #[test]
    fn means_and_variances_are_what_a_hand_computes() {
        let (values, mask) = ([1.0_f32, 2.0, 50.0, 6.0], [true, true, false, true]);
        near(masked_mean(&values, &mask), 3.0); // (1 + 2 + 6) / 3
        near(masked_variance(&values, &mask), 14.0 / 3.0); // (4 + 1 + 9) / 3
        near(masked_variance_unbiased(&values, &mask), 7.0); // (4 + 1 + 9) / 2
        near(masked_variance_unbiased(&[5.0], &[true]), 0.0);
        assert!(masked_mean(&[5.0], &[false]).is_nan());
        assert_eq!(whiten(&[5.0, 6.0], &[false, false], &Whitening::ADVANTAGES), [0.0, 0.0]);
    }

    proptest! {
        #[test]
        fn whitened_values_have_masked_mean_0_and_variance_1(
            rows in prop::collection::vec((-10.0..10.0_f64, any::<bool>()), 2..40)
        ) {
            let (values, mask): (Vec<f64>, Vec<bool>) = rows.into_iter().unzip();
            prop_assume!(masked_variance(&values, &mask) > 1e-2);
            let whitened = whiten(&values, &mask, &Whitening::ADVANTAGES);
            prop_assert!(masked_mean(&whitened, &mask).abs() < 1e-9);
            prop_assert!((masked_variance(&whitened, &mask) - 1.0).abs() < 1e-5);
            let kept_mean = whiten(&values, &mask, &Whitening::REWARDS);
            prop_assert!((masked_mean(&kept_mean, &mask) - masked_mean(&values, &mask)).abs() < 1e-9);
        }

        #[test]
        fn what_stands_in_padding_changes_nothing(
            rows in prop::collection::vec((-10.0..10.0_f64, any::<bool>(), -1e6..1e6_f64), 1..40)
        ) {
            let mask: Vec<bool> = rows.iter().map(|row| row.1).collect();
            let clean: Vec<f64> = rows.iter().map(|row| row.0).collect();
            let dirty: Vec<f64> = rows.iter().map(|row| if row.1 { row.0 } else { row.2 }).collect();
            let how = Whitening::ADVANTAGES;
            prop_assert_eq!(whiten(&clean, &mask, &how), whiten(&dirty, &mask, &how));
        }
    }
}
