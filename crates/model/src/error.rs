//! Errors in a model's files.

use std::path::PathBuf;

use crate::config::FieldFault;

/// Result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A fault in a model directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's error.
        #[source]
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] rlhf_core::Error),
    /// `config.json` is not what it should be.
    #[error("{}: {message}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Field, what was expected and what was found.
        message: String,
    },
    /// A field of a configuration is not what it should be.
    #[error(transparent)]
    Field(#[from] FieldFault),
    /// A small file is not what it should be, or something else stands in for it.
    #[error(transparent)]
    File(#[from] rlhf_files::Error),
    /// A GGUF file is not what it should be.
    #[error(transparent)]
    Gguf(#[from] rlhf_gguf::Error),
    /// A folder without weights that this crate reads.
    #[error("{}: {message}", path.display())]
    NoWeights {
        /// The folder.
        path: PathBuf,
        /// What is there instead.
        message: String,
    },
    /// Weights in blocks of less than 16 bits a number, as other programs make them.
    #[error("{}: {field}: quantised weights ({method}), expected F32, F16 or BF16: dequantise them first, or take the model that they were made of", path.display())]
    Quantised {
        /// The file that says so.
        path: PathBuf,
        /// Field of `config.json`, or tensor.
        field: String,
        /// Name of the method, as far as the files tell.
        method: String,
    },
    /// A weight is NaN or infinite.
    #[error("{}: tensor `{name}` holds a number that is not finite ({found} at {index})", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// Tensor name.
        name: String,
        /// Index of the number in the tensor.
        index: usize,
        /// The number.
        found: f32,
    },
    /// A tensor is missing.
    #[error("{}: tensor `{name}` is missing, expected shape {expected:?}{}", path.display(), instead(others))]
    MissingTensor {
        /// The file.
        path: PathBuf,
        /// Tensor name.
        name: String,
        /// Its shape.
        expected: Vec<usize>,
        /// Tensors of the file that nothing is made of.
        others: Vec<String>,
    },
    /// The list of weight files is damaged, or does not fit the files.
    #[error("{}: {message}", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// Field or tensor, what was expected and what was found.
        message: String,
    },
    /// The weights file is damaged.
    #[error("{}: not a whole safetensors file: {message}", path.display())]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// The parser's message.
        message: String,
    },
    /// A tensor is stored in a type that this crate does not read.
    #[error("{}: tensor `{name}` has type {found}, expected F32, F16 or BF16", path.display())]
    DType {
        /// The file.
        path: PathBuf,
        /// Tensor name.
        name: String,
        /// Type found.
        found: String,
    },
    /// A tensor has another shape.
    #[error("{}: {source}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor and what was expected.
        #[source]
        source: rlhf_core::Error,
    },
    /// A model without adapters was to be written as one.
    #[error("{}: the model has no adapters to write", path.display())]
    NoAdapters {
        /// The folder that was to be written.
        path: PathBuf,
    },
    /// The file holds tensors that the model has no place for.
    #[error("{}: surplus tensors {}", path.display(), names.join(", "))]
    SurplusTensors {
        /// The file.
        path: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
}

/// Names that a message shows.
const SHOWN: usize = 3;

/// A part of a sentence on what a file has in place of a tensor.
fn instead(others: &[String]) -> String {
    let shown: Vec<String> = others.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    match others.len() {
        0 => String::new(),
        n if n > SHOWN => format!("; the file has {} and {} others instead", shown.join(", "), n - SHOWN),
        _ => format!("; the file has {} instead", shown.join(", ")),
    }
}
