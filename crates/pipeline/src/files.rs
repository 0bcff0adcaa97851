//! JSON in files: one value, or a row a line.

use std::path::Path;

use rlhf_core::atomic;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// Writes rows as JSON lines, whole or not at all.
pub(crate) fn write_rows<T: Serialize>(path: &Path, rows: &[T]) -> Result<()> {
    let mut text = String::new();
    for row in rows {
        text.push_str(&serde_json::to_string(row).map_err(|source| encode(path, source))?);
        text.push('\n');
    }
    Ok(atomic::write_file(path, text.as_bytes())?)
}

/// Writes a value as indented JSON, whole or not at all.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(|source| encode(path, source))?;
    Ok(atomic::write_file(path, text.as_bytes())?)
}

/// Reads what [`write_rows`] wrote of a list that is never empty.
pub(crate) fn read_rows<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let text = read(path)?;
    let row = |(index, line): (usize, &str)| serde_json::from_str(line).map_err(|e| malformed(path, index + 1, &e));
    let rows: Vec<T> = text.lines().enumerate().map(row).collect::<Result<_>>()?;
    if rows.is_empty() {
        return Err(Error::Row {
            path: path.to_owned(),
            line: 1,
            message: "nothing, expected at least one row".to_owned(),
        });
    }
    Ok(rows)
}

/// Reads what [`write_json`] wrote.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_str(&read(path)?).map_err(|e| malformed(path, e.line(), &e))
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })
}

fn encode(path: &Path, source: serde_json::Error) -> Error {
    Error::Encode {
        path: path.to_owned(),
        source,
    }
}

fn malformed(path: &Path, line: usize, error: &serde_json::Error) -> Error {
    Error::Row {
        path: path.to_owned(),
        line,
        message: error.to_string(),
    }
}
