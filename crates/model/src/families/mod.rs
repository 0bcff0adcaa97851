//! The families of checkpoints: what a model's folder calls itself, and what it calls its tensors.

mod names;
mod standard;

use crate::config::FieldFault;
use crate::config::fields::Fields;

pub(crate) use names::Part;
pub(crate) use names::{Layout, StoredParameter, linear_weights, parameters};
pub(crate) use standard::{standard_names, tied_names};

/// A family of models, which `config.json` names in `model_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// GPT-2.
    Gpt2,
    /// GPT-NeoX: Pythia.
    GptNeox,
    /// Llama.
    Llama,
    /// Mistral: Llama with a sliding window.
    Mistral,
    /// Qwen2 and 2.5: Llama with biases.
    Qwen2,
    /// Qwen3: Llama with normalised queries and keys.
    Qwen3,
    /// Phi-3 and its kin: Llama with queries, keys and values in one tensor, and gates and what they let through in another.
    Phi3,
    /// SmolLM3: Llama in which every fourth layer knows no positions.
    SmolLm3,
}

/// Head that reads a model's hidden states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Head {
    /// Nothing: the trunk alone.
    Trunk,
    /// Next-token logits.
    Language,
    /// One number.
    Scalar,
}

impl Family {
    /// Every family, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::Gpt2,
        Self::GptNeox,
        Self::Llama,
        Self::Mistral,
        Self::Qwen2,
        Self::Qwen3,
        Self::Phi3,
        Self::SmolLm3,
    ];

    /// The `model_type` of its configuration.
    pub fn model_type(self) -> &'static str {
        match self {
            Self::Gpt2 => "gpt2",
            Self::GptNeox => "gpt_neox",
            Self::Llama => "llama",
            Self::Mistral => "mistral",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Phi3 => "phi3",
            Self::SmolLm3 => "smollm3",
        }
    }

    /// The family that a configuration names, or the class that the model was saved from where it names none.
    pub(crate) fn of(fields: &Fields<'_>) -> Result<Self, FieldFault> {
        let known = || Self::ALL.map(Self::model_type).join(", ");
        if let Some(found) = fields.optional_text("model_type")? {
            let family = Self::ALL.into_iter().find(|family| family.model_type() == found);
            return family.ok_or_else(|| fields.fault("model_type", format!("`{found}`, expected one of {}", known())));
        }
        let classes = fields.texts("architectures")?.unwrap_or_default();
        let heads = [Head::Trunk, Head::Language, Head::Scalar];
        let is_of = |family: &Self| heads.iter().any(|&head| classes.contains(&&*family.class_name(head)));
        Self::ALL
            .into_iter()
            .find(is_of)
            .ok_or_else(|| fields.fault("model_type", format!("missing, expected one of {}", known())))
    }

    /// The class of transformers that loads a model with this head.
    pub(crate) fn class_name(self, head: Head) -> String {
        let base = match self {
            Self::Gpt2 => "GPT2",
            Self::GptNeox => "GPTNeoX",
            Self::Llama => "Llama",
            Self::Mistral => "Mistral",
            Self::Qwen2 => "Qwen2",
            Self::Qwen3 => "Qwen3",
            Self::Phi3 => "Phi3",
            Self::SmolLm3 => "SmolLM3",
        };
        match (self, head) {
            (_, Head::Trunk) => format!("{base}Model"),
            (_, Head::Scalar) => format!("{base}ForSequenceClassification"),
            (Self::Gpt2, Head::Language) => "GPT2LMHeadModel".to_owned(),
            (_, Head::Language) => format!("{base}ForCausalLM"),
        }
    }
}
