//! Templates of model folders, found where transformers finds them.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::ChatTemplate;
use crate::error::{Error, Result};
use crate::special::{CONFIG, Folders, SpecialTokens, of_file, read_json};

/// The file with the template.
pub(crate) const TEMPLATE: &str = "chat_template.jinja";
/// The file with the template for conversations with tools.
pub(crate) const TOOL_USE: &str = "additional_chat_templates/tool_use.jinja";

impl ChatTemplate {
    /// The template in a file.
    ///
    /// # Errors
    /// If the file is missing, cannot be read, is not UTF-8 or is no template.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let source = read(path)?.ok_or_else(|| Error::MissingFile {
            path: path.to_owned(),
            expected: "a chat template in Jinja",
        })?;
        Self::new(&source, path)
    }

    /// The template of a GGUF file, or of a model's folder: `chat_template.jinja`, or else `chat_template` in `tokenizer_config.json`, a
    /// string or a list of named ones of which `default` is taken, and `tool_use` for conversations with tools. The
    /// special tokens that the folder names are its variables. Nothing if there is no template.
    ///
    /// # Errors
    /// If a file cannot be read, is malformed, or a template is none.
    pub fn load(dir: impl AsRef<Path>) -> Result<Option<Self>> {
        let dir = dir.as_ref();
        if dir.is_file() {
            let tokenizer = crate::Tokenizer::load_optional(dir)?;
            return Ok(tokenizer.and_then(|tokenizer| tokenizer.chat_template().cloned()));
        }
        let names = SpecialTokens::load(Folders(&[dir]))?.names;
        Ok(Self::find(Folders(&[dir]))?.map(|template| template.with_special_tokens(names)))
    }

    /// The template of the first folder that has one, without special tokens.
    pub(crate) fn find(folders: Folders<'_>) -> Result<Option<Self>> {
        let mut found = folders.iter().map(Self::of_folder);
        found.find(|found| !matches!(found, Ok(None))).unwrap_or(Ok(None))
    }

    fn of_folder(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(TEMPLATE);
        let Some(source) = read(&path)? else {
            let config = dir.join(CONFIG);
            return Self::from_config(&read_json(&config)?["chat_template"], config);
        };
        let template = Self::new(&source, &path)?;
        let tool_use = dir.join(TOOL_USE);
        Ok(Some(match read(&tool_use)? {
            Some(source) => template.with_tool_use(&source, &tool_use.display().to_string())?,
            None => template,
        }))
    }

    /// The template that `tokenizer_config.json`, or a GGUF file in its place, holds.
    pub(crate) fn from_config(value: &Json, path: PathBuf) -> Result<Option<Self>> {
        let place = |name: &str| format!("{} (chat_template{name})", path.display());
        let entries = match value {
            Json::Null => return Ok(None),
            Json::String(source) => return Self::new(source, place("")).map(Some),
            Json::Array(entries) => entries,
            _ => return Err(malformed(path, "a string or a list of templates")),
        };
        let mut default = None;
        let mut tool_use = None;
        for entry in entries {
            match (entry["name"].as_str(), entry["template"].as_str()) {
                (Some("default"), Some(source)) => default = Some(source),
                (Some("tool_use"), Some(source)) => tool_use = Some(source),
                (Some(_), Some(_)) => {}
                _ => return Err(malformed(path, "a list of objects of `name` and `template`")),
            }
        }
        let Some(default) = default else {
            return Err(malformed(path, "one of the templates to be called `default`"));
        };
        let template = Self::new(default, place(": default"))?;
        match tool_use {
            Some(source) => template.with_tool_use(source, &place(": tool_use")).map(Some),
            None => Ok(Some(template)),
        }
    }
}

fn malformed(path: PathBuf, expected: &str) -> Error {
    Error::MalformedTokenizer {
        path,
        reason: format!("field `chat_template`: expected {expected}"),
    }
}

fn read(path: &Path) -> Result<Option<String>> {
    rlhf_files::if_there(rlhf_files::read_text(path)).map_err(of_file)
}
