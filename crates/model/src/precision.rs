//! Precision of weights in memory.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Precision of the matrices of a model while it is in memory. Everything is computed in f32.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WeightPrecision {
    /// 4 bytes a number.
    #[default]
    F32,
    /// 2 bytes a number: exact for a checkpoint in bf16, rounded for others. For weights that are not trained.
    Bf16,
}

/// Device and precision for which a model is loaded; made from a device, with f32 weights.
#[derive(Debug, Clone, Copy)]
pub struct Placement<'a> {
    /// Device of the tensors.
    pub device: &'a Device,
    /// Precision of the weights.
    pub weights: WeightPrecision,
}

impl<'a> From<&'a Device> for Placement<'a> {
    fn from(device: &'a Device) -> Self {
        Self {
            device,
            weights: WeightPrecision::F32,
        }
    }
}

impl WeightPrecision {
    pub(crate) fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
        }
    }

    /// `module` with its embeddings, linear layers and language-model head held so; gains, biases, adapters and scalar heads
    /// stay as they are. Weights in less than f32 are frozen.
    pub(crate) fn hold<M: Module>(self, module: M) -> M {
        struct Halve {
            path: Vec<String>,
        }
        impl ModuleMapper for Halve {
            fn enter_module(&mut self, name: &str, _: &str) {
                self.path.push(name.to_owned());
            }
            fn exit_module(&mut self, _: &str, _: &str) {
                self.path.pop();
            }
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                let is_matrix = D == 2 && self.path.last().is_some_and(|name| name == "weight");
                let is_score = self.path.iter().any(|name| name == "score");
                if !is_matrix || is_score || param.val().dtype() == DType::BF16 {
                    return param;
                }
                param.map(|old| {
                    let halved = old.clone().inner().cast(DType::BF16);
                    if old.is_autodiff() {
                        Tensor::from_inner(halved)
                    } else {
                        halved
                    }
                })
            }
        }
        match self {
            Self::F32 => module,
            Self::Bf16 => module.map(&mut Halve { path: Vec::new() }),
        }
    }
}
