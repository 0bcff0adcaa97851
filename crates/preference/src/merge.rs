//! One ranking of several people's: ranked pairs.

use crate::vote::Vote;

/// How many more people prefer answer a to answer b than the other way, row by row; 0 where nobody was asked.
pub fn majorities<'a>(votes: impl IntoIterator<Item = &'a Vote>, answers: usize) -> Vec<i64> {
    let mut margins = vec![0; answers * answers];
    for vote in votes {
        for ((low, high), order) in vote.pairs().filter(|((_, high), _)| *high < answers) {
            margins[low * answers + high] += order as i64;
            margins[high * answers + low] -= order as i64;
        }
    }
    margins
}

/// The ranks of answers by ranked pairs (Tideman 1987, "Independence of Clones"): majorities are locked in from the largest on, and one that would close a
/// circle with larger ones is not. Majorities of one size are looked at together, so that no order of the answers decides between them: those of them
/// that lie on a circle of theirs and larger ones are all left out. 0 is the best; answers between which nothing is locked in, directly or through others,
/// may share a rank, and ranks have no gaps.
///
/// An answer that most prefer to each other one comes first (Condorcet), and who is preferred by everybody is ranked before.
///
/// # Panics
/// If `margins` are not those of `answers` answers.
pub fn ranked_pairs(margins: &[i64], answers: usize) -> Vec<u32> {
    assert_eq!(margins.len(), answers * answers, "a margin of every two answers");
    let mut beats: Vec<(i64, usize, usize)> = (0..answers * answers)
        .filter(|&place| margins[place] > 0)
        .map(|place| (margins[place], place / answers, place % answers))
        .collect();
    beats.sort_by(|a, b| b.cmp(a));
    // reach[a][b]: a is locked in before b, directly or through others.
    let mut reach = vec![false; answers * answers];
    for group in beats.chunk_by(|a, b| a.0 == b.0) {
        // What larger majorities have decided otherwise is not looked at again.
        let open: Vec<(usize, usize)> = group
            .iter()
            .map(|&(_, a, b)| (a, b))
            .filter(|&(a, b)| !reach[b * answers + a])
            .collect();
        let mut together = reach.clone();
        open.iter().for_each(|&(a, b)| lock(&mut together, answers, a, b));
        for &(a, b) in open.iter().filter(|&&(a, b)| !together[b * answers + a]) {
            lock(&mut reach, answers, a, b);
        }
    }
    layers(&reach, answers)
}

/// Adds a before b, and all that follows from it.
fn lock(reach: &mut [bool], answers: usize, a: usize, b: usize) {
    if reach[a * answers + b] {
        return;
    }
    let before: Vec<usize> = (0..answers).filter(|&x| x == a || reach[x * answers + a]).collect();
    let after: Vec<usize> = (0..answers).filter(|&y| y == b || reach[b * answers + y]).collect();
    for &x in &before {
        for &y in &after {
            reach[x * answers + y] = true;
        }
    }
}

/// The rank of each: those that nobody is before, then those that only these are before, and so on.
fn layers(reach: &[bool], answers: usize) -> Vec<u32> {
    let mut ranks = vec![None; answers];
    for rank in 0.. {
        let open: Vec<usize> = (0..answers).filter(|&x| ranks[x].is_none()).collect();
        if open.is_empty() {
            break;
        }
        for &x in &open {
            if !open.iter().any(|&y| reach[y * answers + x]) {
                ranks[x] = Some(rank);
            }
        }
    }
    ranks.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn merged(ballots: &[(usize, &[u32])]) -> Vec<u32> {
        let answers = ballots[0].1.len();
        let votes: Vec<Vote> = ballots
            .iter()
            .flat_map(|&(times, ranks)| std::iter::repeat_n(Vote::of_ranks(0, 0, ranks), times))
            .collect();
        ranked_pairs(&majorities(&votes, answers), answers)
    }

    #[test]
    fn the_smallest_majority_of_a_circle_gives_way() {
        // a over b by 5, b over c by 3, c over a by 1: the last would close the circle.
        assert_eq!(merged(&[(4, &[0, 1, 2]), (3, &[2, 0, 1]), (2, &[1, 2, 0])]), [0, 1, 2]);
    }

    #[test]
    fn a_circle_of_equal_majorities_is_a_tie() {
        assert_eq!(merged(&[(1, &[0, 1, 2]), (1, &[2, 0, 1]), (1, &[1, 2, 0])]), [0, 0, 0]);
    }

    #[test]
    fn one_ballot_comes_back_with_its_ties() {
        assert_eq!(merged(&[(1, &[1, 0, 1, 2])]), [1, 0, 1, 2]);
        assert_eq!(merged(&[(3, &[0, 0])]), [0, 0]);
        // Ranks have no gaps, whatever those of the ballot.
        assert_eq!(merged(&[(1, &[7, 3, 9])]), [1, 0, 2]);
    }

    #[test]
    fn the_capital_of_tennessee_is_nashville() {
        // Memphis, Nashville, Chattanooga, Knoxville: the textbook's election.
        let found = merged(&[
            (42, &[0, 1, 2, 3]),
            (26, &[3, 0, 1, 2]),
            (15, &[3, 2, 0, 1]),
            (17, &[3, 2, 1, 0]),
        ]);
        assert_eq!(found, [3, 0, 1, 2]);
    }

    proptest! {
        #[test]
        fn neither_the_order_of_answers_nor_of_votes_decides(
            ballots in prop::collection::vec(prop::collection::vec(0_u32..4, 4), 1..8), shift in 0_usize..4,
        ) {
            let merge = |ballots: &[Vec<u32>]| {
                let votes: Vec<Vote> = ballots.iter().map(|ranks| Vote::of_ranks(0, 0, ranks)).collect();
                ranked_pairs(&majorities(&votes, 4), 4)
            };
            let turned: Vec<Vec<u32>> = ballots
                .iter()
                .rev()
                .map(|ranks| (0..4).map(|i| ranks[(i + shift) % 4]).collect())
                .collect();
            let (plain, turned) = (merge(&ballots), merge(&turned));
            for i in 0..4 {
                prop_assert_eq!(turned[i], plain[(i + shift) % 4]);
            }
            let most = plain.iter().max().copied().unwrap_or(0);
            prop_assert!((0..=most).all(|rank| plain.contains(&rank)), "no gaps: {:?}", plain);
        }

        #[test]
        fn who_beats_everybody_is_first_and_who_all_prefer_is_before(
            ballots in prop::collection::vec(prop::collection::vec(0_u32..5, 5), 1..8),
        ) {
            let votes: Vec<Vote> = ballots.iter().map(|ranks| Vote::of_ranks(0, 0, ranks)).collect();
            let margins = majorities(&votes, 5);
            let ranks = ranked_pairs(&margins, 5);
            for a in 0..5 {
                if (0..5).all(|b| b == a || margins[a * 5 + b] > 0) {
                    prop_assert!((0..5).all(|b| b == a || ranks[a] < ranks[b]));
                }
                for b in (0..5).filter(|&b| b != a) {
                    if ballots.iter().all(|ballot| ballot[a] < ballot[b]) {
                        prop_assert!(ranks[a] < ranks[b], "{a} {b} {ranks:?}");
                    }
                }
            }
        }
    }
}
