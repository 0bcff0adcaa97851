//! Comparisons, gathered so that each completion goes through the network once.

use std::collections::BTreeMap;

use rlhf_core::{shared_len, shared_tokens};
use rlhf_data::TokenizedComparison;
use rlhf_model::PassSize;

/// The completions of one prompt with what labelers said of them.
#[derive(Debug, Clone, PartialEq)]
pub struct RankedPrompt {
    /// Prompt and completion, one sequence per completion.
    pub sequences: Vec<Vec<u32>>,
    /// Tokens of the prompt.
    pub prompt_len: usize,
    /// Opinions of them, one per labeler.
    pub annotations: Vec<Annotation>,
    /// The data set that the first of them came from, if known.
    pub source: Option<String>,
}

/// The pairs that one labeler ordered.
#[derive(Debug, Clone, PartialEq)]
pub struct Annotation {
    /// The labeler, if known.
    pub labeler: Option<String>,
    /// Indices into the completions, `(better, worse)`; ties are left out.
    pub pairs: Vec<(usize, usize)>,
    /// Distance between the two that the labeler saw, in units of score; 0 if unknown.
    pub margin: f64,
    /// Confidence of the labeler, if known.
    pub confidence: Option<f64>,
}

impl RankedPrompt {
    /// Tokens of all sequences, those of the prompt counted once.
    pub fn tokens(&self) -> usize {
        shared_tokens(&self.sequences)
    }

    /// Size of a pass over all sequences, in which the tokens that they all begin with go through once.
    pub(crate) fn pass_size(&self) -> PassSize {
        let shared = shared_len(&self.sequences);
        let own = self
            .sequences
            .iter()
            .map(|s| PassSize::sequence(shared, s.len() - shared, 1));
        std::iter::once(PassSize::sequence(0, shared, 0)).chain(own).sum()
    }
}

/// Gathers comparisons of the same prompt, in the order of their first appearance, so that each completion goes through the
/// network once: those of a ranking that was taken apart into pairs too. Comparisons without a pair are left out.
pub fn group_comparisons(comparisons: &[TokenizedComparison]) -> Vec<RankedPrompt> {
    let mut places: BTreeMap<&[u32], usize> = BTreeMap::new();
    let mut groups: Vec<Group<'_>> = Vec::new();
    for comparison in comparisons.iter().filter(|c| !c.pairs.is_empty()) {
        let place = *places.entry(&comparison.prompt).or_insert_with(|| {
            groups.push(Group::new(comparison));
            groups.len() - 1
        });
        groups[place].add(comparison);
    }
    groups.into_iter().map(Group::finish).collect()
}

/// A prompt whose comparisons come in.
struct Group<'a> {
    prompt: &'a [u32],
    /// The completions of the first comparison as they are, and of others those that are new.
    completions: Vec<&'a [u32]>,
    first: &'a [Vec<u32>],
    annotations: Vec<Annotation>,
    source: Option<&'a str>,
}

impl<'a> Group<'a> {
    fn new(comparison: &'a TokenizedComparison) -> Self {
        Self {
            prompt: &comparison.prompt,
            completions: comparison.completions.iter().map(Vec::as_slice).collect(),
            first: &comparison.completions,
            annotations: Vec::new(),
            source: comparison.source.as_deref(),
        }
    }

    fn add(&mut self, comparison: &'a TokenizedComparison) {
        let pairs = if comparison.completions == self.first {
            comparison.pairs.clone()
        } else {
            let places: Vec<usize> = comparison.completions.iter().map(|c| self.place(c)).collect();
            let placed = |&(better, worse): &(usize, usize)| (places[better], places[worse]);
            comparison.pairs.iter().map(placed).collect()
        };
        self.annotations.push(Annotation {
            labeler: comparison.labeler.clone(),
            pairs,
            margin: comparison.margin.unwrap_or(0.0),
            confidence: comparison.confidence,
        });
    }

    /// The place of a completion among those of the prompt.
    fn place(&mut self, completion: &'a [u32]) -> usize {
        let known = self.completions.iter().position(|other| *other == completion);
        known.unwrap_or_else(|| {
            self.completions.push(completion);
            self.completions.len() - 1
        })
    }

    fn finish(self) -> RankedPrompt {
        let whole = |completion: &&[u32]| [self.prompt, completion].concat();
        RankedPrompt {
            sequences: self.completions.iter().map(whole).collect(),
            prompt_len: self.prompt.len(),
            annotations: self.annotations,
            source: self.source.map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(labeler: &str, completions: &[&[u32]], pairs: &[(usize, usize)]) -> TokenizedComparison {
        TokenizedComparison {
            prompt: vec![1, 2],
            completions: completions.iter().map(|c| c.to_vec()).collect(),
            pairs: pairs.to_vec(),
            labeler: Some(labeler.to_owned()),
            confidence: Some(0.8),
            margin: None,
            source: None,
            dropped: 0,
        }
    }

    #[test]
    fn labelers_of_the_same_completions_share_them_and_those_without_a_pair_are_left_out() {
        let two: &[&[u32]] = &[&[3], &[4, 5]];
        let groups = group_comparisons(&[
            comparison("anna", two, &[(0, 1)]),
            comparison("cleo", two, &[]),
            comparison("dora", two, &[(1, 0)]),
        ]);
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0].sequences, [vec![1, 2, 3], vec![1, 2, 4, 5]]);
        assert_eq!(groups[0].prompt_len, 2);
        assert_eq!(said(&groups[0]), [("anna", vec![(0, 1)]), ("dora", vec![(1, 0)])]);
    }

    fn said(group: &RankedPrompt) -> Vec<(&str, Vec<(usize, usize)>)> {
        let said = |a: &'_ Annotation| a.pairs.clone();
        let annotations = group.annotations.iter();
        annotations
            .map(|a| (a.labeler.as_deref().unwrap_or_default(), said(a)))
            .collect()
    }

    #[test]
    fn a_ranking_that_was_taken_apart_into_pairs_is_gathered_again() {
        // 3 before 4 before 5, as pairs in which the worse one may stand first.
        let pairs = [([3, 4], (0, 1)), ([5, 3], (1, 0)), ([4, 5], (0, 1))];
        let rows: Vec<TokenizedComparison> = pairs
            .iter()
            .map(|(tokens, pair)| comparison("anna", &[&tokens[..1], &tokens[1..]], &[*pair]))
            .collect();
        let groups = group_comparisons(&rows);
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0].sequences, [[1, 2, 3], [1, 2, 4], [1, 2, 5]]);
        let pairs: Vec<Vec<(usize, usize)>> = said(&groups[0]).into_iter().map(|row| row.1).collect();
        assert_eq!(pairs, [[(0, 1)], [(0, 2)], [(1, 2)]]);
        let mut other = comparison("anna", &[&[3], &[4]], &[(0, 1)]);
        other.prompt = vec![1, 9];
        assert_eq!(group_comparisons(&[rows[0].clone(), other]).len(), 2);
    }

    #[test]
    fn a_prompt_counts_once_for_all_of_its_completions() {
        let two: &[&[u32]] = &[&[3], &[4, 5]];
        let group = group_comparisons(&[comparison("anna", two, &[(0, 1)])]).remove(0);
        // Two tokens of the prompt, one and two of the completions.
        assert_eq!(group.tokens(), 5);
        let pass = group.pass_size();
        assert_eq!((pass.tokens, pass.read), (5, 2));
        // What they see: 1 + 2 of the prompt, then 3, and 3 + 4 of the completions.
        assert_eq!(
            pass,
            [
                PassSize::sequence(0, 2, 0),
                PassSize::sequence(2, 1, 1),
                PassSize::sequence(2, 2, 1),
            ]
            .into_iter()
            .sum()
        );
    }
}
