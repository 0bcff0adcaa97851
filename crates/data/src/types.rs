//! The rows every stage exchanges: prompts, demonstrations and comparisons.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::origin::Origin;

/// The speaker of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Standing instructions, before the conversation begins.
    System,
    /// The person who asks.
    User,
    /// The model that answers.
    Assistant,
}

impl Role {
    /// Every role, in the order of the special tokens.
    pub const ALL: [Role; 3] = [Role::System, Role::User, Role::Assistant];

    /// The name used in files: `system`, `user` or `assistant`.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Message {
    /// The speaker.
    pub role: Role,
    /// The text, without role markers.
    pub content: String,
    /// What was thought before it, which some chat templates write beside the text.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Reasoning>,
    /// Of an answer in a demonstration: a model is to learn it. No part of JSON, and of no account elsewhere.
    #[serde(skip, default = "is_learnt")]
    pub learnt: bool,
}

/// What was thought before a message was written, under the name that the row has for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reasoning {
    /// The name that most templates read.
    ReasoningContent(String),
    /// The name of a few.
    Thinking(String),
    /// A third.
    Reasoning(String),
}

impl Reasoning {
    /// The names, in the order in which transformers looks for them.
    pub(crate) const NAMES: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

    /// A text under one of the names.
    pub(crate) fn new(name: &str, text: &str) -> Option<Self> {
        let make: fn(String) -> Self = match Self::NAMES.iter().position(|known| *known == name)? {
            0 => Self::ReasoningContent,
            1 => Self::Thinking,
            _ => Self::Reasoning,
        };
        Some(make(text.to_owned()))
    }

    /// The name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ReasoningContent(_) => Self::NAMES[0],
            Self::Thinking(_) => Self::NAMES[1],
            Self::Reasoning(_) => Self::NAMES[2],
        }
    }

    /// The text.
    pub fn text(&self) -> &str {
        match self {
            Self::ReasoningContent(text) | Self::Thinking(text) | Self::Reasoning(text) => text,
        }
    }
}

fn is_learnt() -> bool {
    true
}

impl Message {
    /// A message of `role`.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self {
            role,
            content: content.into(),
            reasoning: None,
            learnt: is_learnt(),
        }
    }

    /// The same message, which is not to be learnt.
    #[must_use]
    pub fn not_learnt(self) -> Self {
        Self { learnt: false, ..self }
    }

    /// A system message.
    pub fn system(content: impl Into<String>) -> Self {
        Self::new(Role::System, content)
    }

    /// A user message.
    pub fn user(content: impl Into<String>) -> Self {
        Self::new(Role::User, content)
    }

    /// An assistant message.
    pub fn assistant(content: impl Into<String>) -> Self {
        Self::new(Role::Assistant, content)
    }
}

/// A conversation that waits for an answer: its last message is the user's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Prompt {
    /// Name of the row, unique in its data set.
    pub id: String,
    /// The conversation so far.
    pub messages: Vec<Message>,
    /// The task, for a judge; opaque to training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Value>,
    /// The place where the row was read.
    #[serde(skip)]
    pub origin: Origin,
}

/// A conversation with the answers a labeler wrote: its last message is the assistant's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Demonstration {
    /// Name of the row, unique in its data set.
    pub id: String,
    /// The whole conversation; every assistant turn that is [`Message::learnt`] is demonstrated.
    pub messages: Vec<Message>,
    /// The task, for a judge; opaque to training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Value>,
    /// The place where the row was read.
    #[serde(skip)]
    pub origin: Origin,
}

/// K answers to one prompt and how a labeler ranked them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Name of the row, unique in its data set.
    pub id: String,
    /// The prompt: its last message is the user's.
    pub messages: Vec<Message>,
    /// The K >= 2 answers.
    pub completions: Vec<String>,
    /// `ranking[i]` is the rank of `completions[i]`: 0 is best, equal ranks are ties.
    pub ranking: Vec<u32>,
    /// The name of whoever ranked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labeler: Option<String>,
    /// The labeler's certainty, on the data set's own scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// By how much the score of the better answer of each pair should exceed the other's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// The task, for a judge; opaque to training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Value>,
    /// The data set that it came from, so that figures can be told apart by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The place where the row was read.
    #[serde(skip)]
    pub origin: Origin,
}

impl Prompt {
    /// The text that decides the side of the split: see [`prompt_key`].
    pub fn key(&self) -> &str {
        prompt_key(&self.messages)
    }
}

impl Demonstration {
    /// The conversation up to its last answer that is to be learnt, and that answer; all of it if there is none.
    pub fn learnt(&self) -> &[Message] {
        let is_learnt = |message: &Message| message.role == Role::Assistant && message.learnt;
        let end = self.messages.iter().rposition(is_learnt).map(|last| last + 1);
        &self.messages[..end.unwrap_or(self.messages.len())]
    }

    /// The conversation up to the last answer.
    pub fn prompt(&self) -> &[Message] {
        let messages = self.learnt();
        &messages[..messages.len().saturating_sub(1)]
    }

    /// The last answer, of those that are to be learnt.
    pub fn completion(&self) -> &str {
        self.learnt().last().map_or("", |message| &message.content)
    }

    /// The text that decides the side of the split: see [`prompt_key`].
    pub fn key(&self) -> &str {
        prompt_key(&self.messages)
    }
}

impl Comparison {
    /// Pairs `(winner, loser)` of indices into `completions`, in index order of the winner; see [`decided_pairs`].
    pub fn pairs(&self) -> Vec<(usize, usize)> {
        decided_pairs(&self.ranking, &self.completions)
    }

    /// True if no pair is decided.
    pub fn is_all_ties(&self) -> bool {
        self.pairs().is_empty()
    }

    /// The text that decides the side of the split: see [`prompt_key`].
    pub fn key(&self) -> &str {
        prompt_key(&self.messages)
    }
}

/// Pairs `(winner, loser)` of indices into `answers` that a ranking decides, in index order of the winner. Equal ranks are ties, and
/// so are two answers that are the same: nobody can prefer one of them, whatever their ranks.
pub fn decided_pairs<T: PartialEq>(ranking: &[u32], answers: &[T]) -> Vec<(usize, usize)> {
    let pairs = (0..ranking.len()).flat_map(|winner| (0..ranking.len()).map(move |loser| (winner, loser)));
    pairs
        .filter(|&(winner, loser)| ranking[winner] < ranking[loser] && answers.get(winner) != answers.get(loser))
        .collect()
}

/// The text that stands for a conversation when data are split: its first user message.
///
/// A longer conversation that opens with the same request has the same key, so a prompt and its follow-ups
/// never sit on both sides of a split.
pub fn prompt_key(messages: &[Message]) -> &str {
    messages
        .iter()
        .find(|message| message.role == Role::User)
        .or(messages.first())
        .map_or("", |message| message.content.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(ranking: &[u32]) -> Comparison {
        Comparison {
            id: "a".into(),
            messages: vec![Message::user("Why?")],
            completions: ranking.iter().map(|rank| format!("answer {rank}")).collect(),
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
    fn ties_give_no_pairs() {
        // Ranks 1, 0, 1: the middle answer beats both others, which tie.
        assert_eq!(comparison(&[1, 0, 1]).pairs(), vec![(1, 0), (1, 2)]);
        assert!(comparison(&[2, 2, 2]).is_all_ties());
        assert!(comparison(&[2, 2, 2]).pairs().is_empty());
    }

    #[test]
    fn answers_of_the_same_text_tie_whatever_their_ranks() {
        let mut row = comparison(&[0, 1, 2]);
        row.completions[1] = row.completions[0].clone();
        assert_eq!(row.pairs(), [(0, 2), (1, 2)]);
        row.completions[2] = row.completions[0].clone();
        assert!(row.is_all_ties());
    }

    #[test]
    fn a_full_ranking_gives_k_choose_2_pairs() {
        assert_eq!(comparison(&[3, 1, 0, 2]).pairs().len(), 6);
    }

    #[test]
    fn follow_ups_share_the_key_of_their_opening() {
        let opening = [Message::system("Be brief."), Message::user(" Why? ")];
        let mut longer = opening.to_vec();
        longer.extend([Message::assistant("Because."), Message::user("And then?")]);
        assert_eq!(prompt_key(&opening), "Why?");
        assert_eq!(prompt_key(&longer), "Why?");
    }

    #[test]
    fn absent_options_are_not_written() {
        let text = serde_json::to_string(&comparison(&[0, 1])).unwrap();
        assert_eq!(
            text,
            r#"{"id":"a","messages":[{"role":"user","content":"Why?"}],"completions":["answer 0","answer 1"],"ranking":[0,1]}"#
        );
    }
}
