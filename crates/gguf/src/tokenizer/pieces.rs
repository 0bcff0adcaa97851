//! The tokens of a vocabulary with what they are for.

/// A token of a vocabulary.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// Its text; `▁` stands for a space in SentencePiece's, and GPT-2's letters for bytes in those of byte-level BPE.
    pub text: String,
    /// Pieces of higher scores are made first; 0 where scores mean nothing.
    pub score: f32,
    /// What it is for.
    pub kind: PieceKind,
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PieceKind {
    /// Text.
    Normal,
    /// What no piece spells.
    Unknown,
    /// A special token: no text spells it.
    Control,
    /// One token wherever it occurs in a text.
    UserDefined,
    /// A place that nothing uses.
    Unused,
    /// A single byte: `<0x0A>`.
    Byte,
}

impl PieceKind {
    const ALL: [Self; 6] = [
        Self::Normal,
        Self::Unknown,
        Self::Control,
        Self::UserDefined,
        Self::Unused,
        Self::Byte,
    ];

    /// The kind of this number in `tokenizer.ggml.token_type`, which are SentencePiece's; 0 says nothing.
    pub(super) fn from_id(id: u64) -> Option<Self> {
        match id {
            0 => Some(Self::Normal),
            _ => Self::ALL.get(usize::try_from(id - 1).ok()?).copied(),
        }
    }

    /// The number in `tokenizer.ggml.token_type`.
    pub fn id(self) -> u32 {
        self as u32 + 1
    }
}
