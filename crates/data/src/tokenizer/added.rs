//! Tokens that other files than the tokenizer's own add to it, with the ids that transformers gives them.
//!
//! First come those that are listed with their ids, in `added_tokens_decoder` of `tokenizer_config.json` or else in
//! `added_tokens.json`; then those that are named, `bos_token` and its like; then the rest of the special ones. A token that
//! the vocabulary has keeps its id and is found in texts from then on; another gets the next one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::AddedToken;

use crate::error::{Error, Result};
use crate::special::{ADDED, CONFIG, Folders, NAMES, SpecialTokens, token_text};

/// Fields with special tokens that have no role.
const MORE: [&str; 2] = ["extra_special_tokens", "additional_special_tokens"];
/// Roles that nothing here uses: such a token is left out where the model has no row for it.
const UNUSED: [&str; 5] = ["unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// Adds the tokens that the files of a folder name to its tokenizer. Those that are left out lose their names.
pub(super) fn add(inner: &mut tokenizers::Tokenizer, special: &mut SpecialTokens, folders: Folders<'_>) -> Result<()> {
    let listed = listed(special, folders)?;
    let known = inner.get_added_tokens_decoder();
    let changed: Vec<AddedToken> = listed
        .iter()
        .filter(|(id, (token, _))| known.get(id) != Some(token))
        .map(|(_, (token, _))| token.clone())
        .collect();
    inner.add_tokens(&changed);
    for (id, (token, named_in)) in listed {
        let found = inner.token_to_id(&token.content);
        if found != Some(id) {
            return Err(malformed(
                &named_in,
                format!(
                    "token {:?}: expected id {id}, but with the vocabulary it has {found:?}",
                    token.content
                ),
            ));
        }
    }
    add_named(inner, special);
    let more = more(&special.config).chain(more(&special.map));
    let more: Vec<AddedToken> = more.filter(|token| !is_added(inner, &token.content)).collect();
    inner.add_tokens(&more);
    Ok(())
}

/// Tokens with a role, but for eos: a model that has learnt to end with a token has it.
fn add_named(inner: &mut tokenizers::Tokenizer, special: &mut SpecialTokens) {
    for name in NAMES {
        let value = [&special.config[name], &special.map[name]];
        let Some(token) = value.into_iter().find_map(|value| token_of(value, true)) else {
            continue;
        };
        let in_vocabulary = inner.token_to_id(&token.content).is_some();
        let has_room = special
            .model_vocab_size
            .is_none_or(|rows| u64::from(next_id(inner)) < rows);
        if is_added(inner, &token.content) || (name == "eos_token" && !in_vocabulary) {
            continue;
        }
        if !in_vocabulary && !has_room && UNUSED.contains(&name) {
            tracing::warn!(name, token = %token.content, "left out: the vocabulary lacks it and the model has no row for it");
            special.names.remove(name);
            continue;
        }
        inner.add_tokens(&[token]);
    }
}

/// The id of the next token that is added.
fn next_id(inner: &tokenizers::Tokenizer) -> u32 {
    let last = inner.get_added_tokens_decoder().into_keys().max();
    let vocabulary = inner.get_vocab_size(false) as u32;
    last.map_or(vocabulary, |last| vocabulary.max(last + 1))
}

fn is_added(inner: &tokenizers::Tokenizer, content: &str) -> bool {
    inner.get_added_vocabulary().get_vocab().contains_key(content)
}

/// Tokens by their id, and the file that names each.
fn listed(special: &SpecialTokens, folders: Folders<'_>) -> Result<BTreeMap<u32, (AddedToken, PathBuf)>> {
    let is_named = |content: &str| special.names.values().any(|name| name.as_str() == Some(content));
    let mut tokens = BTreeMap::new();
    let Some(decoder) = special
        .config
        .get("added_tokens_decoder")
        .filter(|value| !value.is_null())
    else {
        let path = folders.path(ADDED);
        let is_special = |content: &str| {
            let mut more = more(&special.config).chain(more(&special.map));
            is_named(content) || more.any(|token| token.content == content)
        };
        for (content, id) in special.added.as_object().into_iter().flatten() {
            let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
            let id = id.ok_or_else(|| malformed(&path, format!("token {content:?}: expected an id")))?;
            let token = AddedToken::from(content.clone(), is_special(content));
            tokens.insert(id, (token, path.clone()));
        }
        return Ok(tokens);
    };
    let path = folders.path(CONFIG);
    for (id, token) in decoder.as_object().into_iter().flatten() {
        let (Ok(id), Some(mut token)) = (id.parse::<u32>(), token_of(token, false)) else {
            return Err(malformed(
                &path,
                format!("added_tokens_decoder: expected a token with its id, found {id:?}"),
            ));
        };
        token.special |= is_named(&token.content);
        tokens.insert(id, (token, path.clone()));
    }
    Ok(tokens)
}

/// The special tokens of a file that have no role, or one that only this model knows.
fn more(file: &Value) -> impl Iterator<Item = AddedToken> {
    let lists = MORE.into_iter().flat_map(|field| match &file[field] {
        Value::Array(tokens) => tokens.iter().collect(),
        Value::Object(tokens) => tokens.values().collect(),
        _ => Vec::new(),
    });
    let own = file.as_object().into_iter().flatten().filter_map(|(name, value)| {
        let is_own = name.ends_with("_token") && !NAMES.contains(&name.as_str());
        is_own.then_some(value)
    });
    lists.chain(own).filter_map(|value| token_of(value, true))
}

/// A token by its text, or by an object with what else is known of it.
fn token_of(value: &Value, is_special: bool) -> Option<AddedToken> {
    let content = token_text(value).filter(|content| !content.is_empty())?;
    let flag = |name: &str, default: bool| value.get(name).and_then(Value::as_bool).unwrap_or(default);
    let special = is_special || flag("special", false);
    let token = AddedToken::from(content, special)
        .single_word(flag("single_word", false))
        .lstrip(flag("lstrip", false))
        .rstrip(flag("rstrip", false))
        .normalized(flag("normalized", !special));
    Some(token)
}

fn malformed(path: &Path, reason: String) -> Error {
    Error::MalformedTokenizer {
        path: path.to_owned(),
        reason,
    }
}
