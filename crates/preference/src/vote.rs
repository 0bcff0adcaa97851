//! Votes, and the pairs that they order.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A person's order of some of a prompt's answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// The prompt, as a number.
    pub prompt: usize,
    /// The person, as a number.
    pub labeler: usize,
    /// Answers, by their number among those of the prompt, and their ranks: 0 is the best, equal ranks are ties.
    pub ranks: Vec<(usize, u32)>,
}

impl Vote {
    /// A vote on all answers of a prompt: `ranks[i]` is the rank of answer i.
    pub fn of_ranks(prompt: usize, labeler: usize, ranks: &[u32]) -> Self {
        Self {
            prompt,
            labeler,
            ranks: ranks.iter().copied().enumerate().collect(),
        }
    }

    /// Every two different answers of the vote once, the one with the lower number first, and how the first does: `Greater` if it is better.
    pub fn pairs(&self) -> impl Iterator<Item = ((usize, usize), Ordering)> {
        let every_two = self.ranks.iter().enumerate().flat_map(|(place, first)| {
            let later = &self.ranks[place + 1..];
            later.iter().map(move |second| (first, second))
        });
        every_two
            .filter(|(first, second)| first.0 != second.0)
            .map(|(first, second)| {
                let (low, high) = if first.0 < second.0 {
                    (first, second)
                } else {
                    (second, first)
                };
                // A lower rank is a better one.
                ((low.0, high.0), high.1.cmp(&low.1))
            })
    }
}

/// The labeler of each opinion of a pair, and how the answer with the lower number does.
pub type Opinions = Vec<(usize, Ordering)>;

/// Everybody's opinions of every pair of answers, prompt by prompt in order of their numbers.
pub fn pair_votes(votes: &[Vote]) -> BTreeMap<usize, BTreeMap<(usize, usize), Opinions>> {
    let mut found: BTreeMap<usize, BTreeMap<(usize, usize), Opinions>> = BTreeMap::new();
    for vote in votes {
        let of_prompt = found.entry(vote.prompt).or_default();
        for (pair, order) in vote.pairs() {
            of_prompt.entry(pair).or_default().push((vote.labeler, order));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_the_lower_number_first_whatever_the_order_of_the_vote() {
        let vote = Vote {
            prompt: 3,
            labeler: 7,
            ranks: vec![(5, 0), (1, 2), (4, 2)],
        };
        let pairs: Vec<_> = vote.pairs().collect();
        assert_eq!(
            pairs,
            [
                ((1, 5), Ordering::Less),
                ((4, 5), Ordering::Less),
                ((1, 4), Ordering::Equal)
            ]
        );
        let of_prompt = &pair_votes(&[vote.clone(), vote])[&3];
        assert_eq!(of_prompt[&(1, 4)], [(7, Ordering::Equal); 2]);
    }

    #[test]
    fn an_answer_named_twice_is_no_pair() {
        let vote = Vote {
            prompt: 0,
            labeler: 0,
            ranks: vec![(1, 0), (1, 1)],
        };
        assert_eq!(vote.pairs().count(), 0);
    }
}
