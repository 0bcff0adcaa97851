//! Answers with a thumb up or down: what a chat collects, and TRL's unpaired preferences.
//!
//! The reward model compares answers to one prompt, so thumbs become a ranking: those of a prompt are gathered, each answer
//! that was liked ranks above each that was not. A prompt whose answers were all liked, or none, says nothing.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::Result;
use crate::rows::{Parsed, Row, Skip, as_json, is_blank};
use crate::types::{Comparison, Message};

/// One answer, liked or not.
pub(crate) struct Thumb {
    id: String,
    messages: Vec<Message>,
    completion: String,
    liked: bool,
    labeler: Option<String>,
    task: Option<Value>,
}

/// A row of a file of comparisons.
pub(crate) enum Compared {
    /// All answers to a prompt.
    Ranked(Comparison),
    /// One of them.
    Thumb(Thumb),
}

impl Row<'_> {
    /// A comparison, or `{"prompt","completion","label"}`.
    pub(crate) fn into_compared(self) -> Parsed<Compared> {
        if self.get("completion").is_none() || self.get("label").is_none() {
            return Ok(self.into_comparison()?.map(Compared::Ranked));
        }
        let (messages, is_text) = self.prompt()?;
        let completion = self.completion("completion", is_text)?;
        if is_blank(&messages) || completion.trim().is_empty() {
            return Ok(Err(Skip::Empty));
        }
        Ok(Ok(Compared::Thumb(Thumb {
            id: self.id(|| as_json(&messages))?,
            liked: self.liked()?,
            labeler: self.labeler()?,
            task: self.task(),
            messages,
            completion,
        })))
    }

    fn liked(&self) -> Result<bool> {
        match self.get("label") {
            Some(Value::Bool(liked)) => Ok(*liked),
            Some(Value::Number(number)) if number.as_u64().is_some_and(|n| n <= 1) => Ok(number.as_u64() == Some(1)),
            other => Err(self.wrong("label", "true or false, 1 or 0", other)),
        }
    }
}

/// The comparisons among rows, thumbs of one prompt and labeler gathered at the place of the first; and how many prompts
/// were left out because all of their thumbs point the same way.
pub(crate) fn gather(rows: Vec<Compared>) -> (Vec<Comparison>, usize) {
    let mut places: BTreeMap<(String, Option<String>), usize> = BTreeMap::new();
    let mut out: Vec<Comparison> = Vec::new();
    for row in rows {
        let thumb = match row {
            Compared::Ranked(comparison) => {
                out.push(comparison);
                continue;
            }
            Compared::Thumb(thumb) => thumb,
        };
        let key = (as_json(&thumb.messages).to_string(), thumb.labeler.clone());
        let place = *places.entry(key).or_insert(out.len());
        if place == out.len() {
            out.push(Comparison {
                id: thumb.id,
                messages: thumb.messages,
                completions: Vec::new(),
                ranking: Vec::new(),
                labeler: thumb.labeler,
                confidence: None,
                margin: None,
                task: thumb.task,
            });
        }
        out[place].completions.push(thumb.completion);
        out[place].ranking.push(u32::from(!thumb.liked));
    }
    let gathered = out.len();
    out.retain(|comparison| !comparison.is_all_ties());
    let left_out = gathered - out.len();
    (out, left_out)
}
