//! `tokenizer.json` and `tokenizer_config.json`, as transformers' `PreTrainedTokenizerFast` reads them.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tokenizers::PostProcessorWrapper;

use super::sound::unsound_part;
use super::turns::Turns;
use super::{ASSISTANT_TOKEN, Named, SYSTEM_TOKEN, Tokenizer, USER_TOKEN, added, gguf, sentencepiece, vocab};
use crate::chat::{ChatTemplate, TEMPLATE, TOOL_USE};
use crate::error::{Error, Result};
use crate::special::{CONFIG, Folders, NAMES, SpecialTokens, of_file};

const TOKENIZER: &str = "tokenizer.json";

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
    /// Loads the tokenizer of a GGUF file, or that of a model folder: `tokenizer.json`, or GPT-2's `vocab.json` and `merges.txt`, or SentencePiece's
    /// `tokenizer.model`; the special tokens that `tokenizer_config.json`, `special_tokens_map.json` and `added_tokens.json`
    /// name, which are added where it lacks them (eos and pad are `<|eos|>` and `<|pad|>` where the files name none, or eos that of
    /// `generation_config.json` or `config.json`); and the chat template, if there is one, as [`ChatTemplate::load`] finds it.
    ///
    /// # Errors
    /// If the tokenizer is missing or malformed, fails on some texts, lacks eos or adds a token with another id than the
    /// files say, or if the chat template is none. A folder that says nothing about conversations is an error when one is to be
    /// written.
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
        Self::load_of(Folders(&[dir.as_ref()]))
    }

    /// The tokenizer of a folder of adapters over that of its base: of each file, and of the chat template, the adapters' is taken
    /// if they bring one. Nothing if neither folder has a tokenizer.
    ///
    /// # Errors
    /// As [`Self::load_optional`].
    pub fn load_over(adapter: impl AsRef<Path>, base: impl AsRef<Path>) -> Result<Option<Self>> {
        Self::load_of(Folders(&[adapter.as_ref(), base.as_ref()]))
    }

    pub(super) fn load_of(folders: Folders<'_>) -> Result<Option<Self>> {
        if let [before @ .., last] = folders.0
            && last.is_file()
        {
            return gguf::load_under(Folders(before), last);
        }
        let mut special = SpecialTokens::load(folders)?;
        let mut found = None;
        for dir in folders.iter() {
            found = of_folder(dir, &special)?;
            if found.is_some() {
                break;
            }
        }
        let Some(Found { mut inner, path, adds }) = found else {
            return Ok(None);
        };
        added::add(&mut inner, &mut special, folders)?;
        for (name, id) in std::mem::take(&mut special.named_ids) {
            if let Some(token) = inner.id_to_token(id) {
                special.names.insert(name.to_owned(), token.into());
            }
        }
        if let Some(adds) = adds {
            adds.write(&mut inner, &special.names);
        }
        let config_path = folders.path(CONFIG);
        let named = Named {
            named_in: if special.config.is_null() {
                path.clone()
            } else {
                config_path
            },
            file: path,
            names: special.names,
            eos_token_ids: special.eos_token_ids,
            config: special.config,
            template: ChatTemplate::find(folders)?,
            dir: folders.first().to_owned(),
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
    /// template of the model's own has a file for itself. No token has a name that the vocabulary lacks.
    pub(super) fn config_to_save(&self) -> Value {
        let mut config = match self.config.as_object() {
            Some(loaded) => loaded.clone(),
            None => self.new_config(),
        };
        for name in NAMES {
            match self.special_names.get(name) {
                Some(token) if config.get(name).is_none_or(Value::is_null) => {
                    config.insert(name.to_owned(), token.clone());
                }
                None if config.get(name).is_some_and(|value| !value.is_null()) => drop(config.shift_remove(name)),
                _ => {}
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
        let mut config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": self.eos_token(),
            "pad_token": self.pad_token(),
            "clean_up_tokenization_spaces": false,
            "padding_side": "left",
        });
        if matches!(self.turns, Turns::Roles(_)) {
            config["additional_special_tokens"] = [SYSTEM_TOKEN, USER_TOKEN, ASSISTANT_TOKEN].into();
        }
        if self.anchor.is_none() {
            config["add_prefix_space"] = false.into();
        }
        match config {
            Value::Object(config) => config,
            _ => unreachable!("it is written as an object"),
        }
    }
}

/// The tokens that are to stand around a text that stands by itself.
#[derive(Clone, Copy)]
pub(super) struct Adds {
    pub(super) bos: bool,
    pub(super) eos: bool,
}

impl Adds {
    /// Writes them as `tokenizer.json` would have them.
    pub(super) fn write(self, inner: &mut tokenizers::Tokenizer, names: &Map<String, Value>) {
        let token = |name: &str, default: &str| {
            let token = names.get(name).and_then(Value::as_str).unwrap_or(default);
            Some((token.to_owned(), inner.token_to_id(token)?))
        };
        let bos = token("bos_token", "<s>").filter(|_| self.bos);
        let eos = token("eos_token", "</s>").filter(|_| self.eos);
        if bos.is_none() && eos.is_none() {
            return;
        }
        let special = |token: &Option<(String, u32)>| {
            let piece = |(name, _): &(String, u32)| json!({"SpecialToken": {"id": name, "type_id": 0}});
            token.as_ref().map(piece)
        };
        let text = |name: &str| json!({"Sequence": {"id": name, "type_id": 0}});
        let single = special(&bos).into_iter().chain([text("A")]).chain(special(&eos));
        let known = [&bos, &eos].into_iter().flatten();
        let known = known.map(|(name, id)| (name.clone(), json!({"id": name, "ids": [id], "tokens": [name]})));
        let around = json!({
            "type": "TemplateProcessing",
            "single": single.collect::<Value>(),
            "pair": [text("A"), text("B")],
            "special_tokens": known.collect::<Map<String, Value>>(),
        });
        let before = inner.get_post_processor().map(|processor| json!(processor));
        let all = json!({"type": "Sequence", "processors": before.into_iter().chain([around]).collect::<Value>()});
        let processor: Option<PostProcessorWrapper> = serde_json::from_value(all).ok();
        inner.with_post_processor(processor);
    }
}

/// A tokenizer of a folder.
struct Found {
    inner: tokenizers::Tokenizer,
    path: PathBuf,
    /// What the configuration adds, where the tokenizer's own file does not say.
    adds: Option<Adds>,
}

fn of_folder(dir: &Path, special: &SpecialTokens) -> Result<Option<Found>> {
    let path = dir.join(TOKENIZER);
    if let Some(bytes) = read(&path)? {
        let inner = parse(&bytes).map_err(|reason| Error::MalformedTokenizer {
            path: path.clone(),
            reason,
        })?;
        return Ok(Some(Found {
            inner,
            path,
            adds: None,
        }));
    }
    let says = |field: &str, default: bool| special.config[field].as_bool().unwrap_or(default);
    // Without a word to the contrary SentencePiece models were trained with bos before each text.
    let adds = |bos: bool| Adds {
        bos: says("add_bos_token", bos),
        eos: says("add_eos_token", false),
    };
    if let Some(inner) = vocab::load(dir, special)? {
        let adds = Some(adds(false));
        return Ok(Some(Found { inner, path, adds }));
    }
    let found = sentencepiece::load(dir)?;
    Ok(found.map(|inner| Found {
        inner,
        path,
        adds: Some(adds(true)),
    }))
}

/// The tokenizer that a `tokenizer.json` describes.
pub(super) fn parse(bytes: &[u8]) -> std::result::Result<tokenizers::Tokenizer, String> {
    let parts = rlhf_files::parse_json(bytes).map_err(|error| error.to_string())?;
    match unsound_part(&parts, "") {
        Some(reason) => Err(reason),
        // If need be of what was parsed: Python writes words for numbers that JSON does not have.
        None => tokenizers::Tokenizer::from_bytes(bytes)
            .or_else(|_| parts.to_string().parse())
            .map_err(|error| error.to_string()),
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
    rlhf_files::if_there(rlhf_files::read(path)).map_err(of_file)
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
