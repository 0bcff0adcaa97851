//! What log-probabilities of alternatives say, whatever order they stand in.

/// 1 if the first is likelier, one half if they are as likely as each other, else 0.
pub(crate) fn prefers(first: f64, second: f64) -> f64 {
    if first > second {
        1.0
    } else if first == second {
        0.5
    } else {
        0.0
    }
}

/// Probability of the first of two alternatives, if there are no others.
pub(crate) fn probability(first: f64, second: f64) -> f64 {
    1.0 / (1.0 + (second - first).exp())
}

/// Entropy of a choice between two alternatives, in bits: 1 where they are as likely as each other.
pub(crate) fn entropy_bits(first: f64, second: f64) -> f64 {
    let term = |p: f64| if p > 0.0 { -p * p.log2() } else { 0.0 };
    term(probability(first, second)) + term(probability(second, first))
}

/// Share of the probability of all that is that of the first `count`.
pub(crate) fn mass_of_first(logprobs: &[f64], count: usize) -> f64 {
    // Shifted by the largest: a long answer's probability is none that an f64 holds.
    let largest = most(logprobs);
    let mass = |part: &[f64]| part.iter().map(|logprob| (logprob - largest).exp()).sum::<f64>();
    mass(&logprobs[..count]) / mass(logprobs)
}

/// The largest; negative infinity of nothing.
pub(crate) fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// 1 if the value at `right` is the largest of all, its share where several are; else 0.
pub(crate) fn share_of_best(values: &[f64], right: usize) -> f64 {
    let largest = most(values);
    if values[right] < largest {
        return 0.0;
    }
    1.0 / values.iter().filter(|&&value| value == largest).count() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn alternatives_are_compared_as_a_hand_does() {
        assert_eq!(
            [prefers(-1.0, -2.0), prefers(-2.0, -2.0), prefers(-3.0, -2.0)],
            [1.0, 0.5, 0.0]
        );
        // Three times as likely: 3/4 against 1/4, whose entropy is 0.75 log2(4/3) + 0.25 · 2 bits.
        let (first, second) = (0.3_f64.ln(), 0.1_f64.ln());
        assert!((probability(first, second) - 0.75).abs() < 1e-12);
        assert!((entropy_bits(first, second) - (0.75 * (4.0_f64 / 3.0).log2() + 0.5)).abs() < 1e-12);
        assert_eq!(entropy_bits(-5.0, -5.0), 1.0);
        assert_eq!(entropy_bits(0.0, -5000.0), 0.0);
        assert_eq!(probability(-5000.0, 0.0), 0.0);
        // 0.2 + 0.1 of 0.2 + 0.1 + 0.3.
        let all = [0.2_f64, 0.1, 0.3].map(f64::ln);
        assert!((mass_of_first(&all, 2) - 0.5).abs() < 1e-12);
        // Far below the smallest f64, as long answers are: e to 1 against e to 0.
        let far = [-2000.0, -2001.0];
        assert!((mass_of_first(&far, 1) - 1.0 / (1.0 + (-1.0_f64).exp())).abs() < 1e-12);
        assert_eq!(share_of_best(&[-2.0, -1.0, -1.0], 1), 0.5);
        assert_eq!(share_of_best(&[-2.0, -1.0, -1.0], 0), 0.0);
        assert_eq!(share_of_best(&[-0.5, -1.0], 0), 1.0);
    }

    proptest! {
        #[test]
        fn the_order_of_alternatives_changes_nothing(
            values in prop::collection::vec(-9_i32..0, 2..7),
            right in 0_usize..7,
            turns in 0_usize..7,
        ) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let right = right % values.len();
            let mut turned = values.clone();
            turned.rotate_left(turns % values.len());
            let place = (right + values.len() - turns % values.len()) % values.len();
            prop_assert_eq!(share_of_best(&values, right), share_of_best(&turned, place));
            prop_assert_eq!(prefers(values[0], values[1]) + prefers(values[1], values[0]), 1.0);
            let entropies = entropy_bits(values[0], values[1]) - entropy_bits(values[1], values[0]);
            prop_assert!(entropies.abs() < 1e-12);
        }
    }
}
