//! A tokenizer as the entries that llama.cpp loads it by.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::pieces::{Piece, PieceKind};
use super::settings::{self, SPECIAL, TEMPLATE, TEMPLATES};
use super::{GgufTokenizer, from_json};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::write::Entries;

/// What tells the two kinds of tokenizers apart.
enum Kind {
    ByteLevel { pre: &'static str, merges: Vec<String> },
    SentencePiece { add_space_prefix: bool },
}

/// A tokenizer, ready to be written: one piece for each row of the embedding.
pub(crate) struct Vocabulary {
    kind: Kind,
    pieces: Vec<Piece>,
    /// GGUF's names and ids of special tokens.
    special: Vec<(&'static str, u32)>,
    add_bos: bool,
    add_eos: bool,
    /// Chat templates by name; the one without is the default.
    templates: Vec<(Option<String>, String)>,
}

impl Vocabulary {
    /// The tokenizer of `model`; what is lost goes to `notes`.
    pub(crate) fn new(
        tokenizer: &GgufTokenizer,
        model: &Model,
        generation: Option<&Map<String, Value>>,
        notes: &mut Vec<String>,
    ) -> Result<Self> {
        let config = tokenizer.config();
        let flag = |name: &str| config.get(name).and_then(Value::as_bool);
        let (kind, pieces, add_bos, add_eos) = match tokenizer {
            GgufTokenizer::ByteLevel { json, .. } => {
                let (kind, pieces) = byte_level(json, notes)?;
                // What the tokenizer does counts for more than what was asked of its class.
                let (bos, eos) = (settings::adds_bos(json), settings::adds_eos(json));
                let either = |does: Option<bool>, name| does.or(flag(name)).unwrap_or(false);
                (kind, pieces, either(bos, "add_bos_token"), either(eos, "add_eos_token"))
            }
            GgufTokenizer::SentencePiece {
                pieces,
                add_space_prefix,
                ..
            } => {
                let kind = Kind::SentencePiece {
                    add_space_prefix: *add_space_prefix,
                };
                let (bos, eos) = (flag("add_bos_token"), flag("add_eos_token"));
                (kind, pieces.clone(), bos.unwrap_or(true), eos.unwrap_or(false))
            }
        };
        let pieces = padded(pieces, model.vocab_size)?;
        let special = special(config, &pieces, model, generation)?;
        for (flag, name) in [(add_bos, "bos"), (add_eos, "eos")] {
            if flag && special.iter().all(|(key, _)| *key != name) {
                let message = format!("a text gets it, but tokenizer_config.json does not name {name}_token");
                return Err(Error::tokenizer("post_processor", message));
            }
        }
        Ok(Self {
            kind,
            pieces,
            special,
            add_bos,
            add_eos,
            templates: templates(config)?,
        })
    }

    /// Writes the entries of the tokenizer.
    pub(crate) fn to_metadata(&self, entries: &mut Entries) {
        let (model, pre) = match &self.kind {
            Kind::ByteLevel { pre, .. } => ("gpt2", *pre),
            Kind::SentencePiece { .. } => ("llama", "default"),
        };
        entries.text("tokenizer.ggml.model", model);
        entries.text("tokenizer.ggml.pre", pre);
        entries.texts(
            "tokenizer.ggml.tokens",
            self.pieces.iter().map(|piece| piece.text.as_str()),
        );
        // The numbers are at most 6.
        let kinds = self.pieces.iter().map(|piece| piece.kind.id() as i32);
        entries.i32s("tokenizer.ggml.token_type", kinds);
        match &self.kind {
            Kind::ByteLevel { merges, .. } => {
                entries.texts("tokenizer.ggml.merges", merges.iter().map(String::as_str));
                entries.bool("tokenizer.ggml.add_space_prefix", false);
            }
            Kind::SentencePiece { add_space_prefix } => {
                entries.f32s("tokenizer.ggml.scores", self.pieces.iter().map(|piece| piece.score));
                entries.bool("tokenizer.ggml.add_space_prefix", *add_space_prefix);
            }
        }
        for (name, id) in &self.special {
            entries.u32(&format!("tokenizer.ggml.{name}_token_id"), *id);
        }
        entries.bool("tokenizer.ggml.add_bos_token", self.add_bos);
        entries.bool("tokenizer.ggml.add_eos_token", self.add_eos);
        let mut names = Vec::new();
        for (name, template) in &self.templates {
            match name {
                None => entries.text(TEMPLATE, template),
                Some(name) => {
                    entries.text(&format!("{TEMPLATE}.{name}"), template);
                    names.push(name.as_str());
                }
            }
        }
        if !names.is_empty() {
            entries.texts(TEMPLATES, names.into_iter());
        }
    }
}

/// The pieces of byte-level BPE, with places that no token has filled.
fn byte_level(json: &Value, notes: &mut Vec<String>) -> Result<(Kind, Vec<Piece>)> {
    let by_id = from_json::pieces(json)?;
    let n = by_id.last_key_value().map_or(0, |(id, _)| *id as usize + 1);
    // Tokens are at most some more than are listed, or the list is damaged.
    if n > 2 * by_id.len() + 1024 {
        return Err(Error::tokenizer(
            "model.vocab",
            format!("{} tokens with ids up to {n}", by_id.len()),
        ));
    }
    let mut pieces: Vec<Option<Piece>> = vec![None; n];
    for (id, piece) in by_id {
        pieces[id as usize] = Some(piece);
    }
    let pieces = pieces
        .into_iter()
        .enumerate()
        .map(|(id, piece)| piece.unwrap_or_else(|| unused(id)));
    if json["normalizer"]["type"] == "NFC" {
        notes.push("tokenizer.json: the normalizer NFC is left out, as llama.cpp has none".to_owned());
    }
    let strips = |token: &Value| {
        ["lstrip", "rstrip", "single_word"]
            .iter()
            .any(|name| token[*name] == true)
    };
    let stripping = json["added_tokens"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|token| strips(token));
    for token in stripping {
        let text = &token["content"];
        notes.push(format!(
            "tokenizer.json: added token {text}: lstrip, rstrip and single_word are left out"
        ));
    }
    let merges = from_json::merges(json)?;
    let kind = Kind::ByteLevel {
        pre: from_json::pattern(json)?.name(),
        merges: merges.iter().map(|(left, right)| format!("{left} {right}")).collect(),
    };
    Ok((kind, pieces.collect()))
}

fn unused(id: usize) -> Piece {
    Piece {
        text: format!("[PAD{id}]"),
        score: 0.0,
        kind: PieceKind::Unused,
    }
}

/// As many pieces as the embedding has rows.
fn padded(mut pieces: Vec<Piece>, rows: usize) -> Result<Vec<Piece>> {
    if pieces.len() > rows {
        let message = format!(
            "{} tokens, expected at most the {rows} of vocab_size in config.json",
            pieces.len()
        );
        return Err(Error::tokenizer("model.vocab", message));
    }
    pieces.extend((pieces.len()..rows).map(unused));
    let mut ids = HashMap::new();
    for (id, piece) in pieces.iter().enumerate() {
        if let Some(first) = ids.insert(piece.text.as_str(), id) {
            let message = format!("{:?} is token {first} and {id}", piece.text);
            return Err(Error::tokenizer("model.vocab", message));
        }
    }
    Ok(pieces)
}

/// The special tokens: those that the tokenizer names, else those of the model; then what else ends an answer.
fn special(
    config: &Map<String, Value>,
    pieces: &[Piece],
    model: &Model,
    generation: Option<&Map<String, Value>>,
) -> Result<Vec<(&'static str, u32)>> {
    let ids: HashMap<&str, u32> = pieces.iter().map(|piece| piece.text.as_str()).zip(0..).collect();
    let mut special: Vec<(&'static str, u32)> = Vec::new();
    for (name, key) in SPECIAL {
        let named = config
            .get(name)
            .and_then(|token| token.as_str().or_else(|| token["content"].as_str()));
        let of_model = match key {
            "bos" => model.bos,
            "eos" => model.eos,
            "padding" => model.pad,
            _ => None,
        };
        match named.map(|token| ids.get(token).copied().ok_or(token)) {
            Some(Ok(id)) => special.push((key, id)),
            Some(Err(token)) => {
                return Err(Error::tokenizer(
                    name,
                    format!("{token:?}, expected a token of the vocabulary"),
                ));
            }
            None => special.extend(of_model.filter(|&id| (id as usize) < pieces.len()).map(|id| (key, id))),
        }
    }
    let ends = generation
        .and_then(|fields| fields.get("eos_token_id"))
        .and_then(Value::as_array);
    let ends = ends.into_iter().flatten().filter_map(Value::as_u64);
    for end in ends.filter(|&end| end < pieces.len() as u64) {
        let is_named = |name: &str| special.iter().find(|(key, _)| *key == name);
        if ["eos", "eot", "eom"]
            .iter()
            .any(|name| is_named(name).is_some_and(|(_, id)| u64::from(*id) == end))
        {
            continue;
        }
        if let Some(free) = ["eos", "eot", "eom"].into_iter().find(|name| is_named(name).is_none()) {
            special.push((free, end as u32));
        }
    }
    Ok(special)
}

/// `chat_template`: a text, or a list of them with their names.
fn templates(config: &Map<String, Value>) -> Result<Vec<(Option<String>, String)>> {
    let fault = |value: &Value| {
        Error::tokenizer(
            "chat_template",
            format!("{value}, expected a text, or a list of name and template"),
        )
    };
    match config.get("chat_template") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(template)) => Ok(vec![(None, template.clone())]),
        Some(Value::Array(list)) => list
            .iter()
            .map(|one| {
                let (name, template) = one["name"]
                    .as_str()
                    .zip(one["template"].as_str())
                    .ok_or_else(|| fault(one))?;
                Ok((
                    Some(name.to_owned()).filter(|name| name != "default"),
                    template.to_owned(),
                ))
            })
            .collect(),
        Some(other) => Err(fault(other)),
    }
}
