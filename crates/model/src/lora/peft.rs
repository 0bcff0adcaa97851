//! Adapters in the files of PEFT: `adapter_config.json` and `adapter_model.safetensors`.
//!
//! A tensor is called `base_model.model.`, the name of the layer in transformers, and `.lora_A.weight` (`[rank, in]`) or
//! `.lora_B.weight` (`[out, rank]`, the outputs in the order of the checkpoint). The head of a reward or value model is
//! saved whole, as `base_model.model.score.weight`.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::Module;
use burn::tensor::Tensor;
use rlhf_core::{DeviceTensor, atomic, device_parameters};

use super::adapter::{Adapter, AdapterSlot, Sizes};
use super::attach::module_name;
use super::config::LoraConfig;
use super::peft_config::{self, AdapterConfig, AdapterTask, HEAD, check_task, load_adapter_config, target_names};
use crate::checkpoint::{check_shape, missing};
use crate::decoder::Decoder;
use crate::error::{Error, Result};
use crate::families::{Layout, Part, StoredParameter};
use crate::heads::{CausalLm, ScalarModel};
use crate::save::{StoredPart, StoredValues, write_json, write_safetensors};
use crate::storage::{StorageType, StoredNumbers};
use crate::weights::{StoredTensor, Weights};

const WEIGHTS_FILE: &str = "adapter_model.safetensors";
/// Before the names that tensors have in the model.
const PREFIX: &str = "base_model.model.";

/// Writes the adapters of a language model into the folder `dir`, which appears whole or not at all. `base` is what the
/// files say of the model they belong to: a folder, or a name on the Hub.
///
/// # Errors
/// [`Error::NoAdapters`]; a file that cannot be written.
pub fn save_causal_adapter(dir: &Path, model: &CausalLm, base: &str) -> Result<()> {
    save(dir, &model.transformer, AdapterTask::Language, Vec::new(), base)
}

/// As [`save_causal_adapter`] for a reward or value model, with its head.
///
/// # Errors
/// As [`save_causal_adapter`].
pub fn save_scalar_adapter(dir: &Path, model: &ScalarModel, base: &str) -> Result<()> {
    let tensors = device_parameters(model).into_iter();
    let head = tensors.filter(|tensor| tensor.name.starts_with(HEAD));
    let parts = head.map(|tensor| {
        let stored = stored_as(&format!("{PREFIX}{}", tensor.name), &tensor.shape, Layout::Same);
        part(stored, tensor)
    });
    save(dir, &model.transformer, AdapterTask::Scalar, parts.collect(), base)
}

fn save(dir: &Path, trunk: &Decoder, task: AdapterTask, mut parts: Vec<StoredPart>, base: &str) -> Result<()> {
    let Some(lora) = trunk.lora().cloned() else {
        return Err(Error::NoAdapters { path: dir.to_owned() });
    };
    let weights = trunk.linear_weights();
    let (mut adapted, mut all) = (Vec::new(), Vec::new());
    for weight in &weights {
        all.extend((0..weight.parts.len()).map(|part| module_name(weight, part)));
        for adapter in &trunk.linear(&weight.name).adapters {
            let module = module_name(weight, adapter.slot().part);
            adapted.push(module);
            let [a, b] = adapter.factors().map(on_device);
            let [stored_a, stored_b] = factors(module, weight.layout, adapter.sizes());
            parts.extend([part(stored_a, a), part(stored_b, b)]);
        }
    }
    let config = AdapterConfig {
        task,
        lora,
        base: Some(base.to_owned()),
    };
    let is_conv1d = weights.iter().any(|weight| weight.layout == Layout::Same);
    let fields = peft_config::fields(&config, &target_names(&adapted, &all), is_conv1d);
    atomic::write_dir(dir, |dir| {
        write_safetensors(&dir.join(WEIGHTS_FILE), parts)?;
        write_json(&dir.join(peft_config::CONFIG_FILE), fields)
    })
}

fn on_device(values: Tensor<2>) -> DeviceTensor {
    let [rows, columns] = values.dims();
    DeviceTensor {
        name: String::new(),
        shape: vec![rows, columns],
        values: values.inner().reshape([rows * columns]),
    }
}

fn part(parameter: StoredParameter, tensor: DeviceTensor) -> StoredPart {
    StoredPart {
        parameter,
        index: 0,
        values: StoredValues::Held(tensor),
        storage: StorageType::F32,
    }
}

/// Storage of `A` and `B` of the layer `module`, whose own weight has the layout `of_weight`: PEFT keeps both as linear
/// layers, `[out, in]`, whatever the layer is.
fn factors(module: &str, of_weight: Layout, sizes: Sizes) -> [StoredParameter; 2] {
    let Sizes { input, rank, width } = sizes;
    let outputs = match of_weight {
        Layout::Same => Layout::Transposed,
        other => other,
    };
    [
        stored_as(
            &format!("{PREFIX}{module}.lora_A.weight"),
            &[input, rank],
            Layout::Transposed,
        ),
        stored_as(&format!("{PREFIX}{module}.lora_B.weight"), &[rank, width], outputs),
    ]
}

/// A parameter of this shape in a tensor of its own.
fn stored_as(name: &str, shape: &[usize], layout: Layout) -> StoredParameter {
    let mut stored = shape.to_vec();
    if layout != Layout::Same {
        stored.reverse();
    }
    StoredParameter {
        name: name.to_owned(),
        shape: shape.to_vec(),
        layout,
        parts: vec![Part {
            name: name.to_owned(),
            shape: stored,
        }],
    }
}

/// Puts the adapters in the folder `dir` on a language model, which is frozen then.
///
/// # Errors
/// Names the file, and the tensor or field at fault with what was expected.
pub fn load_causal_adapter(dir: &Path, mut model: CausalLm) -> Result<CausalLm> {
    let config = load_adapter_config(dir)?;
    check_task(dir, &config, AdapterTask::Language)?;
    let weights = Weights::open_file(&dir.join(WEIGHTS_FILE))?;
    let mut rest = Rest::of(&weights);
    model.transformer = attach(model.transformer, config.lora, &mut rest)?;
    rest.is_empty()?;
    Ok(model.with_frozen_head())
}

/// Puts the adapters in the folder `dir` on the trunk of a model, which is frozen then, and under the head that was saved
/// with them; `score.bias` is 0 where the files have none.
///
/// # Errors
/// As [`load_causal_adapter`].
pub fn load_scalar_adapter(dir: &Path, trunk: Decoder) -> Result<ScalarModel> {
    let config = load_adapter_config(dir)?;
    check_task(dir, &config, AdapterTask::Scalar)?;
    let weights = Weights::open_file(&dir.join(WEIGHTS_FILE))?;
    let mut rest = Rest::of(&weights);
    let trunk = attach(trunk, config.lora, &mut rest)?;
    let name = |field: &str| format!("{PREFIX}{HEAD}.{field}");
    let head = stored_as(&name("weight"), &[1, trunk.d_model()], Layout::Same);
    let bias = stored_as(&name("bias"), &[1], Layout::Same);
    let weight = rest.take(&head)?;
    let bias = if rest.has(&bias) { rest.take(&bias)? } else { vec![0.0] };
    rest.is_empty()?;
    let device = trunk.device();
    Ok(ScalarModel::with_head(trunk, weight, bias, &device))
}

/// The trunk, frozen, with the adapters that there are tensors for.
fn attach(trunk: Decoder, mut lora: LoraConfig, rest: &mut Rest<'_>) -> Result<Decoder> {
    let mut adapted = trunk.merged().no_grad();
    let device = adapted.wte.weight.val().device();
    let weights = adapted.linear_weights();
    let (mut found, mut all) = (Vec::new(), Vec::new());
    for weight in &weights {
        for index in 0..weight.parts.len() {
            let module = module_name(weight, index);
            all.push(module);
            let (first, width) = weight.columns(index);
            let sizes = Sizes {
                input: weight.shape[0],
                rank: lora.rank,
                width,
            };
            let [a, b] = factors(module, weight.layout, sizes);
            if !rest.has(&a) && !rest.has(&b) {
                continue;
            }
            let slot = AdapterSlot {
                part: index,
                first,
                scale: lora.scale(),
            };
            let values = [rest.take(&a)?, rest.take(&b)?];
            let adapter = Adapter::new(slot, sizes, values, &device);
            adapted.linear_mut(&weight.name).adapters.push(adapter);
            found.push(module);
        }
    }
    if let (true, Some(weight)) = (found.is_empty(), weights.first()) {
        let name = format!("{PREFIX}{}.lora_A.weight", module_name(weight, 0));
        return Err(rest.missing(&name, &[lora.rank, weight.shape[0]]));
    }
    lora.target_modules = target_names(&found, &all).into_iter().collect();
    adapted.set_lora(Some(lora));
    Ok(adapted)
}

/// The tensors of a file that nothing has been made of yet. Names that some wrapper changed are not guessed at, since PEFT
/// passes over them: the error for what is missing shows them.
struct Rest<'a> {
    weights: &'a Weights,
    tensors: BTreeMap<&'a str, &'a StoredTensor>,
}

impl<'a> Rest<'a> {
    fn of(weights: &'a Weights) -> Self {
        let tensors = weights.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor));
        Self {
            weights,
            tensors: tensors.collect(),
        }
    }

    fn has(&self, parameter: &StoredParameter) -> bool {
        self.tensors.contains_key(parameter.name.as_str())
    }

    fn names(&self) -> Vec<String> {
        self.tensors.keys().map(|&name| name.to_owned()).collect()
    }

    fn missing(&self, name: &str, expected: &[usize]) -> Error {
        missing(self.weights, name, expected, self.names())
    }

    /// The values of a parameter, in our order.
    fn take(&mut self, parameter: &StoredParameter) -> Result<Vec<f32>> {
        let Part { name, shape } = &parameter.parts[0];
        let Some(tensor) = self.tensors.remove(name.as_str()) else {
            return Err(self.missing(name, shape));
        };
        // Before memory is taken: the file cannot hold more than it is long.
        check_shape(self.weights, name, tensor, shape)?;
        let mut values = vec![0.0; parameter.shape.iter().product()];
        let read = |numbers: &StoredNumbers<'_>| parameter.read_part(0, numbers, &mut values);
        self.weights.with_numbers(name, tensor, read)?;
        if values.iter().any(|value| !value.is_finite()) {
            self.weights.check_finite(name, tensor)?;
        }
        Ok(values)
    }

    /// An error that names the tensors that are left, if some are.
    fn is_empty(&self) -> Result<()> {
        if self.tensors.is_empty() {
            Ok(())
        } else {
            Err(Error::SurplusTensors {
                path: self.weights.path().to_owned(),
                names: self.names(),
            })
        }
    }
}
