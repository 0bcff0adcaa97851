//! `[model]`: the architecture of a model trained from random weights.

use rlhf_model::{Gpt2Config, WeightInit};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Architecture of a model trained from random weights: GPT-2's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ArchitectureConfig {
    /// Blocks.
    pub n_layers: usize,
    /// Width.
    pub d_model: usize,
    /// Attention heads; divides `d_model`.
    pub n_heads: usize,
    /// Longest sequence, in tokens.
    pub max_seq_len: usize,
    /// Standard deviation of the first weights. GPT-2: 0.02, for widths of 768 and more.
    pub initializer_range: f64,
    /// Start of the weights: `gpt2`, drawn alike and with a tied head, or `induction`, with a pair of heads among
    /// them that copy from the context (after Olsson et al. 2022) and a head of its own.
    pub init: WeightInit,
}

impl Default for ArchitectureConfig {
    fn default() -> Self {
        Self {
            n_layers: 4,
            d_model: 128,
            n_heads: 4,
            max_seq_len: 256,
            initializer_range: 0.06,
            init: WeightInit::Induction,
        }
    }
}

impl ArchitectureConfig {
    /// The model's configuration for a tokenizer.
    pub fn model_config(&self, vocab_size: usize, eos: u32, pad: Option<u32>) -> Gpt2Config {
        Gpt2Config {
            vocab_size,
            n_positions: self.max_seq_len,
            n_embd: self.d_model,
            n_layer: self.n_layers,
            n_head: self.n_heads,
            initializer_range: self.initializer_range,
            tie_word_embeddings: self.init.ties_head(),
            bos_token_id: Some(eos),
            eos_token_id: Some(eos),
            pad_token_id: pad,
            ..Gpt2Config::default()
        }
    }
}
