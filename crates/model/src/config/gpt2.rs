//! GPT-2, the family that this project trains from random weights.

use rlhf_config::ConfigErrors;
use serde::Serialize;
use serde_json::{Map, Value};

use super::ModelConfig;
use super::fields::{FieldFault, Fields};
use crate::architecture::{Activation, Architecture, AttentionShape, Norm, NormKind, Positions, Residual};

/// The configuration of a GPT-2. Field names are those of Hugging Face's `GPT2Config`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gpt2Config {
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
    /// True if the language-model head is the token embedding.
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

impl Default for Gpt2Config {
    /// GPT-2 small (Radford et al. 2019): 12 layers, width 768, 12 heads, context 1024.
    fn default() -> Self {
        Self {
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

impl Gpt2Config {
    /// Reads a file's fields; as in transformers, those of GPT-2 small stand for the ones it leaves out.
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, FieldFault> {
        // Options that change the arithmetic, with the one setting that this crate has.
        fields.fixed("scale_attn_weights", true)?;
        fields.fixed("scale_attn_by_inverse_layer_idx", false)?;
        fields.fixed("add_cross_attention", false)?;
        let default = Self::default();
        let first = |name: &str| Ok(fields.tokens(name)?.first().copied());
        let config = Self {
            vocab_size: fields.size_or("vocab_size", default.vocab_size)?,
            n_positions: fields.size_or("n_positions", default.n_positions)?,
            n_embd: fields.size_or("n_embd", default.n_embd)?,
            n_layer: fields.size_or("n_layer", default.n_layer)?,
            n_head: fields.size_or("n_head", default.n_head)?,
            n_inner: fields.optional_size("n_inner")?,
            layer_norm_epsilon: fields.non_negative_or("layer_norm_epsilon", default.layer_norm_epsilon)?,
            activation_function: fields.text_or("activation_function", "gelu_new")?.to_owned(),
            tie_word_embeddings: fields.flag_or("tie_word_embeddings", true)?,
            initializer_range: fields.non_negative_or("initializer_range", default.initializer_range)?,
            bos_token_id: first("bos_token_id")?,
            eos_token_id: first("eos_token_id")?,
            pad_token_id: first("pad_token_id")?,
        };
        match config.validate().iter().next() {
            Some(fault) => Err(fields.fault(&fault.path, fault.message.as_str())),
            None => Ok(config),
        }
    }

    /// Faults of the configuration; paths are relative to this struct.
    pub fn validate(&self) -> ConfigErrors {
        let mut errors = ConfigErrors::new();
        let sizes = [
            ("vocab_size", self.vocab_size, 1 << 24),
            ("n_positions", self.n_positions, 1 << 24),
            ("n_embd", self.n_embd, 1 << 24),
            ("n_layer", self.n_layer, super::MOST_LAYERS),
            ("n_head", self.n_head, 1 << 24),
            ("n_inner", self.d_inner(), 1 << 24),
        ];
        for (field, size, most) in sizes {
            errors.check((1..=most).contains(&size), field, || {
                format!("expected 1 to {most}, found {size}")
            });
        }
        for (field, number) in [
            ("layer_norm_epsilon", self.layer_norm_epsilon),
            ("initializer_range", self.initializer_range),
        ] {
            errors.check(number.is_finite() && number >= 0.0, field, || {
                format!("expected a number of at least 0, found {number}")
            });
        }
        if self.n_head > 0 && !self.n_embd.is_multiple_of(self.n_head) {
            let message = format!("{} does not divide n_embd {}", self.n_head, self.n_embd);
            errors.push("n_head", message);
        }
        if !["gelu_new", "gelu_pytorch_tanh"].contains(&self.activation_function.as_str()) {
            let found = &self.activation_function;
            let message = format!("`{found}`, expected `gelu_new` or `gelu_pytorch_tanh`");
            errors.push("activation_function", message);
        }
        errors
    }

    /// Width of the hidden layer of the MLP.
    fn d_inner(&self) -> usize {
        self.n_inner.unwrap_or(4 * self.n_embd)
    }

    pub(super) fn architecture(&self) -> Architecture {
        Architecture {
            vocab_size: self.vocab_size,
            max_seq_len: self.n_positions,
            d_model: self.n_embd,
            n_layers: self.n_layer,
            d_inner: self.d_inner(),
            norm: Norm {
                kind: NormKind::Layer,
                eps: self.layer_norm_epsilon,
            },
            positions: Positions::Learned,
            attention: AttentionShape {
                n_heads: self.n_head,
                n_kv_heads: self.n_head,
                d_head: self.n_embd / self.n_head.max(1),
                qkv_bias: true,
                out_bias: true,
                qk_norm: false,
                sliding_window: None,
            },
            activation: Activation::GeluTanh,
            mlp_bias: true,
            residual: Residual::Sequential,
            tied_head: self.tie_word_embeddings,
            initializer_range: self.initializer_range,
        }
    }
}

impl From<Gpt2Config> for ModelConfig {
    /// The configuration of a new model.
    ///
    /// # Panics
    /// If the configuration has faults that [`Gpt2Config::validate`] names.
    fn from(config: Gpt2Config) -> Self {
        let Ok(Value::Object(own)) = serde_json::to_value(&config) else {
            unreachable!("a struct of numbers and texts is a JSON object");
        };
        let mut fields = Map::from_iter([("model_type".to_owned(), Value::from("gpt2"))]);
        fields.extend(own);
        match Self::from_fields(fields) {
            Ok(config) => config,
            Err(error) => panic!("{error}"),
        }
    }
}
