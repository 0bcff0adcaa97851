//! ROUGE.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use crate::text::{Stemming, Text};

/// A variant of ROUGE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rouge {
    /// Runs of so many words in common: ROUGE-1, ROUGE-2.
    N(usize),
    /// The longest common subsequence of words: ROUGE-L.
    L,
    /// For each line of the reference, the union of its longest common subsequences with the lines of the summary: ROUGE-L of
    /// whole summaries, `rougeLsum`.
    LSum,
}

/// What a summary has in common with a reference, as shares from 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Score {
    /// Of the summary.
    pub precision: f64,
    /// Of the reference.
    pub recall: f64,
    /// Harmonic mean of both, 0 where both are.
    pub f1: f64,
}

impl Score {
    /// So many in common, of so many. Nothing is 0 of it.
    fn new(common: usize, of_summary: usize, of_reference: usize) -> Self {
        let share = |of: usize| common as f64 / of.max(1) as f64;
        let (precision, recall) = (share(of_summary), share(of_reference));
        let f1 = match precision + recall {
            sum if sum > 0.0 => 2.0 * precision * recall / sum,
            _ => 0.0,
        };
        Self { precision, recall, f1 }
    }
}

impl Rouge {
    /// The variants that evaluations of summaries report.
    pub const REPORTED: [Self; 4] = [Self::N(1), Self::N(2), Self::L, Self::LSum];

    /// The name that `rouge-score` has for it.
    pub fn name(self) -> String {
        match self {
            Self::N(n) => format!("rouge{n}"),
            Self::L => "rougeL".to_owned(),
            Self::LSum => "rougeLsum".to_owned(),
        }
    }

    /// A summary beside a reference.
    pub fn score(self, reference: &Text, summary: &Text) -> Score {
        let (theirs, ours) = (&reference.words, &summary.words);
        match self {
            Self::N(n) => {
                let (theirs, ours) = (counts(theirs.windows(n.max(1))), counts(ours.windows(n.max(1))));
                let common = |(run, count): (&&[String], &usize)| *count.min(theirs.get(run).unwrap_or(&0));
                let size = |runs: &HashMap<&[String], usize>| runs.values().sum();
                Score::new(ours.iter().map(common).sum(), size(&ours), size(&theirs))
            }
            Self::L => {
                let common = subsequences(theirs, ours)[theirs.len()][ours.len()];
                Score::new(common, ours.len(), theirs.len())
            }
            Self::LSum => {
                let size = |sentences: &[Vec<String>]| sentences.iter().map(Vec::len).sum();
                let (theirs, ours) = (&reference.sentences, &summary.sentences);
                Score::new(union_hits(theirs, ours), size(ours), size(theirs))
            }
        }
    }

    /// A summary beside several references: the score beside that of the highest F1, the first among equals.
    pub fn best(self, references: &[Text], summary: &Text) -> Option<Score> {
        let scores = references.iter().map(|reference| self.score(reference, summary));
        scores.reduce(|best, score| if score.f1 > best.f1 { score } else { best })
    }

    /// F1 of an answer beside a reference without stemming; 0 where either has no words, or too few.
    ///
    /// ```
    /// use rlhf_rouge::Rouge;
    ///
    /// let found = Rouge::N(1).f1("The cat sat.", "the cat slept on the mat");
    /// // Two words in common, of three and of six.
    /// assert!((found - 2.0 * 2.0 / (3.0 + 6.0)).abs() < 1e-12);
    /// ```
    pub fn f1(self, answer: &str, reference: &str) -> f64 {
        let text = |text| Text::new(text, Stemming::None);
        self.score(&text(reference), &text(answer)).f1
    }
}

fn counts<T: Hash + Eq>(items: impl Iterator<Item = T>) -> HashMap<T, usize> {
    let mut counts = HashMap::new();
    for item in items {
        *counts.entry(item).or_insert(0) += 1;
    }
    counts
}

/// The length of the longest common subsequence of the first i words of one and the first j of the other.
fn subsequences(reference: &[String], summary: &[String]) -> Vec<Vec<usize>> {
    let mut table = vec![vec![0; summary.len() + 1]; reference.len() + 1];
    for (i, word) in reference.iter().enumerate() {
        for (j, other) in summary.iter().enumerate() {
            table[i + 1][j + 1] = if word == other {
                table[i][j] + 1
            } else {
                table[i][j + 1].max(table[i + 1][j])
            };
        }
    }
    table
}

/// Places in the reference of a longest common subsequence. Of several that are as long, the one that `rouge-score` finds: from the end, words of the summary
/// are passed over only where it shortens nothing to keep those of the reference.
fn places(reference: &[String], summary: &[String]) -> Vec<usize> {
    let table = subsequences(reference, summary);
    let (mut i, mut j) = (reference.len(), summary.len());
    let mut places = Vec::new();
    while i > 0 && j > 0 {
        if reference[i - 1] == summary[j - 1] {
            places.push(i - 1);
            (i, j) = (i - 1, j - 1);
        } else if table[i][j - 1] > table[i - 1][j] {
            j -= 1;
        } else {
            i -= 1;
        }
    }
    places
}

/// Words of the reference in the unions, each counted no more often than it is in either text.
fn union_hits(reference: &[Vec<String>], summary: &[Vec<String>]) -> usize {
    let mut left = counts(reference.iter().flatten());
    let mut left_in_summary = counts(summary.iter().flatten());
    let mut hits = 0;
    for sentence in reference {
        let union: BTreeSet<usize> = summary.iter().flat_map(|other| places(sentence, other)).collect();
        for place in union {
            let word = &sentence[place];
            if let (Some(ours @ 1..), Some(theirs @ 1..)) = (left_in_summary.get_mut(word), left.get_mut(word)) {
                (*ours, *theirs) = (*ours - 1, *theirs - 1);
                hits += 1;
            }
        }
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} beside {expected}");
    }

    /// The example of Lin 2004, section 3.1.
    #[test]
    fn order_counts_in_the_longest_subsequence() {
        let reference = "police killed the gunman";
        close(Rouge::L.f1("police kill the gunman", reference), 0.75);
        close(Rouge::L.f1("the gunman kill police", reference), 0.5);
        // Both have "the gunman" and no other pair.
        close(Rouge::N(2).f1("police kill the gunman", reference), 1.0 / 3.0);
        close(Rouge::N(2).f1("the gunman kill police", reference), 1.0 / 3.0);
    }

    #[test]
    fn a_word_counts_as_often_as_it_is_in_both() {
        close(Rouge::N(1).f1("the the the the", "The cat, the mat!"), 0.5);
        for rouge in [Rouge::N(1), Rouge::N(2), Rouge::L, Rouge::LSum] {
            close(rouge.f1("Same words, same order", "same words same order"), 1.0);
            close(rouge.f1("", "something"), 0.0);
            close(rouge.f1("...", "!"), 0.0);
        }
        close(Rouge::N(2).f1("one", "one"), 0.0);
    }

    /// The example of Lin 2004, section 3.2: w1 w2 and w1 w3 w5 of one sentence w1 w2 w3 w4 w5.
    #[test]
    fn whole_summaries_are_compared_by_the_union_of_their_sentences() {
        let text = |text| Text::new(text, Stemming::None);
        let found = Rouge::LSum.score(&text("w1 w2 w3 w4 w5"), &text("w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5"));
        close(found.recall, 0.8);
        // w1 is in both sentences of the summary, and once in the reference: four hits of ten words.
        close(found.precision, 0.4);
        // A line break is no word for the others.
        assert_eq!(Rouge::L.score(&text("a b"), &text("a\nb")).f1, 1.0);
        close(Rouge::LSum.score(&text("b a"), &text("a\nb")).f1, 1.0);
    }

    #[test]
    fn the_best_of_several_references_counts_the_first_among_equals() {
        let text = |text| Text::new(text, Stemming::None);
        let references = [text("x y"), text("a b c d"), text("d c b a")];
        let best = Rouge::N(1).best(&references, &text("a b")).unwrap();
        close(best.recall, 0.5);
        assert_eq!(
            Rouge::L.best(&references, &text("a b")).unwrap(),
            Rouge::L.score(&references[1], &text("a b"))
        );
        assert!(Rouge::L.best(&[], &text("a")).is_none());
    }
}
