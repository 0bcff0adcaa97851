//! `cargo xtask pipeline`: the stages of the recipe in their order.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use clap::ValueEnum;

use crate::device;
use crate::process::{self, Failure, Result, cargo, from_root};

/// A stage of `rlhf`, by the name of its command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Stage {
    /// Write the data of the built-in world, train the tokenizer
    Tokenizer,
    /// Train a language model on text
    Pretrain,
    /// Fine-tune it on demonstrations
    Sft,
    /// Sample answers to each prompt
    Sample,
    /// Rank the answers
    Label,
    /// Train the reward model on the rankings
    Reward,
    /// Optimise against the reward model
    Ppo,
    /// Compare the models on held-out prompts
    Eval,
}

impl Stage {
    /// The order of the pipeline.
    const ALL: [Self; 8] = [
        Self::Tokenizer,
        Self::Pretrain,
        Self::Sft,
        Self::Sample,
        Self::Label,
        Self::Reward,
        Self::Ppo,
        Self::Eval,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Tokenizer => "tokenizer",
            Self::Pretrain => "pretrain",
            Self::Sft => "sft",
            Self::Sample => "sample",
            Self::Label => "label",
            Self::Reward => "reward",
            Self::Ppo => "ppo",
            Self::Eval => "eval",
        }
    }
}

#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Args {
    /// Configuration file [default: configs/default.toml]
    #[arg(long)]
    config: Option<PathBuf>,
    /// Folder of the run [default: runs/default]
    #[arg(long)]
    run: Option<PathBuf>,
    /// First stage; from it on everything is done again
    #[arg(long, value_name = "STAGE")]
    from: Option<Stage>,
    /// Last stage
    #[arg(long, value_name = "STAGE")]
    to: Option<Stage>,
    /// Override one key of the configuration; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Seed of everything random
    #[arg(long)]
    seed: Option<u64>,
    /// Model to start from instead of pretraining: a folder, or `hf://org/name[@revision]`
    #[arg(long, value_name = "DIR")]
    base: Option<String>,
    /// Take what is named hf://… from the cache alone
    #[arg(long)]
    offline: bool,
    /// Device: flex, tch, tch:cuda:N, cuda:N or wgpu; `rlhf` is built with its backend
    #[arg(long)]
    device: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let stages = stages(args.from, args.to)?;
    let config = args.config.clone().unwrap_or_else(|| from_root("configs/default.toml"));
    let text = fs::read_to_string(&config).map_err(|error| {
        Failure::new(format!(
            "{}: {error}; expected a configuration file in TOML",
            config.display()
        ))
    })?;
    let device = device_of(args, &text);
    process::outlive_interrupts()?;
    let rlhf = build(&device)?;
    let started = Instant::now();
    for &stage in stages {
        let mut command = Command::new(&rlhf);
        command.args(stage_arguments(args, &config, stage));
        if device.starts_with("tch") {
            device::with_libtorch(&mut command)?;
        }
        process::run(&mut command).map_err(|failure| explained(failure, stage, args))?;
    }
    eprintln!(
        "{} stages in {:.1} minutes",
        stages.len(),
        started.elapsed().as_secs_f64() / 60.0
    );
    Ok(())
}

/// The stages from `from` to `to`, both included.
fn stages(from: Option<Stage>, to: Option<Stage>) -> Result<&'static [Stage]> {
    let first = from.map_or(0, |stage| stage as usize);
    let last = to.map_or(Stage::ALL.len() - 1, |stage| stage as usize);
    if first <= last {
        return Ok(&Stage::ALL[first..=last]);
    }
    Err(Failure::new(format!(
        "--from {} comes after --to {}: the order is {}",
        Stage::ALL[first].name(),
        Stage::ALL[last].name(),
        Stage::ALL.map(Stage::name).join(", ")
    )))
}

/// The arguments that `rlhf` runs a stage with.
fn stage_arguments(args: &Args, config: &Path, stage: Stage) -> Vec<String> {
    let run = args.run.clone().unwrap_or_else(|| from_root("runs/default"));
    let mut words = vec![stage.name().to_owned()];
    let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
    option("--config", config.display().to_string());
    option("--run", run.display().to_string());
    for set in &args.set {
        option("--set", set.clone());
    }
    if let Some(seed) = args.seed {
        option("--seed", seed.to_string());
    }
    if let Some(device) = &args.device {
        option("--device", device.clone());
    }
    if let Some(base) = &args.base {
        option("--base", base.clone());
    }
    if args.offline {
        words.push("--offline".to_owned());
    }
    if args.from.is_some_and(|from| stage >= from) {
        words.push("--overwrite".to_owned());
    }
    words
}

/// The device that the configuration will end up with: that of `--device`, of the last `--set`, or of the file.
fn device_of(args: &Args, config: &str) -> String {
    let assigned = |assignment: &str| {
        let (key, value) = assignment.split_once('=')?;
        let value = value.split('#').next()?.trim().trim_matches(['"', '\'']);
        (key.trim() == "device").then(|| value.to_owned())
    };
    let of_file = || {
        let top_level = config.lines().take_while(|line| !line.trim_start().starts_with('['));
        top_level.filter_map(assigned).next()
    };
    args.device
        .clone()
        .or_else(|| args.set.iter().rev().find_map(|set| assigned(set)))
        .or_else(of_file)
        .unwrap_or_else(|| "flex".to_owned())
}

/// Builds `rlhf` with the backend of `device` and returns where it lies.
pub(crate) fn build(device: &str) -> Result<PathBuf> {
    let mut command = cargo();
    command.args([
        "build",
        "--package",
        "rlhf-cli",
        "--message-format",
        "json-render-diagnostics",
    ]);
    if let Some(feature) = device::feature(device)? {
        command.args(["--features", feature]);
    }
    if device.starts_with("tch") {
        device::with_libtorch(&mut command)?;
    }
    let messages = process::output(&mut command)?;
    let path = messages.lines().rev().find_map(executable);
    path.map(PathBuf::from)
        .ok_or_else(|| Failure::new("cargo built no executable for package rlhf-cli"))
}

/// The path in a message of cargo about an executable it built.
fn executable(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("\"executable\":\"")?;
    rest.split('"').next()
}

/// Advice after a stage that failed; it has said why itself.
fn explained(failure: Failure, stage: Stage, args: &Args) -> Failure {
    let name = stage.name();
    match (failure.code, args.from) {
        (process::INTERRUPTED, None) => eprintln!("interrupted in stage {name}; the same command continues there"),
        (process::INTERRUPTED, Some(_)) => {
            eprintln!("interrupted in stage {name}; the same command without --from continues there");
        }
        _ => eprintln!("stage {name} failed; what the stages before it made is kept"),
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_stages_includes_both_ends() {
        use Stage::{Eval, Label, Ppo, Reward, Sample};
        assert_eq!(stages(None, None), Ok(Stage::ALL.as_slice()));
        assert_eq!(
            stages(Some(Sample), Some(Reward)),
            Ok([Sample, Label, Reward].as_slice())
        );
        assert_eq!(stages(Some(Ppo), None), Ok([Ppo, Eval].as_slice()));
        assert_eq!(stages(Some(Eval), Some(Eval)), Ok([Eval].as_slice()));
    }

    #[test]
    fn a_range_that_runs_backwards_is_refused_with_the_order() {
        let failure = stages(Some(Stage::Ppo), Some(Stage::Sft)).expect_err("ppo comes after sft");
        let message = failure.message.expect("it says why");
        assert!(message.starts_with("--from ppo comes after --to sft"), "{message}");
        assert!(message.contains("tokenizer, pretrain, sft"), "{message}");
    }

    #[test]
    fn the_order_is_that_of_the_enum_and_names_are_those_of_the_command_line() {
        assert!(Stage::ALL.is_sorted());
        for stage in Stage::ALL {
            assert_eq!(Stage::from_str(stage.name(), false), Ok(stage));
            assert_eq!(Stage::ALL[stage as usize], stage);
        }
        assert_eq!(Stage::value_variants().len(), Stage::ALL.len());
    }

    #[test]
    fn a_stage_gets_the_options_of_the_pipeline() {
        let args = Args {
            run: Some("runs/a".into()),
            set: vec!["ppo.episodes=8".into(), "data.root=x".into()],
            seed: Some(2),
            device: Some("tch".into()),
            base: Some("hf://org/name".into()),
            offline: true,
            ..Args::default()
        };
        let words = stage_arguments(&args, Path::new("c.toml"), Stage::Ppo).join(" ");
        let expected = "ppo --config c.toml --run runs/a --set ppo.episodes=8 --set data.root=x --seed 2 --device tch \
                        --base hf://org/name --offline";
        assert_eq!(words, expected);
    }

    #[test]
    fn only_an_explicit_first_stage_overwrites() {
        let overwrites = |from, stage| {
            let args = Args {
                from,
                ..Args::default()
            };
            stage_arguments(&args, Path::new("c.toml"), stage).contains(&"--overwrite".to_owned())
        };
        assert!(!overwrites(None, Stage::Tokenizer));
        assert!(!overwrites(None, Stage::Eval));
        assert!(overwrites(Some(Stage::Reward), Stage::Reward));
        assert!(overwrites(Some(Stage::Reward), Stage::Eval));
        assert!(!overwrites(Some(Stage::Reward), Stage::Label));
    }

    #[test]
    fn the_device_is_that_of_the_strongest_layer() {
        let file = "seed = 1\ndevice = \"cuda:0\"  # the big one\n[ppo]\ndevice = \"tch\"\n";
        let device = |flag: Option<&str>, set: &[&str], file: &str| {
            let set = set.iter().map(|set| (*set).to_owned()).collect();
            device_of(
                &Args {
                    device: flag.map(str::to_owned),
                    set,
                    ..Args::default()
                },
                file,
            )
        };
        assert_eq!(device(Some("wgpu"), &["device=tch"], file), "wgpu");
        assert_eq!(device(None, &["device=tch", "device=flex"], file), "flex");
        assert_eq!(device(None, &["seed=2"], file), "cuda:0");
        assert_eq!(device(None, &[], "[ppo]\ndevice = \"tch\"\n"), "flex");
    }

    #[test]
    fn the_executable_is_read_off_the_messages_of_cargo() {
        let message = r#"{"reason":"compiler-artifact","executable":"/t/debug/rlhf","fresh":true}"#;
        assert_eq!(executable(message), Some("/t/debug/rlhf"));
        assert_eq!(executable(r#"{"reason":"compiler-artifact","executable":null}"#), None);
    }
}
