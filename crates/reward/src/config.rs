//! Settings of the reward stage.

use rlhf_config::ConfigErrors;
use rlhf_core::stage::NEUTRAL_KEYS;
use rlhf_core::{AdamWConfig, LrSchedule};
use rlhf_model::{LoraConfig, PassLimits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::length::LengthBias;
use crate::loss::KwiseConfig;
use crate::normalise::Normalisation;

/// Settings of reward-model training.
///
/// Defaults follow InstructGPT (arXiv 2203.02155, appendix C). There is no dropout: scores of training and of use are
/// computed by the same function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RewardConfig {
    /// Passes over the prompts. InstructGPT: 1; more clearly overfit there.
    pub epochs: usize,
    /// Prompts of one optimiser step, each with all of its completions. InstructGPT: 64.
    pub batch_prompts: usize,
    /// Most tokens in one forward and backward pass. Bounds memory and changes no result.
    pub microbatch_tokens: usize,
    /// Keep the input of each block alone and compute the other activations again in the backward pass: less memory for one
    /// forward pass more a step, and the same gradients.
    pub gradient_checkpointing: bool,
    /// Learning rate; its steps are optimiser steps. InstructGPT: peak 9e-6, cosine to a tenth, no warm-up.
    pub lr: LrSchedule,
    /// Optimiser. InstructGPT: beta 0.9 and 0.95; N+: eps 1e-5.
    pub adamw: AdamWConfig,
    /// Bound on the Euclidean norm of the gradient, per step. Usual value: 1.
    pub max_grad_norm: f64,
    /// The loss of one prompt.
    pub loss: KwiseConfig,
    /// Models trained, with their own head and data order; the one with the lowest validation loss is kept.
    /// Stiennon: 3 to 10.
    pub n_seeds: usize,
    /// Treatment of the length of completions.
    pub length_bias: LengthBias,
    /// Change of the scores after training, so that demonstrations have mean 0.
    pub normalise: Normalisation,
    /// Demonstrations at most that are scored for it.
    pub normalise_on: usize,
    /// Optimiser steps between checkpoints; 0 keeps the last one only. Changes no result.
    pub checkpoint_every: usize,
    /// Optimiser steps between evaluations on the held-out prompts, besides the one at the end; 0 evaluates at the end of
    /// each epoch.
    pub eval_every: usize,
    /// Optimiser steps between lines in the log, at level `debug`; metrics are written at every step all the same. Changes no
    /// result.
    pub log_every: usize,
    /// Bins of the calibration curve in the report.
    pub calibration_bins: usize,
    /// Edges, in tokens, between the buckets of accuracy by how much longer the preferred completion is; rising.
    pub length_edges: Vec<f64>,
    /// Edges between the buckets of accuracy by the labeler's confidence; rising.
    pub confidence_edges: Vec<f64>,
    /// Low-rank adapters that are trained, with the head, in place of the weights; without this section all weights are
    /// trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraConfig>,
}

impl Default for RewardConfig {
    fn default() -> Self {
        Self {
            epochs: 1,
            batch_prompts: 64,
            microbatch_tokens: 8192,
            gradient_checkpointing: false,
            lr: LrSchedule {
                peak_lr: 9e-6,
                ..LrSchedule::default()
            },
            adamw: AdamWConfig::default(),
            max_grad_norm: 1.0,
            loss: KwiseConfig::default(),
            n_seeds: 1,
            length_bias: LengthBias::Keep,
            normalise: Normalisation::Shift,
            normalise_on: 10_000,
            checkpoint_every: 100,
            eval_every: 50,
            log_every: 10,
            calibration_bins: 10,
            length_edges: vec![-16.0, -4.0, 0.0, 1.0, 5.0, 17.0],
            confidence_edges: vec![0.5, 0.75],
            lora: None,
        }
    }
}

impl RewardConfig {
    /// Limits of a pass: tokens at once, activations kept.
    pub(crate) fn pass_limits(&self) -> PassLimits {
        PassLimits::new(self.microbatch_tokens, self.gradient_checkpointing)
    }

    /// Settings that the result depends on: all but those that change none.
    pub fn identity(&self) -> serde_json::Value {
        rlhf_config::without(self, &NEUTRAL_KEYS)
    }

    /// Optimiser steps of one pass over `prompts` prompts; the last may be short.
    pub fn steps_per_epoch(&self, prompts: usize) -> usize {
        prompts.div_ceil(self.batch_prompts)
    }

    /// Optimiser steps of training one model.
    pub fn steps(&self, prompts: usize) -> usize {
        self.epochs * self.steps_per_epoch(prompts)
    }

    /// Faults of these settings; paths are relative to this struct.
    pub fn validate(&self) -> ConfigErrors {
        let mut errors = ConfigErrors::new();
        for (path, count) in [
            ("epochs", self.epochs),
            ("batch_prompts", self.batch_prompts),
            ("microbatch_tokens", self.microbatch_tokens),
            ("n_seeds", self.n_seeds),
            ("log_every", self.log_every),
            ("calibration_bins", self.calibration_bins),
        ] {
            errors.check_count(path, count);
        }
        errors.check_positive("max_grad_norm", self.max_grad_norm);
        for (path, edges) in [
            ("length_edges", &self.length_edges),
            ("confidence_edges", &self.confidence_edges),
        ] {
            let rising = edges.iter().all(|edge| edge.is_finite()) && edges.windows(2).all(|pair| pair[0] < pair[1]);
            errors.check(rising, path, || format!("expected rising numbers, found {edges:?}"));
        }
        errors.nest("loss", self.loss.validate());
        errors.nest("lr", self.lr.validate());
        errors.nest("adamw", self.adamw.validate());
        if let Some(lora) = &self.lora {
            errors.nest("lora", lora.validate());
        }
        errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::Margin;

    fn faults(change: impl FnOnce(&mut RewardConfig)) -> Vec<String> {
        let mut config = RewardConfig::default();
        change(&mut config);
        config.validate().iter().map(|error| error.path.clone()).collect()
    }

    #[test]
    fn the_defaults_are_valid_and_survive_a_round_trip() {
        let config = RewardConfig::default();
        assert!(config.validate().is_empty(), "{}", config.validate());
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<RewardConfig>(&text).unwrap(), config);
        assert!(serde_json::from_str::<RewardConfig>(r#"{"batch_size": 64}"#).is_err());
    }

    #[test]
    fn each_range_is_checked_under_its_own_path() {
        let check = |expected: &str, change: fn(&mut RewardConfig)| assert_eq!(faults(change), [expected]);
        check("epochs", |c| c.epochs = 0);
        check("batch_prompts", |c| c.batch_prompts = 0);
        check("microbatch_tokens", |c| c.microbatch_tokens = 0);
        check("n_seeds", |c| c.n_seeds = 0);
        check("log_every", |c| c.log_every = 0);
        check("calibration_bins", |c| c.calibration_bins = 0);
        check("max_grad_norm", |c| c.max_grad_norm = f64::NAN);
        check("length_edges", |c| c.length_edges = vec![1.0, 1.0]);
        check("confidence_edges", |c| c.confidence_edges = vec![f64::NAN]);
        check("loss.label_smoothing", |c| c.loss.label_smoothing = 0.5);
        check("loss.centering_coef", |c| c.loss.centering_coef = -0.1);
        check("loss.l2_coef", |c| c.loss.l2_coef = f64::INFINITY);
        check("loss.margin.fixed", |c| c.loss.margin = Margin::Fixed(-1.0));
        check("lr.peak_lr", |c| c.lr.peak_lr = f64::NAN);
        check("adamw.beta2", |c| c.adamw.beta2 = 1.0);
    }

    #[test]
    fn steps_count_the_short_batch_at_the_end() {
        let config = RewardConfig {
            epochs: 2,
            batch_prompts: 64,
            ..RewardConfig::default()
        };
        assert_eq!((config.steps_per_epoch(128), config.steps_per_epoch(129)), (2, 3));
        assert_eq!(config.steps(129), 6);
    }

    #[test]
    fn margins_are_written_as_words_or_as_a_number() {
        let margin = |text: &str| serde_json::from_str::<Margin>(text).unwrap();
        assert_eq!(margin(r#""off""#).of(2.0), 0.0);
        assert_eq!(margin(r#""data""#).of(2.0), 2.0);
        assert_eq!(margin(r#"{"fixed": 0.5}"#).of(2.0), 0.5);
    }
}
