//! Agreement between labelers.

/// The ranks that several labelers gave to the completions of one prompt, labeler by labeler.
pub type Ballot = Vec<Vec<u32>>;

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

/// Share of pairs of completions that two labelers put in the same order, over every two labelers; pairs that either calls a tie are left out. NaN
/// without any.
pub fn agreement(rankings: &[Ballot]) -> f64 {
    let add = |(a, b): (u64, u64), (c, d): (u64, u64)| (a + c, b + d);
    let (same, all) = rankings.iter().map(count).fold((0, 0), add);
    same as f64 / all as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_counts_pairs_without_ties() {
        // Pairs (b, a), (c, a), (c, b). First labeler: a < b < c; second: b < a, c tied with a.
        // (b, a) differs, (c, a) is a tie for the second, (c, b) is the same: 1 of 2.
        let ballot = vec![vec![0, 1, 2], vec![1, 0, 1]];
        assert_eq!(agreement(&[ballot.clone(), ballot]), 0.5);
        assert!(agreement(&[]).is_nan());
    }

    #[test]
    fn a_labeler_agrees_with_itself() {
        let ballots: Vec<Ballot> = (0..20).map(|i| vec![vec![i, 3, 5, 1]; 2]).collect();
        assert_eq!(agreement(&ballots), 1.0);
    }
}
