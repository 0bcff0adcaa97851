//! Decoder transformers in Burn: a GPT-2 language model, its reward and value heads, a key/value cache and Hugging Face
//! checkpoints.
//!
//! [`Decoder`] turns tokens into hidden states. [`CausalLm`] reads next-token log-probabilities from them,
//! [`ScalarModel`] one number per position: a reward model reads it at the last token of an answer, a value model before
//! each token. Field names follow the checkpoint's tensor names, so loading and saving need no table.
//!
//! ```
//! use burn::tensor::Device;
//! use rlhf_core::TokenBatch;
//! use rlhf_model::{CausalLm, ModelConfig};
//!
//! let device = Device::flex();
//! let config = ModelConfig { vocab_size: 50, n_positions: 16, n_embd: 8, n_layer: 1, n_head: 2, ..Default::default() };
//! let model = CausalLm::init(&config, 1, &device);
//! let batch = TokenBatch::pack(&[vec![3, 1, 4], vec![1, 5]], 8);
//! let hidden = model.hidden_states(&batch.to_device(&device));
//! assert_eq!(hidden.dims(), [5, 8]); // both sequences share one row, without padding
//! ```

mod cache;
mod checkpoint;
mod config;
mod decoder;
mod error;
mod heads;
mod induction;
mod layers;
mod passes;

pub use cache::KvCache;
pub use checkpoint::{
    load_causal_lm, load_config, load_scalar_model, read_safetensors, save_causal_lm, save_scalar_model,
};
pub use config::ModelConfig;
pub use decoder::Decoder;
pub use error::{Error, Result};
pub use heads::{CausalLm, ScalarModel};
pub use induction::WeightInit;
pub use passes::{SequenceLogprobs, sequence_logprobs, sequence_scores, sequence_values};
pub use rlhf_kernels::TokenLogprobs;
