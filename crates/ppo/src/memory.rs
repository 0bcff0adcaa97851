//! Memory that PPO is going to need.

use rlhf_core::memory::{MemoryForecast, ParameterBytes};
use rlhf_inference::{GenerateOptions, generation_forecast};
use rlhf_model::{HeadUse, LargestPass, PassesAtOnce};

use crate::config::{EmaPer, PpoConfig};
use crate::error::Result;
use crate::evaluate::Select;
use crate::models::PpoModels;
use crate::train::PpoData;

/// Memory of [`crate::train`] at its highest moment, if every response is as long as it may be. The values of `models` do
/// not matter, only their sizes.
///
/// # Errors
/// Adapters that do not fit the models.
pub fn memory_forecast(models: &PpoModels, data: PpoData<'_>, config: &PpoConfig, seed: u64) -> Result<MemoryForecast> {
    let (policy, value) = (models.first_policy(config, seed)?, models.first_value(config, seed)?);
    let [policy_size, sft] = [&policy, &models.sft].map(ParameterBytes::of);
    let value_size = ParameterBytes::of(&value);
    let ema = match config.ema.per {
        EmaPer::Off => 0,
        EmaPer::Step | EmaPer::Iteration => policy_size.trained,
    };
    let best = match config.select {
        Select::Last => 0,
        Select::Score | Select::Reward | Select::Judge => policy_size.trained,
    };
    let reward = reward_model_bytes(models, config);
    let between = MemoryForecast {
        weights: sft.all + reward + policy_size.trained + value_size.trained + ema + best,
        optimizer: 2 * (policy_size.trained + value_size.trained),
        ..MemoryForecast::default()
    };
    let sizes = Sizes::of(data, config);
    let (policy_architecture, value_architecture) =
        (policy.transformer.architecture(), value.transformer.architecture());
    let update = sizes.pass([sizes.minibatch, sizes.responses], HeadUse::Each, config);
    let pretraining = sizes.pass([sizes.pretraining; 2], HeadUse::Sum, config);
    let value_update = sizes.pass([sizes.minibatch, sizes.responses], HeadUse::Score, config);
    // Gradients of the policy wait for those of the pretraining term, and then for those of the value function.
    let waiting = MemoryForecast {
        gradients: policy_size.trained,
        ..MemoryForecast::default()
    };
    let sampled = generation_forecast(
        &models.sft,
        sizes.episodes,
        GenerateOptions::default().batch_size,
        sizes.longest_episode,
    );
    let scoring = PassesAtOnce::of(
        &models.sft,
        &models.sft.transformer.device(),
        &vec![sizes.group; sizes.episodes / config.samples_per_prompt],
        config.microbatch_tokens,
    );
    let scored = MemoryForecast {
        activations: scoring.bytes(policy_architecture),
        ..MemoryForecast::default()
    };
    let mut moments = vec![sampled, scored];
    moments.extend(update.moments(policy_architecture, &policy_size));
    if sizes.pretraining > 0 {
        let pretraining = pretraining.moments(policy_architecture, &policy_size);
        moments.extend(pretraining.map(|moment| waiting.and(moment)));
    }
    let value_update = value_update.moments(value_architecture, &value_size);
    moments.extend(value_update.map(|moment| waiting.and(moment)));
    let kept = MemoryForecast {
        activations: scoring.kept(policy_architecture),
        ..between
    };
    Ok(MemoryForecast::highest(
        moments.into_iter().map(|moment| kept.and(moment)),
    ))
}

/// Bytes of the reward model, if there is one: of its adapters alone where it stands on the trunk of the SFT model.
fn reward_model_bytes(models: &PpoModels, config: &PpoConfig) -> u64 {
    let Some(model) = models.scorer.model() else { return 0 };
    let size = ParameterBytes::of(model);
    let is_on_trunk_of_sft = config.lora.is_some() && model.transformer.lora().is_some();
    if is_on_trunk_of_sft { size.trained } else { size.all }
}

/// Tokens that go through the networks at once.
struct Sizes {
    /// Tokens of a prompt and the longest responses to it, on average.
    group: usize,
    /// Tokens of the longest prompt and a response, at most.
    longest_episode: usize,
    /// Tokens of a minibatch in one pass.
    minibatch: usize,
    /// Of these, tokens of responses.
    responses: usize,
    /// Pretraining tokens in one pass; 0 without a pretraining term.
    pretraining: usize,
    /// Episodes of an update.
    episodes: usize,
}

impl Sizes {
    fn of(data: PpoData<'_>, config: &PpoConfig) -> Self {
        let lens = data.prompts.iter().map(|prompt| prompt.input_ids.len());
        let mean = lens.clone().sum::<usize>().div_ceil(data.prompts.len().max(1));
        let responses = config.samples_per_prompt * config.max_new_tokens;
        let group = mean + responses;
        let at_most = config.microbatch_tokens;
        let groups = config.minibatch_size() / config.samples_per_prompt;
        let minibatch = (groups * group).min(at_most.max(group));
        let window = data.pretraining.iter().map(|s| s.len()).max().unwrap_or(0);
        Self {
            group,
            longest_episode: lens.max().unwrap_or(0) + config.max_new_tokens,
            minibatch,
            responses: minibatch * responses / group,
            pretraining: (config.ptx_examples_per_minibatch() * window).min(at_most.max(window)),
            episodes: config.batch_size,
        }
    }

    fn pass(&self, [slots, read]: [usize; 2], head: HeadUse, config: &PpoConfig) -> LargestPass {
        LargestPass {
            slots,
            read,
            head,
            is_one_of_several: config.minibatch_size() / config.samples_per_prompt * self.group > slots,
            activations: config.pass_limits().activations,
        }
    }
}
