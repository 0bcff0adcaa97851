//! The tokenizer in the metadata of a GGUF file.

use std::path::Path;

use rlhf_gguf::{Gguf, GgufTokenizer};
use serde_json::{Map, Value, json};

use super::files::{Adds, parse};
use super::{Named, Tokenizer, sentencepiece};
use crate::chat::ChatTemplate;
use crate::error::{Error, Result};
use crate::special::{Folders, SpecialTokens};

/// The tokenizer of `folders`, which are of adapters, over that of the file at `path`: theirs, if they bring one, or else the
/// file's, with their chat template if they bring that. Nothing if neither has a tokenizer.
pub(super) fn load_under(folders: Folders<'_>, path: &Path) -> Result<Option<Tokenizer>> {
    let own = match folders.0 {
        [] => None,
        _ => Tokenizer::load_of(folders)?,
    };
    let brings_template = ChatTemplate::find(folders)?;
    let of_file = || load(path);
    Ok(match (own, brings_template) {
        (Some(own), Some(_)) => Some(own),
        (Some(own), None) => Some(match of_file()?.as_ref().and_then(Tokenizer::chat_template) {
            Some(template) => own.with_chat_template(template.clone()),
            None => own,
        }),
        (None, Some(template)) => of_file()?.map(|tokenizer| tokenizer.with_chat_template(template)),
        (None, None) => of_file()?,
    })
}

impl Tokenizer {
    /// The tokenizer as a GGUF file has it, chat template included.
    ///
    /// # Errors
    /// If GGUF has no name for a part of it: another model than BPE, another way to cut a text into words.
    pub fn to_gguf(&self) -> Result<GgufTokenizer> {
        let json = serde_json::from_str(&self.to_json()).expect("a tokenizer is written as JSON");
        let mut config = match self.config_to_save() {
            Value::Object(config) => config,
            _ => unreachable!("a configuration is an object"),
        };
        if let Some(template) = self.chat_template() {
            let default = json!({"name": "default", "template": template.source()});
            let tools = template.tool_use_source();
            let tools = tools.map(|source| json!({"name": "tool_use", "template": source}));
            let value = match tools {
                Some(tools) => json!([default, tools]),
                None => template.source().into(),
            };
            config.insert("chat_template".into(), value);
        }
        Ok(GgufTokenizer::from_json(json, config)?)
    }
}

fn load(path: &Path) -> Result<Option<Tokenizer>> {
    let gguf = Gguf::open(path)?;
    let Some(found) = gguf.tokenizer()? else {
        return Ok(None);
    };
    let config = Value::Object(found.config().clone());
    let of_model = [gguf.generation_config()?, gguf.config()?].map(Value::Object);
    let special = SpecialTokens::new(config, Value::Null, Value::Null, of_model);
    let inner = build(&found, &special.names).map_err(|reason| Error::MalformedTokenizer {
        path: path.to_owned(),
        reason,
    })?;
    let named = Named {
        template: ChatTemplate::from_config(&special.config["chat_template"], path.to_owned())?,
        names: special.names,
        eos_token_ids: special.eos_token_ids,
        config: special.config,
        dir: path.to_owned(),
        file: path.to_owned(),
        named_in: path.to_owned(),
    };
    Tokenizer::new(inner, named).map(Some)
}

fn build(tokenizer: &GgufTokenizer, names: &Map<String, Value>) -> std::result::Result<tokenizers::Tokenizer, String> {
    match tokenizer {
        GgufTokenizer::SentencePiece {
            pieces,
            add_space_prefix,
            config,
        } => {
            let mut inner = sentencepiece::of_pieces(pieces, *add_space_prefix)?;
            let says = |field: &str| config.get(field).and_then(Value::as_bool).unwrap_or(false);
            let adds = Adds {
                bos: says("add_bos_token"),
                eos: says("add_eos_token"),
            };
            adds.write(&mut inner, names);
            Ok(inner)
        }
        GgufTokenizer::ByteLevel { json, .. } => parse(json.to_string().as_bytes()),
        _ => Err("a tokenizer of a kind that is not known here".to_owned()),
    }
}
