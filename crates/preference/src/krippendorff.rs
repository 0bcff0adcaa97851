//! Krippendorff's alpha: agreement beyond chance.

use serde::{Deserialize, Serialize};

/// How far two values are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scale {
    /// They are the same or not.
    Nominal,
    /// By how many values lie between them, as often as these occur.
    Ordinal,
    /// By their difference.
    Interval,
}

/// Krippendorff's alpha of units that several people gave values to, each unit with those that it got: 1 if all agree, 0 if they agree as by chance,
/// below where they disagree more. A unit with fewer than two values says nothing. Nothing is known, `None`, of fewer than two values, or
/// where all values are the same.
///
/// `1 - D_o / D_e`, with the observed and the expected disagreement of the coincidence matrix (Krippendorff 2019, "Content Analysis", chapter 12), where
/// each unit's pairs of values weigh together as much as its values are, and the distance is squared.
///
/// # Panics
/// On a value that is not finite.
pub fn krippendorff_alpha(units: &[Vec<f64>], scale: Scale) -> Option<f64> {
    let mut values: Vec<f64> = units.iter().flatten().copied().collect();
    assert!(values.iter().all(|value| value.is_finite()), "a value is a number");
    values.sort_by(f64::total_cmp);
    values.dedup_by(|a, b| a == b);
    let place = |value: f64| values.partition_point(|other| *other < value);
    let kinds = values.len();
    let mut coincidences = vec![0.0; kinds * kinds];
    for unit in units.iter().filter(|unit| unit.len() > 1) {
        let mut counts = vec![0_u32; kinds];
        for &value in unit {
            counts[place(value)] += 1;
        }
        let others = (unit.len() - 1) as f64;
        for (one, &of_one) in counts.iter().enumerate() {
            for (two, &of_two) in counts.iter().enumerate() {
                let pairs = f64::from(of_one) * f64::from(if one == two { of_two.saturating_sub(1) } else { of_two });
                coincidences[one * kinds + two] += pairs / others;
            }
        }
    }
    let marginals: Vec<f64> = coincidences.chunks(kinds.max(1)).map(|row| row.iter().sum()).collect();
    let total: f64 = marginals.iter().sum();
    let distances = distances(&values, &marginals, scale);
    let (mut observed, mut expected) = (0.0, 0.0);
    for one in 0..kinds {
        for two in 0..kinds {
            let distance = distances[one * kinds + two];
            observed += coincidences[one * kinds + two] * distance;
            expected += marginals[one] * marginals[two] * distance;
        }
    }
    let expected = expected / (total - 1.0);
    (expected > 0.0).then(|| 1.0 - observed / expected)
}

/// Squared distance of every two values.
fn distances(values: &[f64], marginals: &[f64], scale: Scale) -> Vec<f64> {
    // Values up to and including each.
    let cumulated: Vec<f64> = marginals
        .iter()
        .scan(0.0, |sum, count| {
            *sum += count;
            Some(*sum)
        })
        .collect();
    let distance = |one: usize, two: usize| match scale {
        Scale::Nominal => f64::from(one != two),
        Scale::Interval => values[one] - values[two],
        Scale::Ordinal => {
            let (low, high) = (one.min(two), one.max(two));
            let between = cumulated[high] - cumulated[low] + marginals[low];
            between - (marginals[low] + marginals[high]) / 2.0
        }
    };
    let every_two = (0..values.len()).flat_map(|one| (0..values.len()).map(move |two| (one, two)));
    every_two.map(|(one, two)| distance(one, two).powi(2)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_known_of_one_value_or_of_one_kind() {
        assert_eq!(krippendorff_alpha(&[], Scale::Nominal), None);
        assert_eq!(krippendorff_alpha(&[vec![1.0]], Scale::Interval), None);
        assert_eq!(
            krippendorff_alpha(&[vec![1.0, 1.0], vec![1.0, 1.0]], Scale::Ordinal),
            None
        );
        // Values that nobody else judged are no evidence of other kinds.
        assert_eq!(krippendorff_alpha(&[vec![1.0, 1.0], vec![2.0]], Scale::Nominal), None);
    }

    #[test]
    fn all_agree_or_always_differ() {
        let agree = vec![vec![1.0, 1.0, 1.0], vec![2.0, 2.0], vec![5.0, 5.0]];
        for scale in [Scale::Nominal, Scale::Ordinal, Scale::Interval] {
            assert_eq!(krippendorff_alpha(&agree, scale), Some(1.0));
        }
        let differ = vec![vec![1.0, 2.0]; 10];
        assert!(krippendorff_alpha(&differ, Scale::Nominal).is_some_and(|alpha| alpha < 0.0));
    }

    #[test]
    fn grades_that_are_near_disagree_less_than_categories() {
        let near = vec![
            vec![1.0, 2.0],
            vec![3.0, 3.0],
            vec![5.0, 4.0],
            vec![2.0, 2.0],
            vec![4.0, 4.0],
        ];
        let alpha = |scale| krippendorff_alpha(&near, scale).expect("there are several kinds");
        assert!(alpha(Scale::Interval) > alpha(Scale::Nominal));
        assert!(alpha(Scale::Ordinal) > alpha(Scale::Nominal));
    }
}
