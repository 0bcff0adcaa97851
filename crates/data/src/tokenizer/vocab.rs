//! `vocab.json` and `merges.txt`: GPT-2's byte-level BPE as older model folders hold it, without `tokenizer.json`.

use std::path::Path;

use serde_json::Value;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use super::files::read;
use crate::error::{Error, Result};
use crate::special::{SpecialTokens, read_json};

const VOCAB: &str = "vocab.json";
const MERGES: &str = "merges.txt";

/// Classes of transformers that cut text into words as GPT-2 does before merging.
const CLASSES: [&str; 6] = [
    "GPT2Tokenizer",
    "GPT2TokenizerFast",
    "GPTNeoXTokenizer",
    "GPTNeoXTokenizerFast",
    "PreTrainedTokenizerFast",
    "TokenizersBackend",
];

/// The tokenizer in the two files of `dir`; nothing if neither is there.
pub(super) fn load(dir: &Path, special: &SpecialTokens) -> Result<Option<tokenizers::Tokenizer>> {
    let (vocab_path, merges_path) = (dir.join(VOCAB), dir.join(MERGES));
    let missing = |path: &Path, expected| Error::MissingFile {
        path: path.to_owned(),
        expected,
    };
    let merges = match (read_json(&vocab_path)?, read(&merges_path)?) {
        (Value::Null, None) => return Ok(None),
        (Value::Null, Some(_)) => return Err(missing(&vocab_path, "the vocabulary that belongs to merges.txt")),
        (_, None) => return Err(missing(&merges_path, "the merges that belong to vocab.json")),
        (_, Some(bytes)) => parse_merges(&merges_path, &bytes)?,
    };
    if let Some(class) = special.config["tokenizer_class"]
        .as_str()
        .filter(|class| !CLASSES.contains(class))
    {
        return Err(malformed(
            &dir.join("tokenizer_config.json"),
            format!(
                "tokenizer_class {class} cuts text its own way, which vocab.json and merges.txt do not say; expected \
                 tokenizer.json, which transformers writes when it saves the tokenizer"
            ),
        ));
    }
    let vocab = parse_vocab(&vocab_path)?;
    let model = BPE::builder().vocab_and_merges(vocab, merges).build();
    let model = model.map_err(|error| malformed(&merges_path, error.to_string()))?;
    let mut inner = tokenizers::Tokenizer::new(model);
    let prefix = special.config["add_prefix_space"].as_bool().unwrap_or(false);
    inner.with_pre_tokenizer(Some(ByteLevel::new(prefix, true, true)));
    inner.with_decoder(Some(ByteLevel::new(prefix, true, true)));
    inner.with_post_processor(Some(ByteLevel::new(prefix, false, true)));
    Ok(Some(inner))
}

fn malformed(path: &Path, reason: String) -> Error {
    Error::MalformedTokenizer {
        path: path.to_owned(),
        reason,
    }
}

/// Tokens and their ids, which are 0, 1, … without gaps.
fn parse_vocab(path: &Path) -> Result<Vocab> {
    let json = read_json(path)?;
    let fields = json.as_object().into_iter().flatten();
    let mut vocab = Vocab::default();
    for (token, id) in fields {
        let id_of_token = id.as_u64().and_then(|id| u32::try_from(id).ok());
        let id = id_of_token.ok_or_else(|| malformed(path, format!("token {token:?}: expected an id, found {id}")))?;
        vocab.insert(token.clone(), id);
    }
    let mut ids: Vec<u32> = vocab.values().copied().collect();
    ids.sort_unstable();
    match ids.iter().zip(0..).find(|&(&id, expected)| id != expected) {
        Some((id, expected)) => Err(malformed(
            path,
            format!("expected ids without gaps: {id} stands where {expected} should"),
        )),
        None => Ok(vocab),
    }
}

/// Two tokens a line, after a line with the version.
fn parse_merges(path: &Path, bytes: &[u8]) -> Result<Vec<(String, String)>> {
    let text = std::str::from_utf8(bytes).map_err(|error| malformed(path, error.to_string()))?;
    let mut merges = Vec::new();
    for (index, line) in text.split('\n').enumerate() {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() || line.starts_with("#version") {
            continue;
        }
        match line.split_once(' ') {
            Some((left, right)) if !left.is_empty() && !right.is_empty() && !right.contains(' ') => {
                merges.push((left.to_owned(), right.to_owned()));
            }
            _ => {
                return Err(malformed(
                    path,
                    format!("line {}: expected two tokens, found {line:?}", index + 1),
                ));
            }
        }
    }
    Ok(merges)
}
