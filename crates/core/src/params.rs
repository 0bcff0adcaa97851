//! The parameters of a Burn module as a list of named tensors, in the order the module declares them.
//!
//! Names are the paths of the fields (`transformer.h.0.attn.c_attn.weight`), which our models choose to be those of the
//! Hugging Face checkpoint of their family.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Tensor, TensorData};

use crate::batch::to_host;
use crate::error::Result;
use crate::tensor_file::TensorSource;

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

impl DeviceTensor {
    /// The tensor copied to the host.
    pub fn to_named(self) -> NamedTensor {
        NamedTensor {
            name: self.name,
            shape: self.shape,
            values: to_host(self.values),
        }
    }
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
        .map(DeviceTensor::to_named)
        .collect()
}

/// For each float parameter, in declaration order, whether training changes it: not if it was frozen (`no_grad`).
///
/// A module says so on the plain device too, where no tensor asks for a gradient.
pub(crate) fn trained_flags<M: Module>(module: &M) -> Vec<bool> {
    struct Flags(Vec<bool>);
    impl ModuleVisitor for Flags {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.push(param.val().is_require_grad());
        }
    }
    let mut flags = Flags(Vec::new());
    // Parameters keep what they were told; only a module in training shows it. No tensor is copied.
    module.valid().train().visit(&mut flags);
    flags.0
}

/// The parameters of `module` that are not frozen, in declaration order; they share their memory with the module.
pub fn trained_device_parameters<M: Module>(module: &M) -> Vec<DeviceTensor> {
    device_parameters(module)
        .into_iter()
        .zip(trained_flags(module))
        .filter_map(|(tensor, trained)| trained.then_some(tensor))
        .collect()
}

/// Copies the parameters of `module` that are not frozen to the host, in declaration order.
pub fn trained_parameters<M: Module>(module: &M) -> Vec<NamedTensor> {
    trained_device_parameters(module)
        .into_iter()
        .map(DeviceTensor::to_named)
        .collect()
}

/// Replaces the parameters of `module` that are not frozen, as [`load_parameters`] does all of them.
///
/// # Errors
/// As [`load_parameters`].
pub fn load_trained_parameters<M: Module>(module: M, tensors: &mut impl TensorSource) -> Result<M> {
    let mut trained = trained_flags(&module).into_iter();
    replace_parameters(module, |name, expected, _| match trained.next() {
        Some(true) => Ok(Some(TensorData::new(tensors.take(name, expected)?, expected))),
        _ => Ok(None),
    })
}

/// Replaces every float parameter of `module` by the tensor of its name, and takes those out of `tensors`.
///
/// Tensors left in `tensors` afterwards belong to nothing in the module; the caller decides whether that is an error.
///
/// # Errors
/// [`crate::Error::MissingTensor`] or [`crate::Error::TensorShape`], naming the first parameter at fault.
pub fn load_parameters<M: Module>(module: M, tensors: &mut impl TensorSource) -> Result<M> {
    load_parameter_data_from(module, |name, expected, _| {
        Ok(TensorData::new(tensors.take(name, expected)?, expected))
    })
}

/// Replaces every float parameter of `module` by what `data` gives for its name, its shape and the type it is held in,
/// one after the other, so that the old and the new module never exist side by side. The values may be of another type.
///
/// # Errors
/// The first that `data` returns.
pub fn load_parameter_data_from<M: Module, E>(
    module: M,
    mut data: impl FnMut(&str, &[usize], DType) -> Result<TensorData, E>,
) -> Result<M, E> {
    replace_parameters(module, |name, dims, dtype| data(name, dims, dtype).map(Some))
}

/// As [`load_parameter_data_from`]; a parameter for which there is `None` stays.
fn replace_parameters<M: Module, E>(
    module: M,
    data: impl FnMut(&str, &[usize], DType) -> Result<Option<TensorData>, E>,
) -> Result<M, E> {
    struct Load<F, E> {
        path: Vec<String>,
        data: F,
        fault: Option<E>,
    }
    impl<E, F: FnMut(&str, &[usize], DType) -> Result<Option<TensorData>, E>> ModuleMapper for Load<F, E> {
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
            let (dims, held) = (param.val().dims(), param.val().dtype());
            match (self.data)(&self.path.join("."), &dims, held) {
                Ok(None) => param,
                Ok(Some(data)) => param.map(|old| {
                    let given = data.dtype();
                    let new = Tensor::<D>::from_data(data, (&old.device().inner(), given));
                    AutodiffState::of(&old).apply(new.cast(held))
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
        data,
        fault: None,
    };
    let module = module.map(&mut mapper);
    match mapper.fault {
        Some(fault) => Err(fault),
        None => Ok(module),
    }
}

/// Role of a parameter's tensor in autodiff, which its successor takes over.
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

/// Number of float parameters that are not frozen.
pub fn count_trained_parameters<M: Module>(module: &M) -> usize {
    let sizes = device_parameters(module);
    let sizes = sizes.iter().map(|tensor| tensor.shape.iter().product::<usize>());
    sizes
        .zip(trained_flags(module))
        .filter_map(|(size, trained)| trained.then_some(size))
        .sum()
}
