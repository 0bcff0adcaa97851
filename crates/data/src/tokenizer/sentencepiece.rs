//! `tokenizer.model`: SentencePiece BPE, as the folders of Llama, Mistral and their like hold it beside, or instead of,
//! `tokenizer.json`; and `tokenizer.bin` or `tok512.bin`, what llama2.c makes of one.
//!
//! A text gets a space before it, and spaces become `▁`; pieces merge in the order of their scores; what no piece
//! spells becomes bytes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use prost::Message;
use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence as Decoders;
use tokenizers::decoders::strip::Strip;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::prepend::Prepend;
use tokenizers::normalizers::replace::Replace;
use tokenizers::normalizers::utils::Sequence as Normalizers;
use tokenizers::{AddedToken, NormalizerWrapper};

use super::files::read;
use crate::error::{Error, Result};

const MODEL: &str = "tokenizer.model";
const LLAMA2C: &str = "tokenizer.bin";
/// The type of model whose pieces merge.
const BPE_MODEL: i32 = 2;
/// Longer pieces, in bytes, are taken for damage. The ways to cut one in two are tried, which takes the square of its length.
const LONGEST_PIECE: usize = 4096;
/// More bytes of all merges are taken for damage. Pieces each a letter longer than the one before merge in as many ways as the square
/// of their number, each with two texts of its own.
const MOST_MERGED: usize = 1 << 26;
/// The character that stands for a space.
const SPACE: &str = "▁";

/// The parts of SentencePiece's `ModelProto` that matter here.
#[derive(Message)]
struct ModelProto {
    #[prost(message, repeated, tag = "1")]
    pieces: Vec<Piece>,
    #[prost(message, optional, tag = "2")]
    trainer: Option<TrainerSpec>,
    #[prost(message, optional, tag = "3")]
    normalizer: Option<NormalizerSpec>,
}

#[derive(Message)]
struct Piece {
    #[prost(string, tag = "1")]
    text: String,
    #[prost(float, tag = "2")]
    score: f32,
    #[prost(enumeration = "Kind", optional, tag = "3")]
    kind: Option<i32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
enum Kind {
    Unset = 0,
    Normal = 1,
    Unknown = 2,
    Control = 3,
    UserDefined = 4,
    Unused = 5,
    Byte = 6,
}

#[derive(Message)]
struct TrainerSpec {
    /// 1 is unigram, 2 BPE, 3 words, 4 characters.
    #[prost(int32, optional, tag = "3")]
    model_type: Option<i32>,
}

#[derive(Message)]
struct NormalizerSpec {
    #[prost(bytes = "vec", tag = "2")]
    charsmap: Vec<u8>,
    #[prost(bool, optional, tag = "3")]
    add_dummy_prefix: Option<bool>,
    #[prost(bool, optional, tag = "4")]
    remove_extra_whitespaces: Option<bool>,
}

/// The tokenizer in `tokenizer.model`, `tokenizer.bin` or `tok512.bin`, with any number, of `dir`; nothing if there is none.
pub(super) fn load(dir: &Path) -> Result<Option<tokenizers::Tokenizer>> {
    type Parse = fn(&[u8]) -> std::result::Result<ModelProto, String>;
    let named: [(&str, Parse); 2] = [(MODEL, parse_model), (LLAMA2C, parse_llama2c)];
    let numbered = numbered(dir).map(|path| (path, parse_llama2c as Parse));
    let candidates = named
        .map(|(name, parse)| (dir.join(name), parse))
        .into_iter()
        .chain(numbered);
    for (path, parse) in candidates {
        let Some(bytes) = read(&path)? else {
            continue;
        };
        let built = parse(&bytes).and_then(|model| build(&model));
        return built
            .map(Some)
            .map_err(|reason| Error::MalformedTokenizer { path, reason });
    }
    Ok(None)
}

/// The file of `dir` that is called as llama2.c's training script calls one: `tok512.bin`, say.
fn numbered(dir: &Path) -> Option<PathBuf> {
    let mut names: Vec<PathBuf> = dir.read_dir().ok()?.flatten().map(|entry| entry.path()).collect();
    names.sort();
    names.into_iter().find(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let size = name.strip_prefix("tok").and_then(|rest| rest.strip_suffix(".bin"));
        size.is_some_and(|size| !size.is_empty() && size.chars().all(|c| c.is_ascii_digit()))
    })
}

fn parse_model(bytes: &[u8]) -> std::result::Result<ModelProto, String> {
    ModelProto::decode(bytes).map_err(|error| format!("expected a SentencePiece model: {error}"))
}

/// llama2.c keeps the length of the longest piece and then, of each piece, score, length and bytes, numbers in 4 bytes,
/// least first. Spaces stand for themselves, and a line break is put around the names of bos and eos.
fn parse_llama2c(bytes: &[u8]) -> std::result::Result<ModelProto, String> {
    let short = || "expected llama2.c's list of pieces, but it ends in the middle of one".to_owned();
    let (_, mut rest) = bytes.split_first_chunk::<4>().ok_or_else(short)?;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let (score, after) = rest.split_first_chunk().ok_or_else(short)?;
        let (len, after) = after.split_first_chunk().ok_or_else(short)?;
        let (text, after) = after
            .split_at_checked(u32::from_le_bytes(*len) as usize)
            .ok_or_else(short)?;
        rest = after;
        let text = std::str::from_utf8(text).map_err(|error| format!("piece {}: {error}", pieces.len()))?;
        let kind = match pieces.len() {
            0 => Kind::Unknown,
            1 | 2 => Kind::Control,
            3..259 => Kind::Byte,
            _ => Kind::Normal,
        };
        let text = match kind {
            Kind::Control => text.trim().to_owned(),
            _ => text.replace(' ', SPACE),
        };
        let mut piece = Piece {
            text,
            score: f32::from_le_bytes(*score),
            ..Piece::default()
        };
        piece.set_kind(kind);
        pieces.push(piece);
    }
    let trainer = TrainerSpec {
        model_type: Some(BPE_MODEL),
    };
    let normalizer = NormalizerSpec {
        remove_extra_whitespaces: Some(false),
        ..NormalizerSpec::default()
    };
    Ok(ModelProto {
        pieces,
        trainer: Some(trainer),
        normalizer: Some(normalizer),
    })
}

/// The tokenizer of pieces that a GGUF file lists; `prefix` says whether a text gets a space before it.
pub(super) fn of_pieces(
    pieces: &[rlhf_gguf::Piece],
    prefix: bool,
) -> std::result::Result<tokenizers::Tokenizer, String> {
    let piece = |piece: &rlhf_gguf::Piece| Piece {
        text: piece.text.clone(),
        score: piece.score,
        kind: Some(piece.kind.id() as i32),
    };
    build(&ModelProto {
        pieces: pieces.iter().map(piece).collect(),
        trainer: Some(TrainerSpec {
            model_type: Some(BPE_MODEL),
        }),
        normalizer: Some(NormalizerSpec {
            charsmap: Vec::new(),
            add_dummy_prefix: Some(prefix),
            remove_extra_whitespaces: Some(false),
        }),
    })
}

fn build(model: &ModelProto) -> std::result::Result<tokenizers::Tokenizer, String> {
    if model.trainer.as_ref().and_then(|trainer| trainer.model_type) != Some(BPE_MODEL) {
        return Err(
            "expected a SentencePiece model of type BPE; for others use tokenizer.json, which transformers writes \
             when it saves the tokenizer"
                .to_owned(),
        );
    }
    // The format's default is true for both.
    let normalizer = model.normalizer.as_ref();
    let says = |field: fn(&NormalizerSpec) -> Option<bool>| normalizer.and_then(field).unwrap_or(true);
    if says(|spec| spec.remove_extra_whitespaces) || normalizer.is_some_and(|spec| !spec.charsmap.is_empty()) {
        return Err(
            "expected a model that leaves text as it is; this one changes characters or removes white space, which is not \
             done here; use tokenizer.json, which transformers writes when it saves the tokenizer"
                .to_owned(),
        );
    }
    let vocab = vocabulary(&model.pieces)?;
    let unknown = model.pieces.iter().find(|piece| piece.kind() == Kind::Unknown);
    let merges = merges(&model.pieces, &vocab)?;
    let mut bpe = BPE::builder()
        .vocab_and_merges(vocab, merges)
        .fuse_unk(true)
        .byte_fallback(true);
    if let Some(unknown) = unknown {
        bpe = bpe.unk_token(unknown.text.clone());
    }
    let mut tokenizer = tokenizers::Tokenizer::new(bpe.build().map_err(|error| error.to_string())?);
    let spaces = |from: &str, to: &str| Replace::new(from, to).map_err(|error| error.to_string());
    let mut normalizers: Vec<NormalizerWrapper> = Vec::new();
    let prefix = says(|spec| spec.add_dummy_prefix);
    if prefix {
        normalizers.push(Prepend::new(SPACE.to_owned()).into());
    }
    normalizers.push(spaces(" ", SPACE)?.into());
    tokenizer.with_normalizer(Some(Normalizers::new(normalizers)));
    let mut decoders = vec![
        spaces(SPACE, " ")?.into(),
        ByteFallback::new().into(),
        Fuse::new().into(),
    ];
    if prefix {
        decoders.push(Strip::new(' ', 1, 0).into());
    }
    tokenizer.with_decoder(Some(Decoders::new(decoders)));
    add_tokens(&mut tokenizer, &model.pieces);
    Ok(tokenizer)
}

/// Pieces by text; ids are places in the list.
fn vocabulary(pieces: &[Piece]) -> std::result::Result<Vocab, String> {
    let mut vocab = Vocab::default();
    for (id, piece) in (0..).zip(pieces) {
        let len = piece.text.len();
        if len > LONGEST_PIECE {
            return Err(format!("piece {id}: {len} bytes, expected at most {LONGEST_PIECE}"));
        }
        if let Some(first) = vocab.insert(piece.text.clone(), id) {
            return Err(format!("piece {:?} occurs twice, as {first} and {id}", piece.text));
        }
    }
    Ok(vocab)
}

/// Every way to make a piece from two others, the piece of the highest score first. Of pieces with equal scores, and of
/// two ways to make one, those of smaller ids come first.
fn merges(pieces: &[Piece], vocab: &Vocab) -> std::result::Result<Vec<(String, String)>, String> {
    let joinable = |piece: &Piece| matches!(piece.kind(), Kind::Normal | Kind::Unset | Kind::UserDefined);
    let by_text: HashMap<&str, u32> = vocab.iter().map(|(text, id)| (text.as_str(), *id)).collect();
    let part = |text: &str| {
        let id = by_text.get(text).copied();
        id.filter(|&id| joinable(&pieces[id as usize]))
    };
    let mut found = Vec::new();
    let mut bytes = 0;
    for (id, piece) in pieces.iter().enumerate().filter(|(_, piece)| joinable(piece)) {
        for (cut, _) in piece.text.char_indices().skip(1) {
            let (left, right) = piece.text.split_at(cut);
            if let (Some(l), Some(r)) = (part(left), part(right)) {
                found.push((piece.score, id, l, r));
                bytes += piece.text.len();
            }
        }
        if bytes > MOST_MERGED {
            return Err(format!(
                "piece {id}: merges of {bytes} bytes up to here, expected at most {MOST_MERGED} in all"
            ));
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2, a.3).cmp(&(b.1, b.2, b.3))));
    let text = |id: u32| pieces[id as usize].text.clone();
    Ok(found.into_iter().map(|(_, _, l, r)| (text(l), text(r))).collect())
}

/// Marks what no text spells as special, and what stands as one token wherever it occurs.
fn add_tokens(tokenizer: &mut tokenizers::Tokenizer, pieces: &[Piece]) {
    let tokens = |kinds: &[Kind], special: bool| -> Vec<AddedToken> {
        let chosen = pieces.iter().filter(|piece| kinds.contains(&piece.kind()));
        chosen
            .map(|piece| AddedToken::from(piece.text.clone(), special).normalized(false))
            .collect()
    };
    tokenizer.add_special_tokens(&tokens(&[Kind::Unknown, Kind::Control], true));
    tokenizer.add_tokens(&tokens(&[Kind::UserDefined], false));
}
