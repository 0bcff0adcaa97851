//! Shared vocabulary and arithmetic of the rlhf workspace: devices, seeds, schedules, optimiser, run directories,
//! metrics, statistics.

mod batch;
mod device;
mod error;
mod optim;
mod params;

pub use batch::{
    BatchTensors, PaddingSide, TokenBatch, float_tensor, index_tensor, int_tensor, micro_batches, to_host,
};
pub use device::{available_devices, parse_device};
pub use error::{Error, Result};
pub use optim::{AdamW, AdamWConfig, EpsMode, EpsModeConfig, GradientBuffer, ema_update};
pub use params::{NamedTensor, TensorMap, count_parameters, load_parameters, named_parameters};
