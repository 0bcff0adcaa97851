//! Rows to token sequences: one JSON object a line, and what is said when one is not as it should be.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use rlhf_data::{Error as DataError, Message, Role};
use serde_json::{Map, Value};

use super::model::ModelFolder;
use crate::error::{Error, Result};

/// Beginning of a dialogue written as one text; the readers of training data take such texts apart.
const DIALOGUE: &str = "\n\nHuman:";

/// A JSON object and where it stands.
pub(super) struct Row {
    path: PathBuf,
    line: usize,
    fields: Map<String, Value>,
}

/// Reads JSON lines from a file, or from standard input where it is called `-`; blank lines are passed over.
pub(super) fn read_rows(path: &Path, expected: &'static str) -> Result<Vec<Row>> {
    let (path, bytes) = read(path, expected)?;
    let mut rows = Vec::new();
    for (index, bytes) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii();
        if bytes.is_empty() {
            continue;
        }
        let line = index + 1;
        let malformed = |found| DataError::MalformedLine {
            path: path.clone(),
            line,
            expected: "a JSON object",
            found,
        };
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(fields)) => rows.push(Row {
                path: path.clone(),
                line,
                fields,
            }),
            Ok(other) => return Err(malformed(kind_of(&other)).into()),
            Err(error) => {
                // The parser saw one line only and would call it line 1.
                let reason = error.to_string().replace(" at line 1 column ", ", column ");
                return Err(malformed(format!("text that is not JSON ({reason})")).into());
            }
        }
    }
    if rows.is_empty() {
        return Err(DataError::EmptyFile { path, expected }.into());
    }
    Ok(rows)
}

/// The content of a file, and what to call it.
fn read(path: &Path, expected: &'static str) -> Result<(PathBuf, Vec<u8>)> {
    let is_stdin = path == Path::new("-");
    let name = if is_stdin {
        PathBuf::from("standard input")
    } else {
        path.to_owned()
    };
    let mut bytes = Vec::new();
    let result = if is_stdin {
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    match result {
        Ok(bytes) => Ok((name, bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(DataError::MissingFile { path: name, expected }.into())
        }
        Err(source) => Err(DataError::Read {
            path: name,
            line: 0,
            source,
        }
        .into()),
    }
}

impl Row {
    /// A row that is not of a file.
    pub(super) fn new(path: &str, fields: Map<String, Value>) -> Self {
        Self {
            path: path.into(),
            line: 1,
            fields,
        }
    }

    /// A fault in this row.
    pub(super) fn fault(&self, message: impl Into<String>) -> Error {
        Error::Row {
            path: self.path.clone(),
            line: self.line,
            message: message.into(),
        }
    }

    /// A field that is not what it should be.
    pub(super) fn wrong(&self, field: &str, expected: &str) -> Error {
        let found = self
            .fields
            .get(field)
            .map_or_else(|| format!("nothing ({})", self.names()), kind_of);
        self.wrong_with(field, expected, found)
    }

    /// A fault of the data crate, with the place of this row.
    pub(super) fn located<T>(&self, result: rlhf_data::Result<T>) -> Result<T> {
        result.map_err(|error| self.fault(error.to_string()))
    }

    pub(super) fn wrong_with(&self, field: &str, expected: &str, found: String) -> Error {
        let (path, line) = (self.path.clone(), self.line);
        DataError::WrongField {
            path,
            line,
            field: field.to_owned(),
            expected: expected.to_owned(),
            found,
        }
        .into()
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.fields.keys().map(String::as_str).collect();
        if names.is_empty() {
            return "the row has no fields".to_owned();
        }
        format!("the row has {}", names.join(", "))
    }

    /// A field, if it is there and not null.
    pub(super) fn get(&self, field: &str) -> Option<&Value> {
        self.fields.get(field).filter(|value| !value.is_null())
    }

    pub(super) fn has(&self, field: &str) -> bool {
        self.get(field).is_some()
    }

    fn string(&self, field: &str) -> Result<&str> {
        self.get(field)
            .and_then(Value::as_str)
            .ok_or_else(|| self.wrong(field, "a string"))
    }

    /// A field of numbers without sign or fraction; `one` and `all` say what they are.
    fn whole_numbers(&self, field: &str, one: &str, all: &str) -> Result<Vec<u32>> {
        let Some(items) = self.get(field).and_then(Value::as_array) else {
            return Err(self.wrong(field, all));
        };
        let number = |(index, item): (usize, &Value)| {
            let number = item.as_u64().and_then(|number| u32::try_from(number).ok());
            number.ok_or_else(|| self.wrong_with(&format!("{field}[{index}]"), one, kind_of(item)))
        };
        items.iter().enumerate().map(number).collect()
    }

    /// A field of messages with any roles and any fields beside the role.
    pub(super) fn raw_messages(&self, field: &str) -> Result<&[Value]> {
        let items = match self.get(field).and_then(Value::as_array) {
            Some(items) if !items.is_empty() => items,
            _ => return Err(self.wrong(field, "an array of messages")),
        };
        match items.iter().position(|item| !item["role"].is_string()) {
            Some(index) => {
                let found = kind_of(&items[index]);
                Err(self.wrong_with(&format!("{field}[{index}]"), "an object with a role", found))
            }
            None => Ok(items),
        }
    }

    /// A field of messages.
    pub(super) fn messages(&self, field: &str) -> Result<Vec<Message>> {
        let items = match self.get(field).and_then(Value::as_array) {
            Some(items) if !items.is_empty() => items,
            _ => return Err(self.wrong(field, "an array of messages")),
        };
        let message = |(index, item): (usize, &Value)| {
            let fault = |_| {
                let expected = "an object of role (system, user or assistant) and content";
                self.wrong_with(&format!("{field}[{index}]"), expected, kind_of(item))
            };
            serde_json::from_value(item.clone()).map_err(fault)
        };
        items.iter().enumerate().map(message).collect()
    }

    /// The prompt, in `prompt` or `messages`, and whether the row's texts are pieces of one text, between which white
    /// space is layout, as in the files that models are trained on.
    pub(super) fn prompt(&self) -> Result<(Vec<Message>, bool)> {
        let field = if self.has("prompt") || !self.has("messages") {
            "prompt"
        } else {
            "messages"
        };
        let messages = match self.get(field) {
            Some(Value::String(text)) if text.starts_with(DIALOGUE) => {
                return Err(self.wrong_with(field, "messages", "a dialogue written as one text".to_owned()));
            }
            Some(Value::String(text)) => return Ok((vec![Message::user(text.trim())], true)),
            Some(Value::Array(_)) => self.messages(field)?,
            _ => return Err(self.wrong(field, "a string or an array of messages")),
        };
        match messages.last() {
            Some(last) if last.role == Role::User => Ok((messages, false)),
            _ => Err(self.wrong(field, "messages of which the last is the user's")),
        }
    }

    /// An answer: a string, or an array of the assistant's message alone.
    pub(super) fn completion(&self, field: &str, is_text: bool) -> Result<String> {
        match self.get(field) {
            Some(Value::String(text)) if is_text => Ok(text.trim().to_owned()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(Value::Array(_)) => {
                let mut messages = self.messages(field)?;
                match messages.pop() {
                    Some(last) if messages.is_empty() && last.role == Role::Assistant => Ok(last.content),
                    _ => Err(self.wrong(field, "a string or one message of the assistant")),
                }
            }
            _ => Err(self.wrong(field, "a string or one message of the assistant")),
        }
    }

    /// A field of answers.
    pub(super) fn completions(&self, field: &str, is_text: bool) -> Result<Vec<String>> {
        let items = match self.get(field).and_then(Value::as_array) {
            Some(items) if !items.is_empty() => items,
            _ => return Err(self.wrong(field, "an array of strings")),
        };
        let text = |(index, item): (usize, &Value)| match item {
            Value::String(text) if is_text => Ok(text.trim().to_owned()),
            Value::String(text) => Ok(text.clone()),
            other => Err(self.wrong_with(&format!("{field}[{index}]"), "a string", kind_of(other))),
        };
        items.iter().enumerate().map(text).collect()
    }

    /// A rank for each of `completions` answers, 0 for the best.
    pub(super) fn ranking(&self, completions: usize) -> Result<Vec<u32>> {
        let ranks = self.whole_numbers(
            "ranking",
            "a whole number, 0 for the best",
            "an array of ranks, 0 for the best",
        )?;
        let (path, line) = (self.path.clone(), self.line);
        if ranks.len() != completions {
            return Err(DataError::RankingLength {
                path,
                line,
                completions,
                ranks: ranks.len(),
            }
            .into());
        }
        if completions < 2 {
            return Err(DataError::TooFewCompletions {
                path,
                line,
                found: completions,
            }
            .into());
        }
        Ok(ranks)
    }

    /// The `text` of a row as what is to be gone on with, without any template.
    pub(super) fn opening(&self, folder: &ModelFolder) -> Result<Vec<u32>> {
        Ok(folder.tokenizer()?.encode_opening(self.string("text")?))
    }

    /// The whole of a row as tokens: `input_ids` as they are, `text` without any template, `messages` or `prompt` and
    /// `completion` in the chat format.
    pub(super) fn sequence(&self, folder: &ModelFolder) -> Result<Vec<u32>> {
        if self.has("input_ids") {
            return self.whole_numbers("input_ids", "a token id", "an array of token ids");
        }
        let tokenizer = || folder.tokenizer();
        if self.has("text") {
            return Ok(tokenizer()?.encode_document(self.string("text")?));
        }
        if self.has("messages") && !self.has("completion") {
            let messages = self.messages("messages")?;
            let tokenizer = tokenizer()?;
            return Ok(self.located(tokenizer.encode_conversation(&messages))?.input_ids);
        }
        if !self.has("prompt") && !self.has("messages") {
            return Err(self.wrong("prompt", "input_ids, or text, or prompt and completion"));
        }
        let (prompt, is_text) = self.prompt()?;
        let completion = self.completion("completion", is_text)?;
        let tokenizer = tokenizer()?;
        let mut ids = self.located(tokenizer.encode_prompt(&prompt))?;
        ids.extend(self.located(tokenizer.encode_completion(&prompt, &completion))?);
        Ok(ids)
    }

    /// Checks that the model can be given `ids`: at least `least` of them, no more than its context, all known.
    pub(super) fn check_tokens(&self, ids: &[u32], least: usize, folder: &ModelFolder) -> Result<()> {
        let (context, vocab_size) = (folder.context(), folder.config.vocab_size());
        let found = if ids.len() == 1 {
            "1 token".to_owned()
        } else {
            format!("{} tokens", ids.len())
        };
        if ids.len() < least {
            return Err(self.fault(format!("the row has {found}, expected at least {least}")));
        }
        if ids.len() > context {
            return Err(self.fault(format!(
                "the row has {found}, expected at most {context}, the model's context"
            )));
        }
        match ids.iter().position(|&id| id as usize >= vocab_size) {
            Some(place) => Err(self.fault(format!(
                "token {place} of the row is {}, expected an id below {vocab_size}, the model's vocabulary",
                ids[place]
            ))),
            None => Ok(()),
        }
    }
}

/// Kind of a JSON value, for messages.
pub(super) fn kind_of(value: &Value) -> String {
    const SHOWN: usize = 40;
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => format!("the boolean {value}"),
        Value::Number(value) => format!("the number {value}"),
        Value::String(text) if text.is_empty() => "an empty string".to_owned(),
        Value::String(text) => format!("the string {:?}", text.chars().take(SHOWN).collect::<String>()),
        Value::Array(items) if items.is_empty() => "an empty array".to_owned(),
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(fields) => {
            let names: Vec<&str> = fields.keys().map(String::as_str).collect();
            format!("an object of {}", names.join(", "))
        }
    }
}
