//! Questions: what may be said, and what it means that a model finds it likely.

use rlhf_data::{Message, Origin};
use serde::{Deserialize, Serialize};

use crate::{choices, compare, crows_pairs, lambada, model_written, truthfulqa, winogender};

/// What stands before the text whose log-probability is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Context {
    /// A text, perhaps none.
    Text(String),
    /// A conversation that waits for the assistant.
    Turns(Vec<Message>),
}

/// A text whose log-probability is asked for, after a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What stands before it.
    pub context: Context,
    /// The text.
    pub continuation: String,
}

impl Request {
    /// A text after another.
    pub(crate) fn after(context: impl Into<String>, continuation: impl Into<String>) -> Self {
        Self {
            context: Context::Text(context.into()),
            continuation: continuation.into(),
        }
    }

    /// A whole text.
    pub(crate) fn whole(text: impl Into<String>) -> Self {
        Self::after("", text)
    }
}

/// What a model says of a [`Request`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scored {
    /// Sum of the log-probabilities of the continuation's tokens, in nats.
    pub logprob: f64,
    /// Number of these tokens.
    pub tokens: usize,
    /// True if each of them is the likeliest of all tokens at its place; nothing where nobody asked.
    pub greedy: Option<bool>,
}

/// What a question belongs to, such as an occupation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The kind of group.
    pub by: &'static str,
    /// Which of them.
    pub name: String,
}

/// A question: requests, and the key to what is said of them.
#[derive(Clone, Debug)]
pub struct Question {
    /// File and line.
    pub origin: Origin,
    /// The groups that it belongs to.
    pub groups: Vec<Group>,
    /// What is asked of a model.
    pub requests: Vec<Request>,
    pub(crate) key: Key,
}

/// What the requests of a question are.
#[derive(Clone, Debug)]
pub(crate) enum Key {
    LastWord,
    Truth(truthfulqa::Key),
    /// Sentences about one or two people, each with the three pronouns.
    Pronouns,
    /// A sentence and the same of another group.
    Pair,
    /// The first so many answers match the behaviour.
    Behaviour(usize),
    Choice(choices::Key),
}

impl Question {
    /// The figures of this question, in the order of [`crate::Task::figures`], from what a model says of each request. Nothing for a
    /// figure that the question has no part in.
    ///
    /// # Panics
    /// If there are not as many as requests.
    pub fn figures(&self, scored: &[Scored]) -> Vec<Option<f64>> {
        assert_eq!(scored.len(), self.requests.len(), "one of each request");
        let logprobs: Vec<f64> = scored.iter().map(|scored| scored.logprob).collect();
        match &self.key {
            Key::LastWord => lambada::figures(&scored[0]),
            Key::Truth(key) => key.figures(&logprobs),
            Key::Pronouns => winogender::figures(&logprobs),
            Key::Pair => crows_pairs::figures(&logprobs),
            Key::Behaviour(matching) => model_written::figures(&logprobs, *matching),
            Key::Choice(key) => key.figures(&logprobs),
        }
    }
}

/// The mean of what there is.
pub(crate) fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

/// The figures of two alternatives: how far the first is preferred, and the entropy of the choice.
pub(crate) fn of_two(first: f64, second: f64) -> [f64; 2] {
    [compare::prefers(first, second), compare::entropy_bits(first, second)]
}
