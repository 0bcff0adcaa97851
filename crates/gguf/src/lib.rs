//! GGUF files as what they are: a transformers folder in another spelling.
mod blocks;
mod error;
mod model;
mod read;
mod tensor_type;
mod tensors;
mod tokenizer;
mod write;

pub use error::{Error, Result};
pub use read::{Array, Gguf, Number, TensorInfo, Value};
pub use tensor_type::TensorType;
pub use tensors::ModelTensor;
pub use tokenizer::{GgufTokenizer, Piece, PieceKind};
pub use write::{Export, Written};
