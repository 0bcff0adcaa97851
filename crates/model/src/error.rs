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
    /// A tensor is missing or of another shape.
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
