//! One JSON object to one row: which fields are needed, in which forms, and what is said when they are wrong.

use std::path::Path;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::dialogue;
use crate::error::{Error, Result};
use crate::lines::{hex, kind_of};
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
}

/// A row, or why it is left out.
pub(crate) type Parsed<T> = Result<std::result::Result<T, Skip>>;

/// A JSON object and where it stands.
pub(crate) struct Row<'a> {
    pub(crate) path: &'a Path,
    pub(crate) line: usize,
    pub(crate) fields: Map<String, Value>,
}

/// A field that holds a text or a conversation.
enum Turns {
    Text(String),
    Messages(Vec<Message>),
}

impl Row<'_> {
    pub(crate) fn wrong(&self, field: impl Into<String>, expected: impl Into<String>, found: Option<&Value>) -> Error {
        Error::WrongField {
            path: self.path.to_owned(),
            line: self.line,
            field: field.into(),
            expected: expected.into(),
            found: found.map_or_else(|| format!("nothing ({})", self.names()), kind_of),
        }
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.fields.keys().map(String::as_str).collect();
        if names.is_empty() {
            "the row has no fields".to_owned()
        } else {
            format!("the row has {}", names.join(", "))
        }
    }

    /// A field, if it is there and not null.
    pub(crate) fn get(&self, field: &str) -> Option<&Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    fn string(&self, field: &str) -> Result<String> {
        match self.fields.get(field) {
            Some(Value::String(text)) => Ok(text.clone()),
            other => Err(self.wrong(field, "a string", other)),
        }
    }

    fn number(&self, field: &str) -> Result<Option<f64>> {
        match self.get(field) {
            None => Ok(None),
            Some(value) => value
                .as_f64()
                .map(Some)
                .ok_or_else(|| self.wrong(field, "a number", Some(value))),
        }
    }

    fn turns(&self, field: &str) -> Result<Turns> {
        match self.fields.get(field) {
            Some(Value::String(text)) => Ok(Turns::Text(text.clone())),
            Some(Value::Array(_)) => Ok(Turns::Messages(self.messages(field)?)),
            other => Err(self.wrong(field, "a string or an array of messages", other)),
        }
    }

    fn messages(&self, field: &str) -> Result<Vec<Message>> {
        let items = match self.fields.get(field) {
            Some(Value::Array(items)) if !items.is_empty() => items,
            other => return Err(self.wrong(field, "an array of messages", other)),
        };
        items
            .iter()
            .enumerate()
            .map(|(index, item)| self.message(&format!("{field}[{index}]"), item))
            .collect()
    }

    fn message(&self, field: &str, item: &Value) -> Result<Message> {
        let Value::Object(fields) = item else {
            return Err(self.wrong(field, "an object with role and content", Some(item)));
        };
        let role = match fields.get("role").and_then(Value::as_str) {
            Some("system") => Role::System,
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            _ => {
                let found = fields.get("role").unwrap_or(&Value::Null);
                return Err(self.wrong(format!("{field}.role"), "one of system, user, assistant", Some(found)));
            }
        };
        match fields.get("content") {
            Some(Value::String(content)) => Ok(Message::new(role, content.as_str())),
            other => Err(self.wrong(
                format!("{field}.content"),
                "a string",
                Some(other.unwrap_or(&Value::Null)),
            )),
        }
    }

    /// The prompt as messages that end with the user's, and whether the row's texts are pieces of one text.
    pub(crate) fn prompt(&self) -> Result<(Vec<Message>, bool)> {
        let is_text = self.get("prompt").is_some_and(Value::is_string);
        let (field, messages) = if self.get("messages").is_some() {
            ("messages", self.messages("messages")?)
        } else {
            match self.turns("prompt")? {
                Turns::Text(text) => ("prompt", dialogue::prompt_messages(&text)),
                Turns::Messages(messages) => ("prompt", messages),
            }
        };
        self.ends_with(field, &messages, Role::User)?;
        Ok((messages, is_text))
    }

    fn ends_with(&self, field: &str, messages: &[Message], role: Role) -> Result<()> {
        match messages.last() {
            Some(last) if last.role == role => Ok(()),
            _ => Err(Error::WrongField {
                path: self.path.to_owned(),
                line: self.line,
                field: field.to_owned(),
                expected: format!("a conversation that ends with a message of the {role}"),
                found: messages.last().map_or_else(
                    || "none".to_owned(),
                    |last| format!("one that ends with the {}", last.role),
                ),
            }),
        }
    }

    pub(crate) fn id(&self, content: impl FnOnce() -> Value) -> Result<String> {
        match self.get("id") {
            Some(Value::String(id)) => Ok(id.clone()),
            Some(Value::Number(id)) => Ok(id.to_string()),
            Some(other) => Err(self.wrong("id", "a string or a number", Some(other))),
            None => Ok(hex(&Sha256::digest(content().to_string().as_bytes())[..8])),
        }
    }

    pub(crate) fn task(&self) -> Option<Value> {
        self.get("task").cloned()
    }

    pub(crate) fn labeler(&self) -> Result<Option<String>> {
        match self.get("labeler") {
            None => Ok(None),
            Some(Value::String(name)) => Ok(Some(name.clone())),
            Some(Value::Number(name)) => Ok(Some(name.to_string())),
            Some(other) => Err(self.wrong("labeler", "a string or a number", Some(other))),
        }
    }

    /// `{"prompt"}` or `{"messages"}`; answers after the last user message are left off.
    pub(crate) fn into_prompt(mut self) -> Parsed<Prompt> {
        if self.get("messages").is_some() {
            // A file of demonstrations also serves as one of prompts.
            let mut messages = self.messages("messages")?;
            while messages.len() > 1 && messages.last().is_some_and(|last| last.role == Role::Assistant) {
                messages.pop();
            }
            self.fields.insert("messages".to_owned(), as_json(&messages));
        }
        let (messages, _) = self.prompt()?;
        if is_blank(&messages) {
            return Ok(Err(Skip::Empty));
        }
        let id = self.id(|| as_json(&messages))?;
        Ok(Ok(Prompt {
            id,
            task: self.task(),
            messages,
        }))
    }

    /// `{"prompt","completion"}` or `{"messages"}`.
    pub(crate) fn into_demonstration(self) -> Parsed<Demonstration> {
        let messages = if self.get("messages").is_some() && self.get("completion").is_none() {
            self.messages("messages")?
        } else if self.get("messages").is_some() || self.get("prompt").is_some() {
            let (mut messages, is_text) = self.prompt()?;
            messages.push(Message::assistant(self.completion("completion", is_text)?));
            messages
        } else {
            return Err(self.wrong("prompt", "fields prompt and completion, or messages", None));
        };
        self.ends_with("messages", &messages, Role::Assistant)?;
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
        let id = self.id(|| as_json(&messages))?;
        Ok(Ok(Demonstration {
            id,
            task: self.task(),
            messages,
        }))
    }

    /// An answer: a string, or a conversation of which it is the only message.
    pub(crate) fn completion(&self, field: &str, is_text: bool) -> Result<String> {
        match self.turns(field)? {
            Turns::Text(text) if is_text => Ok(text.trim().to_owned()),
            Turns::Text(text) => Ok(text),
            Turns::Messages(mut messages) => {
                self.ends_with(field, &messages, Role::Assistant)?;
                if messages.len() > 1 {
                    return Err(self.wrong(field, "one message of the assistant", self.get(field)));
                }
                Ok(messages.swap_remove(0).content)
            }
        }
    }

    /// `{"prompt","completions","ranking"}`, `{"prompt","chosen","rejected"}` or two whole conversations.
    pub(crate) fn into_comparison(self) -> Parsed<Comparison> {
        let (messages, completions, ranking) = if self.fields.contains_key("completions") {
            let (messages, is_text) = self.prompt()?;
            let completions = self.completions(is_text)?;
            let ranking = self.ranking(completions.len())?;
            (messages, completions, ranking)
        } else if self.fields.contains_key("chosen") || self.fields.contains_key("rejected") {
            match self.pair()? {
                Ok((messages, pair)) => (messages, pair.to_vec(), vec![0, 1]),
                Err(skip) => return Ok(Err(skip)),
            }
        } else {
            return Err(self.wrong(
                "completions",
                "completions and ranking, chosen and rejected, or completion and label",
                None,
            ));
        };
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
        };
        Ok(if row.is_all_ties() { Err(Skip::AllTies) } else { Ok(row) })
    }

    fn completions(&self, is_text: bool) -> Result<Vec<String>> {
        let items = match self.fields.get("completions") {
            Some(Value::Array(items)) => items,
            other => return Err(self.wrong("completions", "an array of strings", other)),
        };
        if items.len() < 2 {
            return Err(Error::TooFewCompletions {
                path: self.path.to_owned(),
                line: self.line,
                found: items.len(),
            });
        }
        let text = |(index, item): (usize, &Value)| match item {
            Value::String(text) if is_text => Ok(text.trim().to_owned()),
            Value::String(text) => Ok(text.clone()),
            Value::Array(turns) if turns.len() == 1 => {
                let field = format!("completions[{index}][0]");
                let turn = self.message(&field, &turns[0])?;
                self.ends_with(&field, std::slice::from_ref(&turn), Role::Assistant)?;
                Ok(turn.content)
            }
            other => {
                let expected = "a string or an array with one message of the assistant";
                Err(self.wrong(format!("completions[{index}]"), expected, Some(other)))
            }
        };
        items.iter().enumerate().map(text).collect()
    }

    fn ranking(&self, completions: usize) -> Result<Vec<u32>> {
        let items = match self.fields.get("ranking") {
            Some(Value::Array(items)) => items,
            other => return Err(self.wrong("ranking", "an array of ranks, 0 for the best", other)),
        };
        if items.len() != completions {
            let (path, line) = (self.path.to_owned(), self.line);
            return Err(Error::RankingLength {
                path,
                line,
                completions,
                ranks: items.len(),
            });
        }
        let rank = |(index, item): (usize, &Value)| {
            let rank = item.as_u64().and_then(|rank| u32::try_from(rank).ok());
            rank.ok_or_else(|| {
                self.wrong(
                    format!("ranking[{index}]"),
                    "a whole number, 0 for the best",
                    Some(item),
                )
            })
        };
        items.iter().enumerate().map(rank).collect()
    }

    /// Prompt, and the chosen and the rejected answer.
    fn pair(&self) -> Parsed<(Vec<Message>, [String; 2])> {
        let has_prompt = self.get("prompt").is_some() || self.get("messages").is_some();
        let sides = (self.turns("chosen")?, self.turns("rejected")?);
        let is_single = |messages: &[Message]| messages.len() == 1;
        match sides {
            (Turns::Messages(chosen), Turns::Messages(rejected))
                if !has_prompt || !is_single(&chosen) || !is_single(&rejected) =>
            {
                self.common_prompt(chosen, rejected)
            }
            (Turns::Text(chosen), Turns::Text(rejected)) if !has_prompt => {
                let whole = |field: &str, text: &str| {
                    dialogue::parse(text).ok_or_else(|| {
                        let expected = "a prompt field beside it, or a dialogue of Human: and Assistant: turns";
                        self.wrong(field, expected, self.get(field))
                    })
                };
                self.common_prompt(whole("chosen", &chosen)?, whole("rejected", &rejected)?)
            }
            _ => {
                let (messages, is_text) = self.prompt()?;
                let answers = [
                    self.completion("chosen", is_text)?,
                    self.completion("rejected", is_text)?,
                ];
                Ok(Ok((messages, answers)))
            }
        }
    }

    /// Two whole conversations that differ in their last turn.
    fn common_prompt(
        &self,
        mut chosen: Vec<Message>,
        mut rejected: Vec<Message>,
    ) -> Parsed<(Vec<Message>, [String; 2])> {
        self.ends_with("chosen", &chosen, Role::Assistant)?;
        self.ends_with("rejected", &rejected, Role::Assistant)?;
        let answers = [chosen.pop(), rejected.pop()].map(|last| last.map_or_else(String::new, |last| last.content));
        if chosen != rejected {
            return Ok(Err(Skip::Unaligned));
        }
        self.ends_with("chosen", &chosen, Role::User)?;
        Ok(Ok((chosen, answers)))
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
    let message = |message: &Message| serde_json::json!({"role": message.role.as_str(), "content": message.content});
    messages.iter().map(message).collect()
}
