//! Values of the metadata.

use std::fmt;
use std::io::BufRead;

use super::cursor::Cursor;
use crate::error::{Error, Result};

/// Arrays within arrays, at most.
const DEEPEST: u32 = 16;
/// Characters of a wrong value that a message shows.
const SHOWN: usize = 60;

/// A value of the metadata; whole numbers and floats of all widths are one kind each.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A whole number of a type without sign.
    Unsigned(u64),
    /// A whole number of a type with sign.
    Signed(i64),
    /// A floating-point number; those of 32 bits are exact.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// A text.
    Text(String),
    /// A list of values of one type.
    Array(Array),
}

/// A list of the metadata.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Array {
    /// Texts.
    Texts(Vec<Box<str>>),
    /// Numbers or truth values, as they stand in the file.
    Numbers {
        /// Type of each.
        kind: Number,
        /// Their bytes, least first.
        bytes: Vec<u8>,
    },
    /// Lists in a list, which nothing here asks for: only their number is kept.
    Nested(u64),
}

/// A type of numbers in the metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names say all")]
pub enum Number {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    U64,
    I64,
    F64,
}

const TEXT: u32 = 8;
const ARRAY: u32 = 9;

impl Number {
    fn from_id(id: u32) -> Option<Self> {
        use Number::{Bool, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64};
        Some(match id {
            0 => U8,
            1 => I8,
            2 => U16,
            3 => I16,
            4 => U32,
            5 => I32,
            6 => F32,
            7 => Bool,
            10 => U64,
            11 => I64,
            12 => F64,
            _ => return None,
        })
    }

    fn width(self) -> usize {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// The value of `width` bytes.
    fn value(self, bytes: &[u8]) -> Value {
        let mut eight = [0; 8];
        eight[..bytes.len()].copy_from_slice(bytes);
        let unsigned = u64::from_le_bytes(eight);
        // The sign bit is moved to the top and back.
        let unused = 64 - 8 * bytes.len() as u32;
        let signed = (unsigned << unused).cast_signed() >> unused;
        match self {
            Self::U8 | Self::U16 | Self::U32 | Self::U64 => Value::Unsigned(unsigned),
            Self::I8 | Self::I16 | Self::I32 | Self::I64 => Value::Signed(signed),
            Self::F32 => Value::Float(f64::from(f32::from_bits(unsigned as u32))),
            Self::F64 => Value::Float(f64::from_bits(unsigned)),
            Self::Bool => Value::Bool(unsigned != 0),
        }
    }
}

impl Array {
    /// Elements.
    pub fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.len(),
            Self::Numbers { kind, bytes } => bytes.len() / kind.width(),
            Self::Nested(n) => usize::try_from(*n).unwrap_or(usize::MAX),
        }
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers or truth values; none if the elements are something else.
    pub fn numbers(&self) -> impl Iterator<Item = Value> {
        let (kind, bytes) = match self {
            Self::Numbers { kind, bytes } => (*kind, bytes.as_slice()),
            _ => (Number::U8, [].as_slice()),
        };
        bytes.chunks_exact(kind.width()).map(move |bytes| kind.value(bytes))
    }
}

impl Value {
    /// Reads the value of `key`, whose type comes first.
    pub(super) fn read<R: BufRead>(cursor: &mut Cursor<'_, R>, key: &str) -> Result<Self> {
        let place = format!("`{key}`");
        match cursor.u32(&place)? {
            TEXT => {
                let text = cursor.text(&place)?;
                text.map(Self::Text).map_err(|m| Error::key(cursor.path(), key, m))
            }
            ARRAY => Array::read(cursor, key, &place, 1).map(Self::Array),
            id => {
                let kind = Number::from_id(id).ok_or_else(|| unknown_type(cursor, key, id))?;
                let bytes = cursor.bytes(kind.width() as u64, &place)?;
                check_bools(cursor, key, kind, &bytes)?;
                Ok(kind.value(&bytes))
            }
        }
    }

    /// A whole number that is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Unsigned(number) => Some(*number),
            Self::Signed(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// Any number.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Unsigned(number) => Some(*number as f64),
            Self::Signed(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// True or false.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    /// A text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A list.
    pub fn as_array(&self) -> Option<&Array> {
        match self {
            Self::Array(array) => Some(array),
            _ => None,
        }
    }

    /// A list of texts.
    pub fn as_texts(&self) -> Option<&[Box<str>]> {
        match self {
            Self::Array(Array::Texts(texts)) => Some(texts),
            _ => None,
        }
    }

    /// True for what turns a setting off: 0, false, an empty text or `none`, an empty list.
    pub(crate) fn is_off(&self) -> bool {
        match self {
            Self::Unsigned(0) | Self::Signed(0) | Self::Bool(false) => true,
            Self::Float(number) => *number == 0.0,
            Self::Text(text) => text.is_empty() || text == "none",
            Self::Array(array) => array.is_empty(),
            _ => false,
        }
    }
}

impl fmt::Display for Value {
    /// The value as a message shows it: short.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned(number) => write!(f, "{number}"),
            Self::Signed(number) => write!(f, "{number}"),
            Self::Float(number) => write!(f, "{number:?}"),
            Self::Bool(flag) => write!(f, "{flag}"),
            Self::Text(text) if text.chars().nth(SHOWN).is_some() => {
                let short: String = text.chars().take(SHOWN).collect();
                write!(f, "{short:?}…")
            }
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Array(array) => write!(f, "a list of {} elements", array.len()),
        }
    }
}

impl Array {
    fn read<R: BufRead>(cursor: &mut Cursor<'_, R>, key: &str, place: &str, depth: u32) -> Result<Self> {
        let id = cursor.u32(place)?;
        let count = cursor.u64(place)?;
        match id {
            TEXT => {
                // Each has at least its length, 8 bytes, and takes twice that here.
                cursor.need(count.saturating_mul(8), place)?;
                let mut texts = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
                for index in 0..count {
                    let text = cursor.text(place)?;
                    let text = text.map_err(|m| Error::key(cursor.path(), key, format!("element {index}: {m}")))?;
                    texts.push(text.into_boxed_str());
                }
                Ok(Self::Texts(texts))
            }
            ARRAY if depth == DEEPEST => {
                let message = format!("lists within lists, more than {DEEPEST} deep");
                Err(Error::key(cursor.path(), key, message))
            }
            ARRAY => {
                // Each has at least its type and its count.
                cursor.need(count.saturating_mul(12), place)?;
                for _ in 0..count {
                    Self::read(cursor, key, place, depth + 1)?;
                }
                Ok(Self::Nested(count))
            }
            _ => {
                let kind = Number::from_id(id).ok_or_else(|| unknown_type(cursor, key, id))?;
                let bytes = cursor.bytes(count.saturating_mul(kind.width() as u64), place)?;
                check_bools(cursor, key, kind, &bytes)?;
                Ok(Self::Numbers { kind, bytes })
            }
        }
    }
}

fn unknown_type<R: BufRead>(cursor: &Cursor<'_, R>, key: &str, id: u32) -> Error {
    Error::key(cursor.path(), key, format!("type {id}, expected 0 to 12"))
}

fn check_bools<R: BufRead>(cursor: &Cursor<'_, R>, key: &str, kind: Number, bytes: &[u8]) -> Result<()> {
    match bytes.iter().find(|&&byte| kind == Number::Bool && byte > 1) {
        Some(byte) => Err(Error::key(
            cursor.path(),
            key,
            format!("a truth value of {byte}, expected 0 or 1"),
        )),
        None => Ok(()),
    }
}
