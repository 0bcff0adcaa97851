//! Next-token training: pretraining on text and supervised fine-tuning on demonstrations (InstructGPT step 1).
//!
//! One loop serves both: [`train`] minimises the mean negative log-probability of the supervised tokens of each optimiser
//! batch. What differs, which tokens are supervised and how the rate falls, is in the data and in [`SftConfig`].

mod config;
mod error;
mod evaluate;
mod memory;
mod train;

pub use config::{Selection, SftConfig};
pub use error::{Error, Result};
pub use evaluate::{Evaluation, evaluate, evaluate_told};
pub use memory::memory_forecast;
pub use train::{Observer, SftData, SftOutcome, SftReport, train};
