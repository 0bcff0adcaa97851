//! Shared vocabulary and arithmetic of the rlhf workspace: devices, seeds, schedules, optimiser, run directories,
//! metrics, statistics.

pub mod atomic;
mod batch;
mod checkpoint;
mod clock;
mod device;
mod error;
pub mod hash;
mod interrupt;
pub mod lanes;
mod learner;
mod logprobs;
pub mod memory;
mod metrics;
mod optim;
mod params;
mod run_dir;
mod schedule;
mod seed;
pub mod stage;
pub mod stats;
mod tensor_file;
mod tensorboard;
mod whitening;

pub use batch::{
    BatchTensors, GROUP_ROW_LEN, PaddingSide, ROW_LEN, TokenBatch, completions_of_prompts, float_tensor, index_tensor,
    int_tensor, micro_batches, shared_len, shared_tokens, to_host,
};
pub use checkpoint::{Checkpoint, CheckpointStore, CheckpointWriter};
pub use clock::{PartTimes, timed};
pub use device::{available_devices, backend_of, is_cpu, parse_device};
pub use error::{Error, Result};
pub use interrupt::StopFlag;
pub use learner::Learner;
pub use logprobs::{Targets, last_positions};
pub use metrics::{METRICS_FILE, MetricRow, MetricWriter, read_metrics};
pub use optim::{AdamW, AdamWConfig, EpsMode, GradientBuffer, WeightDecayOn, ema_update};
pub use params::{
    DeviceTensor, NamedTensor, TensorMap, count_parameters, count_trained_parameters, device_parameters,
    load_parameter_data_from, load_parameters, load_trained_parameters, named_parameters, trained_device_parameters,
    trained_parameters,
};
pub use run_dir::{Completion, RunDir, StageDir, StageLock};
pub use schedule::{LrSchedule, ScheduleKind};
pub use seed::{permutation, rng};
pub use tensor_file::{TensorFile, TensorSource};
pub use whitening::{WhitenedMean, whiten};
