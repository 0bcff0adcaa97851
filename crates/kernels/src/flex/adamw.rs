//! AdamW in one pass over parameter, gradient and running means.

use rayon::prelude::*;

use super::dispatch::for_every_instruction_set;
use crate::{AdamWStep, EpsMode};

/// Elements a thread takes at a time.
const CHUNK: usize = 1 << 14;

/// The step's numbers as the loop needs them.
#[derive(Clone, Copy)]
struct Coefficients {
    decay: f32,
    beta1: f32,
    one_minus_beta1: f32,
    beta2: f32,
    one_minus_beta2: f32,
    /// Factor of the mean of squares before its root is taken.
    square_scale: f32,
    eps: f32,
    step_size: f32,
}

impl Coefficients {
    fn new(step: &AdamWStep) -> Self {
        let (correction1, correction2) = step.bias_corrections();
        let (square_scale, step_size) = match step.eps_mode {
            EpsMode::Torch => (1.0 / correction2, step.lr / correction1),
            EpsMode::TensorFlow => (1.0, step.lr * correction2.sqrt() / correction1),
        };
        Self {
            decay: (1.0 - step.lr * step.weight_decay) as f32,
            beta1: step.beta1 as f32,
            one_minus_beta1: (1.0 - step.beta1) as f32,
            beta2: step.beta2 as f32,
            one_minus_beta2: (1.0 - step.beta2) as f32,
            square_scale: square_scale as f32,
            eps: step.eps as f32,
            step_size: step_size as f32,
        }
    }
}

pub(super) fn update(param: &mut [f32], grad: &[f32], exp_avg: &mut [f32], exp_avg_sq: &mut [f32], step: &AdamWStep) {
    let coefficients = Coefficients::new(step);
    param
        .par_chunks_mut(CHUNK)
        .zip(grad.par_chunks(CHUNK))
        .zip(exp_avg.par_chunks_mut(CHUNK))
        .zip(exp_avg_sq.par_chunks_mut(CHUNK))
        .for_each(|(((param, grad), exp_avg), exp_avg_sq)| {
            update_chunk(param, grad, exp_avg, exp_avg_sq, coefficients);
        });
}

for_every_instruction_set! {
    fn update_chunk(param: &mut [f32], grad: &[f32], exp_avg: &mut [f32], exp_avg_sq: &mut [f32], c: Coefficients) {
        let means = exp_avg.iter_mut().zip(exp_avg_sq);
        for ((param, &grad), (mean, square)) in param.iter_mut().zip(grad).zip(means) {
            *mean = c.beta1 * *mean + c.one_minus_beta1 * grad;
            *square = c.beta2 * *square + c.one_minus_beta2 * (grad * grad);
            let denominator = (*square * c.square_scale).sqrt() + c.eps;
            *param = *param * c.decay - c.step_size * (*mean / denominator);
        }
    }
}
