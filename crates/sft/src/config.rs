//! Settings of next-token training.

use rlhf_core::config::ConfigErrors;
use rlhf_core::{AdamWConfig, LrSchedule, ScheduleKind};
use rlhf_model::LoraConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which weights a stage ends with.
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
pub struct LmTrainConfig {
    /// Passes over the training sequences. InstructGPT: 16, 2 for the model that PPO starts from.
    pub epochs: usize,
    /// Sequences of one optimiser step. InstructGPT: 32.
    pub batch_size: usize,
    /// Tokens that go through the network at once; bounds memory and changes no result.
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
    /// Steps between evaluations on the validation split; 0 evaluates at the end of each epoch.
    pub eval_every: u64,
    /// Which weights the stage ends with.
    pub select: Selection,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// Low-rank adapters that are trained in place of the weights; without this section all weights are trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraConfig>,
}

impl Default for LmTrainConfig {
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
            lora: None,
        }
    }
}

impl LmTrainConfig {
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

    /// Faults by field path relative to this section.
    pub fn validate(&self) -> ConfigErrors {
        let mut errors = ConfigErrors::new();
        errors.check(self.epochs > 0, "epochs", || "0, expected at least 1".into());
        errors.check(self.batch_size > 0, "batch_size", || "0, expected at least 1".into());
        errors.check(self.microbatch_tokens > 0, "microbatch_tokens", || {
            "0, expected at least 1".into()
        });
        errors.check(self.max_grad_norm > 0.0, "max_grad_norm", || {
            format!("{} is not above 0", self.max_grad_norm)
        });
        errors.check(self.checkpoint_every > 0, "checkpoint_every", || {
            "0, expected at least 1".into()
        });
        errors.nest("lr", self.lr.validate());
        for (field, message) in self.adamw.faults() {
            errors.push(format!("adamw.{field}"), message);
        }
        if let Some(lora) = &self.lora {
            errors.nest("lora", lora.validate());
        }
        errors
    }
}
