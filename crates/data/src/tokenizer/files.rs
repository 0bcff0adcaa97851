//! `tokenizer.json` and `tokenizer_config.json`, as transformers' `PreTrainedTokenizerFast` reads them.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::sound::unsound_part;
use super::turns::Turns;
use super::{ASSISTANT_TOKEN, Named, SYSTEM_TOKEN, Tokenizer, USER_TOKEN, sentencepiece, vocab};
use crate::chat::{ChatTemplate, TEMPLATE, TOOL_USE};
use crate::error::{Error, Result};
use crate::special::SpecialTokens;

const TOKENIZER: &str = "tokenizer.json";
const CONFIG: &str = "tokenizer_config.json";

/// Our conversation format in Jinja, with `EOS` for the name of the eos token.
const CHAT_TEMPLATE: &str = "{%- for message in messages -%}\
    {{- '<|' + message['role'] + '|>' + message['content'] -}}\
    {%- if message['role'] == 'assistant' -%}{{- 'EOS' -}}{%- endif -%}\
    {%- endfor -%}\
    {%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}";

/// The chat template of tokenizers that write conversations with role tokens.
pub(super) fn own_template(eos: &str) -> String {
    CHAT_TEMPLATE.replace("EOS", eos)
}

impl Tokenizer {
    /// Loads the tokenizer of a model folder: `tokenizer.json`, or GPT-2's `vocab.json` and `merges.txt`, or SentencePiece's
    /// `tokenizer.model`; the names of eos and pad from `tokenizer_config.json` or `special_tokens_map.json` (`<|eos|>` and `<|pad|>` where they name none, or
    /// the eos of `generation_config.json` or `config.json`); and the chat template, if there is one, as
    /// [`ChatTemplate::load`] finds it.
    ///
    /// # Errors
    /// If the tokenizer is missing or malformed, does not give every text back, lacks eos or the pad
    /// that is named, or if the chat template is none. A folder that says nothing about conversations is an error when
    /// one is to be written.
    pub fn load(dir: impl AsRef<Path>) -> Result<Self> {
        let path = dir.as_ref().join(TOKENIZER);
        Self::load_optional(dir)?.ok_or(Error::MissingFile {
            path,
            expected: "a BPE tokenizer in the format of Hugging Face tokenizers",
        })
    }

    /// The tokenizer of a model folder as [`Self::load`] reads it; nothing if the folder has none.
    ///
    /// # Errors
    /// As [`Self::load`], but for a tokenizer that is missing.
    pub fn load_optional(dir: impl AsRef<Path>) -> Result<Option<Self>> {
        let dir = dir.as_ref();
        let path = dir.join(TOKENIZER);
        let special = SpecialTokens::load(dir)?;
        let found = match read(&path)? {
            Some(bytes) => Some(parse(&bytes).map_err(|reason| Error::MalformedTokenizer {
                path: path.clone(),
                reason,
            })?),
            None => match vocab::load(dir, &special)? {
                Some(found) => Some(found),
                None => sentencepiece::load(dir)?,
            },
        };
        let Some(inner) = found else {
            return Ok(None);
        };
        let config_path = dir.join(CONFIG);
        let named = Named {
            named_in: if special.config.is_null() { path } else { config_path },
            names: special.names,
            eos_token_ids: special.eos_token_ids,
            config: special.config,
            template: ChatTemplate::load(dir)?,
            dir: dir.to_owned(),
        };
        Self::new(inner, named).map(Some)
    }

    /// Writes `tokenizer.json` and `tokenizer_config.json` into a folder, which is made if need be, and the chat template
    /// that the tokenizer has instead of role tokens; one that it has not is removed. Each file is written to a temporary name, synced and renamed.
    ///
    /// # Errors
    /// If the folder or a file cannot be written.
    pub fn save(&self, dir: impl AsRef<Path>) -> Result<()> {
        let dir = dir.as_ref();
        make_dir(dir)?;
        write_atomically(&dir.join(TOKENIZER), &self.to_json())?;
        write_atomically(&dir.join(CONFIG), &format!("{:#}\n", self.config_to_save()))?;
        let Some(template) = self.chat_template() else {
            // One that an earlier tokenizer left would be taken for this one's.
            return [TEMPLATE, TOOL_USE].iter().try_for_each(|name| remove(&dir.join(name)));
        };
        if let Some(source) = template.tool_use_source() {
            let path = dir.join(TOOL_USE);
            make_dir(path.parent().expect("the file stands in a folder"))?;
            write_atomically(&path, source)?;
        } else {
            remove(&dir.join(TOOL_USE))?;
        }
        write_atomically(&dir.join(TEMPLATE), template.source())
    }

    /// The configuration as it was loaded, or that of a tokenizer of ours, with what says how conversations are written. A
    /// template of the model's own has a file for itself.
    fn config_to_save(&self) -> Value {
        let mut config = match self.config.as_object() {
            Some(loaded) => loaded.clone(),
            None => self.new_config(),
        };
        for (name, token) in &self.special_names {
            if config.get(name).is_none_or(Value::is_null) {
                config.insert(name.clone(), token.clone());
            }
        }
        match self.turns {
            Turns::Roles(_) => drop(config.insert("chat_template".to_owned(), own_template(self.eos_token()).into())),
            Turns::Template(_) => drop(config.shift_remove("chat_template")),
            Turns::Unknown(_) => {}
        }
        Value::Object(config)
    }

    fn new_config(&self) -> Map<String, Value> {
        let config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": self.eos_token(),
            "pad_token": self.pad_token(),
            "additional_special_tokens": [SYSTEM_TOKEN, USER_TOKEN, ASSISTANT_TOKEN],
            "clean_up_tokenization_spaces": false,
            "add_prefix_space": false,
            "padding_side": "left",
        });
        match config {
            Value::Object(config) => config,
            _ => unreachable!("it is written as an object"),
        }
    }
}

/// The tokenizer that a `tokenizer.json` describes.
fn parse(bytes: &[u8]) -> std::result::Result<tokenizers::Tokenizer, String> {
    let parts: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    match unsound_part(&parts, "") {
        Some(reason) => Err(reason),
        None => tokenizers::Tokenizer::from_bytes(bytes).map_err(|error| error.to_string()),
    }
}

/// Removes a file that may not be there.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(Error::Write {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

fn make_dir(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(|source| Error::Write {
        path: dir.to_owned(),
        source,
    })
}

pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read {
            path: path.to_owned(),
            line: 0,
            source,
        }),
    }
}

fn write_atomically(path: &Path, text: &str) -> Result<()> {
    let temporary = path.with_extension(format!("tmp{}", std::process::id()));
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        match path.parent() {
            Some(dir) if cfg!(unix) => File::open(dir)?.sync_all(),
            _ => Ok(()),
        }
    };
    write().map_err(|source| {
        // The error that counts is the first one; the temporary file may not even exist.
        let _ = fs::remove_file(&temporary);
        Error::Write {
            path: path.to_owned(),
            source,
        }
    })
}
