//! How far into its tails a percentile interval reaches, so that one of few units is as wide as it has to be.

use super::Z;

/// The share of a bootstrap's replicates that lies below a 95 % interval, and above it: that of the standard normal beyond
/// t √(n / (n - 1)), t the 97.5 % quantile of Student's distribution with n - 1 degrees of freedom. 0.025 of very many units.
pub(super) fn tail(units: usize) -> f64 {
    if units < 2 {
        return 0.0;
    }
    let n = units as f64;
    beyond(student(units - 1) * (n / (n - 1.0)).sqrt())
}

/// The 97.5 % quantile of Student's distribution, by the expansion about that of the normal (Abramowitz and Stegun 26.7.5): within 0.3 % from 3
/// degrees of freedom on.
fn student(degrees: usize) -> f64 {
    match degrees {
        1 => return 12.706,
        2 => return 4.303,
        _ => {}
    }
    let (v, z) = (degrees as f64, Z);
    let power = |n: i32| z.powi(n);
    let terms = [
        (power(3) + z) / 4.0,
        (5.0 * power(5) + 16.0 * power(3) + 3.0 * z) / 96.0,
        (3.0 * power(7) + 19.0 * power(5) + 17.0 * power(3) - 15.0 * z) / 384.0,
        (79.0 * power(9) + 776.0 * power(7) + 1482.0 * power(5) - 1920.0 * power(3) - 945.0 * z) / 92160.0,
    ];
    let scaled = terms.iter().zip(1..).map(|(term, order)| term / v.powi(order));
    z + scaled.sum::<f64>()
}

/// The share of a standard normal beyond `x` of at least 0 (Abramowitz and Stegun 7.1.26, off by 1e-7 at most).
fn beyond(x: f64) -> f64 {
    let x = x / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let coefficients = [
        0.254_829_592,
        -0.284_496_736,
        1.421_413_741,
        -1.453_152_027,
        1.061_405_429,
    ];
    let polynomial = coefficients.iter().rev().fold(0.0, |sum, c| (sum + c) * t);
    0.5 * polynomial * (-x * x).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_tables() {
        for (degrees, expected) in [
            (1, 12.706),
            (3, 3.182),
            (5, 2.571),
            (10, 2.228),
            (30, 2.042),
            (1000, 1.962),
        ] {
            let found = student(degrees);
            assert!((found / expected - 1.0).abs() < 3e-3, "{degrees}: {found}");
        }
        for (x, expected) in [(0.0, 0.5), (1.0, 0.158_655), (1.96, 0.024_998), (3.0, 0.001_350)] {
            let found = beyond(x);
            assert!((found - expected).abs() < 2e-6, "{x}: {found}");
        }
    }

    #[test]
    fn many_units_need_no_widening_and_few_need_much() {
        assert!((tail(1_000_000) - 0.025).abs() < 1e-5);
        // t of 19 degrees 2.093, times the root of 20 / 19: 2.1474; beyond it lie 1.588 %.
        assert!((tail(20) - 0.015_88).abs() < 5e-5, "{}", tail(20));
        assert_eq!(tail(1), 0.0);
        assert!((2..60).all(|n| tail(n) < tail(n + 1)));
    }
}
