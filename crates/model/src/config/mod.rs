//! `config.json`: what a model folder says of its architecture, in the words of the model's family.

pub(crate) mod fields;
mod gpt2;
mod gpt_neox;
mod llama;
mod rope;

use serde_json::{Map, Value, json};

use crate::architecture::Architecture;
use crate::error::Error;
use crate::families::{Family, Head};
use crate::storage::StorageType;
use fields::Fields;

pub use fields::FieldFault;
pub use gpt2::Gpt2Config;

/// The configuration of a model: its family, what that means, and every field of the file it came from.
///
/// Fields that this crate does not know are kept and written again. A new GPT-2 starts as a [`Gpt2Config`].
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    family: Family,
    architecture: Architecture,
    storage: StorageType,
    fields: Map<String, Value>,
    generation: Option<Map<String, Value>>,
    /// The field that says that weights are quantised, and by which method.
    quantisation: Option<(&'static str, String)>,
}

/// Fields in which a `config.json` says how its weights are quantised, in transformers and in MLX.
const QUANTISATION: [&str; 2] = ["quantization_config", "quantization"];

impl ModelConfig {
    /// Reads the fields of a `config.json`, in the spelling of transformers 4 or 5.
    ///
    /// # Errors
    /// The first field at fault, with what was expected and what was found.
    pub fn from_fields(mut fields: Map<String, Value>) -> Result<Self, Error> {
        let quantisation = taken_quantisation(&mut fields);
        let reader = Fields::new(&fields);
        let family = Family::of(&reader)?;
        let architecture = match family {
            Family::Gpt2 => Gpt2Config::read(&reader)?.architecture(),
            Family::GptNeox => gpt_neox::read(&reader)?,
            Family::Llama | Family::Mistral | Family::Qwen2 | Family::Qwen3 | Family::Phi3 | Family::SmolLm3 => {
                llama::read(family, &reader)?
            }
        };
        for name in ["bos_token_id", "eos_token_id", "pad_token_id"] {
            reader.tokens(name)?;
        }
        let named = reader.text_or("dtype", "")?.to_owned() + reader.text_or("torch_dtype", "")?;
        let storage = StorageType::from_name(&named).unwrap_or_default();
        Ok(Self {
            family,
            architecture,
            storage,
            fields,
            generation: None,
            quantisation,
        })
    }

    /// The field that says that the weights are quantised and the method it names, if there is one. Files of whole weights
    /// have such a field left over at times; what is written has none.
    pub(crate) fn quantisation(&self) -> Option<(&'static str, &str)> {
        self.quantisation
            .as_ref()
            .map(|(field, method)| (*field, method.as_str()))
    }

    /// The same model with a language-model head that is not the embeddings.
    pub(crate) fn with_own_head(mut self) -> Self {
        self.architecture.tied_head = false;
        self.fields.insert("tie_word_embeddings".into(), json!(false));
        self
    }

    /// The family, which decides the names of tensors.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Parts that the model consists of.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Words in the vocabulary.
    pub fn vocab_size(&self) -> usize {
        self.architecture.vocab_size
    }

    /// Longest sequence, in tokens.
    pub fn max_seq_len(&self) -> usize {
        self.architecture.max_seq_len
    }

    /// Token that starts a text, if the file names one.
    pub fn bos_token_id(&self) -> Option<u32> {
        self.token("bos_token_id")
    }

    /// Token that ends an answer, the first if the file lists several.
    pub fn eos_token_id(&self) -> Option<u32> {
        self.token("eos_token_id")
    }

    /// Token that fills up a batch, if the file names one.
    pub fn pad_token_id(&self) -> Option<u32> {
        self.token("pad_token_id")
    }

    fn token(&self, name: &str) -> Option<u32> {
        let tokens = Fields::new(&self.fields).tokens(name);
        tokens.expect("checked when the fields were read").first().copied()
    }

    /// The number type that weights are written in. A loaded model has that of its file; one whose tensors are of
    /// several types has `F32`, in which each of them is exact.
    pub fn storage(&self) -> StorageType {
        self.storage
    }

    /// The same model, to be written in another number type.
    pub fn with_storage(mut self, storage: StorageType) -> Self {
        self.storage = storage;
        self
    }

    /// The same model with the fields of a `generation_config.json`, which are written again beside the weights.
    pub(crate) fn with_generation(mut self, generation: Option<Map<String, Value>>) -> Self {
        self.generation = generation;
        self
    }

    /// The fields of `config.json` for a model of this configuration with `head`.
    pub(crate) fn fields_with_head(&self, head: Head) -> Map<String, Value> {
        let mut fields = self.fields.clone();
        fields.insert("architectures".into(), json!([self.family.class_name(head)]));
        match head {
            Head::Scalar => {
                fields.insert("num_labels".into(), json!(1));
                fields.insert("id2label".into(), json!({"0": "score"}));
                fields.insert("label2id".into(), json!({"score": 0}));
            }
            Head::Language | Head::Trunk => {
                for name in ["num_labels", "id2label", "label2id"] {
                    fields.shift_remove(name);
                }
            }
        }
        if self.family == Family::Gpt2 {
            for name in ["attn_pdrop", "embd_pdrop", "resid_pdrop"] {
                fields.entry(name).or_insert(json!(0.0));
            }
        }
        let dtype = if fields.contains_key("dtype") {
            "dtype"
        } else {
            "torch_dtype"
        };
        fields.insert(dtype.into(), json!(self.storage.name()));
        fields
    }

    /// The fields of `generation_config.json`: those the model came with, or its special tokens.
    pub(crate) fn generation_fields(&self) -> Map<String, Value> {
        if let Some(generation) = &self.generation {
            return generation.clone();
        }
        let mut fields = Map::from_iter([("_from_model_config".to_owned(), json!(true))]);
        for name in ["bos_token_id", "eos_token_id", "pad_token_id"] {
            if let Some(value) = self.fields.get(name).filter(|value| !value.is_null()) {
                fields.insert(name.into(), value.clone());
            }
        }
        fields
    }
}

/// Takes out the field on quantisation, if it is there; what is written is never quantised.
fn taken_quantisation(fields: &mut Map<String, Value>) -> Option<(&'static str, String)> {
    let mut found = None;
    for name in QUANTISATION {
        if let Some(value) = fields.shift_remove(name).filter(|value| !value.is_null()) {
            let method = value["quant_method"].as_str().unwrap_or("a method without a name");
            found = found.or(Some((name, method.to_owned())));
        }
    }
    found
}

/// More layers than this are taken for damage.
const MOST_LAYERS: usize = 4096;

/// The number of layers in field `name`.
fn layers(fields: &Fields<'_>, name: &str) -> Result<usize, FieldFault> {
    let layers = fields.size(name)?;
    if layers <= MOST_LAYERS {
        Ok(layers)
    } else {
        Err(fields.fault(name, format!("{layers}, expected at most {MOST_LAYERS}")))
    }
}

/// The size in field `whole` over that in field `parts`, which must divide it.
fn divided(fields: &Fields<'_>, parts: &str, whole: &str) -> Result<usize, FieldFault> {
    let (n, size) = (fields.size(parts)?, fields.size(whole)?);
    if size.is_multiple_of(n) {
        Ok(size / n)
    } else {
        Err(fields.fault(parts, format!("{n} does not divide {whole} {size}")))
    }
}
