//! What a model is, between the two spellings: the metadata of a GGUF file and `config.json`.

mod from_config;
mod from_metadata;
mod names;
mod order;
mod rope;
mod to_config;
mod to_metadata;

pub(crate) use names::{Spec, specs, surplus_hint};
pub(crate) use order::Order;
pub(crate) use rope::Scaling;

/// Families that are read and written. Mistral's files call themselves `llama`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Llama,
    Qwen2,
    Qwen3,
    Gpt2,
    GptNeox,
}

impl Family {
    const ALL: [(Self, &'static str, &'static str); 5] = [
        (Self::Llama, "llama", "llama"),
        (Self::Qwen2, "qwen2", "qwen2"),
        (Self::Qwen3, "qwen3", "qwen3"),
        (Self::Gpt2, "gpt2", "gpt2"),
        (Self::GptNeox, "gptneox", "gpt_neox"),
    ];

    /// The family that calls itself so in `general.architecture`.
    pub(crate) fn from_architecture(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|row| row.1 == name).map(|row| row.0)
    }

    /// The family of a `model_type`.
    pub(crate) fn from_model_type(name: &str) -> Option<Self> {
        let name = if name == "mistral" { "llama" } else { name };
        Self::ALL.iter().find(|row| row.2 == name).map(|row| row.0)
    }

    fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::Llama => ("llama", "llama"),
            Self::Qwen2 => ("qwen2", "qwen2"),
            Self::Qwen3 => ("qwen3", "qwen3"),
            Self::Gpt2 => ("gpt2", "gpt2"),
            Self::GptNeox => ("gptneox", "gpt_neox"),
        }
    }

    /// `general.architecture`, which begins the keys of its sizes.
    pub(crate) fn architecture(self) -> &'static str {
        self.row().0
    }

    /// `model_type` of transformers.
    pub(crate) fn model_type(self) -> &'static str {
        self.row().1
    }

    /// All names of [`Self::architecture`], for messages.
    pub(crate) fn architectures() -> String {
        Self::ALL.map(|row| row.1).join(", ")
    }

    /// True for Llama and what differs from it by a part or two.
    pub(crate) fn like_llama(self) -> bool {
        matches!(self, Self::Llama | Self::Qwen2 | Self::Qwen3)
    }
}

/// The sizes and settings of a model, in neither spelling.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Model {
    pub(crate) family: Family,
    /// Rows of the embedding.
    pub(crate) vocab_size: usize,
    pub(crate) max_seq_len: usize,
    pub(crate) d_model: usize,
    pub(crate) d_inner: usize,
    pub(crate) n_layers: usize,
    pub(crate) n_heads: usize,
    pub(crate) n_kv_heads: usize,
    pub(crate) d_head: usize,
    /// Added to the variance in norms.
    pub(crate) eps: f64,
    /// Features of a head that are rotated; 0 with learned positions.
    pub(crate) rotary_dims: usize,
    pub(crate) theta: f64,
    pub(crate) scaling: Scaling,
    /// What each frequency is divided by, after `scaling`.
    pub(crate) freq_factors: Option<Vec<f32>>,
    /// True if the head is the embedding.
    pub(crate) tied: bool,
    /// Biases of queries, keys and values; of the attention's output; of the MLP.
    pub(crate) qkv_bias: bool,
    pub(crate) out_bias: bool,
    pub(crate) mlp_bias: bool,
    /// True if attention and MLP both read the block's input.
    pub(crate) parallel: bool,
    /// Token ids, where they are named.
    pub(crate) bos: Option<u32>,
    pub(crate) eos: Option<u32>,
    pub(crate) pad: Option<u32>,
}
