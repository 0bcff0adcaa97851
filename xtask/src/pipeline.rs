//! `cargo xtask pipeline`: the stages of the recipe in their order.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::device;
use crate::process::{self, Failure, Result, cargo, from_root};

#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Args {
    /// Configuration file [default: configs/default.toml]
    #[arg(long)]
    config: Option<PathBuf>,
    /// Folder of the run [default: runs/default]
    #[arg(long)]
    run: Option<PathBuf>,
    /// First stage, one that `rlhf stages` prints; from it on everything is done again
    #[arg(long, value_name = "STAGE")]
    from: Option<String>,
    /// Last stage
    #[arg(long, value_name = "STAGE")]
    to: Option<String>,
    /// Override one key of the configuration; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Seed of everything random
    #[arg(long)]
    seed: Option<u64>,
    /// Model to start from instead of pretraining: a folder, a GGUF file, or `hf://org/name[@revision][/path]`
    #[arg(long, value_name = "DIR")]
    base: Option<String>,
    /// Take what is named hf://… from the cache alone
    #[arg(long)]
    offline: bool,
    /// Start stages that are forecast to need more memory than is free
    #[arg(long)]
    ignore_memory: bool,
    /// Device: flex, tch, tch:cuda:N, cuda:N or wgpu; `rlhf` is built with its backend
    #[arg(long)]
    device: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let config = config_of(args);
    let text = match &config {
        None => String::new(),
        Some(config) => fs::read_to_string(config).map_err(|error| {
            Failure::new(format!(
                "{}: {error}; expected a configuration file in TOML",
                config.display()
            ))
        })?,
    };
    let device = device_of(args, &text);
    process::outlive_interrupts()?;
    let rlhf = Rlhf {
        program: build(&device)?,
        device,
    };
    let recipe = rlhf.stages()?;
    let stages = range(&recipe, args.from.as_deref(), args.to.as_deref())?;
    let started = Instant::now();
    for stage in stages {
        let mut command = rlhf.command()?;
        command.args(stage_arguments(args, config.as_deref(), stage));
        process::run(&mut command).map_err(|failure| explained(failure, stage, args))?;
    }
    eprintln!(
        "{} stages in {:.1} minutes",
        stages.len(),
        started.elapsed().as_secs_f64() / 60.0
    );
    Ok(())
}

/// The configuration file: the one that was given, or the built-in run's, which says nothing of a model of the user's own.
fn config_of(args: &Args) -> Option<PathBuf> {
    let built_in = || args.base.is_none().then(|| from_root("configs/default.toml"));
    args.config.clone().or_else(built_in)
}

/// The program, and the device whose libraries it needs.
struct Rlhf {
    program: PathBuf,
    device: String,
}

impl Rlhf {
    fn command(&self) -> Result<Command> {
        let mut command = Command::new(&self.program);
        if self.device.starts_with("tch") {
            device::with_libtorch(&mut command)?;
        }
        Ok(command)
    }

    /// The names of the stages, in order.
    fn stages(&self) -> Result<Vec<String>> {
        let names = process::output(self.command()?.arg("stages"))?;
        let names: Vec<String> = names.lines().map(str::to_owned).collect();
        if names.is_empty() {
            return Err(Failure::new("`rlhf stages` printed no stage"));
        }
        Ok(names)
    }
}

/// The stages from `from` to `to`, both included.
fn range<'a>(recipe: &'a [String], from: Option<&str>, to: Option<&str>) -> Result<&'a [String]> {
    let order = || recipe.join(", ");
    let place = |option: &str, name: &str| {
        let place = recipe.iter().position(|stage| stage == name);
        place.ok_or_else(|| Failure::new(format!("{option} {name}: no such stage; the order is {}", order())))
    };
    let first = from.map_or(Ok(0), |name| place("--from", name))?;
    let last = to.map_or(Ok(recipe.len() - 1), |name| place("--to", name))?;
    let stages = (first <= last).then(|| &recipe[first..=last]);
    stages.ok_or_else(|| {
        let [first, last] = [first, last].map(|place| &recipe[place]);
        Failure::new(format!(
            "--from {first} comes after --to {last}: the order is {}",
            order()
        ))
    })
}

/// The arguments that `rlhf` runs a stage with.
fn stage_arguments(args: &Args, config: Option<&Path>, stage: &str) -> Vec<String> {
    let run = args.run.clone().unwrap_or_else(|| from_root("runs/default"));
    let mut words = vec![stage.to_owned()];
    let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
    if let Some(config) = config {
        option("--config", config.display().to_string());
    }
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
    if args.ignore_memory {
        words.push("--ignore-memory".to_owned());
    }
    // The stages that are run begin with it.
    if args.from.is_some() {
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
fn explained(failure: Failure, stage: &str, args: &Args) -> Failure {
    match (failure.code, &args.from) {
        (process::INTERRUPTED, None) => eprintln!("interrupted in stage {stage}; the same command continues there"),
        (process::INTERRUPTED, Some(_)) => {
            eprintln!("interrupted in stage {stage}; the same command without --from continues there");
        }
        _ => eprintln!(
            "stage {stage} failed; what the stages before it made is kept, and once what it says is mended, this goes on there:\n  {}",
            going_on(std::env::args().skip(1))
        ),
    }
    failure
}

/// The command that goes on where a stage failed: the same one, without a first stage that would be done anew.
fn going_on(words: impl Iterator<Item = String>) -> String {
    let mut command = vec!["cargo xtask".to_owned()];
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        if word == "--from" {
            words.next();
        } else if !word.starts_with("--from=") {
            let is_plain = |letter: char| letter.is_alphanumeric() || "-_./:=,".contains(letter);
            let quoted = if word.chars().all(is_plain) {
                word
            } else {
                format!("'{word}'")
            };
            command.push(quoted);
        }
    }
    command.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A recipe of four stages.
    fn recipe() -> Vec<String> {
        ["a", "b", "c", "d"].map(str::to_owned).into()
    }

    #[test]
    fn a_range_of_stages_includes_both_ends() {
        let recipe = recipe();
        assert_eq!(range(&recipe, None, None), Ok(recipe.as_slice()));
        assert_eq!(range(&recipe, Some("b"), Some("c")), Ok(&recipe[1..3]));
        assert_eq!(range(&recipe, Some("c"), None), Ok(&recipe[2..]));
        assert_eq!(range(&recipe, None, Some("a")), Ok(&recipe[..1]));
        assert_eq!(range(&recipe, Some("d"), Some("d")), Ok(&recipe[3..]));
    }

    #[test]
    fn a_range_that_runs_backwards_or_a_stage_that_is_none_is_refused_with_the_order() {
        let refusal = |from, to| {
            let failure = range(&recipe(), from, to).expect_err("there is no such range");
            failure.message.expect("it says why")
        };
        // Neighbours too: a range of none is no range.
        for (from, to) in [("d", "b"), ("d", "c")] {
            let message = refusal(Some(from), Some(to));
            assert!(
                message.starts_with(&format!("--from {from} comes after --to {to}")),
                "{message}"
            );
            assert!(message.contains("a, b, c, d"), "{message}");
        }
        let message = refusal(Some("e"), None);
        assert!(
            message.starts_with("--from e: no such stage") && message.contains("a, b, c, d"),
            "{message}"
        );
        assert!(refusal(None, Some("x")).starts_with("--to x"));
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
            ignore_memory: true,
            ..Args::default()
        };
        let words = stage_arguments(&args, Some(Path::new("c.toml")), "ppo").join(" ");
        let expected = "ppo --config c.toml --run runs/a --set ppo.episodes=8 --set data.root=x --seed 2 --device tch \
                        --base hf://org/name --offline --ignore-memory";
        assert_eq!(words, expected);
    }

    #[test]
    fn a_model_of_the_users_own_is_not_trained_by_the_file_of_the_built_in_run() {
        let with_base = Args {
            base: Some("DIR".into()),
            ..Args::default()
        };
        assert_eq!(config_of(&with_base), None);
        assert!(config_of(&Args::default()).is_some_and(|file| file.ends_with("configs/default.toml")));
        let with_file = Args {
            config: Some("my.toml".into()),
            ..with_base
        };
        assert_eq!(config_of(&with_file), Some("my.toml".into()));
        let words = stage_arguments(&with_file, None, "sft").join(" ");
        assert!(
            words.starts_with("sft --run ") && words.ends_with("--base DIR"),
            "{words}"
        );
    }

    #[test]
    fn a_failed_stage_is_gone_on_with_by_the_same_command_without_a_first_stage() {
        let words = [
            "pipeline",
            "--run",
            "runs/a",
            "--from",
            "sft",
            "--set",
            "sft.lora={ rank = 4 }",
            "--from=ppo",
        ];
        let found = going_on(words.into_iter().map(str::to_owned));
        assert_eq!(found, "cargo xtask pipeline --run runs/a --set 'sft.lora={ rank = 4 }'");
    }

    #[test]
    fn only_an_explicit_first_stage_overwrites() {
        let overwrites = |from: Option<&str>| {
            let args = Args {
                from: from.map(str::to_owned),
                ..Args::default()
            };
            stage_arguments(&args, Some(Path::new("c.toml")), "c").contains(&"--overwrite".to_owned())
        };
        assert!(!overwrites(None));
        assert!(overwrites(Some("b")));
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
