//! Who won against whom on which prompt.

use std::cmp::Ordering;

/// The outcomes of comparing the answers of every two of several models to each of several prompts; [`Ordering::Greater`] is a win of the first. What
/// is said of two models is said of them the other way about too, and what nobody said is missing: no tie.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcomes {
    models: usize,
    /// Prompt by prompt, model by model, against model by model.
    outcomes: Vec<Option<Ordering>>,
}

impl Outcomes {
    /// Nothing is known yet.
    pub fn new(models: usize, prompts: usize) -> Self {
        Self {
            models,
            outcomes: vec![None; models * models * prompts],
        }
    }

    /// By the scores of each model's answers: the higher wins, equal ones tie, and so do answers of the same text, whatever rounding made of their
    /// scores. An answer without a score is compared with none, save with its like.
    ///
    /// # Panics
    /// If models have different numbers of scores or texts.
    pub fn of_scores(scores: &[Vec<Option<f64>>], texts: &[Vec<String>]) -> Self {
        let prompts = texts.first().map_or(0, Vec::len);
        assert!(scores.len() == texts.len(), "scores and texts of as many models");
        let is_whole =
            |(scores, texts): (&Vec<Option<f64>>, &Vec<String>)| scores.len() == prompts && texts.len() == prompts;
        assert!(scores.iter().zip(texts).all(is_whole), "a score for each answer");
        let mut outcomes = Self::new(scores.len(), prompts);
        for prompt in 0..prompts {
            for a in 0..scores.len() {
                for b in 0..a {
                    let outcome = if texts[a][prompt] == texts[b][prompt] {
                        Some(Ordering::Equal)
                    } else {
                        let both = scores[a][prompt].zip(scores[b][prompt]);
                        both.and_then(|(own, theirs)| own.partial_cmp(&theirs))
                    };
                    outcomes.set(prompt, a, b, outcome);
                }
            }
        }
        outcomes
    }

    /// Models that were compared.
    pub fn models(&self) -> usize {
        self.models
    }

    /// Prompts on which they were.
    pub fn prompts(&self) -> usize {
        self.outcomes.len() / (self.models * self.models).max(1)
    }

    fn place(&self, prompt: usize, a: usize, b: usize) -> usize {
        (prompt * self.models + a) * self.models + b
    }

    /// Says how model `a` did against `b` on a prompt, and so `b` against `a`.
    ///
    /// # Panics
    /// If there is no such prompt or model.
    pub fn set(&mut self, prompt: usize, a: usize, b: usize, outcome: Option<Ordering>) {
        assert!(
            a < self.models && b < self.models,
            "models {a} and {b} of {}",
            self.models
        );
        let (there, back) = (self.place(prompt, a, b), self.place(prompt, b, a));
        self.outcomes[there] = outcome;
        self.outcomes[back] = outcome.map(Ordering::reverse);
    }

    /// How model `a` did against `b` on a prompt, if somebody said.
    pub fn get(&self, prompt: usize, a: usize, b: usize) -> Option<Ordering> {
        self.outcomes[self.place(prompt, a, b)]
    }

    /// The same as a share of a win: 1, one half, 0.
    pub(super) fn share(&self, prompt: usize, a: usize, b: usize) -> Option<f64> {
        self.get(prompt, a, b).map(|outcome| match outcome {
            Ordering::Greater => 1.0,
            Ordering::Equal => 0.5,
            Ordering::Less => 0.0,
        })
    }

    /// Comparisons that nobody decided, and all there could be.
    pub fn missing(&self) -> (usize, usize) {
        let pairs = self.models * self.models.saturating_sub(1) / 2 * self.prompts();
        let of_pair = |(a, b)| (0..self.prompts()).filter(move |&prompt| self.get(prompt, a, b).is_none());
        let all = (0..self.models).flat_map(|a| (0..a).map(move |b| (a, b)));
        (all.flat_map(of_pair).count(), pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn what_is_said_of_two_is_said_both_ways_and_silence_is_no_tie() {
        let mut outcomes = Outcomes::new(3, 2);
        outcomes.set(1, 0, 2, Some(Ordering::Greater));
        assert_eq!(outcomes.get(1, 2, 0), Some(Ordering::Less));
        assert_eq!(
            (outcomes.share(1, 0, 2), outcomes.share(1, 2, 0)),
            (Some(1.0), Some(0.0))
        );
        assert_eq!(outcomes.get(0, 0, 2), None);
        assert_eq!(
            (outcomes.models(), outcomes.prompts(), outcomes.missing()),
            (3, 2, (5, 6))
        );
    }

    #[test]
    fn the_higher_score_wins_and_the_same_answer_ties_whatever_its_scores() {
        let scores = [
            vec![Some(1.0), Some(0.3), None, Some(f64::NAN)],
            vec![Some(0.5), Some(0.2), Some(1.0), Some(1.0)],
        ];
        let answers = [texts(&["a", "same", "c", "d"]), texts(&["b", "same", "x", "y"])];
        let outcomes = Outcomes::of_scores(&scores, &answers);
        let found: Vec<_> = (0..4).map(|prompt| outcomes.get(prompt, 0, 1)).collect();
        assert_eq!(found, [Some(Ordering::Greater), Some(Ordering::Equal), None, None]);
    }
}
