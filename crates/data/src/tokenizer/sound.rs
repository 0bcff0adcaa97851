//! Parts of a `tokenizer.json` that the `tokenizers` crate answers with a panic or without an end, looked for before it is asked.
//!
//! Models of the families that are read here have none of them.

use fancy_regex::Expr;
use serde_json::Value;

/// Fields that hold other parts.
const NESTED: [&str; 9] = [
    "model",
    "normalizer",
    "normalizers",
    "pre_tokenizer",
    "pretokenizers",
    "decoder",
    "decoders",
    "post_processor",
    "processors",
];

/// Ids are below this, many times the largest vocabulary there is. Writing a vocabulary counts up to its highest id.
const MOST_IDS: u64 = 1 << 24;

/// The first part that cannot be in a tokenizer, with its place, if there is one.
pub(super) fn unsound_part(part: &Value, path: &str) -> Option<String> {
    if let Some(reason) = unsound(part).or_else(|| unsound_replacement(part, path)) {
        return Some(format!("field `{path}`: {reason}"));
    }
    let inside = |(name, child): (&str, &Value)| {
        let path = if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        };
        unsound_part(child, &path)
    };
    match part {
        Value::Object(fields) => NESTED
            .into_iter()
            .filter_map(|name| Some((name, fields.get(name)?)))
            .find_map(inside),
        Value::Array(parts) => parts
            .iter()
            .enumerate()
            .find_map(|(index, part)| inside((&index.to_string(), part))),
        _ => None,
    }
}

/// Older files leave `type` out here and there, so fields count where they tell enough.
fn unsound(part: &Value) -> Option<String> {
    let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| part.get(name).and_then(Value::as_u64);
    let has_prefix = |name: &str| {
        part.get(name)
            .and_then(Value::as_str)
            .is_some_and(|prefix| !prefix.is_empty())
    };
    if let Some(reason) = unsound_id(part).or_else(|| unsound_template(part)) {
        return Some(reason);
    }
    let reason = if kind == "Precompiled" {
        Some("Precompiled, expected none: the tokenizers crate panics on some of its tables")
    } else if kind == "BPEDecoder" {
        Some("BPEDecoder, expected another: the tokenizers crate panics where there is nothing to decode")
    } else if number("stop").is_some_and(|stop| stop > 0) {
        Some("stop, expected 0: the tokenizers crate panics on tokens that are shorter")
    } else if kind == "FixedLength" && number("length") == Some(0) {
        Some("length 0, expected at least 1")
    } else if has_prefix("continuing_subword_prefix") {
        Some("continuing_subword_prefix, expected none: the tokenizers crate panics on pieces that are shorter")
    } else {
        None
    };
    reason.map(str::to_owned)
}

fn unsound_id(part: &Value) -> Option<String> {
    let vocab = part.get("vocab")?.as_object()?;
    let (token, id) = vocab
        .iter()
        .find(|(_, id)| id.as_u64().is_some_and(|id| id >= MOST_IDS))?;
    Some(format!(
        "token {token:?} of vocab: expected an id below {MOST_IDS}, found {id}"
    ))
}

/// What a normalizer writes where its pattern matched nothing: at the beginning of a text that is a character without a place in
/// it, and whatever changes the text after that counts wrongly.
fn unsound_replacement(part: &Value, path: &str) -> Option<String> {
    let pattern = part.get("pattern").filter(|_| path.starts_with("normalizer"))?;
    if part.get("content")?.as_str()?.is_empty() {
        return None;
    }
    let matches_nothing = match (pattern["String"].as_str(), pattern["Regex"].as_str()) {
        (Some(text), _) => text.is_empty(),
        // One that cannot be read is refused when the tokenizer is.
        (_, Some(regex)) => Expr::parse_tree(regex).is_ok_and(|tree| !takes_some(&tree.expr)),
        _ => false,
    };
    let shown: String = pattern.to_string().chars().take(100).collect();
    matches_nothing.then(|| {
        format!(
            "pattern {shown}, expected one that matches at least a character: the tokenizers crate panics where a \
             text begins with what was written in place of nothing"
        )
    })
}

/// True if no match is empty.
fn takes_some(pattern: &Expr) -> bool {
    match pattern {
        Expr::Any { .. } => true,
        Expr::Literal { val, .. } => !val.is_empty(),
        Expr::Delegate { size, .. } => *size > 0,
        Expr::Concat(parts) => parts.iter().any(takes_some),
        Expr::Alt(ways) => ways.iter().all(takes_some),
        Expr::Group(inner) | Expr::AtomicGroup(inner) => takes_some(inner),
        Expr::Repeat { child, lo, .. } => *lo > 0 && takes_some(child),
        _ => false,
    }
}

/// What a post-processor puts around a text: tokens that it knows, and one text.
fn unsound_template(part: &Value) -> Option<String> {
    let pieces = part.get("single")?.as_array()?;
    let id = |piece: &Value, kind: &str| Some(piece.get(kind)?.get("id")?.as_str()?.to_owned());
    pieces.iter().find_map(|piece| {
        if let Some(sequence) = id(piece, "Sequence").filter(|sequence| sequence != "A") {
            return Some(format!("sequence {sequence} of single, expected A: there is one text"));
        }
        let token = id(piece, "SpecialToken")?;
        let is_known = part
            .get("special_tokens")
            .is_some_and(|known| known.get(&token).is_some());
        (!is_known).then(|| format!("token {token:?} of single, expected one of special_tokens"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_part_is_named_by_its_place() {
        let tokenizer = json!({
            "model": {"type": "BPE", "vocab": {"Precompiled": 0}, "continuing_subword_prefix": ""},
            "decoder": {"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "Strip", "start": 1, "stop": 2}]},
        });
        let expected =
            "field `decoder.decoders.1`: stop, expected 0: the tokenizers crate panics on tokens that are shorter";
        assert_eq!(unsound_part(&tokenizer, "").as_deref(), Some(expected));
        assert_eq!(unsound_part(&tokenizer["model"], "model"), None);
    }
}
