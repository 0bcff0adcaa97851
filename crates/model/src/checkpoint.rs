//! Model directories in the Hugging Face layout: `config.json` and `model.safetensors`.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use burn::module::Module;
use burn::tensor::Device;
use rlhf_core::{NamedTensor, TensorMap, load_parameters, named_parameters};
use safetensors::tensor::{Dtype, SafeTensors, View};
use serde_json::{Value, json};

use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::heads::{CausalLm, ScalarModel};

const CONFIG_FILE: &str = "config.json";
const WEIGHTS_FILE: &str = "model.safetensors";

/// Options of GPT-2 that change its arithmetic, with the one setting this crate has; a file need not name them.
const FIXED_OPTIONS: [(&str, bool); 3] = [
    ("scale_attn_weights", true),
    ("scale_attn_by_inverse_layer_idx", false),
    ("add_cross_attention", false),
];

/// Reads `dir/config.json`.
///
/// # Errors
/// A missing or malformed file, or a field out of range, named.
pub fn load_config(dir: &Path) -> Result<ModelConfig> {
    let path = dir.join(CONFIG_FILE);
    let text = std::fs::read_to_string(&path).map_err(|source| Error::Io {
        path: path.clone(),
        source,
    })?;
    let fault = |message: String| Error::Config {
        path: path.clone(),
        message,
    };
    let config: ModelConfig = serde_json::from_str(&text).map_err(|e| fault(e.to_string()))?;
    let fields: Value = serde_json::from_str(&text).map_err(|e| fault(e.to_string()))?;
    for (field, expected) in FIXED_OPTIONS {
        match fields.get(field) {
            Some(found) if *found != json!(expected) => {
                return Err(fault(format!("field `{field}`: {found}, expected {expected}")));
            }
            _ => {}
        }
    }
    match config.faults().first() {
        Some((field, message)) => Err(fault(format!("field `{field}`: {message}"))),
        None => Ok(config),
    }
}

/// Loads a language model from a directory as transformers saves it.
///
/// Older key names without the `transformer.` prefix and causal-mask buffers are understood.
///
/// # Errors
/// Names the file, and the tensor or field at fault with what was expected.
pub fn load_causal_lm(dir: &Path, device: &Device) -> Result<(CausalLm, ModelConfig)> {
    let config = load_config(dir)?;
    let path = dir.join(WEIGHTS_FILE);
    let mut tensors = gpt2_names(read_safetensors(&path)?);
    if config.tie_word_embeddings {
        tensors.remove("lm_head.weight");
    }
    tensors.remove("score.weight");
    tensors.remove("score.bias");
    let model = fill(CausalLm::init(&config, 0, device), tensors, &path)?;
    Ok((model, config))
}

/// Loads a reward or value model; `score.bias` is 0 where the file has none.
///
/// # Errors
/// As [`load_causal_lm`].
pub fn load_scalar_model(dir: &Path, device: &Device) -> Result<(ScalarModel, ModelConfig)> {
    let config = load_config(dir)?;
    let path = dir.join(WEIGHTS_FILE);
    let mut tensors = gpt2_names(read_safetensors(&path)?);
    tensors.remove("lm_head.weight");
    tensors.entry("score.bias".into()).or_insert((vec![1], vec![0.0]));
    let trunk = CausalLm::init(&config, 0, device).transformer;
    let model = fill(ScalarModel::zero_head(trunk, device), tensors, &path)?;
    Ok((model, config))
}

/// Writes a language model into `dir`, which must exist.
///
/// # Errors
/// Names the file that could not be written.
pub fn save_causal_lm(dir: &Path, model: &CausalLm, config: &ModelConfig) -> Result<()> {
    save(
        dir,
        named_parameters(model),
        config,
        json!({"architectures": ["GPT2LMHeadModel"]}),
    )
}

/// Writes a reward or value model into `dir`, which must exist, as a sequence classifier with one label.
///
/// transformers ignores `score.bias`; a constant added to every score changes no ranking.
///
/// # Errors
/// Names the file that could not be written.
pub fn save_scalar_model(dir: &Path, model: &ScalarModel, config: &ModelConfig) -> Result<()> {
    let extra = json!({
        "architectures": ["GPT2ForSequenceClassification"],
        "num_labels": 1,
        "id2label": {"0": "score"},
        "label2id": {"score": 0},
    });
    save(dir, named_parameters(model), config, extra)
}

fn save(dir: &Path, parameters: Vec<NamedTensor>, config: &ModelConfig, extra: Value) -> Result<()> {
    let fault = |path: &Path, message: String| Error::Config {
        path: path.to_owned(),
        message,
    };
    let path = dir.join(CONFIG_FILE);
    let mut value = serde_json::to_value(config).map_err(|e| fault(&path, e.to_string()))?;
    if let (Some(fields), Value::Object(extra)) = (value.as_object_mut(), extra) {
        fields.extend(extra);
        for name in ["attn_pdrop", "embd_pdrop", "resid_pdrop"] {
            fields.insert(name.into(), json!(0.0));
        }
        fields.insert("torch_dtype".into(), json!("float32"));
    }
    let text = serde_json::to_string_pretty(&value).map_err(|e| fault(&path, e.to_string()))?;
    write(&path, text.as_bytes())?;

    let path = dir.join(WEIGHTS_FILE);
    let views = parameters.into_iter().map(|t| (t.name.clone(), HostView(t)));
    let metadata = Some(HashMap::from([("format".to_owned(), "pt".to_owned())]));
    let bytes = safetensors::serialize(views, metadata).map_err(|e| Error::Safetensors {
        path: path.clone(),
        message: e.to_string(),
    })?;
    write(&path, &bytes)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    Ok(rlhf_core::atomic::write_file(path, bytes)?)
}

/// Reads every tensor of a safetensors file.
///
/// # Errors
/// A damaged file, or a tensor that is not F32, named.
pub fn read_safetensors(path: &Path) -> Result<TensorMap> {
    let bytes = std::fs::read(path).map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| Error::Safetensors {
        path: path.to_owned(),
        message: e.to_string(),
    })?;
    let mut tensors = BTreeMap::new();
    for (name, view) in file.iter() {
        if view.dtype() != Dtype::F32 {
            return Err(Error::DType {
                path: path.to_owned(),
                name: name.to_owned(),
                found: format!("{:?}", view.dtype()),
            });
        }
        let values = view
            .data()
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        tensors.insert(name.to_owned(), (view.shape().to_vec(), values));
    }
    Ok(tensors)
}

/// The names transformers uses today, from those of any GPT-2 checkpoint; causal-mask buffers are dropped.
fn gpt2_names(tensors: TensorMap) -> TensorMap {
    tensors
        .into_iter()
        .filter(|(name, _)| !name.ends_with(".attn.bias") && !name.ends_with(".attn.masked_bias"))
        .map(|(name, tensor)| {
            let head = ["transformer.", "lm_head.", "score."]
                .iter()
                .any(|p| name.starts_with(p));
            (if head { name } else { format!("transformer.{name}") }, tensor)
        })
        .collect()
}

fn fill<M: Module>(model: M, mut tensors: TensorMap, path: &Path) -> Result<M> {
    let model = load_parameters(model, &mut tensors).map_err(|source| Error::Tensor {
        path: path.to_owned(),
        source,
    })?;
    if tensors.is_empty() {
        return Ok(model);
    }
    Err(Error::SurplusTensors {
        path: path.to_owned(),
        names: tensors.into_keys().collect(),
    })
}

/// A host tensor as the safetensors writer wants it.
struct HostView(NamedTensor);

impl View for HostView {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        &self.0.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.0.values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }
    fn data_len(&self) -> usize {
        4 * self.0.values.len()
    }
}
