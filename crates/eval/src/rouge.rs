//! ROUGE as a judge that watches.

use std::collections::HashMap;

use rlhf_data::{Demonstration, Message, Prompt};
use rlhf_rouge::Rouge;

use crate::second::{OpinionError, SecondJudge};

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
