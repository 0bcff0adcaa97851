//! The tokenizer: byte-level BPE with tokens of its own for padding, end of sequence and the three roles.
//!
//! A conversation is, for each message, the token of its role and then its content; after the content of the
//! assistant comes eos. A prompt ends with the token of the assistant. Special tokens enter by id alone: text never
//! turns into one, whatever it says.

mod bpe;
mod files;
mod stream;

use std::collections::HashMap;
use std::path::Path;
use std::sync::OnceLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

use crate::error::{Error, Result};
use crate::types::{Message, Role};
pub use stream::DecodeStream;

const PAD_TOKEN: &str = "<|pad|>";
const EOS_TOKEN: &str = "<|eos|>";
const SYSTEM_TOKEN: &str = "<|system|>";
const USER_TOKEN: &str = "<|user|>";
const ASSISTANT_TOKEN: &str = "<|assistant|>";
const SPECIAL_TOKENS: [&str; 5] = [PAD_TOKEN, EOS_TOKEN, SYSTEM_TOKEN, USER_TOKEN, ASSISTANT_TOKEN];

/// How a tokenizer is trained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TokenizerConfig {
    /// Tokens in the vocabulary at most, among them 5 special ones and the 256 bytes.
    pub vocab_size: usize,
    /// How often two neighbouring tokens must occur to become one.
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

    /// Checks that the settings are in range.
    ///
    /// # Errors
    /// If `vocab_size` has no room for the special tokens and the bytes, or `min_frequency` is 0.
    pub fn validate(&self) -> Result<()> {
        let smallest = Self::SMALLEST as u64;
        let checks = [
            ("vocab_size", self.vocab_size as u64, smallest),
            ("min_frequency", self.min_frequency, 1),
        ];
        for (field, found, least) in checks {
            if found < least {
                return Err(Error::Config {
                    field: format!("tokenizer.{field}"),
                    expected: format!("at least {least}"),
                    found: found.to_string(),
                });
            }
        }
        Ok(())
    }
}

/// Text to token ids and back.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    /// Encodes the names of special tokens as the text they are.
    inner: tokenizers::Tokenizer,
    /// The same, but recognising special tokens; made when first asked for.
    recognising: OnceLock<Box<tokenizers::Tokenizer>>,
    eos: (String, u32),
    pad: (String, u32),
    roles: [u32; 3],
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
        config.validate()?;
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
        Self::new(inner, EOS_TOKEN, PAD_TOKEN, Path::new("tokenizer.json"))
    }

    /// Checks a tokenizer and finds its special tokens; `path` is named in errors.
    fn new(mut inner: tokenizers::Tokenizer, eos: &str, pad: &str, path: &Path) -> Result<Self> {
        inner.set_encode_special_tokens(true);
        inner.with_padding(None);
        inner.with_truncation(None).expect("taking truncation away cannot fail");
        if let Some(reason) = why_lossy(&inner) {
            return Err(Error::MalformedTokenizer {
                path: path.to_owned(),
                reason,
            });
        }
        let id = |name: &'static str, token: &str| {
            inner.token_to_id(token).ok_or_else(|| Error::MissingSpecialToken {
                path: path.to_owned(),
                name,
                token: token.to_owned(),
            })
        };
        let eos = (eos.to_owned(), id("eos", eos)?);
        let pad = (pad.to_owned(), id("pad", pad)?);
        if eos.1 == pad.1 {
            return Err(Error::PadIsEos {
                path: path.to_owned(),
                token: eos.0,
                id: eos.1,
            });
        }
        let roles = [
            id("system", SYSTEM_TOKEN)?,
            id("user", USER_TOKEN)?,
            id("assistant", ASSISTANT_TOKEN)?,
        ];
        Ok(Self {
            inner,
            recognising: OnceLock::new(),
            eos,
            pad,
            roles,
        })
    }

    /// How many tokens there are, special ones included; ids are below it.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// The token that ends an answer and a document.
    pub fn eos_token_id(&self) -> u32 {
        self.eos.1
    }

    /// The token that fills rows up; another one than eos.
    pub fn pad_token_id(&self) -> u32 {
        self.pad.1
    }

    /// The token that opens a message of `role`.
    pub fn role_token_id(&self, role: Role) -> u32 {
        self.roles[role as usize]
    }

    /// The name of the eos token.
    pub fn eos_token(&self) -> &str {
        &self.eos.0
    }

    /// The name of the pad token.
    pub fn pad_token(&self) -> &str {
        &self.pad.0
    }

    /// The ids of pad, eos and the roles, in ascending order.
    pub fn special_token_ids(&self) -> Vec<u32> {
        let mut ids = vec![self.pad.1, self.eos.1];
        ids.extend(self.roles);
        ids.sort_unstable();
        ids
    }

    /// The token as the vocabulary spells it, if there is one with this id.
    pub fn id_to_token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// Checks that a model with `model_vocab_size` rows of embedding was made for this tokenizer: as many rows as
    /// tokens, or that number padded to a multiple of a power of two up to 512, as many public models have it.
    ///
    /// # Errors
    /// [`Error::VocabMismatch`] if not.
    pub fn check_vocab_size(&self, model_vocab_size: usize) -> Result<()> {
        let tokenizer = self.vocab_size();
        let fits = (0..=9).any(|power| tokenizer.next_multiple_of(1 << power) == model_vocab_size);
        if fits {
            Ok(())
        } else {
            Err(Error::VocabMismatch {
                tokenizer,
                model: model_vocab_size,
            })
        }
    }

    /// The ids of a text. Names of special tokens in it are text like any other.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let encoding = self.inner.encode_fast(text, false);
        encoding
            .expect("byte-level BPE has tokens for any text")
            .get_ids()
            .to_vec()
    }

    /// The ids of many texts, on all cores.
    pub fn encode_batch(&self, texts: &[&str]) -> Vec<Vec<u32>> {
        let encodings = self.inner.encode_batch_fast(texts.to_vec(), false);
        let encodings = encodings.expect("byte-level BPE has tokens for any text");
        encodings.iter().map(|encoding| encoding.get_ids().to_vec()).collect()
    }

    /// The ids of a text whose special tokens are meant: only for text that a chat template rendered, never for what
    /// users wrote.
    pub fn encode_with_special_tokens(&self, text: &str) -> Vec<u32> {
        let recognising = self.recognising.get_or_init(|| {
            let mut inner = self.inner.clone();
            inner.set_encode_special_tokens(false);
            Box::new(inner)
        });
        let encoding = recognising.encode_fast(text, false);
        encoding
            .expect("byte-level BPE has tokens for any text")
            .get_ids()
            .to_vec()
    }

    /// The text of `ids`; bytes that are no character become U+FFFD, ids outside the vocabulary nothing.
    pub fn decode(&self, ids: &[u32], skip_special_tokens: bool) -> String {
        self.inner
            .decode(ids, skip_special_tokens)
            .expect("byte-level decoding accepts any ids")
    }

    /// Decodes token by token.
    pub fn decode_stream(&self) -> DecodeStream<'_> {
        DecodeStream::new(self)
    }

    /// Role token, content and, after the assistant's, eos.
    pub fn encode_message(&self, message: &Message) -> Vec<u32> {
        let mut ids = vec![self.role_token_id(message.role)];
        ids.extend(self.encode(&message.content));
        if message.role == Role::Assistant {
            ids.push(self.eos_token_id());
        }
        ids
    }

    /// A conversation that waits for the assistant: its messages, then the assistant's role token.
    pub fn encode_prompt(&self, messages: &[Message]) -> Vec<u32> {
        let mut ids: Vec<u32> = messages
            .iter()
            .flat_map(|message| self.encode_message(message))
            .collect();
        ids.push(self.role_token_id(Role::Assistant));
        ids
    }

    /// An answer: its text, then eos.
    pub fn encode_completion(&self, completion: &str) -> Vec<u32> {
        let mut ids = self.encode(completion);
        ids.push(self.eos_token_id());
        ids
    }

    fn to_json(&self) -> String {
        self.inner.to_string(true).expect("a tokenizer is plain data")
    }
}

/// Says what is lost if a tokenizer does not give each byte of a text back.
fn why_lossy(inner: &tokenizers::Tokenizer) -> Option<String> {
    let latin: String = (0..=255_u8).map(char::from).collect();
    for text in [latin.as_str(), "\r\n  two  spaces \n", " 日本語 👩‍👧", "don't"] {
        let back = inner
            .encode_fast(text, false)
            .and_then(|encoding| inner.decode(encoding.get_ids(), false))
            .map_err(|error| error.to_string());
        match back {
            Ok(back) if back == text => {}
            Ok(back) => return Some(format!("expected byte-level BPE, but it turns {text:?} into {back:?}")),
            Err(error) => return Some(format!("expected byte-level BPE, but it fails on {text:?}: {error}")),
        }
    }
    None
}
