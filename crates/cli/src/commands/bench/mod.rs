//! Speed of training and sampling on this machine.
//!
//! Random weights, random tokens, the loops of the stages themselves. A measurement is a JSON line; the names of its fields
//! are those that peers in other languages print, so that the lines go into one table.

mod lengths;
mod ppo;
mod reward;
mod sampling;
mod sft;
mod shape;

use std::path::Path;

use burn::tensor::Device;
use clap::ValueEnum;
use rlhf_core::hash::fingerprint;
use rlhf_core::stage::{Quiet, StageContext};
use rlhf_core::{CheckpointStore, METRICS_FILE, parse_device, read_metrics};
use serde::Serialize;

use super::output::Output;
use crate::error::{Error, Result};
use shape::{Shape, ShapeName};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Benches to run
    #[arg(long)]
    only: Bench,
    /// Size of the model
    #[arg(long, default_value = "tiny")]
    config: ShapeName,
    /// Measured steps, iterations or repetitions
    #[arg(long, default_value_t = 10)]
    steps: usize,
    /// Steps before the first that counts
    #[arg(long, default_value_t = 2)]
    warmup: usize,
    /// Device: flex, tch, tch:cuda:N, cuda:N or wgpu, as far as this build has them
    #[arg(long, default_value = "flex")]
    device: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Bench {
    /// An SFT step on full sequences, in tokens per second
    Sft,
    /// A reward-model step on pairs of full sequences, in pairs per second
    Rm,
    /// A PPO iteration: rollout, scores and update, in episodes per second
    Ppo,
    /// Sampling with batches of 1, 16 and 64, in new tokens per second
    Generate,
    /// SFT steps on sequences of all lengths up to the context, in real tokens per second
    Ragged,
    /// SFT steps of equal numbers of tokens in contexts of 128, 512 and 2048
    Context,
    /// Prompts of half the context going through in batches of 1, 4, 16 and 64, in tokens per second
    Prefill,
}

/// One measurement; fields that a bench does not have are left out of its line.
#[derive(Debug, Default, Serialize)]
struct Line {
    bench: &'static str,
    #[serde(rename = "impl")]
    implementation: &'static str,
    config: &'static str,
    device: String,
    params: usize,
    batch: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<usize>,
    threads: usize,
    steps: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pairs_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    episodes_per_s: Option<f64>,
    /// Median of a step, in milliseconds.
    step_ms_median: f64,
    /// Share of the step in each part.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "as_map")]
    parts: Vec<(&'static str, f64)>,
    /// Arithmetic of the model over the time of the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    gflops: Option<f64>,
    /// A product of matrices of 4096 x 256 and 256 x 1024 in the same process.
    ceiling_gflops: f64,
    peak_rss_mb: f64,
}

fn as_map<S: serde::Serializer>(parts: &[(&'static str, f64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(parts.iter().copied())
}

/// Settings of every bench.
#[derive(Clone)]
struct Setting {
    shape: Shape,
    device: Device,
    device_name: String,
    steps: usize,
    warmup: usize,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    // As the stages do.
    rlhf_kernels::allocator::keep_freed_pages();
    let setting = Setting {
        shape: args.config.shape(),
        device: parse_device(&args.device)?,
        device_name: args.device.clone(),
        steps: args.steps.max(1),
        warmup: args.warmup,
    };
    let ceiling = rlhf_pipeline::ceiling_gflops(&setting.device);
    let lines = match args.only {
        Bench::Sft => vec![sft::measure(&setting)?],
        Bench::Rm => vec![reward::measure(&setting)?],
        Bench::Ppo => vec![ppo::measure(&setting)?],
        Bench::Generate => sampling::measure(&setting)?,
        Bench::Ragged => vec![lengths::ragged(&setting)?],
        Bench::Context => lengths::contexts(&setting)?,
        Bench::Prefill => lengths::prefill(&setting),
    };
    let mut output = Output::open();
    for mut line in lines {
        line.ceiling_gflops = ceiling;
        output.row(&line)?;
    }
    output.flush()
}

impl Setting {
    fn line(&self, bench: &'static str, batch: usize) -> Line {
        Line {
            bench,
            implementation: "rlhf",
            config: self.shape.name,
            device: self.device_name.clone(),
            params: self.shape.parameters(),
            batch,
            threads: rayon::current_num_threads(),
            steps: self.steps,
            peak_rss_mb: peak_rss_mb(),
            ..Line::default()
        }
    }

    /// Runs a stage's loop in a folder that is gone afterwards, and gives what it wrote of each step that counts: the
    /// metrics of these names.
    fn steps_of<R>(
        &self,
        names: &[&'static str],
        stage: impl FnOnce(&StageContext<'_>) -> Result<R>,
    ) -> Result<Vec<Vec<f64>>> {
        let dir = tempfile::tempdir().map_err(|source| Error::Io {
            path: std::env::temp_dir(),
            source,
        })?;
        let checkpoints = CheckpointStore::open(dir.path().join("checkpoints"), 1)?;
        let nobody = fingerprint(&self.shape.name)?;
        let context = StageContext::new(self.device.clone(), 1, dir.path(), checkpoints, nobody, &Quiet);
        stage(&context)?;
        metrics(dir.path(), names, self.warmup)
    }
}

/// Columns `names` of the rows that have them all, without the first `warmup`.
fn metrics(dir: &Path, names: &[&'static str], warmup: usize) -> Result<Vec<Vec<f64>>> {
    let rows = read_metrics(dir.join(METRICS_FILE))?;
    let whole = rows.iter().filter_map(|row| {
        let value = |name: &&str| row.values.get(*name).copied().flatten();
        names.iter().map(value).collect::<Option<Vec<f64>>>()
    });
    Ok(whole.skip(warmup).collect())
}

/// Median of one column.
fn median(rows: &[Vec<f64>], column: usize) -> f64 {
    let values: Vec<f64> = rows.iter().map(|row| row[column]).collect();
    rlhf_core::stats::median(&values)
}

/// Shares of the time of all steps: each of the `parts` names a column of seconds; `whole` is what a step took.
fn shares(
    rows: &[Vec<f64>],
    whole: impl Fn(&[f64]) -> f64,
    parts: &[(&'static str, usize)],
) -> Vec<(&'static str, f64)> {
    let seconds: f64 = rows.iter().map(|row| whole(row)).sum();
    let share = |&(name, column): &(&'static str, usize)| {
        let part: f64 = rows.iter().map(|row| row[column]).sum();
        (name, part / seconds)
    };
    parts.iter().map(share).collect()
}

/// Metrics that the stages log of an optimiser step.
const STEP_METRICS: [&str; 6] = [
    "time/step_s",
    "time/gflops",
    "time/forward_s",
    "time/backward_s",
    "time/optimizer_s",
    "time/tokens_per_s",
];

/// The parts of an optimiser step, by column of [`STEP_METRICS`].
const STEP_PARTS: [(&str, usize); 3] = [("forward", 2), ("backward", 3), ("optimizer", 4)];

/// Summary of measured optimiser steps, whatever was trained.
fn step_line(setting: &Setting, bench: &'static str, batch: usize, measured: &[Vec<f64>]) -> Line {
    Line {
        tokens_per_s: Some(median(measured, 5)),
        step_ms_median: 1e3 * median(measured, 0),
        parts: shares(measured, |row| row[0], &STEP_PARTS),
        gflops: Some(median(measured, 1)),
        ..setting.line(bench, batch)
    }
}

/// Most memory the process has held so far, in MB; 0 where the system does not say.
fn peak_rss_mb() -> f64 {
    rlhf_pipeline::peak_memory().map_or(0.0, |bytes| bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting() -> Setting {
        Setting {
            shape: Shape {
                name: "test",
                n_layer: 1,
                n_embd: 16,
                n_head: 2,
                context: 160,
                vocab: 64,
                batch: 2,
            },
            device: Device::flex(),
            device_name: "flex".to_owned(),
            steps: 2,
            warmup: 1,
        }
    }

    #[test]
    fn every_bench_measures_something_and_its_parts_add_up_to_no_more_than_the_whole() {
        let setting = setting();
        let mut lines = sampling::measure(&setting).unwrap();
        assert_eq!(lines.iter().map(|line| line.batch).collect::<Vec<_>>(), [1, 16, 64]);
        lines.push(sft::measure(&setting).unwrap());
        lines.push(reward::measure(&setting).unwrap());
        lines.push(ppo::measure(&setting).unwrap());
        lines.push(lengths::ragged(&setting).unwrap());
        lines.extend(lengths::prefill(&setting));
        for line in lines {
            let rates = [line.tokens_per_s, line.pairs_per_s, line.episodes_per_s];
            assert!(rates.iter().flatten().all(|rate| *rate > 0.0), "{line:?}");
            assert!(rates.iter().any(Option::is_some), "{line:?}");
            let shares: f64 = line.parts.iter().map(|part| part.1).sum();
            assert!(shares <= 1.01, "{line:?}");
            let json = serde_json::to_value(&line).unwrap();
            assert_eq!(json["impl"], "rlhf");
        }
    }
}
