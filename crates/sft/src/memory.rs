//! How much memory training is going to need.

use rlhf_core::memory::{MemoryForecast, ParameterBytes};
use rlhf_core::{ROW_LEN, TokenBatch, micro_batches};
use rlhf_data::{TokenSequence, shuffled_order};
use rlhf_model::{CausalLm, HeadUse, LargestPass, PassesAtOnce};

use crate::config::{Selection, SftConfig};
use crate::error::Result;
use crate::evaluate::ids_and_masks;
use crate::train::SftData;

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

/// Goes through the batches as training does.
fn largest_pass(rows: &[TokenSequence], config: &SftConfig, seed: u64) -> LargestPass {
    let mut is_one_of_several = false;
    let mut largest: (usize, Vec<usize>) = (0, Vec::new());
    for epoch in 0..config.epochs {
        let order = shuffled_order(rows.len(), seed, epoch as u64);
        for batch in order.chunks(config.batch_size) {
            let lens: Vec<usize> = batch.iter().map(|&row| rows[row].len()).collect();
            let passes = micro_batches(&lens, config.microbatch_tokens);
            is_one_of_several |= passes.len() > 1;
            for pass in passes {
                let tokens = lens[pass.clone()].iter().sum();
                if tokens > largest.0 {
                    largest = (tokens, batch[pass].to_vec());
                }
            }
        }
    }
    let sequences: Vec<TokenSequence> = largest.1.iter().map(|&row| rows[row].clone()).collect();
    let (ids, _) = ids_and_masks(&sequences);
    LargestPass {
        slots: TokenBatch::pack(&ids, ROW_LEN).slots(),
        read: sequences.iter().map(TokenSequence::targets).sum(),
        head: HeadUse::Sum,
        is_one_of_several,
        activations: config.gradient_checkpointing.into(),
    }
}
