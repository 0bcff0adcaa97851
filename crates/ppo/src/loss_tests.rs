use super::*;
use crate::golden::{assert_close, cases, flat, lengths, number};
use burn::tensor::{DType, Device, TensorData};
use serde_json::Value;

/// Both precisions on the CPU, with what they are compared to.
const PRECISIONS: [(DType, f64); 2] = [(DType::F64, 1e-12), (DType::F32, 1e-6)];

fn tensor(values: &[f64], dtype: DType) -> Tensor<1> {
    let data = TensorData::new(values.to_vec(), [values.len()]);
    Tensor::from_data(data, (&Device::flex().autodiff(), dtype))
}

fn host(tensor: Tensor<1>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// One policy case on the host, so that it can be nudged.
#[derive(Clone)]
struct Policy {
    logprobs: Vec<f64>,
    old_logprobs: Vec<f64>,
    advantages: Vec<f64>,
    weights: Vec<f64>,
    cliprange: f64,
}

impl Policy {
    fn golden(case: &Value, reduction: Reduction) -> Self {
        let lengths = lengths(&case["mask"]);
        Self {
            logprobs: flat(&case["logprobs_new"], &lengths),
            old_logprobs: flat(&case["logprobs_old"], &lengths),
            advantages: flat(&case["advantages"], &lengths),
            weights: token_weights(&lengths, reduction),
            cliprange: number(&case["cliprange"]),
        }
    }

    fn part(&self, range: std::ops::Range<usize>) -> Self {
        Self {
            logprobs: self.logprobs[range.clone()].to_vec(),
            old_logprobs: self.old_logprobs[range.clone()].to_vec(),
            advantages: self.advantages[range.clone()].to_vec(),
            weights: self.weights[range].to_vec(),
            cliprange: self.cliprange,
        }
    }

    /// The loss and its gradient with respect to `logprobs`.
    fn run(&self, dtype: DType) -> (PolicyLoss, Vec<f64>) {
        let logprobs = tensor(&self.logprobs, dtype).require_grad();
        let found = policy_loss(
            PolicyTerms {
                logprobs: logprobs.clone(),
                old_logprobs: tensor(&self.old_logprobs, dtype),
                advantages: tensor(&self.advantages, dtype),
                weights: tensor(&self.weights, dtype),
            },
            self.cliprange,
        );
        let gradients = found.loss.backward();
        (found, host(logprobs.grad(&gradients).unwrap()))
    }

    fn loss(&self) -> f64 {
        host(self.run(DType::F64).0.loss)[0]
    }
}

/// One value case on the host.
#[derive(Clone)]
struct Critic {
    values: Vec<f64>,
    old_values: Vec<f64>,
    returns: Vec<f64>,
    weights: Vec<f64>,
    cliprange_value: Option<f64>,
}

impl Critic {
    fn run(&self, dtype: DType) -> (ValueLoss, Vec<f64>) {
        let values = tensor(&self.values, dtype).require_grad();
        let found = value_loss(
            ValueTerms {
                values: values.clone(),
                old_values: tensor(&self.old_values, dtype),
                returns: tensor(&self.returns, dtype),
                weights: tensor(&self.weights, dtype),
            },
            self.cliprange_value,
        );
        let gradients = found.loss.backward();
        (found, host(values.grad(&gradients).unwrap()))
    }

    fn loss(&self) -> f64 {
        host(self.run(DType::F64).0.loss)[0]
    }
}

#[test]
fn policy_loss_and_gradient_match_pytorch() {
    for case in cases("policy_loss.json") {
        let lengths = lengths(&case["mask"]);
        for (dtype, tolerance) in PRECISIONS {
            let (found, gradient) = Policy::golden(&case, Reduction::TokenMean).run(dtype);
            assert_close(&host(found.loss), &[number(&case["loss"])], tolerance);
            assert_close(&gradient, &flat(&case["grad_logprobs_new"], &lengths), tolerance);
            let (found, _) = Policy::golden(&case, Reduction::SequenceMean).run(dtype);
            let expected = number(&case["loss_seq_mean_token_mean"]);
            assert_close(&host(found.loss), &[expected], tolerance);
        }
    }
}

#[test]
fn policy_statistics_match_pytorch() {
    for case in cases("policy_loss.json") {
        let policy = Policy::golden(&case, Reduction::TokenMean);
        let (found, _) = policy.run(DType::F32);
        let found = PolicyStats::read(found.stats);
        let check = |found: f64, name: &str| assert_close(&[found], &[number(&case[name])], 1e-6);
        check(found.loss, "loss");
        check(found.clipfrac, "clipfrac");
        check(found.ratio_outside, "ratio_outside_frac");
        check(found.approx_kl_k1, "approx_kl_k1");
        check(found.approx_kl_k2, "approx_kl_k2");
        check(found.approx_kl_k3, "approx_kl_k3");
        let ratios = flat(&case["ratio"], &lengths(&case["mask"]));
        let n = ratios.len() as f64;
        let mean = ratios.iter().sum::<f64>() / n;
        let variance = ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum::<f64>() / n;
        assert_close(&[found.ratio_mean, found.ratio_var], &[mean, variance], 1e-6);
    }
}

#[test]
fn policy_loss_matches_the_worked_example() {
    // `docs/algorithm.md`, worked example. The whitened advantages are recomputed to full precision from its printed inputs.
    let policy = Policy {
        logprobs: vec![-0.9, -2.3, -0.45, -1.2],
        old_logprobs: vec![-1.0, -2.0, -0.5, -1.5],
        advantages: crate::advantage::whiten_advantages(&[0.63245, 0.571, 0.48, 0.3]),
        weights: token_weights(&[4], Reduction::TokenMean),
        cliprange: 0.2,
    };
    let (found, _) = policy.run(DType::F64);
    assert_close(&host(found.loss), &[0.148401], 5e-7);
    // The largest distance from 1 is that of the last ratio, 1.349859.
    assert_close(&host(found.max_ratio_error), &[0.349859], 5e-7);
    let stats = PolicyStats::read(found.stats);
    assert_eq!(stats.clipfrac, 0.0);
    assert_eq!(stats.ratio_outside, 0.5);
    assert_close(&[stats.approx_kl_k2], &[0.024062], 1e-6); // half of (.01 + .09 + .0025 + .09) / 4 = .0240625
}

#[test]
fn a_ratio_of_one_gives_no_clipping_and_no_divergence() {
    let policy = Policy {
        logprobs: vec![-1.25, -0.5, -3.0],
        old_logprobs: vec![-1.25, -0.5, -3.0],
        advantages: vec![1.0, -2.0, 0.5],
        weights: token_weights(&[1, 2], Reduction::TokenMean),
        cliprange: 0.2,
    };
    for (dtype, tolerance) in PRECISIONS {
        let (found, gradient) = policy.run(dtype);
        assert_eq!(host(found.max_ratio_error), [0.0]);
        let stats = PolicyStats::read(found.stats);
        assert_eq!((stats.clipfrac, stats.ratio_outside), (0.0, 0.0));
        assert_eq!((stats.approx_kl_k1, stats.approx_kl_k3), (0.0, 0.0));
        assert_eq!((stats.ratio_mean, stats.ratio_var), (1.0, 0.0));
        // The plain policy gradient: minus the advantage, over three tokens.
        assert_close(&gradient, &[-1.0 / 3.0, 2.0 / 3.0, -0.5 / 3.0], tolerance);
    }
}

#[test]
fn a_log_ratio_beyond_the_bound_stays_finite_and_has_no_gradient() {
    let policy = Policy {
        logprobs: vec![0.0, -500.0],
        old_logprobs: vec![-500.0, 0.0],
        advantages: vec![-1.0, 1.0],
        weights: vec![0.5, 0.5],
        cliprange: 0.2,
    };
    let (found, gradient) = policy.run(DType::F32);
    // max(exp 20, 1.2) / 2, and -exp(-20) against -0.8 on the other token.
    let expected = 0.5 * 20f64.exp() - 0.5 * (-20f64).exp();
    assert!((host(found.loss)[0] / expected - 1.0).abs() < 1e-6);
    assert_eq!(gradient, [0.0, 0.0]);
}

#[test]
fn microbatches_add_up_to_the_minibatch() {
    let case = &cases("policy_loss.json")[2];
    let whole = Policy::golden(case, Reduction::SequenceMean);
    let (all, gradient) = whole.run(DType::F64);
    let (a, left) = whole.part(0..4).run(DType::F64);
    let (b, right) = whole.part(4..whole.weights.len()).run(DType::F64);
    assert_close(&[left, right].concat(), &gradient, 1e-15);
    let (sum, all) = (host(a.stats + b.stats), host(all.stats));
    assert_close(&sum, &all, 1e-14);
}

#[test]
fn gradients_match_finite_differences() {
    let step = 1e-6;
    for case in cases("policy_loss.json") {
        let policy = Policy::golden(&case, Reduction::SequenceMean);
        let (_, gradient) = policy.run(DType::F64);
        for (i, found) in gradient.iter().enumerate() {
            let (mut up, mut down) = (policy.clone(), policy.clone());
            up.logprobs[i] += step;
            down.logprobs[i] -= step;
            let expected = (up.loss() - down.loss()) / (2.0 * step);
            assert!((found - expected).abs() < 1e-7, "token {i}: {found} against {expected}");
        }
    }
    for case in cases("value_loss.json") {
        let critic = golden_critic(&case);
        let (_, gradient) = critic.run(DType::F64);
        for (i, found) in gradient.iter().enumerate() {
            let (mut up, mut down) = (critic.clone(), critic.clone());
            up.values[i] += step;
            down.values[i] -= step;
            let expected = (up.loss() - down.loss()) / (2.0 * step);
            assert!((found - expected).abs() < 1e-7, "step {i}: {found} against {expected}");
        }
    }
}

fn golden_critic(case: &Value) -> Critic {
    let lengths = lengths(&case["mask"]);
    Critic {
        values: flat(&case["values_new"], &lengths),
        old_values: flat(&case["values_old"], &lengths),
        returns: flat(&case["returns"], &lengths),
        weights: token_weights(&lengths, Reduction::TokenMean),
        cliprange_value: case["cliprange_value"].as_f64(),
    }
}

#[test]
fn value_loss_and_gradient_match_pytorch() {
    for case in cases("value_loss.json") {
        for (dtype, tolerance) in PRECISIONS {
            let (found, gradient) = golden_critic(&case).run(dtype);
            assert_close(&host(found.loss), &[number(&case["loss"])], tolerance);
            assert_close(
                &gradient,
                &flat(&case["grad_values_new"], &lengths(&case["mask"])),
                tolerance,
            );
            let stats = ValueStats::read(found.stats);
            assert_close(&[stats.loss], &[number(&case["loss"])], 1e-6);
            assert_close(&[stats.clipfrac], &[number(&case["clipfrac"])], 1e-6);
        }
    }
}

#[test]
fn value_loss_matches_the_worked_example() {
    // `docs/algorithm.md`, worked example.
    let critic = Critic {
        values: vec![0.4, 0.25, 0.35, 0.9],
        old_values: vec![0.1, 0.2, 0.3, 0.5],
        returns: vec![0.73245, 0.771, 0.78, 0.8],
        weights: token_weights(&[4], Reduction::TokenMean),
        cliprange_value: Some(0.2),
    };
    let (found, _) = critic.run(DType::F64);
    let loss = host(found.loss)[0];
    assert_close(&[loss], &[0.081669], 5e-7);
    assert_close(&[0.148401 + 0.1 * loss], &[0.156568], 1e-6);
    assert_close(&[ValueStats::read(found.stats).clipfrac], &[0.5], 1e-12);
}

#[test]
fn values_inside_the_range_are_never_counted_as_clipped() {
    // 0.1 + (0.3 - 0.1) is not 0.3 in floating point; the clipped value must still be the value itself.
    let values: Vec<f64> = (1..200).map(|i| f64::from(i) * 0.013).collect();
    let critic = Critic {
        old_values: values.iter().map(|v| v - 0.1).collect(),
        returns: values.iter().map(|v| v + 1.0).collect(),
        weights: token_weights(&[values.len()], Reduction::TokenMean),
        values,
        cliprange_value: Some(0.2),
    };
    for (dtype, _) in PRECISIONS {
        let stats = ValueStats::read(critic.run(dtype).0.stats);
        assert_eq!(stats.clipfrac, 0.0);
    }
}

#[test]
fn token_weights_follow_their_reduction() {
    assert_eq!(token_weights(&[1, 3], Reduction::TokenMean), [0.25; 4]);
    let sixth = 1.0 / 6.0;
    assert_eq!(
        token_weights(&[1, 0, 3], Reduction::SequenceMean),
        [0.5, sixth, sixth, sixth]
    );
    assert!(token_weights(&[0, 0], Reduction::SequenceMean).is_empty());
}
