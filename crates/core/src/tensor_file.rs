//! Tensors in a safetensors file, written and read one at a time: a checkpoint needs no more memory than its largest
//! tensor.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Metadata, View};
use safetensors::{Dtype, SafeTensorError};

use crate::batch::to_host;
use crate::error::{Error, Result};
use crate::params::{DeviceTensor, TensorMap};

/// Source of the values of parameters.
pub trait TensorSource {
    /// The values of a tensor that must be there in the expected shape. Nobody asks twice.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::TensorShape`], or a file that cannot be read.
    fn take(&mut self, name: &str, expected: &[usize]) -> Result<Vec<f32>>;
}

impl TensorSource for TensorMap {
    fn take(&mut self, name: &str, expected: &[usize]) -> Result<Vec<f32>> {
        let (shape, values) = self.remove(name).ok_or_else(|| missing(name, expected))?;
        check_shape(name, &shape, expected)?;
        Ok(values)
    }
}

/// An open file of `f32` tensors, of which nothing but the list of contents is in memory.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    file: File,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    shape: Vec<usize>,
    /// First byte in the file.
    start: u64,
}

impl TensorFile {
    /// Reads the list of contents.
    ///
    /// # Errors
    /// A file that cannot be read, or is not one of `f32` tensors.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let malformed = |message: String| Error::Malformed {
            path: path.to_owned(),
            line: None,
            expected: "f32 safetensors",
            message,
        };
        let io = |e| Error::io("read", path, e);
        let mut file = File::open(path).map_err(io)?;
        let mut length = [0; 8];
        file.read_exact(&mut length).map_err(io)?;
        let length = u64::from_le_bytes(length);
        // Not as many bytes as the file claims, but as many as it has.
        let mut header = Vec::new();
        (&mut file).take(length).read_to_end(&mut header).map_err(io)?;
        let metadata: Metadata = serde_json::from_slice(&header).map_err(|e| malformed(e.to_string()))?;
        let mut entries = BTreeMap::new();
        for (name, info) in metadata.tensors() {
            if info.dtype != Dtype::F32 {
                return Err(malformed(format!("`{name}` is {:?}", info.dtype)));
            }
            let entry = Entry {
                shape: info.shape.clone(),
                start: 8 + length + info.data_offsets.0 as u64,
            };
            entries.insert(name, entry);
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            entries,
        })
    }
}

impl TensorSource for TensorFile {
    fn take(&mut self, name: &str, expected: &[usize]) -> Result<Vec<f32>> {
        let entry = self.entries.get(name).ok_or_else(|| missing(name, expected))?;
        check_shape(name, &entry.shape, expected)?;
        let mut bytes = vec![0; 4 * expected.iter().product::<usize>()];
        self.file
            .seek(SeekFrom::Start(entry.start))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(|e| Error::io("read", &self.path, e))?;
        let (words, _) = bytes.as_chunks::<4>();
        Ok(words.iter().map(|&word| f32::from_le_bytes(word)).collect())
    }
}

fn missing(name: &str, expected: &[usize]) -> Error {
    Error::MissingTensor {
        name: name.to_owned(),
        expected: expected.to_vec(),
    }
}

fn check_shape(name: &str, found: &[usize], expected: &[usize]) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::TensorShape {
        name: name.to_owned(),
        expected: expected.to_vec(),
        found: found.to_vec(),
    })
}

/// Writes `tensors` to a new file at `path`; each comes to the host when it is its turn.
///
/// # Errors
/// A file that cannot be written, or two tensors of one name, as words.
pub(crate) fn write(path: &Path, tensors: Vec<DeviceTensor>) -> Result<(), SafeTensorError> {
    let named = tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor));
    safetensors::serialize_to_file(named, None, path)
}

impl View for DeviceTensor {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let values = to_host(self.values.clone());
        Cow::Owned(values.into_iter().flat_map(f32::to_le_bytes).collect())
    }

    fn data_len(&self) -> usize {
        4 * self.shape.iter().product::<usize>()
    }
}
