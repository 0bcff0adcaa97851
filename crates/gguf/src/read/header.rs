//! A GGUF file, opened: what its header says, and the little of its data that the header needs to be understood.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::cursor::Cursor;
use super::sniff::other_format;
use super::tensor_info::{self, TensorInfo};
use super::value::Value;
use crate::error::{Error, Result};
use crate::tensor_type::TensorType;

const MAGIC: &[u8; 4] = b"GGUF";
const ALIGNMENT: &str = "general.alignment";
const DEFAULT_ALIGNMENT: u64 = 32;
/// The tensor that holds Llama 3's scaling of the rotary frequencies.
pub(crate) const ROPE_FREQS: &str = "rope_freqs.weight";
/// More frequencies than this are taken for damage.
const MOST_FREQS: u64 = 1 << 16;
/// Bytes of two tensors that are compared at a time.
const CHUNK: u64 = 1 << 20;

/// A GGUF file whose header was read and found sound: every tensor lies within the file.
///
/// [`Self::config`], [`Self::tensors`] and [`Self::tokenizer`] say what it holds in transformers' words. The bytes of a tensor
/// are the caller's to read, from its [range](TensorInfo::range).
#[derive(Debug, Clone)]
pub struct Gguf {
    path: PathBuf,
    version: u32,
    metadata: BTreeMap<String, Value>,
    tensors: Vec<TensorInfo>,
    freq_factors: Option<Vec<f32>>,
    head_is_copy: bool,
}

impl Gguf {
    /// Reads the header of the file at `path`.
    ///
    /// # Errors
    /// If the file cannot be read, is not GGUF of version 2 or 3, or contradicts itself: the entry or tensor is named.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let io = |source| Error::Read {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(io)?;
        let len = file.metadata().map_err(io)?.len();
        let mut gguf = Self::header(BufReader::with_capacity(1 << 16, &file), len, path)?;
        gguf.look_at_data(|range| {
            let mut file = &file;
            file.seek(SeekFrom::Start(range.start)).map_err(io)?;
            let mut bytes = vec![0; (range.end - range.start) as usize];
            file.read_exact(&mut bytes).map_err(io)?;
            Ok(bytes)
        })?;
        Ok(gguf)
    }

    /// Reads the header of a whole file in memory; `path` is for messages.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn parse(bytes: &[u8], path: impl AsRef<Path>) -> Result<Self> {
        let mut gguf = Self::header(bytes, bytes.len() as u64, path.as_ref())?;
        gguf.look_at_data(|range| Ok(bytes[range.start as usize..range.end as usize].to_vec()))?;
        Ok(gguf)
    }

    fn header(reader: impl BufRead, len: u64, path: &Path) -> Result<Self> {
        let mut cursor = Cursor::new(reader, len, path);
        let start = cursor.bytes(len.min(4), "its header")?;
        if start != MAGIC {
            let more = cursor.bytes((len - start.len() as u64).min(60), "its header")?;
            return Err(Error::NotGguf {
                path: path.to_owned(),
                found: other_format(&[start, more].concat()),
            });
        }
        let version = version(&mut cursor)?;
        let n_tensors = cursor.u64("its header")?;
        let n_entries = cursor.u64("its header")?;
        let metadata = metadata(&mut cursor, n_entries)?;
        let alignment = alignment(&metadata, path)?;
        let mut tensors = tensor_info::read(&mut cursor, n_tensors)?;
        // The list may end where the file does, before the zeros that would follow it.
        let data = cursor.at().checked_next_multiple_of(alignment).unwrap_or(u64::MAX);
        tensor_info::place(&mut tensors, &cursor, data, alignment)?;
        Ok(Self {
            path: path.to_owned(),
            version,
            metadata,
            tensors,
            freq_factors: None,
            head_is_copy: false,
        })
    }

    /// Takes from the data what the configuration depends on.
    fn look_at_data(&mut self, mut read: impl FnMut(Range<u64>) -> Result<Vec<u8>>) -> Result<()> {
        if let Some(tensor) = self.tensor(ROPE_FREQS) {
            if tensor.tensor_type != TensorType::F32 || tensor.dims.len() != 1 || tensor.dims[0] > MOST_FREQS {
                let message = format!("{:?} of {}, expected one row of F32", tensor.dims, tensor.tensor_type);
                return Err(Error::tensor(&self.path, ROPE_FREQS, message));
            }
            let mut factors = vec![0.0; tensor.numbers()];
            TensorType::F32.decode(&read(tensor.range.clone())?, &mut factors);
            if let Some(factor) = factors.iter().find(|factor| !(factor.is_finite() && **factor > 0.0)) {
                let message = format!("{factor}, expected positive numbers");
                return Err(Error::tensor(&self.path, ROPE_FREQS, message));
            }
            self.freq_factors = Some(factors);
        }
        // GPT-2's head is always its embedding; llama.cpp's converter used to write it twice.
        if self.architecture().is_some_and(|name| name == "gpt2") {
            self.head_is_copy = match (self.tensor("output.weight"), self.tensor("token_embd.weight")) {
                (Some(head), Some(tokens)) => same(head, tokens, &mut read)?,
                _ => false,
            };
        }
        Ok(())
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The version of the format, 2 or 3.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// `general.architecture`, if it is there.
    pub fn architecture(&self) -> Option<&str> {
        self.value("general.architecture")?.as_text()
    }

    /// An entry of the metadata.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key)
    }

    /// All entries of the metadata, by key.
    pub fn metadata(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.metadata.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The tensors, in the order of the file's list.
    pub fn tensor_infos(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The tensor of this name.
    pub(crate) fn tensor(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// What each rotary frequency is divided by.
    pub(crate) fn freq_factors(&self) -> Option<&[f32]> {
        self.freq_factors.as_deref()
    }

    /// True if `output.weight` repeats the embedding of a model whose head is its embedding.
    pub(crate) fn head_is_copy(&self) -> bool {
        self.head_is_copy
    }
}

/// True if two tensors are alike to the last byte.
fn same(a: &TensorInfo, b: &TensorInfo, read: &mut impl FnMut(Range<u64>) -> Result<Vec<u8>>) -> Result<bool> {
    if a.tensor_type != b.tensor_type || a.dims != b.dims {
        return Ok(false);
    }
    let len = a.range.end - a.range.start;
    for from in (0..len).step_by(CHUNK as usize) {
        let to = (from + CHUNK).min(len);
        let mut part = |tensor: &TensorInfo| read(tensor.range.start + from..tensor.range.start + to);
        if part(a)? != part(b)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn version<R: BufRead>(cursor: &mut Cursor<'_, R>) -> Result<u32> {
    let version = cursor.u32("its header")?;
    let hint = match version {
        2 | 3 => return Ok(version),
        1 => ": version 1 had lengths of 32 bits; llama.cpp of before 2024 converts it",
        _ if matches!(version.swap_bytes(), 1..=3) => ": the file is big-endian",
        _ if version > 3 => ": it is newer, or damaged",
        _ => "",
    };
    Err(Error::Version {
        path: cursor.path().to_owned(),
        version,
        hint,
    })
}

fn metadata<R: BufRead>(cursor: &mut Cursor<'_, R>, count: u64) -> Result<BTreeMap<String, Value>> {
    // A key of one byte, its type and a value of one byte.
    cursor.need(
        count.saturating_mul(8 + 1 + 4 + 1),
        &format!("its metadata of {count} entries"),
    )?;
    let mut metadata = BTreeMap::new();
    let mut last = "the beginning".to_owned();
    for _ in 0..count {
        let key = match cursor.text(&format!("the key after {last}"))? {
            Ok(key) if !key.is_empty() => key,
            Ok(_) => return Err(Error::key(cursor.path(), "", format!("the key after {last} is empty"))),
            Err(message) => {
                return Err(Error::key(
                    cursor.path(),
                    "",
                    format!("the key after {last}: {message}"),
                ));
            }
        };
        let value = Value::read(cursor, &key)?;
        last = format!("`{key}`");
        if metadata.insert(key.clone(), value).is_some() {
            return Err(Error::key(cursor.path(), &key, "stands twice in the metadata"));
        }
    }
    Ok(metadata)
}

fn alignment(metadata: &BTreeMap<String, Value>, path: &Path) -> Result<u64> {
    let Some(value) = metadata.get(ALIGNMENT) else {
        return Ok(DEFAULT_ALIGNMENT);
    };
    let alignment = value
        .as_u64()
        .filter(|alignment| alignment.is_power_of_two() && *alignment <= 1 << 32);
    alignment.ok_or_else(|| Error::key(path, ALIGNMENT, format!("{value}, expected a power of two")))
}
