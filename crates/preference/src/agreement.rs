//! How often people order two answers alike.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use rlhf_core::stats::{Interval, bootstrap_share};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::vote::{Opinions, Vote, pair_votes};

/// Agreement on pairs of answers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PairwiseAgreement {
    /// Share of pairs of answers that two people put in the same order, over every two people; pairs that either ties are left out.
    pub agreement: Interval,
    /// Share of pairs of answers and people that either of the two ties; absent without any.
    pub ties: Option<f64>,
}

/// One labeler beside the others.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LabelerAgreement {
    /// Votes of the labeler.
    pub votes: usize,
    /// Share of the pairs that the labeler orders as most of the others do, where these have a majority; ties of the labeler are left out.
    pub with_others: Interval,
}

/// Agreeing and all opinions of a prompt's pairs, and those left out as ties.
#[derive(Default)]
struct Count {
    same: usize,
    all: usize,
    ties: usize,
}

impl Count {
    fn add(&mut self, one: Ordering, two: Ordering) {
        if one.is_eq() || two.is_eq() {
            self.ties += 1;
        } else {
            self.all += 1;
            self.same += usize::from(one == two);
        }
    }
}

fn of_counts(counts: &[Count], seed: u64) -> PairwiseAgreement {
    let shares: Vec<(f64, usize)> = counts.iter().map(|count| (count.same as f64, count.all)).collect();
    let ties: usize = counts.iter().map(|count| count.ties).sum();
    let all: usize = ties + counts.iter().map(|count| count.all).sum::<usize>();
    PairwiseAgreement {
        agreement: bootstrap_share(&shares, seed),
        ties: (all > 0).then(|| ties as f64 / all as f64),
    }
}

/// Agreement of different people. A person's several votes on a pair count each.
pub fn agreement(votes: &[Vote], seed: u64) -> PairwiseAgreement {
    of_every_two(votes, seed, |one, two| one != two)
}

/// Agreement of people with themselves, of those who were asked for a pair more than once.
pub fn self_agreement(votes: &[Vote], seed: u64) -> PairwiseAgreement {
    of_every_two(votes, seed, |one, two| one == two)
}

fn of_every_two(votes: &[Vote], seed: u64, counts: impl Fn(usize, usize) -> bool) -> PairwiseAgreement {
    let of_prompt = |pairs: BTreeMap<(usize, usize), Opinions>| {
        let mut count = Count::default();
        for opinions in pairs.values() {
            for (place, one) in opinions.iter().enumerate() {
                for two in opinions[..place].iter().filter(|two| counts(one.0, two.0)) {
                    count.add(one.1, two.1);
                }
            }
        }
        count
    };
    let found: Vec<Count> = pair_votes(votes).into_values().map(of_prompt).collect();
    of_counts(&found, seed)
}

/// Every labeler beside the majority of all others: who sees things otherwise, or does not look.
pub fn leave_one_out(votes: &[Vote], seed: u64) -> BTreeMap<usize, LabelerAgreement> {
    let mut numbers: BTreeMap<usize, usize> = BTreeMap::new();
    for vote in votes {
        *numbers.entry(vote.labeler).or_default() += 1;
    }
    let by_prompt = pair_votes(votes);
    let of_labeler = |labeler: usize| -> Vec<(f64, usize)> {
        let of_prompt = |pairs: &BTreeMap<(usize, usize), Opinions>| {
            let mut count = Count::default();
            for opinions in pairs.values() {
                let majority = majority(
                    opinions
                        .iter()
                        .filter(|opinion| opinion.0 != labeler)
                        .map(|opinion| opinion.1),
                );
                let own = opinions.iter().filter(|opinion| opinion.0 == labeler);
                own.for_each(|opinion| count.add(opinion.1, majority));
            }
            (count.same as f64, count.all)
        };
        by_prompt.values().map(of_prompt).collect()
    };
    let one = |(&labeler, &votes): (&usize, &usize)| {
        let with_others = bootstrap_share(&of_labeler(labeler), seed);
        (labeler, LabelerAgreement { votes, with_others })
    };
    numbers.iter().map(one).collect()
}

/// What more say than say the opposite; `Equal` where as many do.
fn majority(orders: impl Iterator<Item = Ordering>) -> Ordering {
    orders.map(|order| order as i64).sum::<i64>().cmp(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(prompt: usize, labeler: usize, ranks: &[u32]) -> Vote {
        Vote::of_ranks(prompt, labeler, ranks)
    }

    #[test]
    fn pairs_that_either_ties_are_left_out_and_counted() {
        // Pairs (0, 1), (0, 2), (1, 2): the second differs in the first, and ties the second.
        let found = agreement(&[vote(0, 0, &[0, 1, 2]), vote(0, 1, &[1, 0, 1])], 1);
        assert_eq!((found.agreement.value, found.agreement.n), (0.5, 2));
        assert_eq!(found.ties, Some(1.0 / 3.0));
    }

    #[test]
    fn nobody_agrees_with_nobody() {
        let alone = [vote(0, 0, &[0, 1]), vote(1, 1, &[1, 0])];
        let found = agreement(&alone, 1);
        assert!(found.agreement.value.is_nan() && found.agreement.n == 0 && found.ties.is_none());
    }

    #[test]
    fn a_person_is_beside_others_or_beside_the_same_person_and_never_both() {
        let votes = [vote(0, 4, &[0, 1]), vote(0, 4, &[1, 0]), vote(0, 9, &[0, 1])];
        assert_eq!(agreement(&votes, 1).agreement.n, 2);
        assert_eq!(agreement(&votes, 1).agreement.value, 0.5);
        let with_self = self_agreement(&votes, 1).agreement;
        assert_eq!((with_self.value, with_self.n), (0.0, 1));
    }

    #[test]
    fn votes_on_other_answers_of_a_prompt_meet_where_they_overlap() {
        let of_two = |labeler, ranks: [(usize, u32); 2]| Vote {
            prompt: 0,
            labeler,
            ranks: ranks.to_vec(),
        };
        let votes = [
            of_two(0, [(0, 0), (1, 1)]),
            of_two(1, [(1, 1), (0, 0)]),
            of_two(2, [(1, 0), (2, 1)]),
        ];
        let found = agreement(&votes, 1).agreement;
        assert_eq!((found.value, found.n), (1.0, 1));
    }

    #[test]
    fn who_disagrees_with_the_others_is_found() {
        let mut votes = Vec::new();
        for prompt in 0..40 {
            votes.extend((0..3).map(|labeler| vote(prompt, labeler, &[0, 1, 2])));
            votes.push(vote(prompt, 3, &[2, 1, 0]));
        }
        let found = leave_one_out(&votes, 1);
        assert_eq!(found[&3].with_others.value, 0.0);
        assert_eq!((found[&0].with_others.value, found[&0].votes), (1.0, 40));
        // Two others who differ have no majority.
        let split = [vote(0, 0, &[0, 1]), vote(0, 1, &[1, 0]), vote(0, 2, &[0, 1])];
        assert_eq!(leave_one_out(&split, 1)[&0].with_others.n, 0);
        assert_eq!(leave_one_out(&split, 1)[&1].with_others.value, 0.0);
    }

    #[test]
    fn the_interval_is_of_prompts_and_not_of_pairs() {
        // Ten labelers who all say the same of a prompt are one observation.
        let votes = |prompts: usize, labelers: usize| -> Vec<Vote> {
            let each = |prompt: usize| {
                (0..labelers).map(move |labeler| {
                    let turned = prompt.is_multiple_of(4) && labeler % 2 == 0;
                    vote(prompt, labeler, if turned { &[1, 0] } else { &[0, 1] })
                })
            };
            (0..prompts).flat_map(each).collect()
        };
        let width = |interval: Interval| interval.high - interval.low;
        let [few, many] = [2, 10].map(|labelers| agreement(&votes(60, labelers), 1).agreement);
        assert!(many.n > 30 * few.n / 2, "{many:?} {few:?}");
        assert!(width(many) > 0.5 * width(few), "{many:?} {few:?}");
    }
}
