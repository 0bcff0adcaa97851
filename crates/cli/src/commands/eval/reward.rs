//! `rlhf eval reward`.

use std::path::PathBuf;

use rlhf_core::available_devices;
use rlhf_model::WeightPrecision;
use rlhf_pipeline::{Locations, RewardEvaluationOptions, evaluate_reward};

use super::preference::weights;
use crate::error::{Error, Result};
use crate::progress::{Terminal, say};

/// Options of the evaluation.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The reward model: a folder, a GGUF file, or hf://org/name
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Comparisons of any kind that stages read: {"prompt","chosen","rejected"}, perhaps with "subset" as RewardBench has it,
    /// {"prompt","completions","ranking"} and others
    #[arg(long, value_name = "FILE")]
    comparisons: PathBuf,
    /// Folder for the findings
    #[arg(long, value_name = "DIR", default_value = "evals/reward")]
    out: PathBuf,
    /// Only the first N rows
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Seed of the intervals
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Device: flex, tch, tch:cuda:N, cuda:N or wgpu, as far as this build has them
    #[arg(long)]
    device: Option<String>,
    /// Storage type of weights: f32, or bf16 for half the memory
    #[arg(long, value_name = "TYPE", default_value = "f32", value_parser = weights)]
    weights: WeightPrecision,
}

/// Evaluates.
pub(crate) fn run(args: &Args, locations: &Locations) -> Result<()> {
    if args.limit == Some(0) {
        return Err(Error::Usage("--limit: 0, expected at least 1".to_owned()));
    }
    let first = || {
        rlhf_core::available_devices()
            .first()
            .map_or("flex", |name| *name)
            .to_owned()
    };
    let options = RewardEvaluationOptions {
        model: args.model.clone(),
        comparisons: args.comparisons.clone(),
        limit: args.limit,
        out: args.out.clone(),
        seed: args.seed,
        device: args.device.clone().unwrap_or_else(first),
        weights: args.weights,
    };
    let found = evaluate_reward(&options, locations, &Terminal)?;
    for line in found.to_string().lines() {
        say(line)?;
    }
    say(&format!("\nfindings in {}", options.out.display()))
}
