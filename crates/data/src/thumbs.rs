//! Answers with a thumb up or down: what a chat collects, and TRL's unpaired preferences.
//!
//! The reward model compares answers to one prompt, so thumbs become a ranking: those of a prompt are gathered, each answer
//! that was liked ranks above each that was not. A prompt whose answers were all liked, or none, says nothing.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::origin::Origin;
use crate::row::Row;
use crate::rows::{Parsed, Skip, as_json, is_blank};
use crate::types::{Comparison, Message};

/// One answer, liked or not.
pub(crate) struct Thumb {
    id: String,
    messages: Vec<Message>,
    completion: String,
    liked: bool,
    labeler: Option<String>,
    task: Option<Value>,
    origin: Origin,
}

/// A row of a file of comparisons.
pub(crate) enum Compared {
    /// All answers to a prompt.
    Ranked(Comparison),
    /// One of them.
    Thumb(Thumb),
}

impl Row {
    /// A comparison, or `{"prompt","completion","label"}`.
    pub(crate) fn into_compared(self) -> Parsed<Compared> {
        let Some(liked) = self.thumb()? else {
            return Ok(self.into_comparison()?.map(Compared::Ranked));
        };
        self.refuse_tools()?;
        let mut messages = self.answered("completion")?;
        let completion = self.answer_text("completion", messages.pop())?;
        if is_blank(&messages) || completion.trim().is_empty() {
            return Ok(Err(Skip::Empty));
        }
        Ok(Ok(Compared::Thumb(Thumb {
            id: self.id(|| as_json(&messages))?,
            liked,
            labeler: self.labeler()?,
            task: self.task(),
            messages,
            completion,
            origin: self.origin(),
        })))
    }
}

/// The comparisons among rows, thumbs of one prompt and labeler gathered at the place of the first; and the origins of those that
/// were left out because their thumbs decide nothing: all point the same way, or up and down at the same answer.
pub(crate) fn gather(rows: Vec<Compared>) -> (Vec<Comparison>, Vec<Origin>) {
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
                source: None,
                origin: thumb.origin,
            });
        }
        out[place].completions.push(thumb.completion);
        out[place].ranking.push(u32::from(!thumb.liked));
    }
    let (decided, undecided): (Vec<Comparison>, Vec<Comparison>) = out.into_iter().partition(|row| !row.is_all_ties());
    (decided, undecided.into_iter().map(|row| row.origin).collect())
}
