//! A tokenizer from `tokenizer.json`, if a GGUF file can say what it does.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value};

use super::GgufTokenizer;
use super::pattern::Pattern;
use super::pieces::{Piece, PieceKind};
use crate::error::{Error, Result};

/// The character that stands for a space.
const SPACE: &str = "▁";

impl GgufTokenizer {
    /// The tokenizer of a model folder: `tokenizer.json` and the fields of `tokenizer_config.json`.
    ///
    /// # Errors
    /// If it is neither byte-level BPE that cuts a text in a way that GGUF has a name for, nor SentencePiece's BPE; the part is
    /// named.
    pub fn from_json(json: Value, config: Map<String, Value>) -> Result<Self> {
        let model = &json["model"];
        if model["type"].as_str().is_some_and(|kind| kind != "BPE") {
            return Err(Error::tokenizer(
                "model.type",
                format!("{}, expected BPE", model["type"]),
            ));
        }
        for name in ["continuing_subword_prefix", "end_of_word_suffix"] {
            if model[name].as_str().is_some_and(|text| !text.is_empty()) {
                return Err(Error::tokenizer(
                    &format!("model.{name}"),
                    format!("{}, expected none", model[name]),
                ));
            }
        }
        if model["byte_fallback"] == true {
            return sentencepiece(&json, config);
        }
        let pattern = pattern(&json)?;
        let normalizer = &json["normalizer"];
        if !normalizer.is_null() && normalizer["type"] != "NFC" {
            let message = format!("{normalizer}, expected none or NFC: the format has no place for it");
            return Err(Error::tokenizer("normalizer", message));
        }
        if (model["ignore_merges"] == true) != pattern.ignores_merges() {
            let expected = pattern.ignores_merges();
            let message = format!("{}, expected {expected} with this pre_tokenizer", !expected);
            return Err(Error::tokenizer("model.ignore_merges", message));
        }
        Ok(Self::ByteLevel { json, config })
    }
}

/// How a text is cut.
pub(super) fn pattern(json: &Value) -> Result<Pattern> {
    Pattern::from_json(&json["pre_tokenizer"]).map_err(|message| Error::tokenizer("pre_tokenizer", message))
}

/// The tokens of a `tokenizer.json`, by id.
pub(super) fn pieces(json: &Value) -> Result<BTreeMap<u32, Piece>> {
    let fault = |message: String| Error::tokenizer("model.vocab", message);
    let vocab = json["model"]["vocab"].as_object();
    let vocab = vocab.ok_or_else(|| fault("expected an object".to_owned()))?;
    let mut pieces = BTreeMap::new();
    let mut put = |text: &str, id: &Value, kind: PieceKind| {
        let number = id.as_u64().and_then(|id| u32::try_from(id).ok());
        let number = number.ok_or_else(|| fault(format!("token {text:?} has the id {id}, expected a whole number")))?;
        let piece = Piece {
            text: text.to_owned(),
            score: 0.0,
            kind,
        };
        match pieces.insert(number, piece) {
            Some(other) if other.text != text => {
                Err(fault(format!("{:?} and {text:?} have one id, {number}", other.text)))
            }
            _ => Ok(()),
        }
    };
    for (text, id) in vocab {
        put(text, id, PieceKind::Normal)?;
    }
    let unknown = json["model"]["unk_token"].as_str();
    for token in json["added_tokens"].as_array().into_iter().flatten() {
        let text = token["content"].as_str().unwrap_or_default();
        let kind = match token["special"] == true {
            true if json["model"]["byte_fallback"] == true && unknown == Some(text) => PieceKind::Unknown,
            true => PieceKind::Control,
            false => PieceKind::UserDefined,
        };
        put(text, &token["id"], kind)?;
    }
    Ok(pieces)
}

/// The pairs of `model.merges`, in either spelling.
pub(super) fn merges(json: &Value) -> Result<Vec<(&str, &str)>> {
    let fault = |merge: &Value| Error::tokenizer("model.merges", format!("{merge}, expected two tokens"));
    let list = json["model"]["merges"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    list.iter()
        .map(|merge| {
            let found = match merge {
                Value::String(text) => text.split_once(' '),
                _ => merge[0].as_str().zip(merge[1].as_str()),
            };
            let whole = found.filter(|(left, right)| !left.is_empty() && !right.is_empty());
            let whole = whole.filter(|(left, right)| !left.contains(' ') && !right.contains(' '));
            whole.ok_or_else(|| fault(merge))
        })
        .collect()
}

/// SentencePiece's BPE: spaces become `▁`, a text may get one before it, and what no piece spells becomes bytes.
fn sentencepiece(json: &Value, config: Map<String, Value>) -> Result<GgufTokenizer> {
    let add_space_prefix = space_prefix(json)?;
    let by_id = pieces(json)?;
    if by_id.keys().zip(0..).any(|(id, expected)| *id != expected) {
        return Err(Error::tokenizer("model.vocab", "expected ids without gaps"));
    }
    let mut pieces: Vec<Piece> = by_id.into_values().collect();
    for piece in &mut pieces {
        let hex = piece.text.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
        if piece.kind == PieceKind::Normal
            && hex.is_some_and(|hex| hex.len() == 2 && u8::from_str_radix(hex, 16).is_ok())
        {
            piece.kind = PieceKind::Byte;
        }
    }
    let merges = merges(json)?;
    score(&mut pieces, &merges)?;
    let mut config = config;
    if let Some(add_bos) = super::settings::adds_bos(json) {
        config.insert("add_bos_token".into(), Value::from(add_bos));
    }
    Ok(GgufTokenizer::SentencePiece {
        pieces,
        add_space_prefix,
        config,
    })
}

/// True if a text gets a space before it, in either way in which `tokenizer.json` says so.
fn space_prefix(json: &Value) -> Result<bool> {
    let (normalizer, pre) = (&json["normalizer"], &json["pre_tokenizer"]);
    if pre["type"] == "Metaspace" && pre["replacement"] == SPACE && pre["split"] == false && normalizer.is_null() {
        return Ok(pre["prepend_scheme"] != "never");
    }
    if !pre.is_null() {
        return Err(Error::tokenizer(
            "pre_tokenizer",
            format!("{pre}, expected none or Metaspace that does not split"),
        ));
    }
    let steps = match normalizer["normalizers"].as_array() {
        Some(steps) => steps.iter().collect(),
        None => vec![normalizer],
    };
    let prepends = |step: &Value| step["type"] == "Prepend" && step["prepend"] == SPACE;
    let replaces =
        |step: &Value| step["type"] == "Replace" && step["pattern"]["String"] == " " && step["content"] == SPACE;
    match &steps[..] {
        [one] if replaces(one) => Ok(false),
        [first, second] if prepends(first) && replaces(second) => Ok(true),
        _ => Err(Error::tokenizer(
            "normalizer",
            format!("{normalizer}, expected spaces to become {SPACE}"),
        )),
    }
}

/// Gives each piece that is made of two the score that has it made in its turn.
///
/// SentencePiece joins whatever two pieces make a third, the one of the highest score first; `tokenizer.json` lists the pairs.
/// The two agree if the list has all pairs, and those of a piece together.
fn score(pieces: &mut [Piece], merges: &[(&str, &str)]) -> Result<()> {
    let fault = |message: String| Err(Error::tokenizer("model.merges", message));
    let mut scores: HashMap<String, f32> = HashMap::new();
    let mut last = String::new();
    for (rank, (left, right)) in merges.iter().enumerate() {
        let whole = format!("{left}{right}");
        if whole != last && scores.insert(whole.clone(), -(rank as f32)).is_some() {
            return fault(format!(
                "{whole:?} is made at two places, so that pieces alone do not give the order"
            ));
        }
        last = whole;
    }
    let listed: HashSet<&(&str, &str)> = merges.iter().collect();
    let joinable = |piece: &Piece| piece.kind == PieceKind::Normal;
    let known: HashSet<&str> = pieces.iter().filter(|p| joinable(p)).map(|p| p.text.as_str()).collect();
    for text in &known {
        for (cut, _) in text.char_indices().skip(1) {
            let (left, right) = text.split_at(cut);
            if known.contains(left) && known.contains(right) && !listed.contains(&(left, right)) {
                return fault(format!(
                    "{left:?} and {right:?} make a piece and are not joined, which SentencePiece would do"
                ));
            }
        }
    }
    for (id, piece) in pieces.iter_mut().enumerate().filter(|(_, piece)| joinable(piece)) {
        // Single characters are never made; their scores say nothing.
        piece.score = scores
            .get(&piece.text)
            .copied()
            .unwrap_or(-((merges.len() + id) as f32));
    }
    Ok(())
}
