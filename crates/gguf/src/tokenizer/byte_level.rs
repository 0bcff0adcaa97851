//! Byte-level BPE as `tokenizer.json`.

use serde_json::{Map, Value, json};

use super::pattern::Pattern;
use super::pieces::{Piece, PieceKind};
use super::settings::Ends;

/// `tokenizer.json` of these tokens and merges.
pub(super) fn to_json(pattern: Pattern, pieces: &[Piece], merges: &[(&str, &str)], ends: &Ends) -> Value {
    let vocab: Map<String, Value> = pieces
        .iter()
        .enumerate()
        .map(|(id, piece)| (piece.text.clone(), json!(id)))
        .collect();
    let mut model = json!({
        "type": "BPE",
        "dropout": null,
        "unk_token": null,
        "continuing_subword_prefix": null,
        "end_of_word_suffix": null,
        "fuse_unk": false,
        "byte_fallback": false,
        "ignore_merges": pattern.ignores_merges(),
    });
    model["vocab"] = Value::Object(vocab);
    model["merges"] = merges.iter().map(|(left, right)| json!([left, right])).collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added_tokens(pieces),
        "normalizer": null,
        "pre_tokenizer": pattern.to_json(),
        "post_processor": post_processor(pieces, ends),
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": model,
    })
}

/// Special tokens, and those that are one token wherever they occur.
fn added_tokens(pieces: &[Piece]) -> Vec<Value> {
    let added = |(id, piece): (usize, &Piece)| {
        let special = match piece.kind {
            PieceKind::Control | PieceKind::Unknown => true,
            PieceKind::UserDefined => false,
            _ => return None,
        };
        Some(json!({
            "id": id,
            "content": piece.text,
            "single_word": false,
            "lstrip": false,
            "rstrip": false,
            "normalized": false,
            "special": special,
        }))
    };
    pieces.iter().enumerate().filter_map(added).collect()
}

/// What puts bos and eos around a text.
fn post_processor(pieces: &[Piece], ends: &Ends) -> Value {
    let special = |id: Option<u32>| id.map(|id| (pieces[id as usize].text.as_str(), id));
    let (bos, eos) = (special(ends.bos), special(ends.eos));
    if bos.is_none() && eos.is_none() {
        return json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true});
    }
    let around = |name: &str, type_id: u32| {
        let token =
            |token: Option<(&str, u32)>| token.map(|(id, _)| json!({"SpecialToken": {"id": id, "type_id": type_id}}));
        let text = json!({"Sequence": {"id": name, "type_id": type_id}});
        token(bos)
            .into_iter()
            .chain([text])
            .chain(token(eos))
            .collect::<Vec<Value>>()
    };
    let tokens: Map<String, Value> = bos
        .into_iter()
        .chain(eos)
        .map(|(token, id)| (token.to_owned(), json!({"id": token, "ids": [id], "tokens": [token]})))
        .collect();
    let pair = [around("A", 0), around("B", 1)].concat();
    json!({
        "type": "TemplateProcessing",
        "single": around("A", 0),
        "pair": pair,
        "special_tokens": tokens,
    })
}
