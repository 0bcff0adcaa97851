//! Rows that are handed to whoever ranks or scores.

use rlhf_data::{Comparison, Message, Origin, Prompt};
use rlhf_tasks::Ranking;
use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, Result};

/// Completions of one prompt, to be put in order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RankTask {
    /// Name of the task, unique among those that are handed over together.
    pub id: String,
    /// The conversation; its last message is the user's.
    pub messages: Vec<Message>,
    /// The K >= 2 answers.
    pub completions: Vec<String>,
    /// The task, for a judge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<Value>,
}

impl RankTask {
    /// The completions of a prompt.
    pub fn new(prompt: &Prompt, completions: &[String]) -> Self {
        Self {
            id: prompt.id.clone(),
            messages: prompt.messages.clone(),
            completions: completions.to_vec(),
            task: prompt.task.clone(),
        }
    }

    /// The task with its ranking, as a row that the reward model learns from. Such rows make a [`rlhf_tasks::RankingFile`], who is
    /// a [`rlhf_tasks::Labeler`].
    pub fn comparison(&self, ranking: Ranking, labeler: &str) -> Comparison {
        Comparison {
            id: self.id.clone(),
            messages: self.messages.clone(),
            completions: self.completions.clone(),
            ranking: ranking.ranks,
            labeler: Some(labeler.to_owned()),
            confidence: Some(ranking.confidence),
            margin: None,
            task: self.task.clone(),
            source: None,
            origin: Origin::default(),
        }
    }
}

/// One answer to a prompt, to be given a score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AnswerTask {
    /// Name of the answer, unique among those that are handed over together.
    pub id: String,
    /// The conversation; its last message is the user's.
    pub messages: Vec<Message>,
    /// The answer.
    pub completion: String,
    /// The task, for a judge.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<Value>,
}

impl AnswerTask {
    /// The answer to a prompt, under the prompt's name.
    pub fn new(prompt: &Prompt, completion: impl Into<String>) -> Self {
        Self {
            id: prompt.id.clone(),
            messages: prompt.messages.clone(),
            completion: completion.into(),
            task: prompt.task.clone(),
        }
    }

    /// Several answers to one prompt; the name of each is the prompt's and its number from 0, `id/0`.
    pub fn of_completions(prompt: &Prompt, completions: &[String]) -> Vec<Self> {
        let named = |(index, text): (usize, &String)| Self {
            id: format!("{}/{index}", prompt.id),
            ..Self::new(prompt, text.as_str())
        };
        completions.iter().enumerate().map(named).collect()
    }
}

/// Refuses fewer than two completions, which cannot be put in order.
pub(crate) fn check_comparable(id: &str, completions: usize) -> Result<()> {
    if completions < 2 {
        return Err(Error::TooFew {
            id: id.to_owned(),
            found: completions,
        });
    }
    Ok(())
}

/// Refuses what is no pair.
pub(crate) fn check_pair(id: &str, completions: usize) -> Result<()> {
    check_comparable(id, completions)?;
    if completions > 2 {
        return Err(Error::TooMany {
            id: id.to_owned(),
            found: completions,
        });
    }
    Ok(())
}

/// Refuses two tasks of one name.
pub(crate) fn check_distinct<'a>(ids: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    for id in ids {
        if !seen.insert(id) {
            return Err(Error::RepeatedTask { id: id.to_owned() });
        }
    }
    Ok(())
}
