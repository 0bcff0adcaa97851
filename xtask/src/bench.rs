//! `cargo xtask bench`: the measurements of `rlhf bench`, each in a process of its own, as a table.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use clap::ValueEnum;
use serde_json::Value;

use crate::process::{self, Failure, Result};
use crate::{device, pipeline};

/// The things that can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Bench {
    /// An SFT step
    Sft,
    /// A reward-model step
    Rm,
    /// A PPO iteration
    Ppo,
    /// Sampling
    Generate,
    /// SFT on sequences of all lengths
    Ragged,
    /// SFT in short and in long contexts
    Context,
    /// Prompts in batches of several sizes
    Prefill,
}

/// Size of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Size {
    /// 4 layers of width 256
    Tiny,
    /// 6 layers of width 384
    Small,
    /// 12 layers of width 768
    Gpt2,
}

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// The things to measure
    #[arg(long, value_delimiter = ',', default_values_t = [Bench::Sft, Bench::Rm, Bench::Ppo, Bench::Generate])]
    only: Vec<Bench>,
    /// Sizes of the model
    #[arg(long, value_delimiter = ',', default_values_t = [Size::Tiny])]
    config: Vec<Size>,
    /// Measured steps, iterations or repetitions
    #[arg(long, default_value_t = 10)]
    steps: usize,
    /// File for the measurements as JSON lines, which are added to it
    #[arg(long)]
    json: Option<PathBuf>,
    /// Device: flex, tch, tch:cuda:N, cuda:N or wgpu; `rlhf` is built with its backend
    #[arg(long, default_value = "flex")]
    device: String,
}

/// The name of a value on the command line.
macro_rules! display {
    ($($type:ty),*) => {$(
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&format!("{self:?}").to_lowercase())
            }
        }
    )*};
}
display!(Bench, Size);

pub(crate) fn run(args: &Args) -> Result<()> {
    process::outlive_interrupts()?;
    let rlhf = pipeline::build(&args.device)?;
    let mut rows = vec![HEADER.map(str::to_owned)];
    let mut lines = String::new();
    for config in &args.config {
        for bench in &args.only {
            let mut command = Command::new(&rlhf);
            command.args(["bench", "--only", &bench.to_string(), "--config", &config.to_string()]);
            command.args(["--steps", &args.steps.to_string(), "--device", &args.device]);
            if args.device.starts_with("tch") {
                device::with_libtorch(&mut command)?;
            }
            for line in measured(&mut command)?.lines() {
                rows.push(row(line)?);
                lines.push_str(line);
                lines.push('\n');
            }
        }
    }
    show(&table(&rows));
    if let Some(file) = &args.json {
        let mut options = OpenOptions::new();
        let opened = options.create(true).append(true).open(file);
        opened
            .and_then(|mut file| file.write_all(lines.as_bytes()))
            .map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the table is what the command was asked for")]
fn show(table: &str) {
    print!("{table}");
}

/// The output of a measuring process.
fn measured(command: &mut Command) -> Result<String> {
    process::check_stop()?;
    eprintln!("$ {}", process::line(command));
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| process::cannot_start(command, &error))?;
    process::check(output.status)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

const COLUMNS: usize = 8;

const HEADER: [&str; COLUMNS] = [
    "bench", "config", "batch", "context", "rate", "GFLOP/s", "parts", "peak MB",
];

fn row(line: &str) -> Result<[String; COLUMNS]> {
    let value: Value = serde_json::from_str(line).map_err(|error| {
        Failure::new(format!(
            "`rlhf bench` printed `{line}`: {error}; expected a JSON object"
        ))
    })?;
    let text = |name: &str| value[name].as_str().unwrap_or("-").to_owned();
    let number = |name: &str| value[name].as_f64();
    let units = [
        ("pairs_per_s", "pairs/s"),
        ("episodes_per_s", "episodes/s"),
        ("tokens_per_s", "tokens/s"),
    ];
    let rate = units
        .iter()
        .find_map(|(name, unit)| number(name).map(|rate| format!("{rate:.1} {unit}")))
        .unwrap_or_default();
    let ceiling = number("ceiling_gflops").unwrap_or(f64::NAN);
    let gflops = match number("gflops") {
        Some(gflops) => format!("{gflops:.0} of {ceiling:.0} ({:.0} %)", 100.0 * gflops / ceiling),
        None => format!("- of {ceiling:.0}"),
    };
    let parts = value["parts"].as_object().map_or_else(String::new, |parts| {
        let share = |(name, share): (&String, &Value)| format!("{name} {:.0} %", 100.0 * share.as_f64().unwrap_or(0.0));
        parts.iter().map(share).collect::<Vec<_>>().join(", ")
    });
    let whole = |name: &str| number(name).map_or_else(String::new, |value| format!("{value}"));
    let peak = number("peak_rss_mb").map_or_else(String::new, |peak| format!("{peak:.0}"));
    Ok([
        text("bench"),
        text("config"),
        whole("batch"),
        whole("context"),
        rate,
        gflops,
        parts,
        peak,
    ])
}

/// A Markdown table with columns as wide as their widest cell.
fn table(rows: &[[String; COLUMNS]]) -> String {
    let widths: [usize; COLUMNS] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut out = String::new();
    for (i, row) in rows.iter().enumerate() {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        out.push_str(&format!("| {} |\n", cells.join(" | ")));
        if i == 0 {
            let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            out.push_str(&format!("| {} |\n", rules.join(" | ")));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_becomes_a_row_with_its_unit_and_its_share_of_the_ceiling() {
        let line = r#"{"bench":"sft","config":"tiny","batch":16,"tokens_per_s":4000.04,"gflops":90.0,
            "ceiling_gflops":120.0,"parts":{"forward":0.31},"peak_rss_mb":431.6}"#;
        let row = row(line).unwrap();
        assert_eq!(
            row,
            [
                "sft",
                "tiny",
                "16",
                "",
                "4000.0 tokens/s",
                "90 of 120 (75 %)",
                "forward 31 %",
                "432"
            ]
        );
        let table = table(&[HEADER.map(str::to_owned), row]);
        assert_eq!(table.lines().count(), 3);
        assert!(
            table
                .lines()
                .all(|line| line.len() == table.lines().next().unwrap().len()),
            "{table}"
        );
    }

    #[test]
    fn pairs_and_episodes_come_before_tokens() {
        let row = |line| row(line).unwrap()[4].clone();
        assert_eq!(row(r#"{"pairs_per_s":2.0,"tokens_per_s":9.0}"#), "2.0 pairs/s");
        assert_eq!(row(r#"{"episodes_per_s":3.0}"#), "3.0 episodes/s");
    }
}
