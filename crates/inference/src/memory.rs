//! Memory that generating is going to need.

use rlhf_core::lanes::at_once;
use rlhf_core::memory::MemoryForecast;
use rlhf_model::CausalLm;

use crate::generate::rows_at_once;

/// Memory of [`crate::Generator`] beside the model to complete `prompts` prompts, `batch_size` of them together, of up
/// to `capacity` tokens with their answers: the weights laid out for decoding, on a CPU, or the head alone; the cache;
/// and a pass over the prompts. The values of `model` do not matter, only its sizes.
pub fn generation_forecast(model: &CausalLm, prompts: usize, batch_size: usize, capacity: usize) -> MemoryForecast {
    let trunk = &model.transformer;
    let (architecture, device) = (trunk.architecture(), trunk.device());
    let rows = rows_at_once(model, &device, batch_size).min(prompts);
    if rows == 0 {
        return MemoryForecast::default();
    }
    let lanes = at_once(model, &device, prompts.div_ceil(rows)) as u64;
    MemoryForecast {
        weights: architecture.head_bytes() + trunk.packed_bytes(),
        activations: lanes * architecture.inference_bytes(rows * capacity),
        cache: lanes * architecture.cache_bytes(rows, capacity),
        ..MemoryForecast::default()
    }
}
