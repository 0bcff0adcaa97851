//! GGUF files as what they are: a transformers folder in another spelling.
//!
//! A [`Gguf`] is a file whose header was read and found sound. It says what `config.json`, `generation_config.json`,
//! `tokenizer.json` and `tokenizer_config.json` would say, lists the tensors under transformers' names, and brings their
//! numbers into transformers' order: llama.cpp keeps the rows of rotated heads in pairs, turns GPT-2's matrices, and sorts
//! GPT-NeoX's queries, keys and values. An [`Export`] goes the other way. [`TensorType`] is the arithmetic of both: numbers
//! from blocks and blocks from numbers, to the last bit as ggml's reference has them.
//!
//! A file is not believed: no memory is reserved by what it claims, and what would change the numbers and is not computed
//! is refused by its key.
//!
//! ```
//! use rlhf_gguf::{Error, Export, Gguf, TensorType};
//!
//! # let folder = tempfile::tempdir().expect("a folder");
//! # let path = folder.path().join("model.gguf");
//! let config = serde_json::json!({
//!     "model_type": "llama", "vocab_size": 4, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
//!     "num_attention_heads": 2, "max_position_embeddings": 16, "tie_word_embeddings": true,
//! });
//! let export = Export {
//!     config: config.as_object().expect("an object"),
//!     generation: None,
//!     tokenizer: None,
//!     name: "example",
//!     tensor_type: TensorType::Q8_0,
//! };
//! export.write(&path, |_name, shape| Ok::<_, Error>(vec![0.5; shape.iter().product()]))?;
//!
//! let file = Gguf::open(&path)?;
//! assert_eq!(file.config()?["head_dim"], 16);
//! let tensors = file.tensors()?;
//! let down = tensors.iter().find(|tensor| tensor.name == "model.layers.0.mlp.down_proj.weight");
//! assert_eq!(down.map(|tensor| tensor.shape.clone()), Some(vec![32, 64]));
//! # Ok::<(), Error>(())
//! ```

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
