//! Files of data: those in a folder, and what their rows are.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::lines::{self, Format};

/// The kind of rows in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DataKind {
    /// Conversations with answers.
    Demonstrations,
    /// Ranked answers.
    Comparisons,
    /// Conversations that wait for an answer.
    Prompts,
    /// Documents.
    Text,
}

/// Rows that are looked at.
const FIRST: usize = 8;

/// The kind of rows in a file, told by the name of a text file and else by the fields of the first rows: the kind of most of them.
///
/// It is a guess. The readers say whether the rows are of that kind; rows that have no field of the others are taken for prompts.
///
/// # Errors
/// If the file is missing, empty or of unknown format, or its first row is no JSON object.
pub fn kind_of_file(path: impl AsRef<Path>) -> Result<DataKind> {
    let path = path.as_ref();
    let expected = "rows of demonstrations, comparisons, prompts or text";
    if path.exists() && lines::format_of(path)? == Format::Text {
        return Ok(DataKind::Text);
    }
    let mut kinds = Vec::new();
    for row in lines::open_rows(path, expected)?.take(FIRST) {
        match row {
            Ok((_, row)) => kinds.push(kind_of_row(&row)),
            // A fault of a later row is the reader's to tell.
            Err(_) if !kinds.is_empty() => break,
            Err(error) => return Err(error),
        }
    }
    let alike = |kind: &&DataKind| kinds.iter().filter(|other| other == kind).count();
    // The last of several that are as many, which is the first from the other end.
    let most = kinds.iter().rev().max_by_key(alike);
    most.copied().ok_or_else(|| Error::EmptyFile {
        path: path.to_owned(),
        expected,
    })
}

fn kind_of_row(row: &Map<String, Value>) -> DataKind {
    let has = |field: &str| row.get(field).is_some_and(|value| !value.is_null());
    let last_role = row
        .get("messages")
        .and_then(|messages| messages.as_array()?.last()?.get("role")?.as_str());
    let has_thumb = has("completion") && has("label");
    if has("completions") || has("chosen") || has("rejected") || has_thumb {
        DataKind::Comparisons
    } else if has("completion") || last_role == Some("assistant") {
        DataKind::Demonstrations
    } else if has("text") && !has("prompt") && !has("messages") {
        DataKind::Text
    } else {
        DataKind::Prompts
    }
}

/// The files of a folder that the readers know by their names, `.jsonl`, `.ndjson`, `.json`, `.txt`, each also `.gz`, and `.parquet`,
/// in the order of their names. Folders inside of it are not looked into, and files whose names begin with a dot are no data.
///
/// # Errors
/// If there is no such folder, or it cannot be read.
pub fn files_of(dir: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
    let is_hidden = |file: &Path| {
        file.file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
    };
    files_in(dir.as_ref(), |file| !is_hidden(file) && lines::format_of(file).is_ok())
}

/// The files of a folder that are wanted, in the order of their names.
pub(crate) fn files_in(dir: &Path, is_wanted: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let read_error = |source: std::io::Error| match source.kind() {
        ErrorKind::NotFound => Error::MissingFile {
            path: dir.to_owned(),
            expected: "a folder of data files",
        },
        _ => Error::Read {
            path: dir.to_owned(),
            line: 0,
            source,
        },
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(read_error)? {
        let file = entry.map_err(read_error)?.path();
        if file.is_file() && is_wanted(&file) {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}
