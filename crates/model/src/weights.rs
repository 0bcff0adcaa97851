//! The weights of a model: of a folder with `model.safetensors`, or several files and an index; or a GGUF file.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use rlhf_core::TensorMap;
use rlhf_files::StandIn;
use rlhf_gguf::{Gguf, ModelTensor};
use safetensors::{Dtype, SafeTensors};

use crate::error::{Error, Result};
use crate::mapped::MappedFile;
use crate::storage::{StorageType, StoredNumbers};

/// One file with all weights.
pub(crate) const WEIGHTS_FILE: &str = "model.safetensors";
/// The list of which tensor is in which of several files.
pub(crate) const INDEX_FILE: &str = "model.safetensors.index.json";

/// A tensor that a file holds.
#[derive(Debug, Clone)]
pub(crate) struct StoredTensor {
    file: usize,
    format: Format,
    bytes: Range<usize>,
    /// Its shape in transformers.
    pub(crate) shape: Vec<usize>,
}

/// Format of the numbers of a tensor.
#[derive(Debug, Clone, PartialEq)]
enum Format {
    Safetensors(Dtype),
    /// Perhaps in blocks, perhaps in another order than that of transformers.
    Gguf(Box<ModelTensor>),
}

/// Every tensor of a model folder, still on the disk.
#[derive(Debug)]
pub(crate) struct Weights {
    /// The weights file, or the index.
    path: PathBuf,
    files: Vec<MappedFile>,
    /// The header of a GGUF file.
    gguf: Option<Box<Gguf>>,
    pub(crate) tensors: BTreeMap<String, StoredTensor>,
}

impl Weights {
    /// Opens the weights of a folder, or a GGUF file, and checks that headers and sizes of the files agree.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        if dir.is_file() {
            return Self::open_gguf(dir);
        }
        let (single, index) = (dir.join(WEIGHTS_FILE), dir.join(INDEX_FILE));
        if single.exists() {
            Self::open_file(&single)
        } else if index.exists() {
            Self::open_sharded(dir, index)
        } else {
            Err(no_weights(dir))
        }
    }

    /// Opens one file, whatever it is called.
    pub(crate) fn open_file(path: &Path) -> Result<Self> {
        let mut weights = Self::empty(path.to_owned());
        weights.add(MappedFile::open(path)?)?;
        Ok(weights)
    }

    fn open_gguf(path: &Path) -> Result<Self> {
        let gguf = Gguf::open(path)?;
        let mut weights = Self::empty(path.to_owned());
        for tensor in gguf.tensors()? {
            let range = &tensor.stored.range;
            let stored = StoredTensor {
                file: 0,
                bytes: range.start as usize..range.end as usize,
                shape: tensor.shape.clone(),
                format: Format::Gguf(Box::new(tensor.clone())),
            };
            weights.tensors.insert(tensor.name, stored);
        }
        weights.files.push(MappedFile::open(path)?);
        weights.gguf = Some(Box::new(gguf));
        Ok(weights)
    }

    /// The files that an index names. Which tensor is in which of them is what the files say: indices that list buffers which
    /// were never written, or heads that were left out, are common.
    fn open_sharded(dir: &Path, index: PathBuf) -> Result<Self> {
        let files = read_index(&index)?;
        let mut weights = Self::empty(index);
        for name in files {
            weights.add(MappedFile::open(&dir.join(name))?)?;
        }
        Ok(weights)
    }

    fn empty(path: PathBuf) -> Self {
        Self {
            path,
            files: Vec::new(),
            gguf: None,
            tensors: BTreeMap::new(),
        }
    }

    fn add(&mut self, file: MappedFile) -> Result<()> {
        StandIn::refuse(file.path(), file.bytes())?;
        let fault = |message: String| Error::Safetensors {
            path: file.path().to_owned(),
            message,
        };
        let (header, metadata) = SafeTensors::read_metadata(file.bytes()).map_err(|e| fault(e.to_string()))?;
        let start = size_of::<u64>() + header;
        for (name, info) in metadata.tensors() {
            let (first, end) = info.data_offsets;
            let tensor = StoredTensor {
                file: self.files.len(),
                format: Format::Safetensors(info.dtype),
                bytes: start + first..start + end,
                shape: info.shape.clone(),
            };
            match self.tensors.get(&name) {
                // Two copies of the same numbers leave no doubt.
                Some(other) if self.bytes(other) == &file.bytes()[tensor.bytes.clone()] => {}
                Some(other) => {
                    let other = self.path_of(other).display();
                    return Err(fault(format!("tensor `{name}` is in {other} too, with other numbers")));
                }
                None => drop(self.tensors.insert(name, tensor)),
            }
        }
        self.files.push(file);
        Ok(())
    }

    /// The file to name when a tensor is missing: the weights file, or the index.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file that holds a tensor.
    pub(crate) fn path_of(&self, tensor: &StoredTensor) -> &Path {
        self.files[tensor.file].path()
    }

    /// The number type of a tensor, which must be one that this crate reads; what a GGUF file holds is read as F32.
    pub(crate) fn storage_of(&self, name: &str, tensor: &StoredTensor) -> Result<StorageType> {
        match &tensor.format {
            Format::Gguf(_) => Ok(StorageType::F32),
            Format::Safetensors(dtype) => StorageType::from_dtype(*dtype).ok_or_else(|| Error::DType {
                path: self.path_of(tensor).to_owned(),
                name: name.to_owned(),
                found: format!("{dtype:?}"),
            }),
        }
    }

    fn bytes(&self, tensor: &StoredTensor) -> &[u8] {
        &self.files[tensor.file].bytes()[tensor.bytes.clone()]
    }

    /// Hands the numbers of a tensor to `read`, and their memory back to the system.
    ///
    /// # Errors
    /// A number type that this crate does not read; in a GGUF file, a number that is none.
    pub(crate) fn with_numbers<T>(
        &self,
        name: &str,
        tensor: &StoredTensor,
        read: impl FnOnce(&StoredNumbers<'_>) -> T,
    ) -> Result<T> {
        let (storage, bytes) = (self.storage_of(name, tensor)?, self.bytes(tensor));
        let numbers = match (&tensor.format, &self.gguf) {
            (Format::Gguf(stored), Some(gguf)) => {
                let mut values = vec![0.0; stored.numbers()];
                gguf.read_tensor(stored, bytes, &mut values)?;
                StoredNumbers::Decoded(values)
            }
            _ => StoredNumbers::Encoded { storage, bytes },
        };
        let result = read(&numbers);
        self.files[tensor.file].release(tensor.bytes.clone());
        Ok(result)
    }

    /// An error if a tensor holds NaN or infinity.
    pub(crate) fn check_finite(&self, name: &str, tensor: &StoredTensor) -> Result<()> {
        let fault = self.with_numbers(name, tensor, |numbers| {
            let mut values = vec![0.0; tensor.shape.iter().product()];
            numbers.decode(0, &mut values);
            let index = values.iter().position(|value| !value.is_finite())?;
            Some((index, values[index]))
        })?;
        fault.map_or(Ok(()), |(index, found)| {
            Err(Error::NotFinite {
                path: self.path_of(tensor).to_owned(),
                name: name.to_owned(),
                index,
                found,
            })
        })
    }

    /// True if two tensors hold the same numbers.
    pub(crate) fn are_equal(&self, one: &StoredTensor, other: &StoredTensor) -> bool {
        one.shape == other.shape && one.format == other.format && self.bytes(one) == self.bytes(other)
    }
}

/// An error that says which weights a folder has, of those that this crate does not read.
fn no_weights(dir: &Path) -> Error {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut others: Vec<String> = names.filter(|name| is_weights_of_others(name)).collect();
    others.sort();
    let there = others.join(", ");
    let message = match others.first() {
        None => format!("no weights, expected {WEIGHTS_FILE}, or several files with {INDEX_FILE}"),
        Some(first) if first.ends_with(".safetensors") => {
            format!("no {WEIGHTS_FILE}, and no index {INDEX_FILE} of the parts that are there: {there}")
        }
        Some(first) if first.ends_with(".gguf") => format!("no {WEIGHTS_FILE}; name the file itself: {there}"),
        Some(_) => format!("no {WEIGHTS_FILE}; convert what is there to safetensors: {there}"),
    };
    Error::NoWeights {
        path: dir.to_owned(),
        message,
    }
}

/// True for the name of a file in which weights are kept.
fn is_weights_of_others(name: &str) -> bool {
    [
        ".safetensors",
        ".gguf",
        ".bin",
        ".bin.index.json",
        ".pt",
        ".pth",
        ".ckpt",
        ".h5",
        ".msgpack",
    ]
    .iter()
    .any(|ending| name.ends_with(ending))
        && !name.starts_with("tok")
        && !["training_args.bin", "optimizer.pt", "scheduler.pt"].contains(&name)
}

/// The files of the folder in which an index says that there are tensors.
fn read_index(path: &Path) -> Result<BTreeSet<String>> {
    let fault = |message: String| Error::Index {
        path: path.to_owned(),
        message,
    };
    let index = rlhf_files::read_object(path)?;
    let Some(map) = index.get("weight_map").and_then(serde_json::Value::as_object) else {
        return Err(fault(
            "field `weight_map`: expected an object of tensor names and file names".into(),
        ));
    };
    let mut files = BTreeSet::new();
    for (tensor, file) in map {
        let Some(name) = file.as_str().filter(|name| is_plain_name(name)) else {
            return Err(fault(format!(
                "field `weight_map.{tensor}`: {file}, expected the name of a file in the folder"
            )));
        };
        files.insert(name.to_owned());
    }
    if files.is_empty() {
        Err(fault(
            "field `weight_map`: empty, expected tensor names and file names".into(),
        ))
    } else {
        Ok(files)
    }
}

/// True if a name leads to a file of the folder itself, and nowhere else.
fn is_plain_name(name: &str) -> bool {
    Path::new(name).file_name().is_some_and(|file| file == name)
}

/// Reads every tensor of a safetensors file as `f32`.
///
/// # Errors
/// A damaged file, or a tensor that is not F32, F16 or BF16, named.
pub fn read_safetensors(path: &Path) -> Result<TensorMap> {
    let weights = Weights::open_file(path)?;
    let mut tensors = TensorMap::new();
    for (name, tensor) in &weights.tensors {
        let mut values = vec![0.0; tensor.shape.iter().product()];
        weights.with_numbers(name, tensor, |numbers| numbers.decode(0, &mut values))?;
        tensors.insert(name.clone(), (tensor.shape.clone(), values));
    }
    Ok(tensors)
}
