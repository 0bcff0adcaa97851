//! Model folders in the Hugging Face layout, read.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use burn::module::Module;
use burn::tensor::{DType, TensorData};
use half::bf16;
use rlhf_core::load_parameter_data_from;
use rlhf_gguf::Gguf;
use serde_json::{Map, Value};

use crate::config::ModelConfig;
use crate::decoder::Decoder;
use crate::error::{Error, Result};
use crate::families::{Head, StoredParameter, parameters, standard_names, tied_names};
use crate::heads::{CausalLm, ScalarModel};
use crate::layers::Start;
use crate::precision::Placement;
use crate::storage::{StorageType, StoredNumbers};
use crate::weights::{StoredTensor, Weights};

pub(crate) const CONFIG_FILE: &str = "config.json";
pub(crate) const GENERATION_FILE: &str = "generation_config.json";

/// Reads `config.json` of the folder `dir`, and `generation_config.json` if there is one; or the metadata of a GGUF file.
///
/// A model whose configuration ties its head to the embeddings while its weights hold a head of its own has that head, as in
/// transformers: the configuration that is returned says so.
///
/// # Errors
/// A missing or malformed file, or a field out of range, named.
pub fn load_config(dir: &Path) -> Result<ModelConfig> {
    if dir.is_file() {
        return gguf_config(dir);
    }
    let path = dir.join(CONFIG_FILE);
    let config = ModelConfig::from_fields(rlhf_files::read_object(&path)?).map_err(|error| Error::Config {
        path,
        message: error.to_string(),
    })?;
    let config = config.with_generation(generation(&dir.join(GENERATION_FILE))?);
    // Weights that cannot be opened are the business of whoever loads them.
    let is_own = |weights: &Weights| has_own_head(&config, weights);
    if config.architecture().tied_head && Weights::open(dir).as_ref().is_ok_and(is_own) {
        Ok(config.with_own_head())
    } else {
        Ok(config)
    }
}

/// What the metadata of a GGUF file say, in the words of transformers.
fn gguf_config(path: &Path) -> Result<ModelConfig> {
    let gguf = Gguf::open(path)?;
    let config = ModelConfig::from_fields(gguf.config()?).map_err(|error| Error::Config {
        path: path.to_owned(),
        message: error.to_string(),
    })?;
    Ok(config.with_generation(Some(gguf.generation_config()?)))
}

/// The fields of a `generation_config.json`. An empty file, as some programs leave, says as much as none.
fn generation(path: &Path) -> Result<Option<Map<String, Value>>> {
    let is_blank = |path: &Path| std::fs::read(path).is_ok_and(|bytes| bytes.trim_ascii().is_empty());
    if is_blank(path) {
        return Ok(None);
    }
    Ok(rlhf_files::if_there(rlhf_files::read_object(path))?)
}

/// True if the weights hold a language-model head that is not a copy of the embeddings.
fn has_own_head(config: &ModelConfig, weights: &Weights) -> bool {
    let [embeddings, head] = tied_names(config.family());
    let find = |wanted: &str| {
        let stored = |name: &str| standard_names(config.family(), Head::Language, name);
        let mut tensors = weights.tensors.iter();
        tensors.find_map(|(name, tensor)| (stored(name).as_deref() == Some(wanted)).then_some(tensor))
    };
    match (find(&embeddings), find(&head)) {
        (Some(embeddings), Some(head)) => !weights.are_equal(embeddings, head),
        _ => false,
    }
}

/// Loads a language model from a directory as transformers saves it, or from a GGUF file.
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
    let plan =
        Plan::new(&config, head, &weights).map_err(|fault| why_quantised(dir, &config, &weights).unwrap_or(fault))?;
    let module = load_parameter_data_from(empty(&config), |name, dims, held| plan.data(name, dims, held))?;
    let config = config.with_storage(plan.storage);
    Ok((module, config))
}

/// Ends of the names of tensors that only quantised weights have.
const OF_QUANTISED: [&str; 6] = [
    ".qweight",
    ".qzeros",
    ".absmax",
    ".weight_packed",
    ".weight_scale",
    ".weight_scale_inv",
];

/// An error that says how the weights are quantised, if they are.
fn why_quantised(dir: &Path, config: &ModelConfig, weights: &Weights) -> Option<Error> {
    if let Some((field, method)) = config.quantisation() {
        return Some(Error::Quantised {
            path: dir.join(CONFIG_FILE),
            field: format!("field `{field}`"),
            method: method.to_owned(),
        });
    }
    let is_of_quantised = |name: &&String| OF_QUANTISED.iter().any(|end| name.ends_with(end));
    weights
        .tensors
        .keys()
        .find(is_of_quantised)
        .map(|name| Error::Quantised {
            path: weights.path().to_owned(),
            field: format!("tensor `{name}`"),
            method: "of a kind that config.json does not name".to_owned(),
        })
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
        let [embeddings, own_head] = tied_names(family);
        let mut stored: BTreeMap<String, (&str, &StoredTensor)> = BTreeMap::new();
        let mut tied = None;
        for (name, tensor) in &weights.tensors {
            let Some(standard) = standard_names(family, head, name) else {
                continue;
            };
            if architecture.tied_head && standard == own_head {
                tied = Some((name.as_str(), tensor));
                continue;
            }
            if let Some((other, _)) = stored.insert(standard, (name, tensor)) {
                // The same tensor by an older name and by today's: nothing says which of the two is meant.
                return Err(Error::SurplusTensors {
                    path: weights.path().to_owned(),
                    names: vec![other.to_owned(), name.to_owned()],
                });
            }
        }
        // Of two tensors that are one, some files keep the head.
        if let Some(tied) = tied {
            stored.entry(embeddings).or_insert(tied);
        }
        let others = || {
            let parts = parameters(family, architecture, head).flat_map(|parameter| parameter.parts);
            let known: BTreeSet<String> = parts.map(|part| part.name).collect();
            let names = weights.tensors.keys();
            let is_other = |name: &&String| {
                standard_names(family, head, name)
                    .is_some_and(|standard| standard != own_head && !known.contains(&standard))
            };
            names.filter(is_other).cloned().collect()
        };
        let mut found = HashMap::new();
        let mut kinds = Vec::new();
        for parameter in parameters(family, architecture, head) {
            let mut tensors = Vec::with_capacity(parameter.parts.len());
            for part in &parameter.parts {
                let tensor = match stored.remove(&part.name) {
                    None if part.name == SCORE_BIAS => None,
                    None => return Err(missing(weights, &part.name, &part.shape, others())),
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
            let values = self.weights.with_numbers(name, tensor, halves)?;
            if values.iter().any(|value| !value.is_finite()) {
                self.check_finite(parameter, tensors)?;
            }
            return Ok(TensorData::new(values, dims));
        }
        let values = self.values(parameter, tensors)?;
        if values.iter().any(|value| !value.is_finite()) {
            self.check_finite(parameter, tensors)?;
        }
        Ok(TensorData::new(values, dims))
    }

    fn values(&self, parameter: &StoredParameter, tensors: &[Option<&StoredTensor>]) -> Result<Vec<f32>> {
        let mut values = vec![0.0; parameter.shape.iter().product()];
        for (index, (part, tensor)) in parameter.parts.iter().zip(tensors).enumerate() {
            let Some(tensor) = tensor else { continue };
            let read = |numbers: &StoredNumbers<'_>| parameter.read_part(index, numbers, &mut values);
            self.weights.with_numbers(&part.name, tensor, read)?;
        }
        Ok(values)
    }

    /// The fault of the tensor that holds a number which is none.
    fn check_finite(&self, parameter: &StoredParameter, tensors: &[Option<&StoredTensor>]) -> Result<()> {
        let mut parts = parameter.parts.iter().zip(tensors);
        parts.try_for_each(|(part, tensor)| {
            tensor.map_or(Ok(()), |tensor| self.weights.check_finite(&part.name, tensor))
        })
    }
}

/// The numbers of a tensor in bf16.
fn halves(numbers: &StoredNumbers<'_>) -> Vec<bf16> {
    match numbers {
        StoredNumbers::Encoded { bytes, .. } => bytes
            .as_chunks::<2>()
            .0
            .iter()
            .map(|&b| bf16::from_le_bytes(b))
            .collect(),
        StoredNumbers::Decoded(values) => values.iter().map(|&value| bf16::from_f32(value)).collect(),
    }
}

/// A missing tensor. `others`: tensors of the file that nothing is made of, which tell what it was written by.
pub(crate) fn missing(weights: &Weights, name: &str, expected: &[usize], others: Vec<String>) -> Error {
    Error::MissingTensor {
        path: weights.path().to_owned(),
        name: name.to_owned(),
        expected: expected.to_vec(),
        others,
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
