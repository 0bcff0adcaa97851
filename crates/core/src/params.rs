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

/// A parameter on its device, off the autodiff graph.
#[derive(Debug, Clone)]
pub struct DeviceTensor {
    /// Field path in the module.
    pub name: String,
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Values in row-major order, `[n]`.
    pub values: Tensor<1>,
}

/// Every float parameter of `module`, in declaration order; they share their memory with the module.
pub fn device_parameters<M: Module>(module: &M) -> Vec<DeviceTensor> {
    struct Collect {
        path: Vec<String>,
        out: Vec<DeviceTensor>,
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
            let shape = tensor.dims().to_vec();
            self.out.push(DeviceTensor {
                name: self.path.join("."),
                values: tensor.reshape([shape.iter().product::<usize>()]),
                shape,
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

/// Copies every float parameter of `module` to the host, in declaration order.
pub fn named_parameters<M: Module>(module: &M) -> Vec<NamedTensor> {
    device_parameters(module)
        .into_iter()
        .map(|tensor| NamedTensor {
            name: tensor.name,
            shape: tensor.shape,
            values: to_host(tensor.values),
        })
        .collect()
}

/// Replaces every float parameter of `module` by the tensor of its name, and takes those out of `tensors`.
///
/// What is left in `tensors` afterwards belongs to nothing in the module; the caller decides whether that is an error.
///
/// # Errors
/// [`Error::MissingTensor`] or [`Error::TensorShape`], naming the first parameter at fault.
pub fn load_parameters<M: Module>(module: M, tensors: &mut TensorMap) -> Result<M> {
    load_parameters_from(module, |name, expected| {
        let (shape, values) = tensors.remove(name).ok_or_else(|| Error::MissingTensor {
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
    })
}

/// Replaces every float parameter of `module` by what `values` gives for its name and shape, one after the other, so
/// that the old and the new module never exist side by side.
///
/// # Errors
/// The first that `values` returns.
pub fn load_parameters_from<M: Module, E>(
    module: M,
    values: impl FnMut(&str, &[usize]) -> Result<Vec<f32>, E>,
) -> Result<M, E> {
    struct Load<F, E> {
        path: Vec<String>,
        values: F,
        fault: Option<E>,
    }
    impl<E, F: FnMut(&str, &[usize]) -> Result<Vec<f32>, E>> ModuleMapper for Load<F, E> {
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
            match (self.values)(&self.path.join("."), &dims) {
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
        values,
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
