//! The tokenizer: byte-level BPE with tokens of its own for padding, end of sequence and the three roles, or the one that a
//! model brings.
//!
//! A conversation is, for each message, the token of its role and then its content; after the content of the
//! assistant comes eos. A prompt ends with the token of the assistant. Special tokens enter by id alone: text never
//! turns into one, whatever it says.
//!
//! A model that brings a chat template of its own has its conversations written by that: see [`ChatTemplate`].

mod added;
mod bpe;
mod files;
mod gguf;
mod lost;
mod seams;
mod sentencepiece;
mod sound;
mod stream;
mod turns;
mod vocab;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rlhf_config::ConfigErrors;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

use crate::chat::ChatTemplate;
use crate::error::{Error, Result};
use crate::types::Role;
pub use stream::DecodeStream;
pub use turns::EncodedChat;
use turns::Turns;

/// A text that joins with no other into one token; it stands before a text that is to be encoded as in the middle of another.
const ANCHOR: &str = "\n";

const PAD_TOKEN: &str = "<|pad|>";
const EOS_TOKEN: &str = "<|eos|>";
const SYSTEM_TOKEN: &str = "<|system|>";
const USER_TOKEN: &str = "<|user|>";
const ASSISTANT_TOKEN: &str = "<|assistant|>";
const SPECIAL_TOKENS: [&str; 5] = [PAD_TOKEN, EOS_TOKEN, SYSTEM_TOKEN, USER_TOKEN, ASSISTANT_TOKEN];

/// Settings for training a tokenizer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TokenizerConfig {
    /// Tokens in the vocabulary at most, among them 5 special ones and the 256 bytes.
    pub vocab_size: usize,
    /// Times that two neighbouring tokens must occur to become one.
    pub min_frequency: u64,
}

impl Default for TokenizerConfig {
    fn default() -> Self {
        Self {
            vocab_size: 4096,
            min_frequency: 2,
        }
    }
}

impl TokenizerConfig {
    /// Special tokens and bytes.
    const SMALLEST: usize = SPECIAL_TOKENS.len() + 256;

    /// The faults of these settings; paths are relative to this struct.
    pub fn validate(&self) -> ConfigErrors {
        let mut errors = ConfigErrors::new();
        let smallest = Self::SMALLEST;
        errors.check(self.vocab_size >= smallest, "vocab_size", || {
            format!("expected at least {smallest}, found {}", self.vocab_size)
        });
        errors.check(self.min_frequency > 0, "min_frequency", || {
            "expected at least 1, found 0".to_owned()
        });
        errors
    }
}

/// Text to token ids and back.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    /// Encodes the names of special tokens as the text they are.
    inner: tokenizers::Tokenizer,
    /// The same, but recognising special tokens; made when first asked for.
    recognising: OnceLock<Box<tokenizers::Tokenizer>>,
    /// The tokens of [`ANCHOR`], if the beginning of a text is written in another way than what follows it, as
    /// SentencePiece does with its space.
    anchor: Option<Vec<u32>>,
    /// What stands before and after a text that stands by itself.
    around: [Vec<u32>; 2],
    eos: (String, u32),
    /// Other tokens that the model's own configuration has as ends of a text.
    other_eos: Vec<u32>,
    /// Nothing if the model has none, or has eos for it: no mask here is read off a token.
    pad: Option<(String, u32)>,
    /// The text of `bos_token`, `eos_token` and the others that have one, for chat templates.
    special_names: Map<String, Value>,
    /// `tokenizer_config.json` as it was loaded; null if it was not.
    config: Value,
    turns: Turns,
    /// One more than the largest id.
    vocab_size: usize,
}

/// The contents of the files beside `tokenizer.json`.
struct Named {
    names: Map<String, Value>,
    eos_token_ids: Vec<u32>,
    config: Value,
    template: Option<ChatTemplate>,
    /// The folder, the file of the tokenizer, and the one that names the special tokens, for errors.
    dir: PathBuf,
    file: PathBuf,
    named_in: PathBuf,
}

impl Tokenizer {
    /// Trains byte-level BPE on `texts`. The same texts give the same tokenizer, to the byte.
    ///
    /// The vocabulary may end up smaller than `vocab_size` if the texts do not hold enough frequent pairs: ask
    /// [`Self::vocab_size`].
    ///
    /// # Errors
    /// If the settings are out of range.
    pub fn train<S: AsRef<str>>(texts: impl IntoIterator<Item = S>, config: &TokenizerConfig) -> Result<Self> {
        let mut errors = ConfigErrors::new();
        errors.nest("tokenizer", config.validate());
        errors.into_result().map_err(Error::Settings)?;
        let byte_level = ByteLevel::new(false, true, true);
        let mut counts: HashMap<String, u64> = HashMap::new();
        for text in texts {
            let mut pieces = PreTokenizedString::from(text.as_ref());
            byte_level
                .pre_tokenize(&mut pieces)
                .expect("the byte-level pattern matches any text");
            for (piece, ..) in pieces.get_splits(OffsetReferential::Normalized, OffsetType::Byte) {
                match counts.get_mut(piece) {
                    Some(count) => *count += 1,
                    None => drop(counts.insert(piece.to_owned(), 1)),
                }
            }
        }
        let mut words: Vec<(String, u64)> = counts.into_iter().collect();
        words.sort_unstable();
        let mut bytes: Vec<char> = ByteLevel::alphabet().into_iter().collect();
        bytes.sort_unstable();
        let first = SPECIAL_TOKENS
            .map(String::from)
            .into_iter()
            .chain(bytes.iter().map(char::to_string))
            .collect();
        let learned = bpe::learn(first, &words, config.vocab_size, config.min_frequency);

        let vocab: Vocab = learned.tokens.into_iter().zip(0..).collect();
        let model = BPE::builder().vocab_and_merges(vocab, learned.merges).build();
        let mut inner = tokenizers::Tokenizer::new(model.expect("every merge joins two tokens of the vocabulary"));
        inner.with_pre_tokenizer(Some(byte_level));
        inner.with_decoder(Some(byte_level));
        inner.add_special_tokens(&SPECIAL_TOKENS.map(|token| AddedToken::from(token, true)));
        let names = [("eos_token", EOS_TOKEN), ("pad_token", PAD_TOKEN)];
        let named = Named {
            names: names
                .map(|(name, token)| (name.to_owned(), token.into()))
                .into_iter()
                .collect(),
            eos_token_ids: Vec::new(),
            config: Value::Null,
            template: None,
            dir: PathBuf::new(),
            file: PathBuf::from("tokenizer.json"),
            named_in: PathBuf::from("tokenizer.json"),
        };
        Self::new(inner, named)
    }

    /// Checks a tokenizer and finds its special tokens.
    fn new(mut inner: tokenizers::Tokenizer, mut named: Named) -> Result<Self> {
        inner.set_encode_special_tokens(true);
        inner.with_padding(None);
        inner.with_truncation(None).expect("taking truncation away cannot fail");
        let path = &named.named_in.clone();
        if let Some(reason) = lost::why_useless(&inner) {
            return Err(Error::MalformedTokenizer {
                path: named.file,
                reason,
            });
        }
        let eos = find_eos(&inner, &named)?;
        named.names.entry("eos_token").or_insert_with(|| eos.0.as_str().into());
        let around = around(&inner);
        let pad = match named.names.get("pad_token").and_then(Value::as_str) {
            Some(token) => Some(known(&inner, "pad", token, path)?),
            None => known(&inner, "pad", PAD_TOKEN, path).ok(),
        };
        let pad = pad.filter(|pad| pad.1 != eos.1);
        let anchor = anchor(&inner);
        let vocab_size = inner
            .get_vocab(true)
            .into_values()
            .max()
            .map_or(0, |last| last as usize + 1);
        if let Some(id) = around.iter().flatten().find(|&&id| id as usize >= vocab_size) {
            return Err(Error::MalformedTokenizer {
                path: named.file,
                reason: format!("the post-processor puts id {id} around a text, expected one below {vocab_size}"),
            });
        }
        let roles = [SYSTEM_TOKEN, USER_TOKEN, ASSISTANT_TOKEN].map(|role| inner.token_to_id(role));
        let template = named
            .template
            .map(|template| template.with_special_tokens(named.names.clone()));
        let turns = match (template, roles) {
            // By id, what our own template says cannot be broken out of.
            (template, [Some(system), Some(user), Some(assistant)])
                if template
                    .as_ref()
                    .is_none_or(|template| template.source() == files::own_template(&eos.0)) =>
            {
                Turns::Roles([system, user, assistant])
            }
            (Some(template), _) => Turns::Template(Box::new(template)),
            (None, _) => Turns::Unknown(named.dir),
        };
        let other_eos = named.eos_token_ids.into_iter().filter(|&id| id != eos.1).collect();
        Ok(Self {
            inner,
            recognising: OnceLock::new(),
            anchor,
            around,
            eos,
            other_eos,
            pad,
            special_names: named.names,
            config: named.config,
            turns,
            vocab_size,
        })
    }

    /// Number of tokens, special ones included; ids are below it. A file may leave ids out, which count as tokens.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The token that ends an answer and a document.
    pub fn eos_token_id(&self) -> u32 {
        self.eos.1
    }

    /// Tokens that end what the model generates besides eos, as `generation_config.json` or `config.json` lists them: chat
    /// models often have one for a turn and one for the text.
    pub fn other_eos_token_ids(&self) -> &[u32] {
        &self.other_eos
    }

    /// The token that fills rows up, which is another one than eos. Many models have none: they use eos for it. Where
    /// padding ends is told by lengths then, never by the token.
    pub fn pad_token_id(&self) -> Option<u32> {
        self.pad.as_ref().map(|(_, id)| *id)
    }

    /// The token that opens a message of `role`, if conversations are written with role tokens.
    pub fn role_token_id(&self, role: Role) -> Option<u32> {
        match &self.turns {
            Turns::Roles(roles) => Some(roles[role as usize]),
            Turns::Template(_) | Turns::Unknown(_) => None,
        }
    }

    /// The name of the eos token.
    pub fn eos_token(&self) -> &str {
        &self.eos.0
    }

    /// The name of the pad token, if there is one beside eos.
    pub fn pad_token(&self) -> Option<&str> {
        self.pad.as_ref().map(|(token, _)| &**token)
    }

    /// The ids of pad, eos and the roles that have a token, in ascending order.
    pub fn special_token_ids(&self) -> Vec<u32> {
        let mut ids = vec![self.eos.1];
        ids.extend(self.pad_token_id());
        ids.extend(Role::ALL.into_iter().filter_map(|role| self.role_token_id(role)));
        ids.sort_unstable();
        ids
    }

    /// The token as the vocabulary spells it, if there is one with this id.
    pub fn id_to_token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// Checks that a model with `model_vocab_size` rows of embedding has one for every id that a text may be given. It may have
    /// more: many public models are padded to a multiple of 64 or 128. No token stands for the rest, and [`Self::decode`]
    /// passes over it.
    ///
    /// # Errors
    /// [`Error::VocabMismatch`] if there are too few.
    pub fn check_vocab_size(&self, model_vocab_size: usize) -> Result<()> {
        if self.vocab_size <= model_vocab_size {
            Ok(())
        } else {
            let largest = self.vocab_size.saturating_sub(1) as u32;
            Err(Error::VocabMismatch {
                token: self.id_to_token(largest).unwrap_or_default(),
                largest,
                model: model_vocab_size,
            })
        }
    }

    /// The ids of a text. Names of special tokens in it are text like any other. What the vocabulary cannot spell is left out or
    /// changed, as [`Self::lost`] says.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        ids(&self.inner, text)
    }

    /// The ids of many texts, on all cores.
    pub fn encode_batch(&self, texts: &[&str]) -> Vec<Vec<u32>> {
        match self.inner.encode_batch_fast(texts.to_vec(), false) {
            Ok(encodings) => encodings.iter().map(|encoding| encoding.get_ids().to_vec()).collect(),
            Err(_) => texts.iter().map(|text| self.encode(text)).collect(),
        }
    }

    /// The ids of a text that stands by itself, as nobody's turn: [`Self::encode`] with the tokens around it that the model
    /// learnt to read there, often bos before it.
    pub fn encode_document(&self, text: &str) -> Vec<u32> {
        let [before, after] = &self.around;
        [before.as_slice(), &self.encode(text), after].concat()
    }

    /// The tokens before and after a text that stands by itself.
    pub(crate) fn around(&self) -> [&[u32]; 2] {
        self.around.each_ref().map(Vec::as_slice)
    }

    /// The ids of a text that stands by itself and is to be gone on with: with bos before it, if the model has learnt that, and
    /// nothing after it.
    pub fn encode_opening(&self, text: &str) -> Vec<u32> {
        [self.around[0].as_slice(), &self.encode(text)].concat()
    }

    /// The ids that a text with nothing before it is predicted after: those that the model learnt to read before one; where there are
    /// none, bos if the tokenizer names it, and otherwise eos, which stands between texts then.
    pub fn before_text(&self) -> Vec<u32> {
        let [before, _] = &self.around;
        if !before.is_empty() {
            return before.clone();
        }
        let bos = self.special_names.get("bos_token").and_then(Value::as_str);
        vec![bos.and_then(|bos| self.inner.token_to_id(bos)).unwrap_or(self.eos.1)]
    }

    /// The ids of a text whose special tokens are meant: only for text that a chat template rendered, never for what
    /// users wrote.
    pub fn encode_with_special_tokens(&self, text: &str) -> Vec<u32> {
        ids(self.recognising(), text)
    }

    /// The text of `ids` that follow others: with the space that would be taken for the one before a text.
    pub(crate) fn decode_continuation(&self, ids: &[u32], skip_special_tokens: bool) -> String {
        let Some(anchor) = &self.anchor else {
            return self.decode(ids, skip_special_tokens);
        };
        let text = self.decode(&[anchor, ids].concat(), skip_special_tokens);
        match text.strip_prefix(ANCHOR) {
            Some(text) => text.to_owned(),
            None => text,
        }
    }

    fn recognising(&self) -> &tokenizers::Tokenizer {
        self.recognising.get_or_init(|| {
            let mut inner = self.inner.clone();
            inner.set_encode_special_tokens(false);
            Box::new(inner)
        })
    }

    /// The text of `ids`; bytes that are no character become U+FFFD, ids outside the vocabulary nothing.
    pub fn decode(&self, ids: &[u32], skip_special_tokens: bool) -> String {
        // A decoder that fails was refused when it was read, on more texts than this one.
        self.inner.decode(ids, skip_special_tokens).unwrap_or_default()
    }

    /// Decodes token by token.
    pub fn decode_stream(&self) -> DecodeStream<'_> {
        DecodeStream::new(self)
    }

    fn to_json(&self) -> String {
        self.inner.to_string(true).expect("a tokenizer is plain data")
    }
}

/// The tokens of [`ANCHOR`] if a text alone is written in another way than after it.
fn anchor(inner: &tokenizers::Tokenizer) -> Option<Vec<u32>> {
    let ids = |text: &str| {
        let encoding = inner.encode_fast(text, false);
        encoding.map(|encoding| encoding.get_ids().to_vec()).unwrap_or_default()
    };
    let (anchor, alone, after) = (ids(ANCHOR), ids("a"), ids(&format!("{ANCHOR}a")));
    let differs = after.strip_prefix(&*anchor) != Some(&alone);
    differs.then_some(anchor)
}

/// The token that ends an answer: the one that is named, ours, or the first that the model's own configuration gives.
fn find_eos(inner: &tokenizers::Tokenizer, named: &Named) -> Result<(String, u32)> {
    if let Some(token) = named.names.get("eos_token").and_then(Value::as_str) {
        return known(inner, "eos", token, &named.named_in);
    }
    let ours = known(inner, "eos", EOS_TOKEN, &named.named_in);
    let by_id = named
        .eos_token_ids
        .iter()
        .find_map(|&id| Some((inner.id_to_token(id)?, id)));
    ours.or_else(|error| by_id.ok_or(error))
}

/// A special token and its id.
fn known(inner: &tokenizers::Tokenizer, name: &'static str, token: &str, path: &Path) -> Result<(String, u32)> {
    match inner.token_to_id(token) {
        Some(id) => Ok((token.to_owned(), id)),
        None => Err(Error::MissingSpecialToken {
            path: path.to_owned(),
            name,
            token: token.to_owned(),
        }),
    }
}

/// The tokens that a tokenizer puts before and after a text that stands by itself.
fn around(inner: &tokenizers::Tokenizer) -> [Vec<u32>; 2] {
    let ids = |special: bool| {
        let encoding = inner.encode_fast("a", special);
        encoding.map_or_else(|_| Vec::new(), |encoding| encoding.get_ids().to_vec())
    };
    let (alone, whole) = (ids(false), ids(true));
    let start = (0..=whole.len()).find(|&start| whole[start..].starts_with(&alone));
    start.map_or_else(Default::default, |start| {
        [whole[..start].to_vec(), whole[start + alone.len()..].to_vec()]
    })
}

/// The tokens of a text; none if the tokenizer fails on it, which one that was read did not do on texts of all kinds.
fn ids(inner: &tokenizers::Tokenizer, text: &str) -> Vec<u32> {
    match inner.encode_fast(text, false) {
        Ok(encoding) => encoding.get_ids().to_vec(),
        Err(error) => {
            tracing::error!(%error, "text that cannot be encoded is left out");
            Vec::new()
        }
    }
}
