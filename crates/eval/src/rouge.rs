//! ROUGE: how many of the words, pairs of words, and words in order of a reference an answer has (Lin 2004, "ROUGE: A Package for
//! Automatic Evaluation of Summaries"). F1, of lower-case runs of letters and digits, without stemming.

use std::collections::HashMap;

use rlhf_data::{Demonstration, Message, Prompt};

use crate::second::{OpinionError, SecondJudge};

/// A variant of ROUGE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rouge {
    /// Runs of so many words in common: ROUGE-1, ROUGE-2.
    N(usize),
    /// The longest common subsequence of words: ROUGE-L.
    L,
}

impl Rouge {
    /// F1 of an answer beside a reference, from 0 to 1; 0 where either has no words, or too few.
    ///
    /// ```
    /// use rlhf_eval::Rouge;
    ///
    /// let found = Rouge::N(1).f1("The cat sat.", "the cat slept on the mat");
    /// // Two words in common, of three and of six.
    /// assert!((found - 2.0 * 2.0 / (3.0 + 6.0)).abs() < 1e-12);
    /// ```
    pub fn f1(self, answer: &str, reference: &str) -> f64 {
        let (answer, reference) = (words(answer), words(reference));
        let (common, sizes) = match self {
            Self::N(n) => {
                let (ours, theirs) = (runs(&answer, n), runs(&reference, n));
                let common: usize = ours
                    .iter()
                    .map(|(run, &count)| count.min(theirs.get(run).copied().unwrap_or(0)))
                    .sum();
                (common, ours.values().sum::<usize>() + theirs.values().sum::<usize>())
            }
            Self::L => (common_subsequence(&answer, &reference), answer.len() + reference.len()),
        };
        if common == 0 {
            0.0
        } else {
            2.0 * common as f64 / sizes as f64
        }
    }
}

fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric());
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// How often each run of `n` words occurs.
fn runs(words: &[String], n: usize) -> HashMap<&[String], usize> {
    let mut counts = HashMap::new();
    for run in words.windows(n.max(1)) {
        *counts.entry(run).or_insert(0) += 1;
    }
    counts
}

/// Length of the longest common subsequence.
fn common_subsequence(a: &[String], b: &[String]) -> usize {
    let mut above = vec![0; b.len() + 1];
    for word in a {
        let mut row = vec![0; b.len() + 1];
        for (j, other) in b.iter().enumerate() {
            row[j + 1] = if word == other {
                above[j] + 1
            } else {
                row[j].max(above[j + 1])
            };
        }
        above = row;
    }
    above[b.len()]
}

/// Answers beside references: the best ROUGE with any reference of the prompt, in hundredths.
#[derive(Debug, Clone)]
pub struct RougeJudge {
    rouge: Rouge,
    /// Answers by the conversation before them.
    references: HashMap<Vec<(String, String)>, Vec<String>>,
}

impl RougeJudge {
    /// The last answer of each demonstration is a reference for the prompt before it.
    pub fn new(rouge: Rouge, references: &[Demonstration]) -> Self {
        let mut by_prompt: HashMap<_, Vec<String>> = HashMap::new();
        for reference in references {
            let answer = reference.learnt().last().map(|message| message.content.clone());
            by_prompt
                .entry(conversation(reference.prompt()))
                .or_default()
                .extend(answer);
        }
        Self {
            rouge,
            references: by_prompt,
        }
    }
}

/// Roles and texts, whatever white space is around them.
fn conversation(messages: &[Message]) -> Vec<(String, String)> {
    let turn = |message: &Message| (format!("{:?}", message.role), message.content.trim().to_owned());
    messages.iter().map(turn).collect()
}

impl SecondJudge for RougeJudge {
    fn scores(&self, prompts: &[Prompt], answers: &[String]) -> Result<Vec<Option<f64>>, OpinionError> {
        let best = |(prompt, answer): (&Prompt, &String)| {
            let references = self.references.get(&conversation(&prompt.messages))?;
            let found = references.iter().map(|reference| self.rouge.f1(answer, reference));
            found.max_by(f64::total_cmp).map(|best| 100.0 * best)
        };
        Ok(prompts.iter().zip(answers).map(best).collect())
    }
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
        for rouge in [Rouge::N(1), Rouge::N(2), Rouge::L] {
            close(rouge.f1("Same words, same order", "same words same order"), 1.0);
            close(rouge.f1("", "something"), 0.0);
            close(rouge.f1("...", "!"), 0.0);
        }
        close(Rouge::N(2).f1("one", "one"), 0.0);
    }

    #[test]
    fn the_best_of_a_prompts_references_counts_and_others_have_none() {
        let prompt = |text: &str| Prompt {
            id: String::new(),
            messages: vec![Message::user(text)],
            task: None,
            origin: Default::default(),
        };
        let reference = |text: &str, answer: &str| Demonstration {
            id: String::new(),
            messages: vec![Message::user(text), Message::assistant(answer)],
            task: None,
            origin: Default::default(),
        };
        let references = [reference("Why? ", "No reason"), reference("Why?", "Because of it")];
        let judge = RougeJudge::new(Rouge::N(1), &references);
        let answers = ["because of it".to_owned(), "because".to_owned()];
        let found = judge
            .scores(&[prompt("Why?"), prompt("How?")], &answers)
            .expect("it always can");
        assert_eq!(found, [Some(100.0), None]);
    }
}
