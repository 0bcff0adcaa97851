//! The entries of `tokenizer_config.json`: special tokens, what begins and ends a text, chat templates.

use serde_json::{Map, Value as Json, json};

use crate::error::{Error, Result};
use crate::read::{Gguf, Value};

/// Names of transformers and of GGUF for the special tokens.
pub(super) const SPECIAL: [(&str, &str); 8] = [
    ("bos_token", "bos"),
    ("eos_token", "eos"),
    ("pad_token", "padding"),
    ("unk_token", "unknown"),
    ("sep_token", "seperator"),
    ("mask_token", "mask"),
    ("eot_token", "eot"),
    ("eom_token", "eom"),
];
pub(super) const TEMPLATE: &str = "tokenizer.chat_template";
pub(super) const TEMPLATES: &str = "tokenizer.chat_templates";

/// Those of [`SPECIAL`] that transformers has a name for.
const IN_CONFIG: usize = 6;

/// What a kind of tokenizer does where the file says nothing.
pub(super) struct Defaults {
    pub(super) bos: Option<u32>,
    pub(super) eos: Option<u32>,
    pub(super) unknown: Option<u32>,
    pub(super) add_bos: bool,
}

/// The ids of what begins and ends a text.
pub(super) struct Ends {
    pub(super) bos: Option<u32>,
    pub(super) eos: Option<u32>,
}

/// The fields, and the tokens that are put around every text.
pub(super) fn read(file: &Gguf, tokens: &[Box<str>], defaults: &Defaults) -> Result<(Map<String, Json>, Ends)> {
    let mut config = Map::new();
    let mut ids = [None; SPECIAL.len()];
    for (place, (name, key)) in SPECIAL.into_iter().enumerate() {
        let default = match key {
            "bos" => defaults.bos,
            "eos" => defaults.eos,
            "unknown" => defaults.unknown,
            _ => None,
        };
        ids[place] = special(file, key, tokens.len())?.or(default);
        if let Some(id) = ids[place].filter(|_| place < IN_CONFIG) {
            config.insert(name.into(), json!(tokens[id as usize]));
        }
    }
    // A token that ends turns of a conversation ends an answer too, which transformers says of eos alone.
    let add_bos = flag(file, "tokenizer.ggml.add_bos_token")?;
    let add_eos = flag(file, "tokenizer.ggml.add_eos_token")?.unwrap_or(false);
    for (flag, id, key) in [(add_bos.unwrap_or(false), ids[0], "bos"), (add_eos, ids[1], "eos")] {
        if flag && id.is_none() {
            let key = format!("tokenizer.ggml.{key}_token_id");
            return Err(Error::key(
                file.path(),
                &key,
                "missing, expected the token that is put around every text",
            ));
        }
    }
    let add_bos = add_bos.unwrap_or(defaults.add_bos && ids[0].is_some());
    config.insert("add_bos_token".into(), json!(add_bos));
    config.insert("add_eos_token".into(), json!(add_eos));
    config.insert("clean_up_tokenization_spaces".into(), json!(false));
    config.insert("tokenizer_class".into(), json!("PreTrainedTokenizerFast"));
    if let Some(template) = template(file)? {
        config.insert("chat_template".into(), template);
    }
    let ends = Ends {
        bos: ids[0].filter(|_| add_bos),
        eos: ids[1].filter(|_| add_eos),
    };
    Ok((config, ends))
}

/// The token that an entry names; none if it is missing or says that there is none.
fn special(file: &Gguf, name: &str, n_tokens: usize) -> Result<Option<u32>> {
    let key = format!("tokenizer.ggml.{name}_token_id");
    let Some(value) = file.value(&key) else {
        return Ok(None);
    };
    if value.as_u64() == Some(u64::from(u32::MAX)) || *value == Value::Signed(-1) {
        return Ok(None);
    }
    match value.as_u64().filter(|&id| id < n_tokens as u64) {
        Some(id) => Ok(Some(id as u32)),
        None => Err(Error::key(
            file.path(),
            &key,
            format!("{value}, expected one of {n_tokens} tokens"),
        )),
    }
}

pub(super) fn flag(file: &Gguf, key: &str) -> Result<Option<bool>> {
    match file.value(key) {
        None => Ok(None),
        Some(value) => match value.as_bool() {
            Some(flag) => Ok(Some(flag)),
            None => Err(Error::key(file.path(), key, format!("{value}, expected true or false"))),
        },
    }
}

/// The chat template, or the list of them with their names, as `tokenizer_config.json` has either.
fn template(file: &Gguf) -> Result<Option<Json>> {
    let text = |key: &str| match file.value(key) {
        None => Ok(None),
        Some(value) => match value.as_text() {
            Some(text) => Ok(Some(text)),
            None => Err(Error::key(file.path(), key, format!("{value}, expected a text"))),
        },
    };
    let default = text(TEMPLATE)?;
    let mut named = Vec::new();
    for (key, _) in file.metadata() {
        if let Some(name) = key.strip_prefix(TEMPLATE).and_then(|rest| rest.strip_prefix('.')) {
            named.push(json!({"name": name, "template": text(key)?}));
        }
    }
    if named.is_empty() {
        return Ok(default.map(|template| json!(template)));
    }
    let default = default.map(|template| json!({"name": "default", "template": template}));
    Ok(Some(Json::Array(default.into_iter().chain(named).collect())))
}

/// Whether the `post_processor` of a `tokenizer.json` puts a special token before a text; nothing if it leaves texts alone.
pub(super) fn adds_bos(json: &Json) -> Option<bool> {
    template_of(json).map(|single| single.first().is_some_and(|first| first.get("SpecialToken").is_some()))
}

/// As [`adds_bos`], after a text.
pub(super) fn adds_eos(json: &Json) -> Option<bool> {
    template_of(json).map(|single| single.last().is_some_and(|last| last.get("SpecialToken").is_some()))
}

/// What is put around a text, and the text.
fn template_of(json: &Json) -> Option<&Vec<Json>> {
    let post = &json["post_processor"];
    let steps = match post["processors"].as_array() {
        Some(steps) => steps.iter().collect(),
        None => vec![post],
    };
    let template = steps.into_iter().find(|step| step["type"] == "TemplateProcessing")?;
    template["single"].as_array()
}
