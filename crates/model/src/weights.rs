//! The weights of a model folder: `model.safetensors`, or several files and an index.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use rlhf_core::TensorMap;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::mapped::MappedFile;
use crate::storage::StorageType;

/// One file with all weights.
pub(crate) const WEIGHTS_FILE: &str = "model.safetensors";
/// The list of which tensor is in which of several files.
pub(crate) const INDEX_FILE: &str = "model.safetensors.index.json";

/// A tensor that a file holds.
#[derive(Debug, Clone)]
pub(crate) struct StoredTensor {
    file: usize,
    dtype: Dtype,
    bytes: Range<usize>,
    pub(crate) shape: Vec<usize>,
}

/// Every tensor of a model folder, still on the disk.
#[derive(Debug)]
pub(crate) struct Weights {
    /// The weights file, or the index.
    path: PathBuf,
    files: Vec<MappedFile>,
    pub(crate) tensors: BTreeMap<String, StoredTensor>,
}

impl Weights {
    /// Opens the weights of a folder and checks that headers and sizes of the files agree.
    pub(crate) fn open(dir: &Path) -> Result<Self> {
        let (single, index) = (dir.join(WEIGHTS_FILE), dir.join(INDEX_FILE));
        if !single.exists() && index.exists() {
            Self::open_sharded(dir, index)
        } else {
            Self::open_file(&single)
        }
    }

    /// Opens one file, whatever it is called.
    pub(crate) fn open_file(path: &Path) -> Result<Self> {
        let mut weights = Self {
            path: path.to_owned(),
            files: Vec::new(),
            tensors: BTreeMap::new(),
        };
        weights.add(MappedFile::open(path)?)?;
        Ok(weights)
    }

    fn open_sharded(dir: &Path, index: PathBuf) -> Result<Self> {
        let listed = read_index(&index)?;
        let mut weights = Self {
            path: index,
            files: Vec::new(),
            tensors: BTreeMap::new(),
        };
        for name in listed.values().collect::<BTreeSet<_>>() {
            weights.add(MappedFile::open(&dir.join(name))?)?;
        }
        for (tensor, file) in &listed {
            let found = weights
                .tensors
                .get(tensor)
                .map(|t| weights.files[t.file].path().ends_with(file));
            if found != Some(true) {
                let message = format!("tensor `{tensor}` is not in {file}");
                return Err(Error::Index {
                    path: weights.path,
                    message,
                });
            }
        }
        Ok(weights)
    }

    fn add(&mut self, file: MappedFile) -> Result<()> {
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
                dtype: info.dtype,
                bytes: start + first..start + end,
                shape: info.shape.clone(),
            };
            if self.tensors.insert(name.clone(), tensor).is_some() {
                return Err(fault(format!("tensor `{name}` is in another file of the index too")));
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

    /// The number type of a tensor, which must be one that this crate reads.
    pub(crate) fn storage_of(&self, name: &str, tensor: &StoredTensor) -> Result<StorageType> {
        StorageType::from_dtype(tensor.dtype).ok_or_else(|| Error::DType {
            path: self.path_of(tensor).to_owned(),
            name: name.to_owned(),
            found: format!("{:?}", tensor.dtype),
        })
    }

    /// Hands the bytes of a tensor to `read`, and their memory back to the system.
    pub(crate) fn with_bytes<T>(&self, tensor: &StoredTensor, read: impl FnOnce(&[u8]) -> T) -> T {
        let file = &self.files[tensor.file];
        let result = read(&file.bytes()[tensor.bytes.clone()]);
        file.release(tensor.bytes.clone());
        result
    }
}

/// File of the folder by name of a tensor in it.
fn read_index(path: &Path) -> Result<BTreeMap<String, String>> {
    let fault = |message: String| Error::Index {
        path: path.to_owned(),
        message,
    };
    let text = std::fs::read_to_string(path).map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })?;
    let value: Value = serde_json::from_str(&text).map_err(|e| fault(e.to_string()))?;
    let Some(map) = value.get("weight_map").and_then(Value::as_object) else {
        return Err(fault(
            "field `weight_map`: expected an object of tensor names and file names".into(),
        ));
    };
    let mut listed = BTreeMap::new();
    for (tensor, file) in map {
        let Some(name) = file.as_str().filter(|name| is_plain_name(name)) else {
            return Err(fault(format!(
                "field `weight_map.{tensor}`: {file}, expected the name of a file in the folder"
            )));
        };
        listed.insert(tensor.clone(), name.to_owned());
    }
    if listed.is_empty() {
        Err(fault(
            "field `weight_map`: empty, expected tensor names and file names".into(),
        ))
    } else {
        Ok(listed)
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
        let storage = weights.storage_of(name, tensor)?;
        let mut values = vec![0.0; tensor.shape.iter().product()];
        weights.with_bytes(tensor, |bytes| storage.decode(bytes, &mut values));
        tensors.insert(name.clone(), (tensor.shape.clone(), values));
    }
    Ok(tensors)
}
