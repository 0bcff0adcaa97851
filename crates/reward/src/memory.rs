//! Memory that training is going to need.

use rlhf_core::memory::{MemoryForecast, ParameterBytes};
use rlhf_model::{HeadUse, LargestPass, MicroBatch, PassesAtOnce, ScalarModel};

use crate::config::RewardConfig;
use crate::error::Result;
use crate::groups::RankedPrompt;
use crate::train::{RewardData, epoch_order};

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
    let kept = if config.n_seeds > 1 {
        trunk.all - shared + size.trained
    } else {
        0
    };
    let between = MemoryForecast {
        weights: size.all + kept,
        optimizer: 2 * size.trained,
        ..MemoryForecast::default()
    };
    let (architecture, device) = (model.transformer.architecture(), model.transformer.device());
    let longer = [data.validation, data.test]
        .into_iter()
        .max_by_key(|prompts| prompts.len());
    let lens: Vec<usize> = longer.into_iter().flatten().map(RankedPrompt::tokens).collect();
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

/// The largest pass of the first seed.
fn largest_pass(prompts: &[RankedPrompt], config: &RewardConfig, seed: u64) -> LargestPass {
    let tokens: Vec<usize> = prompts.iter().map(RankedPrompt::tokens).collect();
    let epochs = 0..config.epochs as u64;
    let steps = epochs.flat_map(|epoch| {
        let order = epoch_order(prompts.len(), seed, 0, epoch);
        let batches: Vec<Vec<usize>> = order.chunks(config.batch_prompts).map(<[usize]>::to_vec).collect();
        batches
    });
    let limits = config.pass_limits();
    let largest = limits.largest_part(&tokens, steps);
    let together: usize = largest.rows.iter().map(|&row| tokens[row]).sum();
    let groups: Vec<&[Vec<u32>]> = largest
        .rows
        .iter()
        .map(|&row| prompts[row].sequences.as_slice())
        .collect();
    let whole = MicroBatch::last_of_groups(&groups);
    let pass = whole.forecast(HeadUse::Score, largest.is_one_of_several, limits);
    if together <= limits.microbatch_tokens {
        return pass;
    }
    // A prompt whose completions do not fit together goes through in chunks.
    LargestPass {
        slots: limits.microbatch_tokens,
        is_one_of_several: true,
        ..pass
    }
}
