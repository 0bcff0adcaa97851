//! Settings of next-token training.

use rlhf_config::ConfigErrors;
use rlhf_core::stage::NEUTRAL_KEYS;
use rlhf_core::{AdamWConfig, LrSchedule, ScheduleKind};
use rlhf_model::{LoraConfig, PassLimits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The weights that a stage ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// Those after the last step.
    Last,
    /// Those of the evaluation with the lowest validation loss.
    ValidationLoss,
    /// Those of the evaluation whose samples a reward model scores highest (InstructGPT's choice).
    RewardScore,
}

/// Settings of the loop that pretraining and SFT share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SftConfig {
    /// Passes over the training sequences. InstructGPT: 16, 2 for the model that PPO starts from.
    pub epochs: usize,
    /// Sequences of one optimiser step. InstructGPT: 32.
    pub batch_size: usize,
    /// Most tokens in one forward and backward pass. Bounds memory and changes no result.
    pub microbatch_tokens: usize,
    /// Keep the input of each block alone and compute the other activations again in the backward pass: less memory for one
    /// forward pass more a step, and the same gradients.
    pub gradient_checkpointing: bool,
    /// Learning rate over the steps of the stage.
    pub lr: LrSchedule,
    /// Optimiser.
    pub adamw: AdamWConfig,
    /// Gradients with a larger Euclidean norm are scaled down to it.
    pub max_grad_norm: f64,
    /// Optimiser steps between evaluations on the validation split, besides the one at the end; 0 evaluates at the end of
    /// each epoch.
    pub eval_every: usize,
    /// The weights that the stage ends with.
    pub select: Selection,
    /// Optimiser steps between checkpoints; 0 keeps the last one only. Changes no result.
    pub checkpoint_every: usize,
    /// Optimiser steps between lines in the log, at level `debug`; metrics are written at every step all the same. Changes no
    /// result.
    pub log_every: usize,
    /// Low-rank adapters that are trained in place of the weights; without this section all weights are trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraConfig>,
}

impl Default for SftConfig {
    /// Fine-tuning, as `docs/algorithm.md` derives it from InstructGPT.
    fn default() -> Self {
        Self {
            epochs: 2,
            batch_size: 32,
            microbatch_tokens: 4096,
            gradient_checkpointing: false,
            lr: LrSchedule {
                peak_lr: 1e-5,
                ..LrSchedule::default()
            },
            adamw: AdamWConfig::default(),
            max_grad_norm: 1.0,
            eval_every: 0,
            select: Selection::ValidationLoss,
            checkpoint_every: 50,
            log_every: 10,
            lora: None,
        }
    }
}

impl SftConfig {
    /// Limits of a pass: tokens at once, activations kept.
    pub(crate) fn pass_limits(&self) -> PassLimits {
        PassLimits::new(self.microbatch_tokens, self.gradient_checkpointing)
    }

    /// Settings that the result depends on: all but those that change none.
    pub fn identity(&self) -> serde_json::Value {
        rlhf_config::without(self, &NEUTRAL_KEYS)
    }

    /// Pretraining from random weights: one pass, warm-up, cosine to a tenth, weight decay 0.1 (GPT-3, arXiv 2005.14165).
    pub fn pretraining() -> Self {
        Self {
            epochs: 1,
            lr: LrSchedule {
                peak_lr: 6e-4,
                kind: ScheduleKind::Cosine,
                warmup_steps: 50,
                ..LrSchedule::default()
            },
            adamw: AdamWConfig {
                eps: 1e-8,
                weight_decay: 0.1,
                ..AdamWConfig::default()
            },
            select: Selection::Last,
            ..Self::default()
        }
    }

    /// Faults of these settings; paths are relative to this struct.
    pub fn validate(&self) -> ConfigErrors {
        let mut errors = ConfigErrors::new();
        for (path, count) in [
            ("epochs", self.epochs),
            ("batch_size", self.batch_size),
            ("microbatch_tokens", self.microbatch_tokens),
            ("log_every", self.log_every),
        ] {
            errors.check_count(path, count);
        }
        errors.check_positive("max_grad_norm", self.max_grad_norm);
        errors.nest("lr", self.lr.validate());
        errors.nest("adamw", self.adamw.validate());
        if let Some(lora) = &self.lora {
            errors.nest("lora", lora.validate());
        }
        errors
    }
}
