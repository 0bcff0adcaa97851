//! Options that say how tokens are chosen.

use rlhf_inference::Sampling;

use crate::error::{Error, Result};

/// Way of choosing tokens; without options, from the model's own distribution.
#[derive(Debug, clap::Args)]
pub(super) struct SamplingArgs {
    /// Divides the logits; 0 always takes the most likely token
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    temperature: f64,
    /// Draws from the K most likely tokens; 0 is off
    #[arg(long, value_name = "K", default_value_t = 0)]
    top_k: usize,
    /// Draws from the fewest tokens that have this probability together; 1 is off
    #[arg(long, value_name = "P", default_value_t = 1.0, allow_negative_numbers = true)]
    top_p: f64,
    /// Drops tokens less likely than this share of the most likely one; 0 is off
    #[arg(long, value_name = "P", default_value_t = 0.0, allow_negative_numbers = true)]
    min_p: f64,
    /// Makes tokens that occurred before less likely; 1 is off
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, allow_negative_numbers = true)]
    repetition_penalty: f64,
    /// Seed of the choice; the same seed gives the same text
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
}

impl SamplingArgs {
    /// The options, checked.
    pub(super) fn sampling(&self) -> Result<Sampling> {
        let sampling = Sampling {
            repetition_penalty: self.repetition_penalty,
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
        };
        match sampling.validate().iter().next() {
            None => Ok(sampling),
            Some(fault) => Err(Error::Usage(format!(
                "--{}: {}",
                fault.path.replace('_', "-"),
                fault.message
            ))),
        }
    }
}
