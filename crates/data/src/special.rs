//! The special tokens that the files of a model's folder name.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::{Error, Result};

pub(crate) const CONFIG: &str = "tokenizer_config.json";
pub(crate) const MAP: &str = "special_tokens_map.json";
pub(crate) const ADDED: &str = "added_tokens.json";
const GENERATION: &str = "generation_config.json";
const MODEL: &str = "config.json";

/// The roles that transformers gives special tokens by name; templates know them as variables. In this order those that the
/// vocabulary lacks are added to it.
pub(crate) const NAMES: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];

/// A model's folder, and perhaps others whose files stand for those that it lacks.
#[derive(Clone, Copy)]
pub(crate) struct Folders<'a>(pub(crate) &'a [&'a Path]);

impl<'a> Folders<'a> {
    /// The folders, those that come first before the others.
    pub(crate) fn iter(self) -> impl Iterator<Item = &'a Path> {
        self.0.iter().copied()
    }

    /// The folder itself.
    pub(crate) fn first(self) -> &'a Path {
        self.0.first().copied().unwrap_or(Path::new(""))
    }

    /// The file of the first folder that has it; where none has, its place in the first.
    pub(crate) fn path(self, name: &str) -> PathBuf {
        let mut paths = self.iter().map(|dir| dir.join(name));
        paths
            .find(|path| path.exists())
            .unwrap_or_else(|| self.first().join(name))
    }
}

/// What the folder of a model says of special tokens.
pub(crate) struct SpecialTokens {
    /// `tokenizer_config.json`, null if there is none.
    pub(crate) config: Value,
    /// `special_tokens_map.json`, likewise.
    pub(crate) map: Value,
    /// `added_tokens.json`, likewise.
    pub(crate) added: Value,
    /// The text of each token that is named: `bos_token`, `eos_token` and so on.
    pub(crate) names: Map<String, Value>,
    /// Tokens that `generation_config.json` or `config.json` name by their ids alone; nothing where other files name any.
    pub(crate) named_ids: Vec<(&'static str, u32)>,
    /// The tokens that end an answer, by id, as `generation_config.json` or else `config.json` has them.
    pub(crate) eos_token_ids: Vec<u32>,
    /// Rows of the model's embedding, if `config.json` says how many.
    pub(crate) model_vocab_size: Option<u64>,
}

impl SpecialTokens {
    /// Reads `tokenizer_config.json`, `special_tokens_map.json` for what the former leaves out, `added_tokens.json`, and the ids of
    /// the model's own configuration.
    pub(crate) fn load(folders: Folders<'_>) -> Result<Self> {
        let read = |name: &str| read_json(&folders.path(name));
        let (config, map, added) = (read(CONFIG)?, read(MAP)?, read(ADDED)?);
        let of_model = [read_generation(&folders.path(GENERATION))?, read(MODEL)?];
        Ok(Self::new(config, map, added, of_model))
    }

    /// The same of the files' content; `of_model` are `generation_config.json` and `config.json`. What is not there is null.
    pub(crate) fn new(config: Value, map: Value, added: Value, of_model: [Value; 2]) -> Self {
        let [generation, model] = of_model;
        let mut names = Map::new();
        for name in NAMES {
            if let Some(text) = token_text(&config[name]).or_else(|| token_text(&map[name])) {
                names.insert(name.to_owned(), text.into());
            }
        }
        let ids = |name: &str| {
            let field = format!("{name}_id");
            let found = token_ids(&generation[&field]);
            if found.is_empty() {
                token_ids(&model[&field])
            } else {
                found
            }
        };
        let named_ids = if config.is_null() && map.is_null() {
            NAMES
                .into_iter()
                .filter(|name| *name != "eos_token")
                .filter_map(|name| Some((name, *ids(name).first()?)))
                .collect()
        } else {
            Vec::new()
        };
        Self {
            eos_token_ids: ids("eos_token"),
            model_vocab_size: model["vocab_size"].as_u64(),
            config,
            map,
            added,
            names,
            named_ids,
        }
    }
}

/// A token is named by a string or by an object with its content.
pub(crate) fn token_text(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}

/// One id or a list of them; -1 stands for none.
fn token_ids(value: &Value) -> Vec<u32> {
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match value {
        Value::Array(items) => items.iter().filter_map(id).collect(),
        other => id(other).into_iter().collect(),
    }
}

/// A JSON object, or null if there is no such file.
pub(crate) fn read_json(path: &Path) -> Result<Value> {
    let found = rlhf_files::if_there(rlhf_files::read_object(path)).map_err(of_file)?;
    Ok(found.map_or(Value::Null, Value::Object))
}

/// `generation_config.json`, which some folders have without anything in it.
fn read_generation(path: &Path) -> Result<Value> {
    match rlhf_files::if_there(rlhf_files::read(path)).map_err(of_file)? {
        Some(bytes) if bytes.trim_ascii().is_empty() => Ok(Value::Null),
        _ => read_json(path),
    }
}

/// The fault of a file of a tokenizer.
pub(crate) fn of_file(error: rlhf_files::Error) -> Error {
    match error {
        rlhf_files::Error::Json { path, message } => Error::MalformedTokenizer { path, reason: message },
        rlhf_files::Error::Io { path, source } => Error::Read { path, line: 0, source },
        other => Error::File(other),
    }
}
