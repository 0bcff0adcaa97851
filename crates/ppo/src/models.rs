//! The networks that PPO starts from, and those that it trains.

use rand::Rng;
use rlhf_core::rng;
use rlhf_model::{CausalLm, ScalarModel};

use crate::config::{PpoConfig, ValueInit};
use crate::error::{Error, Result};
use crate::scorer::{RewardModel, Scorer};

/// The networks PPO starts from, on the plain device.
#[derive(Debug)]
pub struct PpoModels {
    /// The SFT model: both the policy's start and the frozen reference. With `lora` the two share its weights, and the
    /// policy has adapters besides.
    pub sft: CausalLm,
    /// Source of the scores.
    pub scorer: Box<dyn Scorer>,
    /// Somebody else who scores the answers to held-out prompts, if there is one: nothing is optimised for them.
    pub judge: Option<Box<dyn Scorer>>,
}

impl PpoModels {
    /// The SFT model and a reward model, calibrated so that demonstrations average 0. If it has adapters on the trunk of
    /// `sft`, and `config.lora` is set, all four models share that trunk; the value function then goes on from the reward
    /// model's adapters.
    pub fn with_reward_model(sft: CausalLm, reward: ScalarModel, config: &PpoConfig) -> Self {
        let scorer = Box::new(RewardModel::new(reward, config.microbatch_tokens));
        Self {
            sft,
            scorer,
            judge: None,
        }
    }

    /// The policy before the first step: the SFT model, with adapters if that is what is trained.
    pub(crate) fn first_policy(&self, config: &PpoConfig, seed: u64) -> Result<CausalLm> {
        let policy = self.sft.clone();
        match &config.lora {
            Some(lora) => Ok(policy.with_lora(lora, seed)?),
            None => Ok(policy.merged()),
        }
    }

    /// The value function before the first step.
    pub(crate) fn first_value(&self, config: &PpoConfig, seed: u64) -> Result<ScalarModel> {
        let value = match config.value_init {
            ValueInit::RewardModel => self.scorer.model().ok_or(Error::NoRewardModel)?.clone(),
            ValueInit::ZeroHead => {
                let trunk = self.sft.transformer.clone().merged();
                let device = trunk.device();
                ScalarModel::zero_head(trunk, &device)
            }
        };
        match &config.lora {
            Some(lora) if value.transformer.lora().is_none() => {
                let seed = rng(seed, "ppo.value_adapters", &[]).random();
                Ok(value.with_lora(lora, seed)?)
            }
            Some(_) => Ok(value),
            None => Ok(value.merged()),
        }
    }
}
