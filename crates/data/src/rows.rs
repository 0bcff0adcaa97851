//! One JSON object to one row: which fields are needed, in which forms, and which well-formed rows are left out.

use serde_json::Value;

use crate::error::Result;
use crate::row::{Candidates, Row};
use crate::types::{Comparison, Demonstration, Message, Prompt, Role};

/// Why a well-formed row is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Skip {
    /// Nothing is asked or nothing is answered.
    Empty,
    /// The ranking prefers nothing.
    AllTies,
    /// The two conversations of a pair part before their last turn.
    Unaligned,
    /// None of its answers is to be learnt.
    NotLearnt,
}

impl Skip {
    /// The reason in words.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::AllTies => "all ties",
            Self::Unaligned => "different conversations",
            Self::NotLearnt => "not learnt",
        }
    }
}

/// A row, or why it is left out.
pub(crate) type Parsed<T> = Result<std::result::Result<T, Skip>>;

impl Row {
    /// `{"prompt"}` or `{"messages"}`; answers after the last user message are left off.
    pub(crate) fn into_prompt(self) -> Parsed<Prompt> {
        self.refuse_tools()?;
        let messages = self.prompt_of_conversation()?;
        if is_blank(&messages) {
            return Ok(Err(Skip::Empty));
        }
        Ok(Ok(Prompt {
            id: self.id(|| as_json(&messages))?,
            task: self.task(),
            messages,
            origin: self.origin(),
        }))
    }

    /// `{"prompt","completion"}` or `{"messages"}`.
    pub(crate) fn into_demonstration(self) -> Parsed<Demonstration> {
        self.refuse_tools()?;
        let messages = self.demonstrated()?;
        let asked = &messages[..messages.len() - 1];
        if !asked.iter().any(|message| message.role == Role::User) {
            return Err(self.wrong(
                "messages",
                "a message of the user before the answer",
                self.get("messages"),
            ));
        }
        if is_blank(&messages) || is_blank(asked) {
            return Ok(Err(Skip::Empty));
        }
        let is_learnt = |message: &Message| message.role == Role::Assistant && message.learnt;
        if !self.has_weight()? || !messages.iter().any(is_learnt) {
            return Ok(Err(Skip::NotLearnt));
        }
        let id = self.id(|| as_json(&messages))?;
        Ok(Ok(Demonstration {
            id,
            task: self.task(),
            messages,
            origin: self.origin(),
        }))
    }

    /// `{"prompt","completions","ranking"}`, `{"prompt","chosen","rejected"}` or two whole conversations.
    pub(crate) fn into_comparison(self) -> Parsed<Comparison> {
        self.refuse_tools()?;
        let Some(Candidates { answers, ranking }) = self.candidates()? else {
            return Err(self.wrong(
                "completions",
                "completions and ranking, chosen and rejected, or completion and label",
                None,
            ));
        };
        let Some(ranking) = ranking else {
            return Err(self.wrong("ranking", "an array of ranks, 0 for the best", None));
        };
        let (mut prompts, completions): (Vec<Vec<Message>>, Vec<String>) = answers.into_iter().unzip();
        if prompts.windows(2).any(|pair| pair[0] != pair[1]) {
            return Ok(Err(Skip::Unaligned));
        }
        let messages = prompts.swap_remove(0);
        if is_blank(&messages) || completions.iter().all(|completion| completion.trim().is_empty()) {
            return Ok(Err(Skip::Empty));
        }
        let confidence = self.number("confidence")?;
        let labeler = self.labeler()?;
        let id = self.id(|| {
            Value::from(vec![
                as_json(&messages),
                completions.clone().into(),
                ranking.clone().into(),
            ])
        })?;
        let margin = self.number("margin")?;
        let task = self.task();
        let row = Comparison {
            id,
            messages,
            completions,
            ranking,
            labeler,
            confidence,
            margin,
            task,
            source: self.source(),
            origin: self.origin(),
        };
        Ok(if row.is_all_ties() { Err(Skip::AllTies) } else { Ok(row) })
    }

    /// `{"text"}`.
    pub(crate) fn into_text(self) -> Parsed<String> {
        let text = self.string("text")?;
        Ok(if text.trim().is_empty() {
            Err(Skip::Empty)
        } else {
            Ok(text)
        })
    }
}

pub(crate) fn is_blank(messages: &[Message]) -> bool {
    messages.last().is_none_or(|last| last.content.trim().is_empty())
}

pub(crate) fn as_json(messages: &[Message]) -> Value {
    messages.iter().map(|message| serde_json::json!(message)).collect()
}
