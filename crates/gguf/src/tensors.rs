//! The tensors of a file under transformers' names and in transformers' order.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::model::{Model, Order, Spec, specs, surplus_hint};
use crate::read::{Gguf, ROPE_FREQS, TensorInfo};
use crate::tensor_type::TensorType;

/// A tensor of the model: where it is in the file, and what transformers calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelTensor {
    /// transformers' name.
    pub name: String,
    /// transformers' shape: `[out, in]` for linear layers, `[in, out]` for GPT-2's.
    pub shape: Vec<usize>,
    /// The tensor in the file.
    pub stored: TensorInfo,
    rows: usize,
    order: Order,
}

impl ModelTensor {
    /// Numbers in the tensor.
    pub fn numbers(&self) -> usize {
        self.shape.iter().product()
    }

    /// True if the numbers in the file stand as transformers has them, so that its bytes can be used as they are.
    pub fn is_in_order(&self) -> bool {
        self.order == Order::Same
    }
}

impl Gguf {
    /// The fields of a `config.json` for this model, as transformers 5 spells them.
    ///
    /// Where a file has `rope_freqs.weight`, `rope_parameters` are Llama 3's if its numbers are, and else of the type
    /// `freq_factors`, with a list of what each frequency is divided by.
    ///
    /// # Errors
    /// If an entry is missing or not what it should be, if the architecture is none of those that are read, or if an entry asks
    /// for something that would not be computed. The key is named.
    pub fn config(&self) -> Result<Map<String, Value>> {
        let mut fields = Model::from_metadata(self)?.to_config();
        fields.insert("torch_dtype".into(), json!(self.dtype()));
        Ok(fields)
    }

    /// The number type in which every weight of the file is exact: that of its matrices if they are of one half type.
    fn dtype(&self) -> &'static str {
        let matrices = || self.tensor_infos().iter().filter(|tensor| tensor.dims.len() > 1);
        let all =
            |kind| matrices().all(|tensor| tensor.tensor_type == kind || tensor.name.starts_with("position_embd"));
        if all(TensorType::F16) {
            "float16"
        } else if all(TensorType::BF16) {
            "bfloat16"
        } else {
            "float32"
        }
    }

    /// The tensors of the model, under transformers' names; the head is not among them if it is the embedding.
    ///
    /// # Errors
    /// If one is missing, has another shape, or is one that the architecture does not have; or as [`Self::config`].
    pub fn tensors(&self) -> Result<Vec<ModelTensor>> {
        let model = Model::from_metadata(self)?;
        let named = self.tensor_infos().iter().map(|tensor| (tensor.name.as_str(), tensor));
        let mut left: BTreeMap<&str, &TensorInfo> = named.collect();
        let mut tensors = Vec::new();
        for spec in specs(&model) {
            let stored = left.remove(spec.stored.as_str());
            tensors.push(self.matched(&spec, stored)?);
        }
        if self.head_is_copy() {
            left.remove("output.weight");
        }
        match left.into_keys().find(|name| !is_no_weight(name)) {
            Some(name) => Err(Error::tensor(self.path(), name, surplus_hint(&model))),
            None => Ok(tensors),
        }
    }

    fn matched(&self, spec: &Spec, stored: Option<&TensorInfo>) -> Result<ModelTensor> {
        let fault = |message: String| Error::tensor(self.path(), &spec.stored, message);
        let dims: Vec<u64> = spec.dims.iter().map(|&dim| dim as u64).collect();
        let Some(stored) = stored else {
            return Err(fault(format!("missing, expected shape {dims:?}")));
        };
        if stored.dims != dims {
            return Err(fault(format!(
                "shape {:?}, expected {dims:?} (the length of a row first)",
                stored.dims
            )));
        }
        Ok(ModelTensor {
            name: spec.name.clone(),
            shape: spec.shape(),
            stored: stored.clone(),
            rows: spec.rows(),
            order: spec.order,
        })
    }

    /// The numbers of `tensor`, in transformers' order.
    ///
    /// # Shapes
    /// - `bytes`: the file's, of [`TensorInfo::range`]
    /// - `out`: [`ModelTensor::numbers`], row after row of [`ModelTensor::shape`]
    ///
    /// # Errors
    /// If a number is not finite.
    ///
    /// # Panics
    /// If `bytes` or `out` has another length.
    pub fn read_tensor(&self, tensor: &ModelTensor, bytes: &[u8], out: &mut [f32]) -> Result<()> {
        let kind = tensor.stored.tensor_type;
        if tensor.is_in_order() {
            kind.decode(bytes, out);
        } else {
            let mut stored = vec![0.0; out.len()];
            kind.decode(bytes, &mut stored);
            tensor.order.to_transformers(&stored, tensor.rows, out);
        }
        match out.iter().position(|number| !number.is_finite()) {
            Some(index) => {
                let message = format!("number {index} is {}, expected finite numbers", out[index]);
                Err(Error::tensor(self.path(), &tensor.stored.name, message))
            }
            None => Ok(()),
        }
    }
}

/// The scaling of the frequencies is in the configuration; the frequencies themselves follow from it.
fn is_no_weight(name: &str) -> bool {
    name == ROPE_FREQS || name.starts_with("blk.") && name.ends_with(".attn_rot_embd.freqs")
}
