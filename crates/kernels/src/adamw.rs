//! The AdamW update of one tensor.

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::composed;
#[cfg(feature = "flex")]
use crate::flex;

/// The place at which AdamW adds its epsilon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EpsMode {
    /// PyTorch: `lr * m_hat / (sqrt(v_hat) + eps)`.
    Torch,
    /// TensorFlow, and the code of the first RLHF papers: `lr * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + eps)`.
    TensorFlow,
}

/// The numbers of one AdamW step (arXiv 1711.05101).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWStep {
    /// Learning rate of this step.
    pub lr: f64,
    /// Decay of the gradient's running mean.
    pub beta1: f64,
    /// Decay of the squared gradient's running mean.
    pub beta2: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// Decoupled weight decay: the parameter is first multiplied by `1 - lr * weight_decay`.
    pub weight_decay: f64,
    /// Number of this step, counted from 1.
    pub step: usize,
    /// The place at which `eps` is added.
    pub eps_mode: EpsMode,
}

impl AdamWStep {
    /// `1 - beta1^step` and `1 - beta2^step`: what the running means lack because they start at zero.
    pub(crate) fn bias_corrections(&self) -> (f64, f64) {
        let step = i32::try_from(self.step).unwrap_or(i32::MAX);
        (1.0 - self.beta1.powi(step), 1.0 - self.beta2.powi(step))
    }
}

/// One AdamW update of a tensor on a plain device: returns the new parameter and the new running means.
///
/// # Shapes
///
/// - `param`, `grad`, `exp_avg`, `exp_avg_sq` and the results: all alike
pub fn adamw_step<const D: usize>(
    param: Tensor<D>,
    grad: Tensor<D>,
    exp_avg: Tensor<D>,
    exp_avg_sq: Tensor<D>,
    step: &AdamWStep,
) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
    #[cfg(feature = "flex")]
    if flex::handles_plain(&param) {
        return flex::adamw_step(param, grad, exp_avg, exp_avg_sq, step);
    }
    composed::adamw_step(param, grad, exp_avg, exp_avg_sq, step)
}
