//! GGUF files as what they are: a transformers folder in another spelling.
mod blocks;
mod error;
mod read;
mod tensor_type;

pub use error::{Error, Result};
pub use read::{Array, Gguf, Number, TensorInfo, Value};
pub use tensor_type::TensorType;
