//! Verdicts on pairs to a ranking.

use rlhf_tasks::Ranking;

use crate::judge_prompt::Better;

/// Every pair of `completions` completions.
pub(super) fn pairs(completions: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..completions).flat_map(move |i| (i + 1..completions).map(move |j| (i, j)))
}

/// Ranks by wins, ties counting half (Copeland's score): equal scores are ties. `verdicts` gives what was said of a pair, once for each
/// time it was asked about, with [`Better::A`] for the former; nothing said of it is a tie and has no part in the confidence.
pub(super) fn ranking(completions: usize, verdicts: impl Fn(usize, usize) -> Vec<Option<Better>>) -> Ranking {
    // Doubled, so that half a win is a whole number.
    let mut points = vec![0u32; completions];
    let (mut asked, mut agreed) = (0u32, 0u32);
    for (i, j) in pairs(completions) {
        let said = verdicts(i, j);
        let first = said.first().copied().flatten();
        let is_agreed = first.is_some() && said.iter().all(|other| *other == first);
        asked += u32::from(!said.is_empty());
        agreed += u32::from(is_agreed);
        match first.filter(|_| is_agreed) {
            Some(Better::A) => points[i] += 2,
            Some(Better::B) => points[j] += 2,
            Some(Better::Tie) | None => {
                points[i] += 1;
                points[j] += 1;
            }
        }
    }
    let mut levels = points.clone();
    levels.sort_unstable_by(|a, b| b.cmp(a));
    levels.dedup();
    let rank = |own: &u32| levels.iter().take_while(|level| *level > own).count() as u32;
    Ranking {
        ranks: points.iter().map(rank).collect(),
        confidence: if asked == 0 {
            1.0
        } else {
            f64::from(agreed) / f64::from(asked)
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_win_for_a_tie_and_equal_scores_for_the_same_rank() {
        use Better::{A, B, Tie};
        // 0 beats 1 and 2; 1 and 2 tie; 3 loses to 0 and 1, and its verdicts on 2 disagree.
        // Scores: 3, 1/2 + 1, 1/2 + 1/2, 1/2: ranks 0, 1, 2, 3. Of six pairs five agree.
        let verdicts = |i, j| match (i, j) {
            (0, _) => vec![Some(A), Some(A)],
            (1, 2) => vec![Some(Tie), Some(Tie)],
            (1, 3) => vec![Some(A), Some(A)],
            _ => vec![Some(A), Some(B)],
        };
        let found = ranking(4, verdicts);
        assert_eq!(found.ranks, [0, 1, 2, 3]);
        assert_eq!(found.confidence, 5.0 / 6.0);
        // A circle: everybody wins once.
        let found = ranking(3, |i, j| vec![Some(if (i, j) == (0, 2) { B } else { A })]);
        assert_eq!((found.ranks, found.confidence), (vec![0, 0, 0], 1.0));
    }

    #[test]
    fn pairs_without_a_verdict_are_ties_in_which_nothing_agrees() {
        let found = ranking(2, |_, _| vec![None, None]);
        assert_eq!((found.ranks, found.confidence), (vec![0, 0], 0.0));
        let found = ranking(2, |_, _| Vec::new());
        assert_eq!((found.ranks, found.confidence), (vec![0, 0], 1.0));
    }
}
