//! Model folders in the Hugging Face layout, read.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use burn::module::Module;
use burn::tensor::{DType, TensorData};
use half::bf16;
use rlhf_core::load_parameter_data_from;
use serde_json::{Map, Value};

use crate::config::ModelConfig;
use crate::decoder::Decoder;
use crate::error::{Error, Result};
use crate::families::{Head, StoredParameter, parameters, standard_names};
use crate::heads::{CausalLm, ScalarModel};
use crate::layers::Start;
use crate::precision::Placement;
use crate::storage::StorageType;
use crate::weights::{StoredTensor, Weights};

pub(crate) const CONFIG_FILE: &str = "config.json";
pub(crate) const GENERATION_FILE: &str = "generation_config.json";

/// Reads `dir/config.json`, and `generation_config.json` if there is one.
///
/// # Errors
/// A missing or malformed file, or a field out of range, named.
pub fn load_config(dir: &Path) -> Result<ModelConfig> {
    let path = dir.join(CONFIG_FILE);
    let config = ModelConfig::from_fields(read_object(&path)?).map_err(|error| Error::Config {
        path,
        message: error.to_string(),
    })?;
    let generation = dir.join(GENERATION_FILE);
    let generation = if generation.exists() {
        Some(read_object(&generation)?)
    } else {
        None
    };
    Ok(config.with_generation(generation))
}

pub(crate) fn read_object(path: &Path) -> Result<Map<String, Value>> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })?;
    serde_json::from_str(&text).map_err(|error| Error::Config {
        path: path.to_owned(),
        message: error.to_string(),
    })
}

/// Loads a language model from a directory as transformers saves it.
///
/// Weights in one file or in several with an index, in F32, F16 or BF16. Older key names without what stands before
/// the trunk are understood, buffers of masks and frequencies and the heads of other tasks ignored. Needs the memory of
/// the loaded weights and twice the largest of them.
///
/// # Errors
/// Names the file, and the tensor or field at fault with what was expected.
pub fn load_causal_lm<'a>(dir: &Path, placement: impl Into<Placement<'a>>) -> Result<(CausalLm, ModelConfig)> {
    load(dir, Head::Language, |config| CausalLm::outline(config, placement))
}

/// Loads a reward or value model; `score.bias` is 0 where the file has none.
///
/// # Errors
/// As [`load_causal_lm`].
pub fn load_scalar_model<'a>(dir: &Path, placement: impl Into<Placement<'a>>) -> Result<(ScalarModel, ModelConfig)> {
    load(dir, Head::Scalar, |config| ScalarModel::outline(config, placement))
}

/// Loads the trunk of a language, reward or value model, whatever head it has.
///
/// # Errors
/// As [`load_causal_lm`].
pub fn load_decoder<'a>(dir: &Path, placement: impl Into<Placement<'a>>) -> Result<(Decoder, ModelConfig)> {
    /// Gives the trunk the name that it has in every model.
    #[derive(Module, Debug)]
    struct Headless {
        transformer: Decoder,
    }
    let (model, config) = load(dir, Head::Trunk, |config| Headless {
        transformer: Decoder::build(config, &mut Start::zeros(placement.into())),
    })?;
    Ok((model.transformer, config))
}

/// Checks every tensor against the configuration, and only then makes the module and fills it.
fn load<M: Module>(dir: &Path, head: Head, empty: impl FnOnce(&ModelConfig) -> M) -> Result<(M, ModelConfig)> {
    let config = load_config(dir)?;
    let weights = Weights::open(dir)?;
    let plan = Plan::new(&config, head, &weights)?;
    let module = load_parameter_data_from(empty(&config), |name, dims, held| plan.data(name, dims, held))?;
    let config = config.with_storage(plan.storage);
    Ok((module, config))
}

/// The bias of a reward head, which other programs' files lack.
const SCORE_BIAS: &str = "score.bias";

/// Stored tensors that each parameter is made of, all known to be there in the right shape.
struct Plan<'a> {
    weights: &'a Weights,
    parameters: HashMap<String, (StoredParameter, Vec<Option<&'a StoredTensor>>)>,
    storage: StorageType,
}

impl<'a> Plan<'a> {
    fn new(config: &ModelConfig, head: Head, weights: &'a Weights) -> Result<Self> {
        let (family, architecture) = (config.family(), config.architecture());
        let mut stored: BTreeMap<String, (&str, &StoredTensor)> = BTreeMap::new();
        for (name, tensor) in &weights.tensors {
            let Some(standard) = standard_names(family, head, architecture.tied_head, name) else {
                continue;
            };
            if let Some((other, _)) = stored.insert(standard, (name, tensor)) {
                // The same tensor by an older name and by today's: nothing says which of the two is meant.
                return Err(Error::SurplusTensors {
                    path: weights.path().to_owned(),
                    names: vec![other.to_owned(), name.to_owned()],
                });
            }
        }
        let mut found = HashMap::new();
        let mut kinds = Vec::new();
        for parameter in parameters(family, architecture, head) {
            let mut tensors = Vec::with_capacity(parameter.parts.len());
            for part in &parameter.parts {
                let tensor = match stored.remove(&part.name) {
                    None if part.name == SCORE_BIAS => None,
                    None => return Err(missing(weights, &part.name, &part.shape)),
                    Some((name, tensor)) => {
                        check_shape(weights, name, tensor, &part.shape)?;
                        kinds.push(weights.storage_of(name, tensor)?);
                        Some(tensor)
                    }
                };
                tensors.push(tensor);
            }
            found.insert(parameter.name.clone(), (parameter, tensors));
        }
        if !stored.is_empty() {
            let names = stored.into_values().map(|(name, _)| name.to_owned()).collect();
            return Err(Error::SurplusTensors {
                path: weights.path().to_owned(),
                names,
            });
        }
        let first = kinds.first().copied().unwrap_or_default();
        let storage = if kinds.iter().all(|&kind| kind == first) {
            first
        } else {
            StorageType::F32
        };
        Ok(Self {
            weights,
            parameters: found,
            storage,
        })
    }

    /// The numbers of a parameter that is held as `held`: as bf16 where they are stored so in the same order, as f32 else.
    fn data(&self, name: &str, dims: &[usize], held: DType) -> Result<TensorData> {
        let (parameter, tensors) = self
            .parameters
            .get(name)
            .expect("the table has every parameter of the module");
        if let (DType::BF16, true, [Some(tensor)]) = (held, parameter.is_stored_as_held(), &tensors[..])
            && self.weights.storage_of(name, tensor)? == StorageType::Bf16
        {
            let numbers = |bytes: &[u8]| {
                bytes
                    .as_chunks::<2>()
                    .0
                    .iter()
                    .map(|&b| bf16::from_le_bytes(b))
                    .collect()
            };
            let values: Vec<bf16> = self.weights.with_bytes(tensor, numbers);
            return Ok(TensorData::new(values, dims));
        }
        Ok(TensorData::new(self.values(name)?, dims))
    }

    fn values(&self, name: &str) -> Result<Vec<f32>> {
        let (parameter, tensors) = self
            .parameters
            .get(name)
            .expect("the table has every parameter of the module");
        let mut values = vec![0.0; parameter.shape.iter().product()];
        for (index, (part, tensor)) in parameter.parts.iter().zip(tensors).enumerate() {
            let Some(tensor) = tensor else { continue };
            let storage = self.weights.storage_of(&part.name, tensor)?;
            self.weights
                .with_bytes(tensor, |bytes| parameter.read_part(index, bytes, storage, &mut values));
        }
        Ok(values)
    }
}

pub(crate) fn missing(weights: &Weights, name: &str, expected: &[usize]) -> Error {
    Error::Tensor {
        path: weights.path().to_owned(),
        source: rlhf_core::Error::MissingTensor {
            name: name.to_owned(),
            expected: expected.to_vec(),
        },
    }
}

pub(crate) fn check_shape(weights: &Weights, name: &str, tensor: &StoredTensor, expected: &[usize]) -> Result<()> {
    if tensor.shape == expected {
        return Ok(());
    }
    Err(Error::Tensor {
        path: weights.path_of(tensor).to_owned(),
        source: rlhf_core::Error::TensorShape {
            name: name.to_owned(),
            expected: expected.to_vec(),
            found: tensor.shape.clone(),
        },
    })
}
