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

/// Gathers comparisons of the same completions of the same prompt, in the order of their first appearance. Comparisons
/// without a pair are left out.
pub fn group_comparisons(comparisons: &[TokenizedComparison]) -> Vec<RankedPrompt> {
    let mut places: BTreeMap<(&[u32], &[Vec<u32>]), usize> = BTreeMap::new();
    let mut groups: Vec<RankedPrompt> = Vec::new();
    for comparison in comparisons.iter().filter(|c| !c.pairs.is_empty()) {
        let place = *places
            .entry((&comparison.prompt, &comparison.completions))
            .or_insert_with(|| {
                groups.push(RankedPrompt {
                    sequences: comparison
                        .completions
                        .iter()
                        .map(|c| [comparison.prompt.as_slice(), c].concat())
                        .collect(),
                    prompt_len: comparison.prompt.len(),
                    annotations: Vec::new(),
                });
                groups.len() - 1
            });
        groups[place].annotations.push(Annotation {
            labeler: comparison.labeler.clone(),
            pairs: comparison.pairs.clone(),
            margin: comparison.margin.unwrap_or(0.0),
            confidence: comparison.confidence,
        });
    }
    groups
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
            dropped: 0,
        }
    }

    #[test]
    fn labelers_of_the_same_completions_share_them_and_those_without_a_pair_are_left_out() {
        let two: &[&[u32]] = &[&[3], &[4, 5]];
        let others: &[&[u32]] = &[&[3], &[4, 6]];
        let groups = group_comparisons(&[
            comparison("anna", two, &[(0, 1)]),
            comparison("bert", others, &[(1, 0)]),
            comparison("cleo", two, &[]),
            comparison("dora", two, &[(1, 0)]),
        ]);
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[0].sequences, [vec![1, 2, 3], vec![1, 2, 4, 5]]);
        assert_eq!(groups[0].prompt_len, 2);
        let said: Vec<_> = (groups[0].annotations.iter())
            .map(|a| (a.labeler.as_deref().unwrap_or_default(), a.pairs.as_slice(), a.margin))
            .collect();
        assert_eq!(said, [("anna", &[(0, 1)][..], 0.0), ("dora", &[(1, 0)][..], 0.0)]);
        assert_eq!(groups[1].sequences[1], [1, 2, 4, 6]);
        assert_eq!(groups[1].annotations.len(), 1);
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
