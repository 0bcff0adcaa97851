//! Memory that training is going to need.

use rlhf_core::memory::{MemoryForecast, ParameterBytes};
use rlhf_data::TokenSequence;
use rlhf_model::{CausalLm, HeadUse, LargestPass, MicroBatch, PassesAtOnce};

use crate::config::{Selection, SftConfig};
use crate::error::Result;
use crate::train::{SftData, epoch_order};

/// Memory of [`crate::train`] at its highest moment. The values of `model` do not matter, only its sizes; `observer` is what its
/// [`crate::Observer`] needs for a while at each evaluation.
///
/// # Errors
/// Adapters that do not fit the model.
pub fn memory_forecast(
    model: &CausalLm,
    data: SftData<'_>,
    config: &SftConfig,
    seed: u64,
    observer: MemoryForecast,
) -> Result<MemoryForecast> {
    let model = match &config.lora {
        Some(lora) => model.clone().with_lora(lora, seed)?,
        None => model.clone(),
    };
    let size = ParameterBytes::of(&model);
    let (architecture, device) = (model.transformer.architecture(), model.transformer.device());
    let selected = match config.select {
        Selection::Last => 0,
        Selection::ValidationLoss | Selection::RewardScore => size.trained,
    };
    let between = MemoryForecast {
        weights: size.all + selected,
        optimizer: 2 * size.trained,
        ..MemoryForecast::default()
    };
    let lens: Vec<usize> = data.validation.iter().map(TokenSequence::len).collect();
    let passes = PassesAtOnce::of(&model, &device, &lens, config.microbatch_tokens);
    let evaluation = MemoryForecast {
        activations: passes.bytes(architecture),
        ..between
    };
    let kept = MemoryForecast {
        activations: passes.kept(architecture),
        ..between
    };
    let observed = kept.and(observer);
    let training = largest_pass(data.train, config, seed).moments(architecture, &size);
    let training = training.map(|moment| kept.and(moment));
    Ok(MemoryForecast::highest(
        training.into_iter().chain([evaluation, observed]),
    ))
}

/// The largest pass of training.
fn largest_pass(rows: &[TokenSequence], config: &SftConfig, seed: u64) -> LargestPass {
    let tokens: Vec<usize> = rows.iter().map(TokenSequence::len).collect();
    let epochs = 0..config.epochs as u64;
    let steps = epochs.flat_map(|epoch| {
        let order = epoch_order(rows.len(), seed, epoch);
        let batches: Vec<Vec<usize>> = order.chunks(config.batch_size).map(<[usize]>::to_vec).collect();
        batches
    });
    let limits = config.pass_limits();
    let largest = limits.largest_part(&tokens, steps);
    let (ids, masks): (Vec<&[u32]>, Vec<&[bool]>) = largest
        .rows
        .iter()
        .map(|&row| (rows[row].input_ids.as_slice(), rows[row].loss_mask.as_slice()))
        .unzip();
    MicroBatch::masked(&ids, &masks).forecast(HeadUse::Sum, largest.is_one_of_several, limits)
}
