//! What comparisons that people made say of the people.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use rlhf_core::stats::Interval;
use rlhf_data::Comparison;
use rlhf_preference::{
    Bias, LabelerAgreement, Opinions, PairwiseAgreement, Scale, agreement, krippendorff_alpha, leave_one_out,
    majorities, pair_votes, ranked_pairs, self_agreement,
};
use serde::{Deserialize, Serialize};

use super::votes::Ballots;

/// Schema of [`LabelsSummary`].
pub const LABELS_SCHEMA: &str = "rlhf-eval-labels/1";

/// `summary.json` of an evaluation of labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelsSummary {
    /// [`LABELS_SCHEMA`].
    pub schema: String,
    /// Names of the files.
    pub files: Vec<String>,
    /// Rows, each a person's order of some answers.
    pub rows: usize,
    /// Different prompts.
    pub prompts: usize,
    /// Different names of labelers.
    pub labelers: usize,
    /// Rows without one.
    pub unnamed: usize,
    /// Pairs of answers that somebody ordered or tied.
    pub pairs: usize,
    /// Those that more than one person was asked about.
    pub shared_pairs: usize,
    /// Agreement of different people.
    pub agreement: PairwiseAgreement,
    /// Krippendorff's alpha of worse, tied and better, nominal; absent where nobody shares a pair, or all say the same.
    pub alpha: Option<f64>,
    /// Agreement of people with themselves, of those asked twice.
    pub self_agreement: PairwiseAgreement,
    /// How often the longer of two answers is preferred, in characters.
    pub longer: Bias,
    /// How often the answer that stands first in its row is preferred; absent where rows put the better one first, so that it says nothing.
    pub first: Option<Bias>,
    /// Each named labeler beside the majority of the others.
    pub by_labeler: BTreeMap<String, LabelerAgreement>,
    /// Seed of the bootstrap.
    pub seed: u64,
    /// Versions of what made it.
    pub versions: BTreeMap<String, String>,
}

impl LabelsSummary {
    /// The figures of rows.
    pub fn new(rows: &[Comparison], ballots: &Ballots, files: Vec<String>, seed: u64) -> Self {
        let by_prompt = pair_votes(&ballots.votes);
        let opinions = || by_prompt.values().flat_map(BTreeMap::values);
        let several = |opinions: &&Opinions| opinions.iter().any(|one| one.0 != opinions[0].0);
        let units: Vec<Vec<f64>> = opinions()
            .map(|opinions| opinions.iter().map(|(_, order)| f64::from(*order as i8)).collect())
            .collect();
        let of_length = |vote: &rlhf_preference::Vote| -> Vec<([usize; 2], Ordering)> {
            let chars = |answer: usize| ballots.answers[vote.prompt][answer].chars().count();
            vote.pairs()
                .map(|((a, b), order)| ([chars(a), chars(b)], order))
                .collect()
        };
        let named = leave_one_out(&ballots.votes, seed)
            .into_iter()
            .map(|(labeler, found)| (ballots.labelers[labeler].clone(), found))
            .filter(|_| ballots.unnamed == 0);
        Self {
            schema: LABELS_SCHEMA.to_owned(),
            files,
            rows: rows.len(),
            prompts: ballots.prompts.len(),
            labelers: ballots.labelers.len() - ballots.unnamed,
            unnamed: ballots.unnamed,
            pairs: opinions().count(),
            shared_pairs: opinions().filter(several).count(),
            agreement: agreement(&ballots.votes, seed),
            alpha: krippendorff_alpha(&units, Scale::Nominal),
            self_agreement: self_agreement(&ballots.votes, seed),
            longer: Bias::of_lengths(ballots.votes.iter().flat_map(of_length)),
            first: first_shown(rows),
            by_labeler: named.collect(),
            seed,
            versions: BTreeMap::new(),
        }
    }

    /// The line for a model card.
    pub fn card_line(&self) -> String {
        format!(
            "{} rankings of {} prompts by {} people, who agree on {} of pairs",
            self.rows,
            self.prompts,
            self.labelers + self.unnamed,
            percent(&self.agreement.agreement)
        )
    }
}

/// How often the first answer of a row beats the second; nothing where it always does, as in files of the better and the worse.
fn first_shown(rows: &[Comparison]) -> Option<Bias> {
    let outcomes = || {
        rows.iter()
            .filter(|row| row.ranking.len() >= 2)
            .map(|row| row.ranking[1].cmp(&row.ranking[0]))
    };
    let is_told = outcomes().any(Ordering::is_lt);
    is_told.then(|| Bias::new(outcomes()))
}

/// One row for each prompt: its answers, ranked by ranked pairs over all who were asked. Prompts of which nothing is decided are left out.
pub fn merged(ballots: &Ballots) -> Vec<Comparison> {
    let mut by_prompt: Vec<Vec<&rlhf_preference::Vote>> = vec![Vec::new(); ballots.prompts.len()];
    for vote in &ballots.votes {
        by_prompt[vote.prompt].push(vote);
    }
    let row = |(prompt, votes): (usize, Vec<&rlhf_preference::Vote>)| {
        let answers = &ballots.answers[prompt];
        let ranking = ranked_pairs(&majorities(votes, answers.len()), answers.len());
        let decided = ranking.iter().any(|rank| *rank != ranking[0]);
        decided.then(|| Comparison {
            id: format!("merged-{:05}", prompt + 1),
            messages: ballots.prompts[prompt].clone(),
            completions: answers.clone(),
            ranking,
            labeler: None,
            confidence: None,
            margin: None,
            task: None,
            source: None,
            origin: Default::default(),
        })
    };
    by_prompt.into_iter().enumerate().filter_map(row).collect()
}

fn percent(share: &Interval) -> String {
    if share.n == 0 {
        return "nothing to compare".to_owned();
    }
    let [value, low, high] = [share.value, share.low, share.high].map(|share| 100.0 * share);
    format!("{value:.1} % ({low:.1} to {high:.1})")
}

impl Display for LabelsSummary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} rankings of {} prompts by {} labelers{}; {} pairs of answers, {} of them judged by several",
            self.rows,
            self.prompts,
            self.labelers,
            match self.unnamed {
                0 => String::new(),
                unnamed => format!(" and {unnamed} rows without a name"),
            },
            self.pairs,
            self.shared_pairs
        )?;
        let agreements = [
            ("two people agree on", &self.agreement),
            ("one person asked twice agrees on", &self.self_agreement),
        ];
        for (what, found) in agreements.into_iter().filter(|(_, found)| found.ties.is_some()) {
            let ties = 100.0 * found.ties.unwrap_or(0.0);
            let Interval { n, .. } = found.agreement;
            writeln!(
                f,
                "{what} {} of {n} opinions, {ties:.1} % more are ties",
                percent(&found.agreement)
            )?;
        }
        if let Some(alpha) = self.alpha {
            writeln!(f, "Krippendorff's alpha, nominal: {alpha:.3}")?;
        }
        let biases = [
            ("the longer answer", Some(&self.longer)),
            ("the first of a row", self.first.as_ref()),
        ];
        for (what, bias) in biases {
            if let Some(bias) = bias.filter(|bias| bias.preferred.n > 0) {
                writeln!(
                    f,
                    "{what} is preferred in {} of {}",
                    percent(&bias.preferred),
                    bias.preferred.n
                )?;
            }
        }
        if self.by_labeler.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\n| labeler | rows | with most of the others | pairs |\n| --- | ---: | ---: | ---: |"
        )?;
        for (name, found) in &self.by_labeler {
            let LabelerAgreement { votes, with_others } = found;
            writeln!(f, "| {name} | {votes} | {} | {} |", percent(with_others), with_others.n)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::ranking;
    use super::*;

    fn by(name: &str, id: &str, completions: &[&str], ranks: &[u32]) -> Comparison {
        Comparison {
            labeler: Some(name.to_owned()),
            ..ranking(id, completions, ranks)
        }
    }

    #[test]
    fn people_are_counted_compared_and_merged() {
        let rows = [
            by("Ann", "1", &["a", "bb", "ccc"], &[2, 1, 0]),
            by("Bob", "1", &["bb", "a", "ccc"], &[1, 2, 0]),
            by("Cid", "1", &["ccc", "a"], &[1, 0]),
        ];
        let ballots = Ballots::new(&rows);
        let found = LabelsSummary::new(&rows, &ballots, vec!["f".to_owned()], 1);
        assert_eq!(
            (
                found.rows,
                found.prompts,
                found.labelers,
                found.pairs,
                found.shared_pairs
            ),
            (3, 1, 3, 3, 3)
        );
        // Ann and Bob agree on three pairs; Cid differs from both on one.
        assert_eq!(
            (found.agreement.agreement.value, found.agreement.agreement.n),
            (3.0 / 5.0, 5)
        );
        assert_eq!(found.by_labeler["Cid"].with_others.value, 0.0);
        assert_eq!((found.longer.preferred.value, found.longer.preferred.n), (6.0 / 7.0, 7));
        assert!(found.first.is_some(), "Ann puts the worst first");
        let merged = merged(&ballots);
        assert_eq!(
            (merged[0].completions.clone(), merged[0].ranking.clone()),
            (vec!["a".into(), "bb".into(), "ccc".into()], vec![2, 1, 0])
        );
        let text = found.to_string();
        assert!(
            text.contains("two people agree on 60.0 %") && text.contains("| Cid | 1 | 0.0 %"),
            "{text}"
        );
        let json = serde_json::to_string(&found).expect("it is written");
        assert_eq!(
            serde_json::from_str::<LabelsSummary>(&json)
                .expect("it is read")
                .labelers,
            3
        );
    }

    #[test]
    fn a_file_of_better_and_worse_says_nothing_of_what_came_first() {
        let rows = [ranking("1", &["a", "bb"], &[0, 1]), ranking("2", &["dd", "c"], &[0, 1])];
        let ballots = Ballots::new(&rows);
        let found = LabelsSummary::new(&rows, &ballots, Vec::new(), 1);
        assert!(found.first.is_none() && found.by_labeler.is_empty() && found.alpha.is_none());
        assert!(found.agreement.agreement.value.is_nan());
        assert!(!found.to_string().contains("agree"), "{found}");
        let json = serde_json::to_string(&found).expect("it is written");
        assert!(serde_json::from_str::<LabelsSummary>(&json).is_ok(), "{json}");
    }

    #[test]
    fn a_prompt_of_which_nothing_is_decided_is_left_out() {
        let rows = [
            by("Ann", "1", &["a", "b"], &[0, 1]),
            by("Bob", "1", &["a", "b"], &[1, 0]),
        ];
        assert!(merged(&Ballots::new(&rows)).is_empty());
    }
}
