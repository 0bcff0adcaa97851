//! Decoder transformers in Burn: language models of the families GPT-2, GPT-NeoX, Llama, Mistral, Qwen2, Qwen3, Phi-3 and
//! SmolLM3, their reward and value heads, a key/value cache and Hugging Face checkpoints.
//!
//! A [`ModelConfig`] is a `config.json`: its family says what the fields mean, an [`Architecture`] is what they mean. One
//! [`Decoder`] is built from that and turns tokens into hidden states. [`CausalLm`] reads next-token log-probabilities from
//! them, [`ScalarModel`] one number per position: a reward model reads it at the last token of an answer, a value model
//! before each token. Which tensors of a checkpoint make up which parameter stands in one table per family. A model may
//! have low-rank adapters ([`LoraConfig`]) that are trained in place of its weights.
//!
//! ```
//! use burn::tensor::Device;
//! use rlhf_core::TokenBatch;
//! use rlhf_model::{CausalLm, Gpt2Config};
//!
//! let device = Device::flex();
//! let config = Gpt2Config { vocab_size: 50, n_positions: 16, n_embd: 8, n_layer: 1, n_head: 2, ..Default::default() };
//! let model = CausalLm::init(&config.into(), 1, &device);
//! let batch = TokenBatch::pack(&[vec![3, 1, 4], vec![1, 5]], 8);
//! let hidden = model.hidden_states(&batch.to_device(&device));
//! assert_eq!(hidden.dims(), [5, 8]); // both sequences share one row, without padding
//! ```

mod accumulate;
mod architecture;
mod cache;
mod checkpoint;
mod config;
mod decoder;
mod error;
mod export;
mod families;
mod heads;
mod induction;
mod layers;
mod layout;
mod lora;
mod mapped;
mod memory;
mod packed_lm;
mod passes;
mod precision;
mod rotary;
mod save;
mod storage;
mod training_pass;
mod weights;

pub use accumulate::{Accumulator, Headed, LargestPart, MicroBatch, PassLimits, Reading, logprob_gradients};
pub use architecture::{
    Activation, Architecture, AttentionShape, Norm, NormKind, PassSize, Positions, Residual, RopeScaling, Rotary,
    SlidingWindow,
};
pub use cache::KvCache;
pub use checkpoint::{load_causal_lm, load_config, load_decoder, load_scalar_model};
pub use config::{FieldFault, Gpt2Config, ModelConfig};
pub use decoder::Decoder;
pub use error::{Error, Result};
pub use export::{GgufOptions, save_gguf};
pub use families::Family;
pub use heads::{CausalLm, ScalarModel};
pub use induction::WeightInit;
pub use lora::{
    AdapterConfig, AdapterTask, LoraConfig, load_adapter_config, load_causal_adapter, load_scalar_adapter,
    save_causal_adapter, save_scalar_adapter,
};
pub use memory::{HeadUse, LargestPass, PassesAtOnce};
pub use packed_lm::PackedLm;
pub use passes::{
    SequenceLogprobs, completion_scores, group_scores, group_scores_told, last_scores, sequence_greedy,
    sequence_logprobs, sequence_scores, sequence_scores_told, sequence_values,
};
pub use precision::{Placement, WeightPrecision};
pub use rlhf_gguf::{GgufTokenizer, TensorType, Written};
pub use rlhf_kernels::TokenLogprobs;
pub use save::{MAX_SHARD_BYTES, checkpoint_tensors, save_causal_lm, save_causal_lm_in_shards, save_scalar_model};
pub use storage::StorageType;
pub use training_pass::{Activations, TrainingPass};
pub use weights::read_safetensors;
