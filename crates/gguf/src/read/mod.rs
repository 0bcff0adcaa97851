//! The header of a file: metadata and the list of tensors, read once from front to back.

mod cursor;
mod header;
mod sniff;
mod tensor_info;
mod value;

pub use header::Gguf;
pub(crate) use header::ROPE_FREQS;
pub use tensor_info::TensorInfo;
pub use value::{Array, Number, Value};
