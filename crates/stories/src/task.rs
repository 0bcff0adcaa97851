//! The task of a prompt.

use rlhf_data::{Message, Prompt};
use rlhf_tasks::Error;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Words that may be asked for: what stories for children tell of, none of them in nearly all of them.
pub const WORDS: [&str; 54] = [
    "apple",
    "ball",
    "beach",
    "bear",
    "bed",
    "bee",
    "bike",
    "bird",
    "blanket",
    "boat",
    "book",
    "bowl",
    "box",
    "bunny",
    "butterfly",
    "cake",
    "car",
    "cat",
    "cave",
    "dog",
    "doll",
    "dress",
    "duck",
    "elephant",
    "farm",
    "field",
    "fish",
    "flower",
    "forest",
    "fox",
    "frog",
    "garden",
    "hat",
    "hill",
    "key",
    "kitchen",
    "lake",
    "lion",
    "mouse",
    "owl",
    "park",
    "picture",
    "pond",
    "princess",
    "puppy",
    "rabbit",
    "river",
    "school",
    "sea",
    "squirrel",
    "stick",
    "store",
    "tree",
    "truck",
];

/// A story in which both words are told of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StoryTask {
    /// Two different words, in the order in which they are asked for.
    pub words: [String; 2],
}

fn with_article(word: &str) -> String {
    let article = if word.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {word}")
}

impl StoryTask {
    /// The name by which tables group prompts.
    const KIND: &str = "story";

    pub(crate) fn new(first: &str, second: &str) -> Self {
        Self {
            words: [first.to_owned(), second.to_owned()],
        }
    }

    /// The words in alphabetical order, which decides on which side of the split a task is.
    pub(crate) fn pair(&self) -> [&str; 2] {
        let [a, b] = [self.words[0].as_str(), self.words[1].as_str()];
        if a <= b { [a, b] } else { [b, a] }
    }

    /// The user's message.
    pub(crate) fn message(&self) -> Message {
        let [first, second] = &self.words;
        Message::user(format!(
            "begin a story with {} and {}.",
            with_article(first),
            with_article(second)
        ))
    }

    /// The task as it is stored beside a row for the judge.
    pub(crate) fn stored(&self) -> serde_json::Value {
        json!({ "kind": Self::KIND, "words": self.words })
    }

    /// The task stored beside a prompt.
    ///
    /// # Errors
    /// [`Error::NoTask`] or [`Error::BadTask`].
    pub fn of_prompt(prompt: &Prompt) -> rlhf_tasks::Result<Self> {
        let id = || prompt.id.clone();
        let task = prompt.task.as_ref().ok_or_else(|| Error::NoTask { id: id() })?;
        Self::deserialize(task).map_err(|source| Error::BadTask { id: id(), source })
    }
}
