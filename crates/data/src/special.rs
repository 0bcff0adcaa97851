//! The special tokens that the files of a model's folder name.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde_json::{Map, Value};

use crate::error::{Error, Result};

const CONFIG: &str = "tokenizer_config.json";
const MAP: &str = "special_tokens_map.json";
const GENERATION: &str = "generation_config.json";
const MODEL: &str = "config.json";

/// The roles that transformers gives special tokens by name; templates know them as variables.
const NAMES: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];

/// The special tokens of a folder.
pub(crate) struct SpecialTokens {
    /// `tokenizer_config.json`, null if there is none.
    pub(crate) config: Value,
    /// The text of each token that is named: `bos_token`, `eos_token` and so on.
    pub(crate) names: Map<String, Value>,
    /// The tokens that end an answer, by id, as `generation_config.json` or else `config.json` has them.
    pub(crate) eos_token_ids: Vec<u32>,
}

impl SpecialTokens {
    /// Reads `tokenizer_config.json`, `special_tokens_map.json` for what the former leaves out, and the ids of eos.
    pub(crate) fn load(dir: &Path) -> Result<Self> {
        let config = read_json(&dir.join(CONFIG))?;
        let map = read_json(&dir.join(MAP))?;
        let mut names = Map::new();
        for name in NAMES {
            if let Some(text) = token_text(&config[name]).or_else(|| token_text(&map[name])) {
                names.insert(name.to_owned(), text.into());
            }
        }
        let mut eos_token_ids = token_ids(&read_json(&dir.join(GENERATION))?["eos_token_id"]);
        if eos_token_ids.is_empty() {
            eos_token_ids = token_ids(&read_json(&dir.join(MODEL))?["eos_token_id"]);
        }
        Ok(Self {
            config,
            names,
            eos_token_ids,
        })
    }
}

/// A token is named by a string or by an object with its content.
fn token_text(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}

/// One id or a list of them.
fn token_ids(value: &Value) -> Vec<u32> {
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match value {
        Value::Array(items) => items.iter().filter_map(id).collect(),
        other => id(other).into_iter().collect(),
    }
}

/// A JSON object, or null if there is no such file.
pub(crate) fn read_json(path: &Path) -> Result<Value> {
    let malformed = |reason: String| Error::MalformedTokenizer {
        path: path.to_owned(),
        reason,
    };
    match fs::read(path) {
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(object @ Value::Object(_)) => Ok(object),
            Ok(_) => Err(malformed("expected a JSON object".to_owned())),
            Err(error) => Err(malformed(error.to_string())),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Value::Null),
        Err(source) => Err(Error::Read {
            path: path.to_owned(),
            line: 0,
            source,
        }),
    }
}
