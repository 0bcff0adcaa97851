//! Laws and cases of the fused operations.
//!
//! They are unit tests because `flex::matrix::unwritten` fills buffers with NaN here: an element that a kernel forgets
//! to write cannot go unnoticed.

mod attention;
mod decode;
mod determinism;
mod dispatch;
mod frozen;
mod grouped;
mod half_weights;
mod logprobs;
mod pointwise;
mod small;

use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{AdamWStep, EpsMode};

/// A matrix of numbers on the host.
#[derive(Debug, Clone)]
struct Host {
    values: Vec<f32>,
    dims: [usize; 2],
}

impl Host {
    /// Numbers of mean 0 between `-spread` and `spread`.
    fn random(rng: &mut ChaCha8Rng, dims: [usize; 2], spread: f32) -> Self {
        let values = (0..dims[0] * dims[1])
            .map(|_| rng.random_range(-spread..=spread))
            .collect();
        Self { values, dims }
    }

    fn on(&self, device: &Device) -> Tensor<2> {
        Tensor::from_data(TensorData::new(self.values.clone(), self.dims), device)
    }

    /// `self + step * direction`.
    fn moved(&self, step: f32, direction: &Self) -> Self {
        let values = self
            .values
            .iter()
            .zip(&direction.values)
            .map(|(x, d)| x + step * d)
            .collect();
        Self {
            values,
            dims: self.dims,
        }
    }
}

/// The third step of an optimiser with decay.
fn third_step() -> AdamWStep {
    AdamWStep {
        lr: 1e-2,
        beta1: 0.9,
        beta2: 0.95,
        eps: 1e-5,
        weight_decay: 0.1,
        step: 3,
        eps_mode: EpsMode::Torch,
    }
}

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn ints(values: &[usize], device: &Device) -> Tensor<1, Int> {
    let values: Vec<i64> = values.iter().map(|&value| value as i64).collect();
    Tensor::from_data(values.as_slice(), device)
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("tensors here are f32")
}

/// An operation under test: matrices in, one matrix out.
type Operation<'a> = &'a (dyn Fn(&[Tensor<2>]) -> Tensor<2> + Sync);

/// The output, and the gradient of each input for the loss `sum(output * upstream)`.
fn run(operation: Operation<'_>, inputs: &[Host], upstream: &Host) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let tracked: Vec<_> = inputs.iter().map(|input| input.on(&device).require_grad()).collect();
    let output = operation(&tracked);
    let loss = (output.clone() * upstream.on(&device)).sum();
    let grads = loss.backward();
    let mut all = vec![values(output)];
    all.extend(
        tracked
            .iter()
            .map(|input| values(input.grad(&grads).expect("input is tracked"))),
    );
    all
}

/// `sum(output * upstream)` on the plain device, added up exactly enough for finite differences.
fn loss(operation: Operation<'_>, inputs: &[Host], upstream: &Host) -> f64 {
    let device = Device::flex();
    let plain: Vec<_> = inputs.iter().map(|input| input.on(&device)).collect();
    let output = values(operation(&plain));
    output
        .iter()
        .zip(&upstream.values)
        .map(|(&y, &u)| f64::from(y) * f64::from(u))
        .sum()
}

/// The largest difference, relative to the largest expected number, or to `floor` if that is larger. NaN counts as
/// infinite.
fn relative_error(actual: &[f32], expected: &[f32], floor: f32) -> f32 {
    assert_eq!(actual.len(), expected.len());
    let largest = expected.iter().fold(floor, |largest, x| largest.max(x.abs()));
    let differences = actual.iter().zip(expected).map(|(a, e)| (a - e).abs());
    differences.fold(
        0.0,
        |worst: f32, d| if d.is_nan() { f32::INFINITY } else { worst.max(d) },
    ) / largest
}

fn assert_close(actual: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_error(relative_error(actual, expected, 1e-6), tolerance, what);
}

fn assert_error(error: f32, tolerance: f32, what: &str) {
    assert!(
        error <= tolerance,
        "{what}: relative error {error:e} is above {tolerance:e}"
    );
}

/// The fused operation gives the composed one's values and gradients, on the plain device too, and its gradients
/// agree with finite differences along a random direction.
fn check(fused: Operation<'_>, composed: Operation<'_>, inputs: &[Host], rng: &mut ChaCha8Rng) {
    let plain: Vec<_> = inputs.iter().map(|input| input.on(&Device::flex())).collect();
    let output = fused(&plain);
    let upstream = Host::random(rng, output.dims(), 1.0);
    let expected = run(composed, inputs, &upstream);
    let actual = run(fused, inputs, &upstream);
    assert_eq!(values(output), actual[0], "plain and tracked device");
    // Where all that is expected of one gradient cancels, such as that of a query that sees one key, rounding of its terms is
    // left, and those are of the size of the other numbers.
    let largest = expected
        .iter()
        .flatten()
        .fold(0.0_f32, |largest, x| largest.max(x.abs()));
    for (index, (actual, expected)) in actual.iter().zip(&expected).enumerate() {
        let error = relative_error(actual, expected, (0.01 * largest).max(1e-6));
        assert_error(error, 2e-5, &format!("output and gradients, number {index}"));
    }

    let step = 5e-3;
    for (index, input) in inputs.iter().enumerate() {
        let direction = Host::random(rng, input.dims, 1.0);
        let at = |step: f32| {
            let mut inputs = inputs.to_vec();
            inputs[index] = input.moved(step, &direction);
            loss(fused, &inputs, &upstream)
        };
        let numeric = (at(step) - at(-step)) / (2.0 * f64::from(step));
        let terms = || {
            actual[index + 1]
                .iter()
                .zip(&direction.values)
                .map(|(&g, &d)| f64::from(g * d))
        };
        let (analytic, scale) = (terms().sum::<f64>(), terms().map(|t| t * t).sum::<f64>().sqrt());
        let error = (analytic - numeric).abs();
        assert!(
            error <= 0.02 * scale + 2e-3,
            "input {index}: gradient {analytic}, slope {numeric}, scale {scale}"
        );
    }
}
