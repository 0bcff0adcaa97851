//! Sampling and batched generation with a key/value cache.
//!
//! [`Generator::generate`] completes a list of prompts: left-padded, decoded together, finished rows leave the batch. Each prompt
//! draws from a random stream of its own, so a completion does not depend on what it was batched with.
//!
//! ```
//! use burn::tensor::Device;
//! use rlhf_inference::{GenerateOptions, Generator};
//! use rlhf_model::{CausalLm, Gpt2Config};
//!
//! let config = Gpt2Config { vocab_size: 50, n_positions: 16, n_embd: 8, n_layer: 1, n_head: 2, ..Default::default() }.into();
//! let model = CausalLm::init(&config, 1, &Device::flex());
//! let options = GenerateOptions { max_new_tokens: 4, eos_token_id: 2, ..Default::default() };
//! let completions = Generator::new(&model).generate(&[vec![3, 1, 4], vec![1]], &options)?;
//! assert!(completions.iter().all(|c| c.tokens.len() <= 4));
//! # Ok::<(), rlhf_inference::Error>(())
//! ```

pub mod engine;
mod error;
mod generate;
mod memory;
mod sampling;

pub use error::{Error, Result};
pub use generate::{Completion, GenerateOptions, Generator};
pub use memory::generation_forecast;
pub use sampling::{Sampling, next_token_distribution};
