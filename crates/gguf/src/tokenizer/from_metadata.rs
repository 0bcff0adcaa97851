//! A tokenizer from the metadata of a file.

use std::collections::HashMap;

use serde_json::{Map, Value as Json, json};

use super::pattern::Pattern;
use super::pieces::{Piece, PieceKind};
use super::settings::{self, Defaults};
use super::{GgufTokenizer, byte_level};
use crate::error::{Error, Result};
use crate::read::{Array, Gguf, Value};

const MODEL: &str = "tokenizer.ggml.model";
const PRE: &str = "tokenizer.ggml.pre";
const TOKENS: &str = "tokenizer.ggml.tokens";
const TYPES: &str = "tokenizer.ggml.token_type";
const SCORES: &str = "tokenizer.ggml.scores";
const MERGES: &str = "tokenizer.ggml.merges";

impl Gguf {
    /// The tokenizer; nothing if the file has none.
    ///
    /// # Errors
    /// If it is of a kind that is not read (`tokenizer.ggml.model`, `tokenizer.ggml.pre`), or if its entries contradict each
    /// other or the embedding. The key is named.
    pub fn tokenizer(&self) -> Result<Option<GgufTokenizer>> {
        let Some(model) = self.value(MODEL) else {
            return Ok(None);
        };
        match model.as_text() {
            Some("gpt2") => read_byte_level(self).map(Some),
            Some("llama") => read_sentencepiece(self).map(Some),
            Some("none" | "no_vocab") => Ok(None),
            _ => {
                let message = format!("{model}, expected gpt2 (byte-level BPE) or llama (SentencePiece)");
                Err(Error::key(self.path(), MODEL, message))
            }
        }
    }

    /// The fields of a `generation_config.json`: special tokens, with all that end an answer.
    ///
    /// # Errors
    /// If a token is none of the vocabulary.
    pub fn generation_config(&self) -> Result<Map<String, Json>> {
        let config = self.config()?;
        let mut fields = Map::new();
        for name in ["bos_token_id", "eos_token_id", "pad_token_id"] {
            if let Some(id) = config.get(name) {
                fields.insert(name.into(), id.clone());
            }
        }
        let n_tokens = config["vocab_size"].as_u64().unwrap_or_default();
        let mut ends: Vec<Json> = fields.get("eos_token_id").cloned().into_iter().collect();
        for name in ["eot", "eom"] {
            let key = format!("tokenizer.ggml.{name}_token_id");
            let Some(value) = self.value(&key) else {
                continue;
            };
            let id = value.as_u64().filter(|&id| id < n_tokens);
            let id = json!(id.ok_or_else(|| Error::key(
                self.path(),
                &key,
                format!("{value}, expected a token below {n_tokens}")
            ))?);
            if !ends.contains(&id) {
                ends.push(id);
            }
        }
        if ends.len() > 1 {
            fields.insert("eos_token_id".into(), Json::Array(ends));
        }
        Ok(fields)
    }
}

/// The list of texts in `key`.
fn texts<'a>(file: &'a Gguf, key: &str) -> Result<&'a [Box<str>]> {
    match file.value(key) {
        None => Err(Error::key(file.path(), key, "missing, expected a list of texts")),
        Some(value) => value.as_texts().ok_or_else(|| {
            Error::key(
                file.path(),
                key,
                format!("{value}, which are no texts, expected a list of texts"),
            )
        }),
    }
}

/// The tokens, which must be as many as the embedding has rows, each of another spelling.
fn tokens(file: &Gguf) -> Result<&[Box<str>]> {
    let tokens = texts(file, TOKENS)?;
    let fault = |message: String| Err(Error::key(file.path(), TOKENS, message));
    if let Some([_, rows]) = file.tensor("token_embd.weight").map(|tensor| &tensor.dims[..])
        && *rows != tokens.len() as u64
    {
        return fault(format!(
            "{} tokens, expected the {rows} rows of token_embd.weight",
            tokens.len()
        ));
    }
    let mut ids = HashMap::new();
    for (id, token) in tokens.iter().enumerate() {
        if let Some(first) = ids.insert(&**token, id) {
            return fault(format!("token {token:?} stands twice, as {first} and {id}"));
        }
    }
    Ok(tokens)
}

/// The numbers in `key`, one for each of `n` tokens; nothing if it is missing.
fn numbers(file: &Gguf, key: &str, n: usize) -> Result<Option<Vec<Value>>> {
    let fault = |message: String| Err(Error::key(file.path(), key, message));
    match file.value(key) {
        None => Ok(None),
        Some(Value::Array(array @ Array::Numbers { .. })) if array.len() == n => Ok(Some(array.numbers().collect())),
        Some(Value::Array(array @ Array::Numbers { .. })) => {
            fault(format!("{} entries, expected one for each of {n} tokens", array.len()))
        }
        Some(value) => fault(format!("{value}, expected a list of {n} numbers")),
    }
}

fn kinds(file: &Gguf, n: usize) -> Result<Vec<PieceKind>> {
    let Some(numbers) = numbers(file, TYPES, n)? else {
        return Ok(vec![PieceKind::Normal; n]);
    };
    let kind = |value: &Value| {
        let kind = value.as_u64().and_then(PieceKind::from_id);
        kind.ok_or_else(|| Error::key(file.path(), TYPES, format!("{value}, expected 0 to 6")))
    };
    numbers.iter().map(kind).collect()
}

fn read_byte_level(file: &Gguf) -> Result<GgufTokenizer> {
    let pattern = pattern(file)?;
    let tokens = tokens(file)?;
    let kinds = kinds(file, tokens.len())?;
    let pieces: Vec<Piece> = tokens
        .iter()
        .zip(kinds)
        .map(|(text, kind)| Piece {
            text: text.to_string(),
            score: 0.0,
            kind,
        })
        .collect();
    let merges = merges(file, &pieces)?;
    let defaults = Defaults {
        bos: None,
        eos: None,
        unknown: None,
        add_bos: pattern.ignores_merges(),
    };
    let (config, ends) = settings::read(file, tokens, &defaults)?;
    Ok(GgufTokenizer::ByteLevel {
        json: byte_level::to_json(pattern, &pieces, &merges, &ends),
        config,
    })
}

fn pattern(file: &Gguf) -> Result<Pattern> {
    let expected = || {
        format!(
            "expected one of {}: another way to cut a text gives other tokens",
            Pattern::names()
        )
    };
    let Some(value) = file.value(PRE) else {
        return Err(Error::key(file.path(), PRE, format!("missing, {}", expected())));
    };
    let found = value.as_text().and_then(Pattern::from_name);
    found.ok_or_else(|| Error::key(file.path(), PRE, format!("{value}, {}", expected())))
}

/// Pairs of tokens that are joined, in order. A pair whose parts or whole are no tokens can never be.
fn merges<'a>(file: &'a Gguf, pieces: &[Piece]) -> Result<Vec<(&'a str, &'a str)>> {
    let known: HashMap<&str, u32> = pieces.iter().map(|piece| piece.text.as_str()).zip(0..).collect();
    let mut merges = Vec::new();
    for (index, merge) in texts(file, MERGES)?.iter().enumerate() {
        let fault = |expected: String| {
            Error::key(
                file.path(),
                MERGES,
                format!("merge {index} is {merge:?}, expected {expected}"),
            )
        };
        let pair = merge.split_once(' ');
        let pair = pair.filter(|(left, right)| !left.is_empty() && !right.is_empty() && !right.contains(' '));
        let (left, right) = pair.ok_or_else(|| fault("two tokens and a space between them".to_owned()))?;
        for part in [left, right, &format!("{left}{right}")] {
            if !known.contains_key(part) {
                return Err(fault(format!("tokens: {part:?} is none")));
            }
        }
        merges.push((left, right));
    }
    Ok(merges)
}

fn read_sentencepiece(file: &Gguf) -> Result<GgufTokenizer> {
    let tokens = tokens(file)?;
    let kinds = kinds(file, tokens.len())?;
    let Some(scores) = numbers(file, SCORES, tokens.len())? else {
        return Err(Error::key(
            file.path(),
            SCORES,
            "missing, expected the scores of SentencePiece's pieces",
        ));
    };
    let mut pieces = Vec::with_capacity(tokens.len());
    for ((text, score), kind) in tokens.iter().zip(scores).zip(kinds) {
        let number = score.as_f64().filter(|score| score.is_finite());
        let number =
            number.ok_or_else(|| Error::key(file.path(), SCORES, format!("{score}, expected finite numbers")))?;
        pieces.push(Piece {
            text: text.to_string(),
            score: number as f32,
            kind,
        });
    }
    // SentencePiece's own places, which llama.cpp takes where the file names none.
    let at = |id: u32| Some(id).filter(|&id| (id as usize) < tokens.len());
    let defaults = Defaults {
        bos: at(1),
        eos: at(2),
        unknown: at(0),
        add_bos: true,
    };
    let (config, _) = settings::read(file, tokens, &defaults)?;
    Ok(GgufTokenizer::SentencePiece {
        pieces,
        add_space_prefix: settings::flag(file, "tokenizer.ggml.add_space_prefix")?.unwrap_or(true),
        config,
    })
}
