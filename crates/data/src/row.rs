//! A JSON object of a file and its fields: what each holds, and what is said when it holds something else.

mod conversation;

use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::lines::{hex, kind_of};
use crate::origin::Origin;
use crate::types::{Message, Reasoning, Role};
pub use conversation::Candidates;
use conversation::all_alike;

/// A JSON object and where it stands. A field that is null is as if it were not there: a table has a column for every row, also
/// for those that have nothing to put in it.
#[derive(Clone, Debug)]
pub struct Row {
    path: Arc<Path>,
    line: usize,
    fields: Map<String, Value>,
}

impl Row {
    /// A row with these fields.
    pub fn new(path: impl Into<Arc<Path>>, line: usize, mut fields: Map<String, Value>) -> Self {
        fields.retain(|_, value| !value.is_null());
        Self {
            path: path.into(),
            line,
            fields,
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The line it starts on, from 1; of a Parquet file the row.
    pub fn line(&self) -> usize {
        self.line
    }

    /// File and line.
    pub fn origin(&self) -> Origin {
        Origin::new(self.path.clone(), self.line)
    }

    /// The fault that a field is not as it should be: found was a value, or nothing.
    pub fn wrong(&self, field: impl Into<String>, expected: impl Into<String>, found: Option<&Value>) -> Error {
        let found = found.map_or_else(|| format!("nothing ({})", self.names()), kind_of);
        self.wrong_with(field, expected, found)
    }

    /// [`Self::wrong`], with words for what was found.
    pub fn wrong_with(&self, field: impl Into<String>, expected: impl Into<String>, found: String) -> Error {
        Error::WrongField {
            path: self.path.to_path_buf(),
            line: self.line,
            field: field.into(),
            expected: expected.into(),
            found,
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
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.fields.get(field)
    }

    /// True if a field is there and not null.
    pub fn has(&self, field: &str) -> bool {
        self.get(field).is_some()
    }

    /// A field that holds a text.
    ///
    /// # Errors
    /// If it holds something else, or nothing.
    pub fn string(&self, field: &str) -> Result<String> {
        match self.get(field) {
            Some(Value::String(text)) => Ok(text.clone()),
            other => Err(self.wrong(field, "a string", other)),
        }
    }

    pub(crate) fn number(&self, field: &str) -> Result<Option<f64>> {
        let number = |value: &Value| value.as_f64().ok_or_else(|| self.wrong(field, "a number", Some(value)));
        self.get(field).map(number).transpose()
    }

    /// A field of numbers without sign or fraction; `one` and `all` say what they are.
    ///
    /// # Errors
    /// If it holds something else, or nothing.
    pub fn whole_numbers(&self, field: &str, one: &str, all: &str) -> Result<Vec<u32>> {
        let Some(Value::Array(items)) = self.get(field) else {
            return Err(self.wrong(field, all, self.get(field)));
        };
        let number = |(index, item): (usize, &Value)| {
            let number = item.as_u64().and_then(|number| u32::try_from(number).ok());
            number.ok_or_else(|| self.wrong(format!("{field}[{index}]"), one, Some(item)))
        };
        items.iter().enumerate().map(number).collect()
    }

    /// A field of messages, all of them as if they were to be learnt.
    ///
    /// # Errors
    /// If it holds something else, or nothing, or what only a chat template could write: tool calls.
    pub fn messages(&self, field: &str) -> Result<Vec<Message>> {
        match self.get(field) {
            Some(Value::Array(items)) => Ok(all_alike(self.messages_in(field, items)?)),
            other => Err(self.wrong(field, "an array of messages", other)),
        }
    }

    fn messages_in(&self, field: &str, items: &[Value]) -> Result<Vec<Message>> {
        if items.is_empty() {
            return Err(self.wrong_with(field, "an array of messages", "an empty array".to_owned()));
        }
        let message = |(index, item)| self.message(&format!("{field}[{index}]"), item);
        items.iter().enumerate().map(message).collect()
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
        // Before the content, which such a message leaves empty.
        for call in ["tool_calls", "function_call"] {
            if let Some(found) = fields.get(call).filter(|value| !is_nothing(value)) {
                return Err(self.wrong(format!("{field}.{call}"), NO_TOOLS, Some(found)));
            }
        }
        match fields.get("content") {
            Some(Value::String(content)) => Ok(Message {
                // A fault of the marks is told where they count.
                learnt: role != Role::Assistant || self.is_learnt(field, item).unwrap_or(true),
                reasoning: self.reasoning(field, fields)?,
                ..Message::new(role, content.as_str())
            }),
            other => {
                let found = Some(other.unwrap_or(&Value::Null));
                Err(self.wrong(format!("{field}.content"), "a string", found))
            }
        }
    }

    /// What was thought before a message.
    fn reasoning(&self, field: &str, fields: &Map<String, Value>) -> Result<Option<Reasoning>> {
        let named = |name: &'static str| Some((name, fields.get(name).filter(|value| !value.is_null())?));
        match Reasoning::NAMES.into_iter().find_map(named) {
            None => Ok(None),
            Some((name, Value::String(text))) => Ok(Reasoning::new(name, text)),
            Some((name, other)) => Err(self.wrong(format!("{field}.{name}"), "a string", Some(other))),
        }
    }

    /// The text of an answer that is compared with others, which is nothing but a text.
    ///
    /// # Errors
    /// If it was thought before it was written: the thought would be lost.
    pub fn answer_text(&self, field: &str, answer: Option<Message>) -> Result<String> {
        match answer {
            Some(Message {
                reasoning: Some(reasoning),
                ..
            }) => Err(self.wrong_with(
                format!("{field}.{}", reasoning.name()),
                "nothing beside the text of an answer that is compared or liked",
                "what was thought before it".to_owned(),
            )),
            answer => Ok(answer.map_or_else(String::new, |last| last.content)),
        }
    }

    /// Refuses a row that describes tools: no stage would tell the model of them.
    ///
    /// # Errors
    /// If there are any.
    pub fn refuse_tools(&self) -> Result<()> {
        for field in ["tools", "functions"] {
            if let Some(found) = self.get(field).filter(|value| !is_nothing(value)) {
                return Err(self.wrong(field, NO_TOOLS, Some(found)));
            }
        }
        Ok(())
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

    /// The data set that the row says it came from, if it names one. What is too long for a name is something else of that name, such
    /// as the text that was summarised.
    pub(crate) fn source(&self) -> Option<String> {
        const LONGEST_NAME: usize = 80;
        let name = self.get("source").and_then(Value::as_str);
        let is_name = |text: &&str| !text.is_empty() && text.len() <= LONGEST_NAME && !text.contains('\n');
        name.filter(is_name).map(str::to_owned)
    }

    /// The name of whoever compared answers, if the row has one.
    ///
    /// # Errors
    /// If it is no name.
    pub fn labeler(&self) -> Result<Option<String>> {
        match self.get("labeler") {
            None => Ok(None),
            Some(Value::String(name)) => Ok(Some(name.clone())),
            Some(Value::Number(name)) => Ok(Some(name.to_string())),
            Some(other) => Err(self.wrong("labeler", "a string or a number", Some(other))),
        }
    }

    /// The thumb that an answer got, up or down; nothing if the row has no `completion` with a `label`.
    ///
    /// # Errors
    /// If the label is neither.
    pub fn thumb(&self) -> Result<Option<bool>> {
        let Some(label) = self.get("label").filter(|_| self.has("completion")) else {
            return Ok(None);
        };
        let liked = flag(label).ok_or_else(|| self.wrong("label", "true or false, 1 or 0", Some(label)));
        liked.map(Some)
    }
}

const NO_TOOLS: &str = "nothing: tools and calls of them are not read; leave such rows out";

/// Values with which a table says that there is none.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_nothing),
        Value::String(text) => matches!(text.trim(), "" | "[]" | "{}" | "null"),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// True or false, in the spellings of JSON, of tables and of people.
pub(crate) fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => match number.as_f64() {
            Some(0.0) => Some(false),
            Some(1.0) => Some(true),
            _ => None,
        },
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "0" | "false" => Some(false),
            "1" | "true" => Some(true),
            _ => None,
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
