//! Agreement between labelers.

use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::seed::stream;

/// The ranks that several labelers gave to the completions of one prompt, labeler by labeler.
pub type Ballot = Vec<Vec<u32>>;

/// A share with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Agreement {
    /// Share of pairs of completions that two labelers put in the same order; NaN without any.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Pairs compared, over pairs of labelers; those that either calls a tie are left out.
    pub n: u64,
}

/// Agreeing and all pairs of one prompt.
fn count(ballot: &Ballot) -> (u64, u64) {
    let (mut same, mut all) = (0, 0);
    for (i, first) in ballot.iter().enumerate() {
        for second in &ballot[..i] {
            for a in 0..first.len().min(second.len()) {
                for b in 0..a {
                    let (one, two) = (first[a].cmp(&first[b]), second[a].cmp(&second[b]));
                    if one.is_ne() && two.is_ne() {
                        all += 1;
                        same += u64::from(one == two);
                    }
                }
            }
        }
    }
    (same, all)
}

/// Pairwise agreement between labelers, with an interval from 1000 bootstrap samples of prompts (fewer than two prompts
/// give an interval of no width).
pub fn agreement(rankings: &[Ballot], seed: u64) -> Agreement {
    let counts: Vec<(u64, u64)> = rankings.iter().map(count).filter(|c| c.1 > 0).collect();
    let share = |(same, all): (u64, u64)| same as f64 / all as f64;
    let add = |(a, b): (u64, u64), (c, d): (u64, u64)| (a + c, b + d);
    let total = counts.iter().copied().fold((0, 0), add);
    let value = share(total);
    if counts.len() < 2 {
        return Agreement {
            value,
            low: value,
            high: value,
            n: total.1,
        };
    }
    const DRAWS: usize = 1000;
    let mut rng = stream(seed, "agreement", 0);
    let mut shares: Vec<f64> = (0..DRAWS)
        .map(|_| {
            let drawn = (0..counts.len()).map(|_| counts[rng.random_range(0..counts.len())]);
            share(drawn.fold((0, 0), add))
        })
        .collect();
    shares.sort_by(f64::total_cmp);
    Agreement {
        value,
        low: shares[DRAWS / 40],
        high: shares[DRAWS - 1 - DRAWS / 40],
        n: total.1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_counts_pairs_without_ties() {
        // Pairs (b, a), (c, a), (c, b). First labeler: a < b < c; second: b < a, c tied with a.
        // (b, a) differs, (c, a) is a tie for the second, (c, b) is the same: 1 of 2.
        let ballot = vec![vec![0, 1, 2], vec![1, 0, 1]];
        let result = agreement(&[ballot.clone(), ballot], 1);
        assert_eq!((result.value, result.n), (0.5, 4));
        assert_eq!((result.low, result.high), (0.5, 0.5));
    }

    #[test]
    fn a_labeler_agrees_with_itself() {
        let ballots: Vec<Ballot> = (0..20).map(|i| vec![vec![i, 3, 5, 1]; 2]).collect();
        assert_eq!(agreement(&ballots, 1).value, 1.0);
    }

    #[test]
    fn the_interval_holds_the_value_and_is_reproducible() {
        let ballots: Vec<Ballot> = (0..50)
            .map(|i| vec![vec![0, 1, 2], if i % 3 == 0 { vec![2, 1, 0] } else { vec![0, 1, 2] }])
            .collect();
        let result = agreement(&ballots, 4);
        assert!(result.low < result.value && result.value < result.high, "{result:?}");
        assert_eq!(result, agreement(&ballots, 4));
    }
}
