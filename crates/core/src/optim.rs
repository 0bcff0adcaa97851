//! Gradient accumulation, clipping, AdamW and the exponential moving average of weights.
//!
//! All of it walks the float parameters of a Burn module in declaration order, so that the state of an optimiser is a
//! plain list that a checkpoint can hold by name.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Gradients, IndexingUpdateOp, Int, Tensor, TensorData};
use rlhf_config::ConfigErrors;
use rlhf_kernels::{AdamWStep, adamw_step};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use rlhf_kernels::EpsMode;

use crate::batch::to_host;
use crate::error::{Error, Result};
use crate::params::{AutodiffState, DeviceTensor, NamedTensor, device_parameters, trained_flags};
use crate::tensor_file::TensorSource;

/// Hyper-parameters of [`AdamW`]; the learning rate comes with each step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdamWConfig {
    /// Decay of the first moment. InstructGPT: 0.9.
    pub beta1: f64,
    /// Decay of the second moment. InstructGPT: 0.95.
    pub beta2: f64,
    /// Added to the root of the second moment. N+ (arXiv 2403.17031): 1e-5.
    pub eps: f64,
    /// Place of eps: `torch` adds it after bias correction, `tensorflow` (the original RLHF code) before.
    pub eps_mode: EpsMode,
    /// Decoupled weight decay per step, times the learning rate.
    pub weight_decay: f64,
    /// Parameters that decay.
    pub weight_decay_on: WeightDecayOn,
}

/// Parameters that weight decay shrinks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WeightDecayOn {
    /// Weights that are multiplied with: biases, norms and embeddings stay. A small bias explains nothing more simply, and the
    /// row of a rare token would shrink each time that it does not occur.
    #[default]
    Matrices,
    /// All.
    All,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.95,
            eps: 1e-5,
            eps_mode: EpsMode::Torch,
            weight_decay: 0.0,
            weight_decay_on: WeightDecayOn::default(),
        }
    }
}

impl AdamWConfig {
    /// Faults of these settings; paths are relative to this struct.
    pub fn validate(&self) -> ConfigErrors {
        let mut errors = ConfigErrors::new();
        for (path, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            errors.check((0.0..1.0).contains(&beta), path, || {
                format!("expected at least 0 and less than 1, found {beta}")
            });
        }
        errors.check_positive("eps", self.eps);
        errors.check_not_negative("weight_decay", self.weight_decay);
        errors
    }
}

/// Sum of gradients of one optimiser step, one flat tensor per parameter.
///
/// Losses are written with weights that sum to one over the whole optimiser batch, so accumulation is addition alone.
#[derive(Debug, Clone, Default)]
pub struct GradientBuffer {
    grads: Vec<Option<Tensor<1>>>,
}

impl GradientBuffer {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the gradients of `module`'s parameters out of `gradients` and adds them.
    pub fn add<M: Module>(&mut self, module: &M, gradients: Gradients) {
        struct Take<'a> {
            gradients: Gradients,
            buffer: &'a mut Vec<Option<Tensor<1>>>,
            next: usize,
        }
        impl ModuleVisitor for Take<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                if self.buffer.len() <= self.next {
                    self.buffer.push(None);
                }
                let slot = &mut self.buffer[self.next];
                self.next += 1;
                let Some(grad) = param.val().grad_remove(&mut self.gradients) else {
                    return;
                };
                let count = grad.dims().iter().product::<usize>();
                let grad = grad.reshape([count]);
                *slot = Some(match slot.take() {
                    Some(sum) => sum + grad,
                    None => grad,
                });
            }
        }
        module.visit(&mut Take {
            gradients,
            buffer: &mut self.grads,
            next: 0,
        });
    }

    /// Adds `rows` to rows `indices` of the gradient of a matrix, the parameter `id` of `module`: what comes back to an embedding,
    /// all other rows of which would be zeros. A row may come several times.
    ///
    /// # Shapes
    /// - `indices`: `[n]`
    /// - `rows`: `[n, width]`
    pub fn add_rows<M: Module>(&mut self, module: &M, id: ParamId, indices: Tensor<1, Int>, rows: Tensor<2>) {
        struct Find {
            id: ParamId,
            next: usize,
            found: Option<(usize, [usize; 2])>,
        }
        impl ModuleVisitor for Find {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                if param.id == self.id {
                    let dims = param.val().dims();
                    self.found = dims.as_slice().try_into().ok().map(|dims| (self.next, dims));
                }
                self.next += 1;
            }
        }
        let mut find = Find {
            id,
            next: 0,
            found: None,
        };
        module.visit(&mut find);
        let (place, dims) = find.found.expect("the parameter is a matrix of the module");
        if self.grads.len() < find.next {
            self.grads.resize(find.next, None);
        }
        let slot = &mut self.grads[place];
        let sum = match slot.take() {
            Some(sum) => sum.reshape(dims),
            None => Tensor::zeros(dims, &rows.device()),
        };
        let sum = sum.select_assign(0, indices, rows, IndexingUpdateOp::Add);
        *slot = Some(sum.reshape([dims[0] * dims[1]]));
    }

    /// Adds `scale` times another buffer of the same module.
    pub fn add_scaled(&mut self, other: Self, scale: f64) {
        if self.grads.len() < other.grads.len() {
            self.grads.resize(other.grads.len(), None);
        }
        for (slot, grad) in self.grads.iter_mut().zip(other.grads) {
            let Some(grad) = grad else { continue };
            let grad = grad * scale;
            *slot = Some(match slot.take() {
                Some(sum) => sum + grad,
                None => grad,
            });
        }
    }

    /// Euclidean norm over all parameters.
    pub fn norm(&self) -> f64 {
        self.dot(self).sqrt()
    }

    /// Inner product with another buffer of the same module; a missing gradient counts as 0.
    pub fn dot(&self, other: &Self) -> f64 {
        let products: Vec<Tensor<1>> = self
            .grads
            .iter()
            .zip(&other.grads)
            .filter_map(|(a, b)| Some((a.clone()? * b.clone()?).sum()))
            .collect();
        if products.is_empty() {
            return 0.0;
        }
        to_host(Tensor::cat(products, 0)).into_iter().map(f64::from).sum()
    }

    /// Scales every gradient by `min(1, max_norm / (norm + 1e-6))`, as PyTorch's `clip_grad_norm_`; returns the norm before.
    pub fn clip_norm(&mut self, max_norm: f64) -> f64 {
        let norm = self.norm();
        let scale = max_norm / (norm + 1e-6);
        if scale < 1.0 {
            for grad in self.grads.iter_mut() {
                *grad = grad.take().map(|g| g * scale);
            }
        }
        norm
    }

    /// The gradients on the host, named as `module` names its parameters; zeros where there is none.
    pub fn to_named<M: Module>(&self, module: &M) -> Vec<NamedTensor> {
        let mut named = crate::params::named_parameters(module);
        for (tensor, grad) in named.iter_mut().zip(&self.grads) {
            tensor.values = match grad {
                Some(grad) => to_host(grad.clone()),
                None => vec![0.0; tensor.values.len()],
            };
        }
        named
    }
}

/// AdamW with decoupled weight decay, on every parameter that is not frozen.
#[derive(Debug, Clone)]
pub struct AdamW {
    config: AdamWConfig,
    step: usize,
    /// One entry a parameter; nothing for a frozen one.
    moments: Vec<Option<Moments>>,
}

#[derive(Debug, Clone)]
struct Moments {
    name: String,
    exp_avg: Tensor<1>,
    exp_avg_sq: Tensor<1>,
}

impl AdamW {
    /// An optimiser with zero moments.
    pub fn new(config: AdamWConfig) -> Self {
        Self {
            config,
            step: 0,
            moments: Vec::new(),
        }
    }

    /// Steps taken.
    pub fn steps(&self) -> usize {
        self.step
    }

    /// Applies one step to every parameter that has a gradient.
    pub fn step<M: Module>(&mut self, module: M, gradients: GradientBuffer, lr: f64) -> M {
        self.step += 1;
        let hyper = AdamWStep {
            lr,
            beta1: self.config.beta1,
            beta2: self.config.beta2,
            eps: self.config.eps,
            weight_decay: self.config.weight_decay,
            step: self.step,
            eps_mode: self.config.eps_mode,
        };
        module.map(&mut Apply {
            hyper,
            grads: gradients.grads.into_iter(),
            decays_all: self.config.weight_decay_on == WeightDecayOn::All,
            moments: &mut self.moments,
            next: 0,
            path: Vec::new(),
            containers: Vec::new(),
        })
    }

    /// The moments, as `exp_avg.NAME` and `exp_avg_sq.NAME`; they share their memory with the optimiser.
    pub fn state(&self) -> Vec<DeviceTensor> {
        let mut out = Vec::new();
        for moments in self.moments.iter().flatten() {
            for (kind, tensor) in [("exp_avg", &moments.exp_avg), ("exp_avg_sq", &moments.exp_avg_sq)] {
                out.push(DeviceTensor {
                    name: format!("{kind}.{}", moments.name),
                    shape: tensor.dims().to_vec(),
                    values: tensor.clone(),
                });
            }
        }
        out
    }

    /// Restores what [`AdamW::state`] gave, for the parameters of `module`, after `step` steps.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] or [`Error::TensorShape`] when the state is not that of such a module.
    pub fn restore<M: Module>(
        config: AdamWConfig,
        module: &M,
        step: usize,
        state: &mut impl TensorSource,
    ) -> Result<Self> {
        if step == 0 {
            return Ok(Self::new(config));
        }
        let mut visitor = Restore {
            path: Vec::new(),
            state,
            moments: Vec::new(),
            fault: None,
        };
        module.visit(&mut visitor);
        match visitor.fault {
            Some(fault) => Err(fault),
            None => Ok(Self {
                config,
                step,
                moments: visitor.moments,
            }),
        }
    }
}

/// One step over the parameters of a module.
struct Apply<'a> {
    hyper: AdamWStep,
    decays_all: bool,
    grads: std::vec::IntoIter<Option<Tensor<1>>>,
    moments: &'a mut Vec<Option<Moments>>,
    next: usize,
    path: Vec<String>,
    /// The type that each part of the path stands in, as Burn names it.
    containers: Vec<String>,
}

impl Apply<'_> {
    /// True if weight decay shrinks a parameter of this many dimensions at this place.
    fn decays(&self, dimensions: usize) -> bool {
        let is_embedding = || self.containers.iter().any(|container| container.contains("Embedding"));
        self.decays_all || dimensions > 1 && !is_embedding()
    }
}

impl ModuleMapper for Apply<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push(name.to_owned());
        self.containers.push(container.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
        self.containers.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let index = self.next;
        self.next += 1;
        let dims = param.val().dims();
        let count: usize = dims.iter().product();
        if self.moments.len() <= index {
            let device = param.val().device().inner();
            let zeros = || Tensor::zeros([count], &device);
            self.moments.push(param.val().is_require_grad().then(|| Moments {
                name: self.path.join("."),
                exp_avg: zeros(),
                exp_avg_sq: zeros(),
            }));
        }
        let hyper = &AdamWStep {
            weight_decay: if self.decays(D) { self.hyper.weight_decay } else { 0.0 },
            ..self.hyper
        };
        let (Some(grad), Some(slot)) = (self.grads.next().flatten(), &mut self.moments[index]) else {
            return param;
        };
        param.map(|old| {
            let state = AutodiffState::of(&old);
            let device = old.device().inner();
            let empty = || Tensor::empty([0], &device);
            let exp_avg = std::mem::replace(&mut slot.exp_avg, empty());
            let exp_avg_sq = std::mem::replace(&mut slot.exp_avg_sq, empty());
            let (new, m, v) = adamw_step(old.inner().reshape([count]), grad, exp_avg, exp_avg_sq, hyper);
            slot.exp_avg = m;
            slot.exp_avg_sq = v;
            state.apply(new.reshape(dims))
        })
    }
}

/// A walk over the parameters of a module that takes their moments out of a state.
struct Restore<'a, S> {
    path: Vec<String>,
    state: &'a mut S,
    moments: Vec<Option<Moments>>,
    fault: Option<Error>,
}

impl<S: TensorSource> ModuleVisitor for Restore<'_, S> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.fault.is_some() {
            return;
        }
        if !param.val().is_require_grad() {
            return self.moments.push(None);
        }
        let name = self.path.join(".");
        let count: usize = param.val().dims().iter().product();
        let device = param.val().device().inner();
        let pair = self
            .state
            .take(&format!("exp_avg.{name}"), &[count])
            .and_then(|m| Ok((m, self.state.take(&format!("exp_avg_sq.{name}"), &[count])?)));
        match pair {
            Ok((m, v)) => self.moments.push(Some(Moments {
                name,
                exp_avg: Tensor::from_data(TensorData::new(m, [count]), &device),
                exp_avg_sq: Tensor::from_data(TensorData::new(v, [count]), &device),
            })),
            Err(fault) => self.fault = Some(fault),
        }
    }
}

/// One step of the exponential moving average of weights: `average ← decay · average + (1 - decay) · current`.
///
/// InstructGPT uses decay 0.992. Both modules must be of one shape; `average` stays off the autodiff graph. Parameters
/// that are frozen in `current` stay as they are, shared with it if they were.
pub fn ema_update<M: Module>(average: M, current: &M, decay: f64) -> M {
    struct Blend {
        /// For each parameter what it moves towards; nothing for a frozen one.
        current: std::vec::IntoIter<Option<Tensor<1>>>,
        decay: f64,
    }
    impl ModuleMapper for Blend {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let Some(current) = self.current.next().flatten() else {
                return param;
            };
            param.map(|old| {
                let dims = old.dims();
                let state = AutodiffState::of(&old);
                state.apply(old.inner() * self.decay + current.reshape(dims) * (1.0 - self.decay))
            })
        }
    }
    let values = device_parameters(current).into_iter().zip(trained_flags(current));
    let values: Vec<_> = values
        .map(|(tensor, trained)| trained.then_some(tensor.values))
        .collect();
    average.map(&mut Blend {
        current: values.into_iter(),
        decay,
    })
}
