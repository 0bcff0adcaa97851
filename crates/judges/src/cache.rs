//! Verdicts of earlier runs, a line of JSON each.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use rlhf_data::Message;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::judge_prompt::Better;
use crate::spent::Usage;

/// A verdict and what it took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// [`key`] of the question.
    pub(crate) key: String,
    /// The verdict; nothing if the judge gave none, which depends on `max_tokens`.
    pub(crate) verdict: Option<Better>,
    /// The tokens that the judge had.
    pub(crate) max_tokens: u32,
    /// Requests and tokens.
    #[serde(flatten)]
    pub(crate) usage: Usage,
}

/// The name of a question: all that its verdict depends on, the order of the answers included, and nothing else. The server's address
/// is no part of it.
pub(crate) fn key(model: &str, template: &str, temperature: f64, messages: &[Message], answers: [&str; 2]) -> String {
    let parts = serde_json::to_vec(&(model, template, temperature, messages, answers)).expect("plain data");
    Sha256::digest(parts).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The file and what it holds. Each verdict is written as soon as it is there.
#[derive(Debug)]
pub(crate) struct Cache {
    path: PathBuf,
    file: File,
    records: HashMap<String, Record>,
}

impl Cache {
    /// Opens the file or makes it. A last line without its end was cut off when a run was interrupted, and is removed.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let bytes = match std::fs::read(path) {
            Err(source) if source.kind() == ErrorKind::NotFound => Vec::new(),
            other => other.map_err(Error::io(path))?,
        };
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let records = parse(path, &bytes[..whole])?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        }
        let options = OpenOptions::new().append(true).create(true).open(path);
        let file = options.map_err(Error::io(path))?;
        if whole < bytes.len() {
            let dropped = bytes.len() - whole;
            tracing::debug!(path = %path.display(), bytes = dropped, "a verdict cut off by an interruption");
            file.set_len(whole as u64).map_err(Error::io(path))?;
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            records,
        })
    }

    /// What is known of a question. No verdict within another limit of tokens is no knowledge.
    pub(crate) fn get(&self, key: &str, max_tokens: u32) -> Option<&Record> {
        let known = |record: &&Record| record.verdict.is_some() || record.max_tokens == max_tokens;
        self.records.get(key).filter(known)
    }

    pub(crate) fn insert(&mut self, record: Record) -> Result<()> {
        let mut line = serde_json::to_vec(&record).expect("plain data");
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| self.file.flush());
        written.map_err(Error::io(&self.path))?;
        self.records.insert(record.key.clone(), record);
        Ok(())
    }
}

fn parse(path: &Path, bytes: &[u8]) -> Result<HashMap<String, Record>> {
    let mut records = HashMap::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let record: Record = serde_json::from_slice(line).map_err(|error| Error::CacheLine {
            path: path.to_owned(),
            line: index + 1,
            reason: error.to_string(),
        })?;
        records.insert(record.key.clone(), record);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, verdict: Option<Better>) -> Record {
        Record {
            key: key.to_owned(),
            verdict,
            max_tokens: 16,
            usage: Usage {
                requests: 1,
                prompt_tokens: 20,
                completion_tokens: 1,
            },
        }
    }

    #[test]
    fn a_line_that_was_cut_off_is_dropped_and_the_next_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/verdicts.jsonl");
        let mut cache = Cache::open(&path).unwrap();
        cache.insert(record("a", Some(Better::A))).unwrap();
        cache.insert(record("b", Some(Better::Tie))).unwrap();
        drop(cache);
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();

        let mut cache = Cache::open(&path).unwrap();
        assert_eq!(cache.get("a", 16), Some(&record("a", Some(Better::A))));
        assert_eq!(cache.get("b", 16), None);
        cache.insert(record("b", Some(Better::Tie))).unwrap();
        drop(cache);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
    }

    #[test]
    fn a_line_that_is_no_verdict_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("verdicts.jsonl");
        let line = serde_json::to_string(&record("a", None)).unwrap();
        std::fs::write(&path, format!("{line}\n\n{{\"key\":1}}\n")).unwrap();
        let error = Cache::open(&path).unwrap_err().to_string();
        assert!(error.contains("verdicts.jsonl:3: expected a verdict"), "{error}");
    }

    #[test]
    fn no_verdict_is_asked_for_again_with_more_tokens() {
        let dir = tempfile::tempdir().unwrap();
        let mut cache = Cache::open(&dir.path().join("verdicts.jsonl")).unwrap();
        cache.insert(record("a", None)).unwrap();
        cache.insert(record("b", Some(Better::B))).unwrap();
        assert!(cache.get("a", 16).is_some() && cache.get("b", 99).is_some());
        assert!(cache.get("a", 99).is_none());
    }

    #[test]
    fn the_key_depends_on_all_that_the_verdict_does() {
        let ask = [Message::user("Why?")];
        let base = key("m", "t", 0.0, &ask, ["x", "y"]);
        assert_eq!(base, key("m", "t", 0.0, &ask, ["x", "y"]));
        for other in [
            key("n", "t", 0.0, &ask, ["x", "y"]),
            key("m", "u", 0.0, &ask, ["x", "y"]),
            key("m", "t", 0.5, &ask, ["x", "y"]),
            key("m", "t", 0.0, &[Message::user("How?")], ["x", "y"]),
            key("m", "t", 0.0, &ask, ["y", "x"]),
            key("m", "t", 0.0, &ask, ["x\",\"y", ""]),
        ] {
            assert_ne!(base, other);
        }
    }
}
