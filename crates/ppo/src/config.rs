//! Settings of the PPO stage.

use rlhf_core::stage::NEUTRAL_KEYS;
use rlhf_core::{AdamWConfig, LrSchedule, ScheduleKind};
use rlhf_model::{LoraConfig, PassLimits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::evaluate::{EvaluateConfig, Select, StopConfig};
use crate::kl::{KlController, KlEstimator};
use crate::loss::Reduction;
use crate::ptx::PtxUnit;
use crate::reward::{MissingEos, Terminal};

/// Settings of PPO and PPO-ptx.
///
/// Defaults follow InstructGPT (arXiv 2203.02155, appendix C) where it says something, then N+ (arXiv 2403.17031).
///
/// An update is one rollout of `batch_size` episodes and the optimiser steps taken on it; an episode is one response; a
/// step is one optimiser step. Policy and value function are separate networks with separate optimisers, so there is
/// no coefficient between their losses: the learning rates say how fast each of them moves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PpoConfig {
    /// Episodes of the whole run, rounded down to whole updates. InstructGPT: 256,000.
    pub episodes: usize,
    /// Episodes of one update. InstructGPT, N+: 512.
    pub batch_size: usize,
    /// Answers to each prompt of an update, each an episode; they go through the networks together, the tokens of the prompt
    /// once. Divides the episodes of a minibatch. The papers: 1.
    pub samples_per_prompt: usize,
    /// Optimiser steps in one pass over the episodes of an update; divides `batch_size`. InstructGPT: 8 of 64 episodes.
    pub n_minibatches: usize,
    /// Most tokens in one forward and backward pass. Bounds memory and changes no result.
    pub microbatch_tokens: usize,
    /// Keep the input of each block alone and compute the other activations again in the backward pass: less memory for one
    /// forward pass more a step, and the same gradients.
    pub gradient_checkpointing: bool,
    /// Passes over the episodes of an update. InstructGPT: 1; Stiennon, N+: 4.
    pub ppo_epochs: usize,
    /// Longest response, in tokens, the end-of-sequence token included. N+: 53; InstructGPT: up to 1,000.
    pub max_new_tokens: usize,
    /// Responses that are sampled together, at most. Memory of the cache grows with it.
    pub rollout_batch_size: usize,
    /// Divides logits when sampling, when scoring under the reference and when updating. InstructGPT: 1; N+: 0.7.
    pub temperature: f64,
    /// Discount per token. All of the papers: 1.
    pub gamma: f64,
    /// Weight of longer advantage estimates. Ziegler, Stiennon, N+: 0.95.
    pub gae_lambda: f64,
    /// Range of the probability ratio around 1. InstructGPT: 0.2.
    pub cliprange: f64,
    /// Range of a value around that of the rollout, in units of the score. Ziegler, N+: 0.2.
    pub cliprange_value: ValueClip,
    /// Weighting of tokens in the policy loss and in the value loss. OpenAI's code, N+: `token_mean`.
    pub reduction: Reduction,
    /// Learning rate of the policy; its steps are updates. N+: peak 3e-6; InstructGPT: constant after a warm-up of 10
    /// updates that starts at a tenth.
    pub lr: LrSchedule,
    /// Learning rate of the value function; its steps are updates. InstructGPT: peak 9e-6.
    pub value_lr: LrSchedule,
    /// Optimiser of both networks. InstructGPT: beta 0.9 and 0.95; N+: eps 1e-5.
    pub adamw: AdamWConfig,
    /// Bound on the Euclidean norm of the gradient of each network, per step. Usual value: 1.
    pub max_grad_norm: f64,
    /// Penalty on leaving the reference policy.
    pub kl: KlConfig,
    /// Scaling of the rewards before advantages are computed. Ziegler: `rollout`; N+: `off`.
    pub whiten_rewards: RewardWhitening,
    /// Group over which advantages are brought to mean 0 and variance 1. N+: `minibatch`; here: `rollout`, which
    /// does not depend on how the update is cut.
    pub whiten_advantages: AdvantageWhitening,
    /// Treatment of the score of a response without an end-of-sequence token. OpenAI's code, N+: replaced by -1.
    pub missing_eos: MissingEos,
    /// Scores are clipped to plus or minus this before anything else. The papers: off; DeepSpeed-Chat: 5.
    pub score_clip: Option<f64>,
    /// What is taken off a score before it becomes a reward. The papers: `off`.
    pub score_baseline: ScoreBaseline,
    /// Step that receives the score. OpenRLHF, verl: `last_token`; N+, TRL: `first_pad`.
    pub terminal: Terminal,
    /// Pretraining mix.
    pub ptx: PtxConfig,
    /// Averaged copy of the policy, beside the last one.
    pub ema: EmaConfig,
    /// An update takes no further passes once the mean approximate KL (k3, nats per token) of one exceeds this.
    pub target_kl: Option<f64>,
    /// Start of the value function. InstructGPT, Stiennon, N+: `reward_model`; Ziegler: `zero_head`.
    pub value_init: ValueInit,
    /// Evaluations on held-out prompts while the policy learns.
    pub evaluate: EvaluateConfig,
    /// The policy that the run ends with: the last one, or the best of those that were evaluated.
    pub select: Select,
    /// When the run ends before its last update.
    pub stop: StopConfig,
    /// Updates after which the policy is kept whole, beside the one that the run ends with, to be talked with or measured; 0 keeps none.
    /// Changes no result.
    pub keep_every: usize,
    /// Updates between checkpoints; 0 keeps the last one only. Changes no result.
    pub checkpoint_every: usize,
    /// Updates between lines in the log, at level `debug`; metrics are written at every update all the same. Changes no
    /// result.
    pub log_every: usize,
    /// Updates between samples that are written out for reading; 0 writes none.
    pub sample_every: usize,
    /// Responses written out each time.
    pub samples: usize,
    /// Updates in a row with a mean KL below 0 after which the run stops, since sampling and scoring then disagree.
    pub abort_negative_kl_iterations: usize,
    /// Multiplies the tolerances of what is checked while training; 1 is for f32 on a CPU. A device that computes in fewer
    /// digits needs more.
    pub tolerance: f64,
    /// Low-rank adapters of the policy and of the value function, trained in place of the weights; the reference is the
    /// policy without them. Without this section all weights are trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraConfig>,
}

/// Penalty on leaving the reference policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KlConfig {
    /// Weight of the per-token penalty, in reward per nat; the first value of an adaptive controller. Stiennon, N+: 0.05;
    /// InstructGPT: 0.02; Ziegler: 0.15.
    pub coef: f64,
    /// Estimator of what is penalised. The papers: `k1`.
    pub estimator: KlEstimator,
    /// Controller of the weight. Stiennon, InstructGPT, N+: `fixed`.
    pub controller: ControllerConfig,
}

/// Controller of the weight of the KL penalty.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ControllerConfig {
    /// It does not.
    #[default]
    Fixed,
    /// It steers towards a divergence (Ziegler: target 6, horizon 10,000).
    Adaptive {
        /// Nats per response.
        target: f64,
        /// Episodes over which a relative error of 1 would double the weight.
        horizon: f64,
    },
}

/// What is taken off a score, so that less of what is learnt from is the difficulty of the prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScoreBaseline {
    /// Nothing: the value function alone says what was to be expected.
    #[default]
    Off,
    /// The mean score of the other answers to the same prompt, of which there must be some: `samples_per_prompt`. It does not depend
    /// on the answer, so that the gradient stays unbiased (RLOO: Kool et al. 2019, Ahmadian et al. 2024, arXiv 2402.14740). A value
    /// function that starts at zero needs thousands of episodes to say as much.
    OtherAnswers,
}

/// Range that a value may move away from the one of the rollout.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ValueClip {
    /// Any distance: the loss is the squared error.
    Off,
    /// At most this far, in units of the score.
    Range(f64),
}

/// Scaling of the rewards of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RewardWhitening {
    /// None.
    #[default]
    Off,
    /// To variance 1 over the rollout, keeping the mean.
    Rollout,
}

/// Group over which advantages are brought to mean 0 and variance 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdvantageWhitening {
    /// All tokens of the rollout, once (OpenRLHF, verl).
    #[default]
    Rollout,
    /// The tokens of each minibatch (OpenAI's code, N+).
    Minibatch,
    /// None: advantages stay in units of the score.
    Off,
}

/// Pretraining mix of PPO-ptx (InstructGPT, section 3.5).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PtxConfig {
    /// Weight of the pretraining loss beside the PPO loss; 0 is plain PPO. InstructGPT: 27.8, see `unit`. At the sizes
    /// trained here 1 is a start; `ptx/grad_ratio` shows how loud it is.
    pub coef: f64,
    /// The loss that `coef` multiplies.
    pub unit: PtxUnit,
    /// Pretraining sequences per episode; may be a fraction. InstructGPT: 8.
    pub examples_per_episode: f64,
    /// When given, `coef` is set anew at each step, so that the pretraining gradient has this many times the norm of
    /// the PPO gradient.
    pub target_grad_ratio: Option<f64>,
}

/// Exponential moving average of the weights of the policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EmaConfig {
    /// Share of the old average that each update of it keeps. InstructGPT: 0.992.
    pub decay: f64,
    /// Unit of work after which the average is updated. InstructGPT does not say; here: `iteration`.
    pub per: EmaPer,
}

/// Unit of work after which the average is updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmaPer {
    /// After each optimiser step.
    Step,
    /// After each update.
    #[default]
    Iteration,
    /// Never: there is no average.
    Off,
}

/// Start of the value function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ValueInit {
    /// A copy of the reward model, its head included.
    #[default]
    RewardModel,
    /// A copy of the policy with a head of zeros.
    ZeroHead,
}

impl Default for PpoConfig {
    fn default() -> Self {
        let schedule = |peak_lr| LrSchedule {
            peak_lr,
            kind: ScheduleKind::Constant,
            final_fraction: 1.0,
            warmup_steps: 10,
            warmup_start_fraction: 0.1,
        };
        Self {
            episodes: 256_000,
            batch_size: 512,
            samples_per_prompt: 1,
            n_minibatches: 8,
            microbatch_tokens: 8192,
            gradient_checkpointing: false,
            ppo_epochs: 1,
            max_new_tokens: 53,
            rollout_batch_size: 64,
            temperature: 1.0,
            gamma: 1.0,
            gae_lambda: 0.95,
            cliprange: 0.2,
            cliprange_value: ValueClip::Range(0.2),
            reduction: Reduction::TokenMean,
            lr: schedule(3e-6),
            value_lr: schedule(9e-6),
            adamw: AdamWConfig::default(),
            max_grad_norm: 1.0,
            kl: KlConfig::default(),
            whiten_rewards: RewardWhitening::Off,
            whiten_advantages: AdvantageWhitening::Rollout,
            missing_eos: MissingEos::default(),
            score_clip: None,
            score_baseline: ScoreBaseline::Off,
            terminal: Terminal::LastToken,
            ptx: PtxConfig::default(),
            ema: EmaConfig::default(),
            target_kl: None,
            value_init: ValueInit::RewardModel,
            evaluate: EvaluateConfig::default(),
            select: Select::Last,
            stop: StopConfig::default(),
            keep_every: 0,
            checkpoint_every: 50,
            log_every: 1,
            sample_every: 10,
            samples: 4,
            abort_negative_kl_iterations: 10,
            tolerance: 1.0,
            lora: None,
        }
    }
}

impl Default for KlConfig {
    fn default() -> Self {
        Self {
            coef: 0.05,
            estimator: KlEstimator::K1,
            controller: ControllerConfig::Fixed,
        }
    }
}

impl Default for PtxConfig {
    fn default() -> Self {
        Self {
            coef: 1.0,
            unit: PtxUnit::TokenMean,
            examples_per_episode: 8.0,
            target_grad_ratio: None,
        }
    }
}

impl Default for EmaConfig {
    fn default() -> Self {
        Self {
            decay: 0.992,
            per: EmaPer::Iteration,
        }
    }
}

impl ValueClip {
    /// The range, or `None` when values move freely.
    pub fn range(self) -> Option<f64> {
        match self {
            Self::Off => None,
            Self::Range(range) => Some(range),
        }
    }
}

impl KlConfig {
    /// The controller at the start of a run.
    pub fn controller(&self) -> KlController {
        match self.controller {
            ControllerConfig::Fixed => KlController::Fixed { coef: self.coef },
            ControllerConfig::Adaptive { target, horizon } => KlController::Adaptive {
                coef: self.coef,
                target,
                horizon,
            },
        }
    }
}

impl PtxConfig {
    /// True with a pretraining term.
    pub fn is_on(&self) -> bool {
        self.coef > 0.0 || self.target_grad_ratio.is_some()
    }
}

impl PpoConfig {
    /// Settings that the first updates depend on: all but those that change none. The number of episodes changes none where no
    /// learning rate falls towards the end, so that a finished run may go on for more.
    pub fn identity(&self) -> serde_json::Value {
        let mut keys = NEUTRAL_KEYS.to_vec();
        keys.push("keep_every");
        if self.may_grow() {
            keys.push("episodes");
        }
        rlhf_config::without(self, &keys)
    }

    /// True if a run of more episodes begins with the very updates of this one: no learning rate depends on the last.
    pub fn may_grow(&self) -> bool {
        [&self.lr, &self.value_lr]
            .iter()
            .all(|lr| lr.kind == ScheduleKind::Constant)
    }

    /// Limits of a pass: tokens at once, activations kept.
    pub(crate) fn pass_limits(&self) -> PassLimits {
        PassLimits::new(self.microbatch_tokens, self.gradient_checkpointing)
    }

    /// Episodes of one optimiser step.
    pub fn minibatch_size(&self) -> usize {
        self.batch_size / self.n_minibatches
    }

    /// Rollouts of the whole run.
    pub fn updates(&self) -> usize {
        self.episodes / self.batch_size
    }

    /// Optimiser steps of the whole run, unless `target_kl` cuts updates short.
    pub fn steps(&self) -> usize {
        self.updates() * self.ppo_epochs * self.n_minibatches
    }

    /// Pretraining sequences of one optimiser step; 0 without a pretraining term.
    pub fn ptx_examples_per_minibatch(&self) -> usize {
        if self.ptx.is_on() {
            (self.ptx.examples_per_episode * self.minibatch_size() as f64).round() as usize
        } else {
            0
        }
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
