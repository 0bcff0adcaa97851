//! Numbers that are reported to people: means, quantiles, and intervals that say how far to trust them.

use std::cmp::Ordering;

use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::seed::rng;

#[cfg(test)]
mod coverage;
mod widened;

use widened::tail;

/// The 97.5 % quantile of the standard normal: intervals here cover 95 %.
const Z: f64 = 1.959_963_984_540_054;

/// Resamples of a bootstrap; the ends of a 95 % interval then rest on up to 50 resamples each.
const RESAMPLES: usize = 2000;

/// An estimate and its 95 % interval. Without observations the numbers are NaN, written as `null`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// The estimate.
    #[serde(deserialize_with = "null_is_nan")]
    pub value: f64,
    /// Lower end of the 95 % interval.
    #[serde(deserialize_with = "null_is_nan")]
    pub low: f64,
    /// Upper end of the 95 % interval.
    #[serde(deserialize_with = "null_is_nan")]
    pub high: f64,
    /// Number of observations.
    pub n: usize,
}

impl Interval {
    const NOTHING: Self = Self {
        value: f64::NAN,
        low: f64::NAN,
        high: f64::NAN,
        n: 0,
    };

    /// The widened percentile interval of a bootstrap that drew so many units.
    fn of_replicates(value: f64, replicates: &[f64], units: usize, n: usize) -> Self {
        let mut sorted = replicates.to_vec();
        sorted.sort_by(f64::total_cmp);
        let tail = tail(units);
        Self {
            value,
            low: quantile_of_sorted(&sorted, tail),
            high: quantile_of_sorted(&sorted, 1.0 - tail),
            n,
        }
    }
}

/// JSON has no NaN: serde_json writes it as `null`, and this reads it back.
pub fn null_is_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// Wilson's score interval of a share; `successes` may hold halves for ties.
///
/// Unlike the normal approximation it stays within 0 and 1 and is sensible at 0 of n (Wilson 1927).
pub fn wilson(successes: f64, n: usize) -> Interval {
    if n == 0 {
        return Interval::NOTHING;
    }
    let (count, z2) = (n as f64, Z * Z);
    let share = successes / count;
    let centre = (share + z2 / (2.0 * count)) / (1.0 + z2 / count);
    let half = Z * (share * (1.0 - share) / count + z2 / (4.0 * count * count)).sqrt() / (1.0 + z2 / count);
    // Clamped because rounding can put the ends a hair outside of what the formula guarantees.
    Interval {
        value: share,
        low: (centre - half).clamp(0.0, share),
        high: (centre + half).clamp(share, 1.0),
        n,
    }
}

/// The mean of `values` with its bootstrap interval, which never leaves the range of the values.
///
/// It is the percentile interval, widened for what a bootstrap of few values leaves out: as far into the tails as Student's t with n - 1 degrees of
/// freedom and the root of n / (n - 1) ask for (Hesterberg 2015, "What Teachers Should Know About the Bootstrap", section 3.3). In a simulation of 2000
/// it covers the truth at 93 to 97 % for 10 values or more that spread like a normal or a uniform distribution, and for 100 or more of a distribution as
/// skewed as the exponential one; of a single value it has no width, for then nothing is known.
pub fn bootstrap_mean(values: &[f64], seed: u64) -> Interval {
    if values.is_empty() {
        return Interval::NOTHING;
    }
    let mut rng = rng(seed, "stats.bootstrap_mean", &[values.len() as u64]);
    let means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let sum: f64 = (0..values.len())
                .map(|_| values[rng.random_range(0..values.len())])
                .sum();
            sum / values.len() as f64
        })
        .collect();
    Interval::of_replicates(mean(values), &means, values.len(), values.len())
}

/// A share over observations that come in clusters, such as the pairs of a prompt, with the interval of a bootstrap that draws clusters: what belongs
/// together is drawn together. Each cluster is its successes, halves for ties, of so many. It is widened as that of [`bootstrap_mean`] is, by the number of
/// clusters; in a simulation of 2000 it covers the truth at 93 to 97 % for 40 clusters or more, of shares from a fifth to four fifths.
///
/// Where all clusters have the same share, or there is but one, drawing them shows no difference; the interval is Wilson's then, of as many
/// observations as there are clusters.
pub fn bootstrap_share(clusters: &[(f64, usize)], seed: u64) -> Interval {
    let total = |clusters: &mut dyn Iterator<Item = (f64, usize)>| {
        clusters.fold((0.0, 0), |sum, cluster| (sum.0 + cluster.0, sum.1 + cluster.1))
    };
    let (successes, n) = total(&mut clusters.iter().copied());
    if n == 0 {
        return Interval::NOTHING;
    }
    let filled: Vec<(f64, usize)> = clusters.iter().copied().filter(|cluster| cluster.1 > 0).collect();
    let value = successes / n as f64;
    if filled.iter().all(|cluster| cluster.0 / cluster.1 as f64 == value) {
        let of_clusters = wilson(value * filled.len() as f64, filled.len());
        return Interval {
            value,
            n,
            ..of_clusters
        };
    }
    let mut rng = rng(seed, "stats.bootstrap_share", &[filled.len() as u64]);
    let share = |_| {
        let mut drawn = (0..filled.len()).map(|_| filled[rng.random_range(0..filled.len())]);
        let (successes, n) = total(&mut drawn);
        successes / n as f64
    };
    let shares: Vec<f64> = (0..RESAMPLES).map(share).collect();
    Interval::of_replicates(value, &shares, filled.len(), n)
}

/// Intervals of statistics of `units` that belong together, such as all that is known of each of so many prompts, by a bootstrap that draws units.
///
/// `statistic` is told how often each unit was drawn, and answers with as many numbers as `values` has, the estimates from all units as they are. Numbers
/// that are not finite are left out; if all are, the interval is unknown. The draws depend on the seed and the number of units alone.
pub fn bootstrap_intervals(
    values: &[f64],
    units: usize,
    seed: u64,
    mut statistic: impl FnMut(&[u32]) -> Vec<f64>,
) -> Vec<Interval> {
    if units == 0 {
        return vec![Interval::NOTHING; values.len()];
    }
    let mut rng = rng(seed, "stats.bootstrap_intervals", &[units as u64]);
    let mut replicates = vec![Vec::with_capacity(RESAMPLES); values.len()];
    let mut drawn = vec![0; units];
    for _ in 0..RESAMPLES {
        drawn.fill(0);
        for _ in 0..units {
            drawn[rng.random_range(0..units)] += 1;
        }
        for (found, number) in replicates.iter_mut().zip(statistic(&drawn)) {
            if number.is_finite() {
                found.push(number);
            }
        }
    }
    let intervals = values.iter().zip(&replicates);
    intervals
        .map(|(&value, found)| Interval::of_replicates(value, found, units, units))
        .collect()
}

/// The share of wins, a tie counting half, with Wilson's interval. `Greater` is a win.
pub fn win_rate(outcomes: &[Ordering]) -> Interval {
    let wins = outcomes.iter().map(|outcome| match outcome {
        Ordering::Greater => 1.0,
        Ordering::Equal => 0.5,
        Ordering::Less => 0.0,
    });
    wilson(wins.sum(), outcomes.len())
}

/// Agreement of a difference of two scores with somebody who prefers the first: 1 above 0, one half at 0, else 0.
pub fn order_agreement(difference: f64) -> f64 {
    if difference > 0.0 {
        1.0
    } else if difference == 0.0 {
        0.5
    } else {
        0.0
    }
}

/// The arithmetic mean; NaN of nothing.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The population variance (divided by n); NaN of nothing.
pub fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / values.len() as f64
}

/// The mean and the sample standard deviation (divided by n - 1; 0 for a single value).
pub fn mean_std(values: &[f64]) -> (f64, f64) {
    let mean = mean(values);
    if values.len() == 1 {
        return (mean, 0.0);
    }
    let squares: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
    (mean, (squares / (values.len() as f64 - 1.0)).sqrt())
}

/// The `q`-quantile (0 to 1), interpolated between neighbours as NumPy does by default; NaN of nothing.
fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    quantile_of_sorted(&sorted, q)
}

fn quantile_of_sorted(sorted: &[f64], q: f64) -> f64 {
    if sorted.is_empty() {
        return f64::NAN;
    }
    let position = q.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (position - below as f64)
}

/// The middle value, or the mean of the two in the middle; NaN of nothing.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn near(found: f64, expected: f64, tolerance: f64) {
        assert!(
            (found - expected).abs() <= tolerance,
            "found {found}, expected {expected}"
        );
    }

    #[test]
    fn wilson_matches_published_intervals() {
        // Newcombe 1998, table I, method 3 (score without continuity correction).
        for (successes, n, low, high) in [
            (81.0, 263, 0.2553, 0.3662),
            (15.0, 148, 0.0624, 0.1605),
            (0.0, 20, 0.0, 0.1611),
            (1.0, 29, 0.0061, 0.1718),
        ] {
            let found = wilson(successes, n);
            near(found.low, low, 5e-5);
            near(found.high, high, 5e-5);
        }
    }

    #[test]
    fn a_tie_counts_half() {
        use Ordering::{Equal, Greater, Less};
        let found = win_rate(&[Greater, Greater, Equal, Less]);
        near(found.value, 0.625, 1e-12); // (1 + 1 + 0.5 + 0) / 4
        assert_eq!(found, wilson(2.5, 4));
    }

    #[test]
    fn an_order_is_agreed_with_wholly_half_or_not_at_all() {
        assert_eq!([0.2, 0.0, -0.0, -3.0].map(order_agreement), [1.0, 0.5, 0.5, 0.0]);
        assert_eq!(order_agreement(f64::NAN), 0.0);
    }

    #[test]
    fn nothing_is_null_in_json_and_nan_in_memory() {
        let text = serde_json::to_string(&wilson(0.0, 0)).unwrap();
        assert_eq!(text, r#"{"value":null,"low":null,"high":null,"n":0}"#);
        let back: Interval = serde_json::from_str(&text).unwrap();
        assert!(back.value.is_nan() && back.n == 0);
    }

    #[test]
    fn clusters_count_for_what_they_are_and_not_for_their_observations() {
        // 400 clusters of one, half of them successes: as the normal interval of 400, 0.5 ± 0.049.
        let alone: Vec<(f64, usize)> = (0..400).map(|i| (f64::from(i % 2), 1)).collect();
        let found = bootstrap_share(&alone, 1);
        assert!(
            (found.value, found.n) == (0.5, 400) && (found.high - 0.549).abs() < 0.01,
            "{found:?}"
        );
        // Ten times as many observations, each said ten times: no more is known.
        let repeated: Vec<(f64, usize)> = alone.iter().map(|c| (10.0 * c.0, 10 * c.1)).collect();
        let again = bootstrap_share(&repeated, 1);
        assert_eq!((again.value, again.n), (0.5, 4000));
        assert!((again.high - found.high).abs() < 1e-12, "{again:?}");
        assert_eq!(bootstrap_share(&[(0.0, 0)], 1).n, 0);
        // Three pairs of one prompt, all right, are one observation; two prompts of which all is right are two.
        let (one, expected) = (bootstrap_share(&[(3.0, 3)], 1), wilson(1.0, 1));
        assert_eq!(
            (one.value, one.low, one.high, one.n),
            (1.0, expected.low, expected.high, 3)
        );
        let two = bootstrap_share(&[(3.0, 3), (1.0, 1)], 1);
        assert_eq!((two.low, two.n), (wilson(2.0, 2).low, 4));
    }

    #[test]
    fn bootstrap_of_many_values_agrees_with_the_normal_interval() {
        let values: Vec<f64> = (0..1000).map(|i| f64::from(i % 10)).collect();
        let found = bootstrap_mean(&values, 1);
        // 0..=9 evenly: mean 4.5, standard deviation 2.8723, standard error 0.09083, half-width 0.1780.
        near(found.value, 4.5, 1e-12);
        near(found.low, 4.322, 0.015);
        near(found.high, 4.678, 0.015);
        assert_eq!(found, bootstrap_mean(&values, 1));
    }

    #[test]
    fn several_statistics_of_the_same_draws_have_their_intervals() {
        let units = [[1.0, 4.0], [2.0, 2.0], [3.0, 9.0], [5.0, 0.0]];
        let means = |drawn: &[u32]| -> Vec<f64> {
            let total = f64::from(drawn.iter().sum::<u32>());
            let sum = |column: usize| -> f64 { units.iter().zip(drawn).map(|(u, &k)| u[column] * f64::from(k)).sum() };
            vec![sum(0) / total, sum(1) / total, f64::NAN]
        };
        let values = means(&[1; 4]);
        let found = bootstrap_intervals(&values, units.len(), 3, means);
        assert_eq!((found[0].value, found[1].value, found[0].n), (2.75, 3.75, 4));
        assert!(found[0].low >= 1.0 && found[0].low < 2.0 && found[0].high > 3.5 && found[0].high <= 5.0);
        assert!(found[2].low.is_nan());
        assert_eq!(found[..2], bootstrap_intervals(&values, units.len(), 3, means)[..2]);
        assert!(bootstrap_intervals(&[0.5], 0, 3, means)[0].value.is_nan());
    }

    #[test]
    fn means_and_quantiles_are_what_a_hand_computes() {
        let values = [4.0, 1.0, 3.0, 2.0];
        let (mean, std) = mean_std(&values);
        near(mean, 2.5, 1e-12);
        near(std, (5.0_f64 / 3.0).sqrt(), 1e-12); // squares 2.25 + 0.25 + 0.25 + 2.25 = 5, over 3
        near(variance(&values), 1.25, 1e-12); // 5 / 4
        near(median(&values), 2.5, 1e-12);
        near(quantile(&values, 0.25), 1.75, 1e-12); // position 0.75: a quarter of the way short of 2
        near(quantile(&values, 1.0), 4.0, 1e-12);
        assert_eq!(mean_std(&[7.0]), (7.0, 0.0));
        assert!(median(&[]).is_nan() && mean_std(&[]).0.is_nan());
    }

    proptest! {
        #[test]
        fn wilson_contains_the_share_and_stays_a_share(n in 1_usize..500, part in 0.0..=1.0_f64) {
            let found = wilson((part * n as f64).round(), n);
            prop_assert!(0.0 <= found.low && found.low <= found.value);
            prop_assert!(found.value <= found.high && found.high <= 1.0);
        }

        #[test]
        fn a_bootstrap_interval_lies_within_the_values(values in prop::collection::vec(-5.0..5.0_f64, 1..20)) {
            let found = bootstrap_mean(&values, 3);
            let (least, most) = (quantile(&values, 0.0), quantile(&values, 1.0));
            prop_assert!(least - 1e-9 <= found.low && found.low <= found.high && found.high <= most + 1e-9);
        }
    }
}
