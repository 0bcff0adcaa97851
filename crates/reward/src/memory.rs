//! How much memory training is going to need.

use rlhf_core::memory::{MemoryForecast, ParameterBytes};
use rlhf_core::{GROUP_ROW_LEN, TokenBatch, micro_batches};
use rlhf_data::shuffled_order;
use rlhf_model::{HeadUse, LargestPass, PassesAtOnce, ScalarModel};

use crate::config::RewardConfig;
use crate::error::Result;
use crate::groups::RankedPrompt;
use crate::train::RewardData;

/// Memory of [`crate::train`] at its highest moment, the trunk that it starts from included. The values of `model`, a reward
/// model without adapters, do not matter, only its sizes.
///
/// # Errors
/// Adapters that do not fit the model.
pub fn memory_forecast(
    model: &ScalarModel,
    data: RewardData<'_>,
    config: &RewardConfig,
    seed: u64,
) -> Result<MemoryForecast> {
    let trunk = ParameterBytes::of(&model.transformer);
    let (model, shared) = match &config.lora {
        Some(lora) => (model.clone().with_lora(lora, seed)?, trunk.all),
        None => (model.clone(), 0),
    };
    let size = ParameterBytes::of(&model);
    // What further seeds start from, and the best of those that are done.
    let kept = match config.n_seeds > 1 {
        true => trunk.all - shared + size.trained,
        false => 0,
    };
    let between = MemoryForecast {
        weights: size.all + kept,
        optimizer: 2 * size.trained,
        ..MemoryForecast::default()
    };
    let (architecture, device) = (model.transformer.architecture(), model.transformer.device());
    let lens: Vec<usize> = data.validation.iter().map(RankedPrompt::tokens).collect();
    let demonstrations: Vec<usize> = data.demonstrations.iter().map(Vec::len).collect();
    let scoring = [lens, demonstrations].map(|lens| PassesAtOnce::of(&model, &device, &lens, config.microbatch_tokens));
    let kept = MemoryForecast {
        activations: scoring[0].kept(architecture),
        ..between
    };
    let training = largest_pass(data.train, config, seed).moments(architecture, &size);
    let training = training.map(|moment| kept.and(moment));
    let scoring = scoring.map(|passes| MemoryForecast {
        activations: passes.bytes(architecture),
        ..between
    });
    Ok(MemoryForecast::highest(training.into_iter().chain(scoring)))
}

/// Goes through the batches of the first seed as training does.
fn largest_pass(prompts: &[RankedPrompt], config: &RewardConfig, seed: u64) -> LargestPass {
    let mut is_one_of_several = false;
    let mut largest: (usize, Vec<usize>) = (0, Vec::new());
    let tokens: Vec<usize> = prompts.iter().map(RankedPrompt::tokens).collect();
    for epoch in 0..config.epochs {
        let order = shuffled_order(prompts.len(), seed, epoch as u64);
        for batch in order.chunks(config.batch_prompts) {
            let lens: Vec<usize> = batch.iter().map(|&row| tokens[row]).collect();
            let passes = micro_batches(&lens, config.microbatch_tokens);
            is_one_of_several |= passes.len() > 1;
            for pass in passes {
                let tokens = lens[pass.clone()].iter().sum();
                // What does not fit goes through in chunks.
                is_one_of_several |= tokens > config.microbatch_tokens;
                if tokens > largest.0 {
                    largest = (tokens, batch[pass].to_vec());
                }
            }
        }
    }
    let groups: Vec<&[Vec<u32>]> = largest.1.iter().map(|&row| prompts[row].sequences.as_slice()).collect();
    let slots = match largest.0 <= config.microbatch_tokens {
        true => TokenBatch::pack_groups(&groups, GROUP_ROW_LEN).slots(),
        false => config.microbatch_tokens,
    };
    LargestPass {
        slots,
        read: groups.iter().map(|group| group.len()).sum(),
        head: HeadUse::Score,
        is_one_of_several,
        activations: config.gradient_checkpointing.into(),
    }
}
