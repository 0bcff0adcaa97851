//! The architecture of a model, in the words of a Hugging Face GPT-2 `config.json`.

use serde::{Deserialize, Serialize};

/// GPT-2 architecture. Field names are those of Hugging Face's `GPT2Config`; unknown fields of a file are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelConfig {
    /// Always `gpt2`.
    pub model_type: String,
    /// Words in the vocabulary.
    pub vocab_size: usize,
    /// Longest sequence, in tokens.
    pub n_positions: usize,
    /// Width, `d_model`.
    pub n_embd: usize,
    /// Blocks.
    pub n_layer: usize,
    /// Attention heads; `n_embd` is a multiple.
    pub n_head: usize,
    /// Width of the hidden layer of the MLP; `None` is `4 * n_embd`.
    pub n_inner: Option<usize>,
    /// Added to the variance in layer norms.
    pub layer_norm_epsilon: f64,
    /// `gelu_new` or `gelu_pytorch_tanh`: GELU in its tanh form.
    pub activation_function: String,
    /// Whether the language-model head is the token embedding.
    pub tie_word_embeddings: bool,
    /// Standard deviation of the initial weights.
    pub initializer_range: f64,
    /// Token that starts a text, if the tokenizer has one.
    pub bos_token_id: Option<u32>,
    /// Token that ends an answer.
    pub eos_token_id: Option<u32>,
    /// Token that fills up a batch.
    pub pad_token_id: Option<u32>,
}

impl Default for ModelConfig {
    /// GPT-2 small (Radford et al. 2019): 12 layers, width 768, 12 heads, context 1024.
    fn default() -> Self {
        Self {
            model_type: "gpt2".into(),
            vocab_size: 50257,
            n_positions: 1024,
            n_embd: 768,
            n_layer: 12,
            n_head: 12,
            n_inner: None,
            layer_norm_epsilon: 1e-5,
            activation_function: "gelu_new".into(),
            tie_word_embeddings: true,
            initializer_range: 0.02,
            bos_token_id: None,
            eos_token_id: None,
            pad_token_id: None,
        }
    }
}

impl ModelConfig {
    /// Width of one attention head.
    pub fn d_head(&self) -> usize {
        self.n_embd / self.n_head
    }

    /// Width of the hidden layer of the MLP.
    pub fn d_inner(&self) -> usize {
        self.n_inner.unwrap_or(4 * self.n_embd)
    }

    /// What is wrong with the configuration, field by field.
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        if self.model_type != "gpt2" {
            faults.push(("model_type", format!("`{}`, expected `gpt2`", self.model_type)));
        }
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("n_positions", self.n_positions),
            ("n_embd", self.n_embd),
            ("n_layer", self.n_layer),
            ("n_head", self.n_head),
            ("n_inner", self.d_inner()),
        ];
        for (field, size) in sizes {
            if size == 0 || size > 1 << 24 {
                faults.push((field, format!("{size} is not in 1 ..= 16777216")));
            }
        }
        if self.n_head > 0 && !self.n_embd.is_multiple_of(self.n_head) {
            faults.push((
                "n_head",
                format!("{} does not divide n_embd {}", self.n_head, self.n_embd),
            ));
        }
        if !["gelu_new", "gelu_pytorch_tanh"].contains(&self.activation_function.as_str()) {
            faults.push((
                "activation_function",
                format!(
                    "`{}`, expected `gelu_new` or `gelu_pytorch_tanh`",
                    self.activation_function
                ),
            ));
        }
        faults
    }

    /// Floating-point operations of a forward pass, per token, without attention over the context: two per weight that
    /// takes part in a matrix product.
    pub fn flops_per_token(&self) -> f64 {
        let d = self.n_embd as f64;
        let block = 4.0 * d * d + 2.0 * d * self.d_inner() as f64;
        2.0 * (self.n_layer as f64 * block + d * self.vocab_size as f64)
    }
}
