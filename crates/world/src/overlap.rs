//! How much of the held-out data occurs in the training data.

use std::collections::BTreeSet;

use rlhf_data::{Demonstration, Message};
use rlhf_tasks::stable_hash;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Shares of held-out rows, and of their turns of phrase, that training has.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Overlap {
    /// Held-out rows.
    pub n: usize,
    /// Share of rows whose whole prompt is a training prompt.
    pub exact_prompt: f64,
    /// Share of rows whose answer is word for word a training answer.
    pub exact_answer: f64,
    /// Share of the runs of eight words in held-out prompts and answers that training has.
    pub eight_gram: f64,
}

fn conversation(messages: &[Message]) -> u64 {
    let texts: Vec<&str> = messages.iter().map(|m| m.content.as_str()).collect();
    stable_hash(&texts)
}

fn eight_grams(demonstration: &Demonstration) -> Vec<u64> {
    let mut grams = Vec::new();
    for message in &demonstration.messages {
        let words: Vec<&str> = message.content.split_whitespace().collect();
        grams.extend(words.windows(8).map(stable_hash));
    }
    grams
}

/// Compares held-out rows with those of training.
pub fn overlap(train: &[Demonstration], held_out: &[Demonstration]) -> Overlap {
    let prompts: BTreeSet<u64> = train.iter().map(|d| conversation(d.prompt())).collect();
    let answers: BTreeSet<&str> = train.iter().map(Demonstration::completion).collect();
    let known: BTreeSet<u64> = train.iter().flat_map(eight_grams).collect();
    let share = |found: usize, all: usize| if all == 0 { 0.0 } else { found as f64 / all as f64 };
    let n = held_out.len();
    let grams: Vec<u64> = held_out.iter().flat_map(eight_grams).collect();
    Overlap {
        n,
        exact_prompt: share(
            held_out
                .iter()
                .filter(|d| prompts.contains(&conversation(d.prompt())))
                .count(),
            n,
        ),
        exact_answer: share(held_out.iter().filter(|d| answers.contains(d.completion())).count(), n),
        eight_gram: share(grams.iter().filter(|g| known.contains(g)).count(), grams.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(prompt: &str, answer: &str) -> Demonstration {
        let messages = vec![Message::user(prompt), Message::assistant(answer)];
        Demonstration {
            id: "a".into(),
            messages,
            task: None,
        }
    }

    #[test]
    fn shares_are_counted() {
        let train = [row("Where is it?", "It is here, by the old mill near the river bank.")];
        let held_out = [
            row("Where is it?", "Elsewhere."),
            row("Where was it?", "It was here, by the old mill near the river bank."),
        ];
        // Ten words of the second answer give four runs of eight in eleven words; those without "was" are known.
        let result = overlap(&train, &held_out);
        assert_eq!((result.n, result.exact_prompt, result.exact_answer), (2, 0.5, 0.0));
        assert!((result.eight_gram - 2.0 / 4.0).abs() < 1e-12, "{}", result.eight_gram);
    }
}
