//! `tokenizer.json` and `tokenizer_config.json`, as transformers' `PreTrainedTokenizerFast` reads them.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use serde_json::{Value, json};

use super::{ASSISTANT_TOKEN, EOS_TOKEN, PAD_TOKEN, SYSTEM_TOKEN, Tokenizer, USER_TOKEN};
use crate::error::{Error, Result};

const TOKENIZER: &str = "tokenizer.json";
const CONFIG: &str = "tokenizer_config.json";

/// Our conversation format in Jinja, with `EOS` for the name of the eos token.
const CHAT_TEMPLATE: &str = "{%- for message in messages -%}\
    {{- '<|' + message['role'] + '|>' + message['content'] -}}\
    {%- if message['role'] == 'assistant' -%}{{- 'EOS' -}}{%- endif -%}\
    {%- endfor -%}\
    {%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}";

impl Tokenizer {
    /// Loads the tokenizer of a model folder: `tokenizer.json`, and the names of eos and pad from
    /// `tokenizer_config.json` (`<|eos|>` and `<|pad|>` where it does not name them).
    ///
    /// # Errors
    /// If `tokenizer.json` is missing or malformed, is not byte-level (does not give every text back), lacks eos, pad
    /// or a role token, or has one token for pad and eos.
    pub fn load(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref();
        let path = dir.join(TOKENIZER);
        let bytes = read(&path)?.ok_or_else(|| Error::MissingFile {
            path: path.clone(),
            expected: "a byte-level BPE tokenizer in the format of Hugging Face tokenizers",
        })?;
        let malformed = |path: &Path, reason: String| Error::MalformedTokenizer {
            path: path.to_owned(),
            reason,
        };
        let inner = tokenizers::Tokenizer::from_bytes(&bytes).map_err(|error| malformed(&path, error.to_string()))?;
        let config_path = dir.join(CONFIG);
        let config: Value = match read(&config_path)? {
            Some(bytes) => {
                serde_json::from_slice(&bytes).map_err(|error| malformed(&config_path, error.to_string()))?
            }
            None => Value::Null,
        };
        let name = |field: &str, default: &str| token_name(&config[field]).unwrap_or(default).to_owned();
        let [eos, pad] = [name("eos_token", EOS_TOKEN), name("pad_token", PAD_TOKEN)];
        let named_in = if config.is_null() { &path } else { &config_path };
        Self::new(inner, &eos, &pad, named_in)
    }

    /// Writes `tokenizer.json` and `tokenizer_config.json` into a folder, which is made if need be. Each file is
    /// written to a temporary name, synced and renamed.
    ///
    /// # Errors
    /// If the folder or a file cannot be written.
    pub fn save(&self, dir: impl AsRef<Path>) -> Result<()> {
        let dir = dir.as_ref();
        fs::create_dir_all(dir).map_err(|source| Error::Write {
            path: dir.to_owned(),
            source,
        })?;
        write_atomically(&dir.join(TOKENIZER), &self.to_json())?;
        let config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": self.eos_token(),
            "pad_token": self.pad_token(),
            "additional_special_tokens": [SYSTEM_TOKEN, USER_TOKEN, ASSISTANT_TOKEN],
            "clean_up_tokenization_spaces": false,
            "add_prefix_space": false,
            "padding_side": "left",
            "chat_template": CHAT_TEMPLATE.replace("EOS", self.eos_token()),
        });
        write_atomically(&dir.join(CONFIG), &format!("{config:#}\n"))
    }
}

/// A token is named by a string or by an object with its content.
fn token_name(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
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
