//! The parameters of a Burn module as a list of named tensors, in the order the module declares them.
//!
//! Names are the paths of the fields (`transformer.h.0.attn.c_attn.weight`), which our models choose to be those of the
//! Hugging Face checkpoint of their family.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

use crate::batch::to_host;
use crate::error::{Error, Result};

/// A parameter on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// Field path in the module.
    pub name: String,
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Values in row-major order.
    pub values: Vec<f32>,
}

impl From<NamedTensor> for (String, Vec<usize>, Vec<f32>) {
    fn from(tensor: NamedTensor) -> Self {
        (tensor.name, tensor.shape, tensor.values)
    }
}

/// Tensors by name, as read from a file.
pub type TensorMap = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Copies every float parameter of `module` to the host, in declaration order.
pub fn named_parameters<M: Module>(module: &M) -> Vec<NamedTensor> {
    struct Collect {
        path: Vec<String>,
        out: Vec<NamedTensor>,
    }
    impl ModuleVisitor for Collect {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let tensor = param.val().inner();
            self.out.push(NamedTensor {
                name: self.path.join("."),
                shape: tensor.dims().to_vec(),
                values: to_host(tensor),
            });
        }
    }
    let mut visitor = Collect {
        path: Vec::new(),
        out: Vec::new(),
    };
    module.visit(&mut visitor);
    visitor.out
}

/// Replaces every float parameter of `module` by the tensor of its name, and takes those out of `tensors`.
///
/// What is left in `tensors` afterwards belongs to nothing in the module; the caller decides whether that is an error.
///
/// # Errors
/// [`Error::MissingTensor`] or [`Error::TensorShape`], naming the first parameter at fault.
pub fn load_parameters<M: Module>(module: M, tensors: &mut TensorMap) -> Result<M> {
    struct Load<'a> {
        path: Vec<String>,
        tensors: &'a mut TensorMap,
        fault: Option<Error>,
    }
    impl Load<'_> {
        fn take(&mut self, name: &str, expected: &[usize]) -> Result<Vec<f32>> {
            let (shape, values) = self.tensors.remove(name).ok_or_else(|| Error::MissingTensor {
                name: name.to_owned(),
                expected: expected.to_vec(),
            })?;
            if shape != expected {
                return Err(Error::TensorShape {
                    name: name.to_owned(),
                    expected: expected.to_vec(),
                    found: shape,
                });
            }
            Ok(values)
        }
    }
    impl ModuleMapper for Load<'_> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            if self.fault.is_some() {
                return param;
            }
            let dims = param.val().dims();
            match self.take(&self.path.join("."), &dims) {
                Ok(values) => param.map(|old| {
                    let data = TensorData::new(values, dims);
                    AutodiffState::of(&old).apply(Tensor::from_data(data, &old.device().inner()))
                }),
                Err(fault) => {
                    self.fault = Some(fault);
                    param
                }
            }
        }
    }
    let mut mapper = Load {
        path: Vec::new(),
        tensors,
        fault: None,
    };
    let module = module.map(&mut mapper);
    match mapper.fault {
        Some(fault) => Err(fault),
        None => Ok(module),
    }
}

/// Whether a parameter's tensor took part in autodiff, so that its successor can.
#[derive(Clone, Copy)]
pub(crate) struct AutodiffState {
    enabled: bool,
    require_grad: bool,
}

impl AutodiffState {
    pub(crate) fn of<const D: usize>(tensor: &Tensor<D>) -> Self {
        Self {
            enabled: tensor.is_autodiff(),
            require_grad: tensor.is_require_grad(),
        }
    }

    pub(crate) fn apply<const D: usize>(self, tensor: Tensor<D>) -> Tensor<D> {
        if !self.enabled {
            return tensor;
        }
        let tensor = Tensor::from_inner(tensor);
        if self.require_grad {
            tensor.require_grad()
        } else {
            tensor
        }
    }
}

/// Number of float parameters.
pub fn count_parameters<M: Module>(module: &M) -> usize {
    module.num_params()
}
