//! What is preferred for its place or its length.

use std::cmp::Ordering;

use rlhf_core::stats::{Interval, wilson};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How often one of two answers is preferred that should have no advantage: the one shown first, or the longer one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bias {
    /// The share, with Wilson's interval; ties are left out.
    pub preferred: Interval,
    /// Pairs that were tied.
    pub ties: usize,
}

impl Bias {
    /// Of pairs in which the answer in question did so: `Greater` if it was preferred.
    pub fn new(outcomes: impl IntoIterator<Item = Ordering>) -> Self {
        let (mut preferred, mut all, mut ties) = (0, 0, 0);
        for outcome in outcomes {
            match outcome {
                Ordering::Equal => ties += 1,
                order => {
                    all += 1;
                    preferred += usize::from(order.is_gt());
                }
            }
        }
        Self {
            preferred: wilson(preferred as f64, all),
            ties,
        }
    }

    /// Of pairs of lengths of which the first was preferred, less or not: how often the longer was. Pairs of one length are nobody's.
    pub fn of_lengths(pairs: impl IntoIterator<Item = ([usize; 2], Ordering)>) -> Self {
        let of_longer = |([first, second], order): ([usize; 2], Ordering)| match first.cmp(&second) {
            Ordering::Equal => None,
            Ordering::Greater => Some(order),
            Ordering::Less => Some(order.reverse()),
        };
        Self::new(pairs.into_iter().filter_map(of_longer))
    }

    /// True if the interval leaves an even chance out.
    pub fn is_plain(&self) -> bool {
        self.preferred.n > 0 && !(self.preferred.low..=self.preferred.high).contains(&0.5)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_neither() {
        let outcomes = [Ordering::Greater, Ordering::Equal, Ordering::Less, Ordering::Greater];
        let found = Bias::new(outcomes);
        assert_eq!((found.preferred.n, found.ties), (3, 1));
        assert!((found.preferred.value - 2.0 / 3.0).abs() < 1e-12 && !found.is_plain());
        assert!(Bias::new(vec![Ordering::Greater; 30]).is_plain());
        assert!(!Bias::new([]).is_plain());
    }

    #[test]
    fn the_longer_may_be_either() {
        let found = Bias::of_lengths([
            ([9, 3], Ordering::Greater),
            ([3, 9], Ordering::Less),
            ([3, 9], Ordering::Greater),
            ([3, 3], Ordering::Greater),
            ([3, 9], Ordering::Equal),
        ]);
        assert_eq!((found.preferred.n, found.ties), (3, 1));
        assert!((found.preferred.value - 2.0 / 3.0).abs() < 1e-12);
    }
}
