//! Rows to token sequences: one JSON object a line, and what is said when one is not as it should be.

use std::io::{BufReader, Cursor, Read};
use std::path::Path;

use rlhf_data::{Error as DataError, Message, Row, read_objects, read_objects_from};
use serde_json::Value;

use super::model::ModelFolder;
use crate::error::{Error, Result};

/// Reads rows as the stages do: JSON lines or an array, either gzipped, or Parquet; from standard input, which is called `-`,
/// lines or an array.
pub(super) fn read_rows(path: &Path, expected: &'static str) -> Result<Vec<Row>> {
    if path != Path::new("-") {
        return Ok(read_objects(path, expected)?);
    }
    let name = Path::new("standard input");
    let mut bytes = Vec::new();
    std::io::stdin()
        .read_to_end(&mut bytes)
        .map_err(|source| DataError::Read {
            path: name.to_owned(),
            line: 0,
            source,
        })?;
    Ok(read_objects_from(
        name,
        Box::new(BufReader::new(Cursor::new(bytes))),
        expected,
    )?)
}

/// A fault in a row.
pub(super) fn fault(row: &Row, message: impl Into<String>) -> Error {
    Error::Row {
        path: row.path().to_owned(),
        line: row.line(),
        message: message.into(),
    }
}

/// A fault of the data crate, with the place of a row.
pub(super) fn located<T>(row: &Row, result: rlhf_data::Result<T>) -> Result<T> {
    result.map_err(|error| fault(row, error.to_string()))
}

/// A field of messages with any roles and any fields beside the role.
pub(super) fn raw_messages<'a>(row: &'a Row, field: &str) -> Result<&'a [Value]> {
    let items = match row.get(field) {
        Some(Value::Array(items)) if !items.is_empty() => items,
        other => return Err(row.wrong(field, "an array of messages", other).into()),
    };
    match items.iter().position(|item| !item["role"].is_string()) {
        Some(index) => {
            let place = format!("{field}[{index}]");
            Err(row.wrong(place, "an object with a role", Some(&items[index])).into())
        }
        None => Ok(items),
    }
}

/// The whole of a row as tokens: `input_ids` as they are, `text` without any template, `messages` or `prompt` and
/// `completion` in the chat format.
pub(super) fn sequence(row: &Row, folder: &ModelFolder) -> Result<Vec<u32>> {
    if row.has("input_ids") {
        return Ok(row.whole_numbers("input_ids", "a token id", "an array of token ids")?);
    }
    if row.has("text") {
        let text = row.string("text")?;
        return Ok(folder.tokenizer()?.encode_document(&text));
    }
    row.refuse_tools()?;
    if row.has("messages") && !row.has("completion") {
        return whole(row, &row.whole_conversation()?, folder);
    }
    if !row.has("prompt") && !row.has("messages") {
        let expected = "input_ids, or text, or prompt and completion";
        return Err(row.wrong("prompt", expected, None).into());
    }
    let mut messages = row.conversation()?;
    let tokenizer = folder.tokenizer()?;
    let answer = messages.pop().unwrap_or_else(|| Message::assistant(""));
    let mut ids = located(row, tokenizer.encode_prompt(&messages))?;
    ids.extend(located(row, tokenizer.encode_reply(&messages, &answer))?);
    Ok(ids)
}

/// A conversation, whoever has the last word.
fn whole(row: &Row, messages: &[Message], folder: &ModelFolder) -> Result<Vec<u32>> {
    Ok(located(row, folder.tokenizer()?.encode_conversation(messages))?.input_ids)
}

/// A prompt and an answer to it.
pub(super) fn answered(row: &Row, prompt: &[Message], answer: &str, folder: &ModelFolder) -> Result<Vec<u32>> {
    let tokenizer = folder.tokenizer()?;
    let mut ids = located(row, tokenizer.encode_prompt(prompt))?;
    ids.extend(located(row, tokenizer.encode_completion(prompt, answer))?);
    Ok(ids)
}

/// Checks that the model can be given `ids`: at least `least` of them, no more than its context, all known.
pub(super) fn check_tokens(row: &Row, ids: &[u32], least: usize, folder: &ModelFolder) -> Result<()> {
    let (context, vocab_size) = (folder.context(), folder.config.vocab_size());
    let found = if ids.len() == 1 {
        "1 token".to_owned()
    } else {
        format!("{} tokens", ids.len())
    };
    if ids.len() < least {
        return Err(fault(row, format!("the row has {found}, expected at least {least}")));
    }
    if ids.len() > context {
        return Err(fault(
            row,
            format!("the row has {found}, expected at most {context}, the model's context"),
        ));
    }
    match ids.iter().position(|&id| id as usize >= vocab_size) {
        Some(place) => Err(fault(
            row,
            format!(
                "token {place} of the row is {}, expected an id below {vocab_size}, the model's vocabulary",
                ids[place]
            ),
        )),
        None => Ok(()),
    }
}
