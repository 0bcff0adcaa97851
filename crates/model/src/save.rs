//! Model folders in the Hugging Face layout, written.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use burn::module::Module;
use rlhf_core::{DeviceTensor, NamedTensor, device_parameters, to_host};
use safetensors::tensor::{Dtype, View};
use serde_json::{Map, Value, json};

use crate::checkpoint::{CONFIG_FILE, GENERATION_FILE};
use crate::config::ModelConfig;
use crate::decoder::Decoder;
use crate::error::{Error, Result};
use crate::families::{Head, StoredParameter, parameters};
use crate::heads::{CausalLm, ScalarModel};
use crate::layers::Linear;
use crate::storage::StorageType;
use crate::weights::{INDEX_FILE, WEIGHTS_FILE};

/// Bytes of weights that one file holds at most, unless a single tensor is larger: what transformers 4 writes.
pub const MAX_SHARD_BYTES: u64 = 5_000_000_000;

/// Writes a language model into `dir`, which must exist: `config.json`, `generation_config.json` and the weights, in
/// several files if there are more than [`MAX_SHARD_BYTES`] of them. Numbers have the type `config.storage()`. Adapters are
/// merged into what is written.
///
/// # Errors
/// Names the file that could not be written.
pub fn save_causal_lm(dir: &Path, model: &CausalLm, config: &ModelConfig) -> Result<()> {
    save_causal_lm_in_shards(dir, model, config, MAX_SHARD_BYTES)
}

/// As [`save_causal_lm`], with files of at most `max_shard_bytes` of weights.
///
/// # Errors
/// As [`save_causal_lm`].
pub fn save_causal_lm_in_shards(
    dir: &Path,
    model: &CausalLm,
    config: &ModelConfig,
    max_shard_bytes: u64,
) -> Result<()> {
    save(
        dir,
        model,
        &model.transformer,
        config,
        (Head::Language, max_shard_bytes),
    )
}

/// Writes a reward or value model into `dir`, which must exist, as a sequence classifier with one label.
///
/// transformers ignores `score.bias`; a constant added to every score changes no ranking.
///
/// # Errors
/// As [`save_causal_lm`].
pub fn save_scalar_model(dir: &Path, model: &ScalarModel, config: &ModelConfig) -> Result<()> {
    save(dir, model, &model.transformer, config, (Head::Scalar, MAX_SHARD_BYTES))
}

/// Tensors that belong to the parameters of a model of this configuration, such as gradients, under the names and in
/// the shapes of its family's checkpoints. Tensors of other names are left out.
pub fn checkpoint_tensors(config: &ModelConfig, tensors: Vec<NamedTensor>) -> Vec<NamedTensor> {
    let mut by_name: HashMap<String, NamedTensor> = tensors.into_iter().map(|t| (t.name.clone(), t)).collect();
    let heads = [Head::Language, Head::Scalar];
    let table = heads
        .into_iter()
        .flat_map(|head| parameters(config.family(), config.architecture(), head));
    table
        .filter_map(|parameter| Some((by_name.remove(&parameter.name)?, parameter)))
        .flat_map(|(tensor, parameter)| {
            let part = |index: usize| NamedTensor {
                name: parameter.parts[index].name.clone(),
                shape: parameter.parts[index].shape.clone(),
                values: parameter.write_part(index, &tensor.values),
            };
            (0..parameter.parts.len()).map(part).collect::<Vec<_>>()
        })
        .collect()
}

fn save<M: Module>(
    dir: &Path,
    model: &M,
    trunk: &Decoder,
    config: &ModelConfig,
    (head, max_shard_bytes): (Head, u64),
) -> Result<()> {
    let parts = stored_parts(model, trunk, config, head);
    write_weights(dir, parts, max_shard_bytes)?;
    write_json(&dir.join(GENERATION_FILE), config.generation_fields())?;
    write_json(&dir.join(CONFIG_FILE), config.fields_with_head(head))
}

/// Every tensor to write, its values still on the device, and its adapters not yet merged.
pub(crate) fn stored_parts<M: Module>(model: &M, trunk: &Decoder, config: &ModelConfig, head: Head) -> Vec<StoredPart> {
    let mut tensors: HashMap<String, DeviceTensor> = device_parameters(model)
        .into_iter()
        .map(|t| (t.name.clone(), t))
        .collect();
    let mut parts = Vec::new();
    for parameter in parameters(config.family(), config.architecture(), head) {
        let tensor = tensors
            .remove(&parameter.name)
            .expect("the configuration is the model's");
        let values = match trunk.adapted_linear(&parameter.name) {
            Some(linear) => StoredValues::Merged(linear.clone()),
            None => StoredValues::Held(tensor),
        };
        for index in 0..parameter.parts.len() {
            parts.push(StoredPart {
                parameter: parameter.clone(),
                index,
                values: values.clone(),
                storage: config.storage(),
            });
        }
    }
    parts
}

fn write_weights(dir: &Path, mut parts: Vec<StoredPart>, max_shard_bytes: u64) -> Result<()> {
    let total: u64 = parts.iter().map(|part| part.data_len() as u64).sum();
    if total <= max_shard_bytes {
        write_safetensors(&dir.join(WEIGHTS_FILE), parts)?;
        return remove_if_there(&dir.join(INDEX_FILE));
    }
    parts.sort_by(|a, b| a.name().cmp(b.name()));
    let shards = into_shards(parts, max_shard_bytes);
    let count = shards.len();
    let mut weight_map = Map::new();
    for (number, shard) in shards.into_iter().enumerate() {
        let file = format!("model-{:05}-of-{count:05}.safetensors", number + 1);
        weight_map.extend(shard.iter().map(|part| (part.name().to_owned(), json!(file))));
        write_safetensors(&dir.join(file), shard)?;
    }
    weight_map.sort_keys();
    let mut index = Map::new();
    index.insert("metadata".into(), json!({"total_size": total}));
    index.insert("weight_map".into(), Value::Object(weight_map));
    write_json(&dir.join(INDEX_FILE), index)?;
    // A single file beside the index would be read in its place.
    remove_if_there(&dir.join(WEIGHTS_FILE))
}

/// Neighbours together as long as they fit.
fn into_shards(parts: Vec<StoredPart>, max_shard_bytes: u64) -> Vec<Vec<StoredPart>> {
    let mut shards = vec![Vec::new()];
    let mut filled = 0;
    for part in parts {
        let bytes = part.data_len() as u64;
        if filled > 0 && filled + bytes > max_shard_bytes {
            shards.push(Vec::new());
            filled = 0;
        }
        filled += bytes;
        shards.last_mut().expect("there is one from the start").push(part);
    }
    shards
}

pub(crate) fn write_safetensors(path: &Path, parts: Vec<StoredPart>) -> Result<()> {
    let metadata = Some(HashMap::from([("format".to_owned(), "pt".to_owned())]));
    let views = parts.into_iter().map(|part| (part.name().to_owned(), part));
    rlhf_core::atomic::write_file_with(path, |temporary| {
        safetensors::serialize_to_file(views, metadata, temporary).map_err(|error| Error::Safetensors {
            path: path.to_owned(),
            message: error.to_string(),
        })
    })
}

pub(crate) fn write_json(path: &Path, fields: Map<String, Value>) -> Result<()> {
    let text = serde_json::to_string_pretty(&fields).map_err(|error| Error::Config {
        path: path.to_owned(),
        message: error.to_string(),
    })?;
    Ok(rlhf_core::atomic::write_file(path, text.as_bytes())?)
}

fn remove_if_there(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Error::Io {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

/// A tensor of a checkpoint, copied to the host when it is written and not before.
pub(crate) struct StoredPart {
    pub(crate) parameter: StoredParameter,
    pub(crate) index: usize,
    pub(crate) values: StoredValues,
    pub(crate) storage: StorageType,
}

/// Source of the numbers of a parameter.
#[derive(Clone)]
pub(crate) enum StoredValues {
    /// A tensor of the model.
    Held(DeviceTensor),
    /// The weight of a linear layer with what its adapters add.
    Merged(Linear),
}

impl StoredValues {
    fn to_host(&self) -> Vec<f32> {
        match self {
            Self::Held(tensor) => to_host(tensor.values.clone()),
            Self::Merged(linear) => to_host(linear.merged_weight()),
        }
    }
}

impl StoredPart {
    pub(crate) fn name(&self) -> &str {
        &self.parameter.parts[self.index].name
    }

    /// Its numbers in the order of the checkpoint, with what adapters add.
    pub(crate) fn numbers(&self) -> Vec<f32> {
        self.parameter.write_part(self.index, &self.values.to_host())
    }
}

impl View for StoredPart {
    fn dtype(&self) -> Dtype {
        self.storage.dtype()
    }
    fn shape(&self) -> &[usize] {
        &self.parameter.parts[self.index].shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.storage.encode(&self.numbers()))
    }
    fn data_len(&self) -> usize {
        self.shape().iter().product::<usize>() * self.storage.bytes()
    }
}
