//! Agreement of labelers, from their rankings.

mod people;
mod votes;

use rlhf_core::stats::{Interval, bootstrap_share, order_agreement};
use rlhf_data::{Comparison, Prompt};
use rlhf_preference::agreement;
use rlhf_tasks::{GoldJudge, Verdict};
use serde::{Deserialize, Serialize};

pub use self::people::{LABELS_SCHEMA, LabelsSummary, merged};
pub use self::votes::Ballots;

use crate::error::Result;

/// Figures of labelers and their rankings.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LabelReport {
    /// Pairs of completions that a training labeler ordered, ties left out.
    pub pairs: usize,
    /// Share of pairs on which two training labelers agree.
    pub labeler_agreement: Option<Interval>,
    /// The same among all labelers, those held out included.
    pub all_agreement: Option<Interval>,
    /// Share of a labeler's pairs that the noise-free judge orders alike: what no reward model can exceed on average.
    pub gold_accuracy: Option<Interval>,
}

impl LabelReport {
    /// Rankings of people, of whom no judge knows better. They agree as far as several were asked about one pair.
    pub fn of_people(rankings: &[Comparison], seed: u64) -> Self {
        Self {
            pairs: pairs(rankings),
            labeler_agreement: Some(agreement_of(rankings, seed)).filter(|found| found.n > 0),
            all_agreement: None,
            gold_accuracy: None,
        }
    }

    /// Rankings of simulated labelers: those to train on, and those of all training labelers and of those held out on the
    /// same validation prompts.
    ///
    /// # Errors
    /// A row that cannot be judged.
    pub fn of_simulated(
        judge: &dyn GoldJudge,
        rankings: &[Comparison],
        training: &[Comparison],
        held_out: &[Comparison],
        seed: u64,
    ) -> Result<Self> {
        let everyone: Vec<Comparison> = training.iter().chain(held_out).cloned().collect();
        Ok(Self {
            pairs: pairs(rankings),
            labeler_agreement: Some(agreement_of(training, seed)),
            all_agreement: Some(agreement_of(&everyone, seed)),
            gold_accuracy: Some(gold_accuracy(judge, training, seed)?),
        })
    }
}

fn pairs(rankings: &[Comparison]) -> usize {
    rankings.iter().map(|row| row.pairs().len()).sum()
}

fn agreement_of(rankings: &[Comparison], seed: u64) -> Interval {
    agreement(&Ballots::new(rankings).votes, seed).agreement
}

/// Share of a labeler's pairs that the noise-free judge orders alike; a tie of the judge's counts half. The interval is that of a bootstrap
/// over prompts.
///
/// # Errors
/// A row that cannot be judged.
pub fn gold_accuracy(judge: &dyn GoldJudge, rankings: &[Comparison], seed: u64) -> Result<Interval> {
    let mut prompts: Vec<(f64, usize)> = Vec::new();
    let mut judged: (&str, Vec<Verdict>) = ("", Vec::new());
    for row in rankings {
        // The rankings of a prompt stand together.
        if judged.0 != row.id {
            let prompt = Prompt {
                id: row.id.clone(),
                messages: row.messages.clone(),
                task: row.task.clone(),
                origin: Default::default(),
            };
            judged = (row.id.as_str(), judge.assess_completions(&prompt, &row.completions)?);
            prompts.push((0.0, 0));
        }
        for (better, worse) in row.pairs() {
            if let Some((agreed, pairs)) = prompts.last_mut() {
                *agreed += order_agreement(judged.1[better].gold - judged.1[worse].gold);
                *pairs += 1;
            }
        }
    }
    Ok(bootstrap_share(&prompts, seed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rlhf_data::Message;

    /// Longer is better, up to four letters.
    #[derive(Debug)]
    struct Length;

    impl GoldJudge for Length {
        fn assess(&self, _: &Prompt, completion: &str) -> rlhf_tasks::Result<Verdict> {
            Ok(Verdict {
                gold: completion.len().min(4) as f64 / 4.0,
                ..Verdict::NOTHING
            })
        }
    }

    pub(super) fn ranking(id: &str, completions: &[&str], ranking: &[u32]) -> Comparison {
        Comparison {
            id: id.to_owned(),
            messages: vec![Message::user("how long?")],
            completions: completions.iter().map(|text| (*text).to_owned()).collect(),
            ranking: ranking.to_vec(),
            labeler: None,
            confidence: None,
            margin: None,
            task: None,
            source: None,
            origin: Default::default(),
        }
    }

    #[test]
    fn the_judge_agrees_wholly_half_or_not_at_all() {
        let rankings = [
            // a < aaaa as the judge says; aaaaa and aaaa are equal to the judge.
            ranking("1", &["a", "aaaa", "aaaaa"], &[2, 1, 0]),
            // The reverse of what the judge says, and of another prompt.
            ranking("2", &["a", "aa"], &[0, 1]),
            // No pair.
            ranking("3", &["a", "aa"], &[0, 0]),
        ];
        let found = gold_accuracy(&Length, &rankings, 1).unwrap();
        // 1 + 1 + 1/2 of three pairs, 0 of one.
        assert_eq!((found.value, found.n), (2.5 / 4.0, 4));
    }

    #[test]
    fn a_report_counts_pairs_of_all_and_agreement_of_each() {
        let train = [ranking("1", &["a", "aa", "aaa"], &[2, 1, 0])];
        let training = vec![ranking("2", &["a", "aa"], &[1, 0]), ranking("2", &["a", "aa"], &[1, 0])];
        let held_out = vec![ranking("2", &["a", "aa"], &[0, 1])];
        let report = LabelReport::of_simulated(&Length, &train, &training, &held_out, 1).unwrap();
        assert_eq!(report.pairs, 3);
        // Both training labelers alike; the third differs from each of them.
        assert_eq!(report.labeler_agreement.unwrap().value, 1.0);
        assert_eq!(report.all_agreement.unwrap().value, 1.0 / 3.0);
        assert_eq!(report.gold_accuracy.unwrap().value, 1.0);
        let people = LabelReport::of_people(&train, 1);
        assert!(people.pairs == 3 && people.gold_accuracy.is_none() && people.labeler_agreement.is_none());
        let several = LabelReport::of_people(&[training, held_out].concat(), 1);
        assert_eq!(several.labeler_agreement.map(|found| found.n), Some(3));
    }
}
