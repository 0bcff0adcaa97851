//! The tokenizer of a file, in the words of `tokenizer.json` and `tokenizer_config.json`.

mod byte_level;
mod from_json;
mod from_metadata;
mod pattern;
mod pieces;
mod settings;
mod to_metadata;

use serde_json::{Map, Value};

pub use pieces::{Piece, PieceKind};
pub(crate) use to_metadata::Vocabulary;

/// A tokenizer, read from a GGUF file or to be written into one.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum GgufTokenizer {
    /// Byte-level BPE, as GPT-2 has it.
    ByteLevel {
        /// `tokenizer.json`, in the format of the `tokenizers` crate.
        json: Value,
        /// The fields of `tokenizer_config.json`.
        config: Map<String, Value>,
    },
    /// SentencePiece BPE: pieces that merge in the order of their scores.
    SentencePiece {
        /// The pieces, by id.
        pieces: Vec<Piece>,
        /// True if a text gets a space before it.
        add_space_prefix: bool,
        /// The fields of `tokenizer_config.json`.
        config: Map<String, Value>,
    },
}

impl GgufTokenizer {
    /// The fields of `tokenizer_config.json`: special tokens by name, `add_bos_token`, `add_eos_token`, `chat_template`.
    pub fn config(&self) -> &Map<String, Value> {
        match self {
            Self::ByteLevel { config, .. } | Self::SentencePiece { config, .. } => config,
        }
    }
}
