//! Models as GGUF files, for llama.cpp and what is built on it.

use std::collections::HashMap;
use std::path::Path;

use rlhf_gguf::{Export, GgufTokenizer, TensorType, Written};

use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::families::Head;
use crate::heads::CausalLm;
use crate::save::stored_parts;

/// What goes into a GGUF file beside the weights.
#[derive(Debug, Clone, Copy)]
pub struct GgufOptions<'a> {
    /// Type of the numbers of matrices; gains and biases stay F32.
    pub tensor_type: TensorType,
    /// The tokenizer, with the chat template in its configuration.
    pub tokenizer: Option<&'a GgufTokenizer>,
    /// A name for people.
    pub name: &'a str,
}

/// Writes a language model as the GGUF file `path`, which appears whole or not at all. Adapters are merged into the weights,
/// a tensor at a time.
///
/// # Errors
/// A family or a part that GGUF has no name for, a number that the type cannot hold, or a file that cannot be written.
pub fn save_gguf(path: &Path, model: &CausalLm, config: &ModelConfig, options: &GgufOptions<'_>) -> Result<Written> {
    let parts = stored_parts(model, &model.transformer, config, Head::Language);
    let by_name: HashMap<&str, _> = parts.iter().map(|part| (part.name(), part)).collect();
    let (fields, generation) = (config.fields_with_head(Head::Language), config.generation_fields());
    let export = Export {
        config: &fields,
        generation: Some(&generation),
        tokenizer: options.tokenizer,
        name: options.name,
        tensor_type: options.tensor_type,
    };
    export.write(path, |name, shape| {
        let part = by_name.get(name).ok_or_else(|| Error::MissingTensor {
            path: path.to_owned(),
            name: name.to_owned(),
            expected: shape.to_vec(),
            others: Vec::new(),
        })?;
        Ok(part.numbers())
    })
}
