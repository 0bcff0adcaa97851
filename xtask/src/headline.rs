//! `cargo xtask headline`: a small model after PPO-ptx beside larger ones after SFT, by `configs/headline.toml`.

mod tables;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use crate::pipeline::build;
use crate::process::{self, Failure, Result, from_root};

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    /// Configuration of the small model
    #[arg(long)]
    config: Option<PathBuf>,
    /// Folder of the runs
    #[arg(long, default_value = "runs/headline")]
    run: PathBuf,
    /// Seeds, one after the other
    #[arg(long, value_delimiter = ',', default_value = "21,22,23")]
    seeds: Vec<u64>,
    /// Weights of the KL penalty of PPO-ptx that are tried beside the configured one
    #[arg(long, value_delimiter = ',', default_value = "0.05,0.8")]
    kl: Vec<f64>,
    /// Larger models, which are only fine-tuned on demonstrations: layers x width x heads
    #[arg(long, value_delimiter = ',', default_value = "3x128x4,7x192x6")]
    larger: Vec<Size>,
    /// A setting of every run, as in `rlhf --set`; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// The shape of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    layers: usize,
    width: usize,
    heads: usize,
}

impl Size {
    /// The name of its run.
    fn name(self) -> String {
        format!("sft-{}x{}", self.layers, self.width)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        let numbers: Option<Vec<usize>> = given.split('x').map(|number| number.parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[layers, width, heads]) if layers > 0 && heads > 0 && width > 0 && width % heads == 0 => {
                Ok(Self { layers, width, heads })
            }
            _ => Err("expected layers x width x heads, such as 7x192x6, with heads that divide the width".into()),
        }
    }
}

/// The run that the others of a seed are compared with, and forked from.
const SMALL: &str = "small";
/// The same without the pretraining mix.
const WITHOUT_PTX: &str = "small-ppo";
/// The width up to which the rates of the configuration hold; above, they fall with the width.
const WIDTH_OF_RATES: usize = 128;
/// Stages that a fork takes over.
const SHARED: [&str; 7] = ["data", "tokenizer", "pretrain", "sft", "sample", "label", "reward"];

/// A run of the comparison.
#[derive(Debug, Clone, PartialEq)]
struct Plan {
    name: String,
    /// What differs from the configuration.
    set: Vec<String>,
    stages: &'static [&'static str],
    /// It begins where the small run had its reward model.
    is_fork: bool,
}

const WHOLE: &[&str] = &[
    "tokenizer",
    "pretrain",
    "sft",
    "sample",
    "label",
    "reward",
    "ppo",
    "eval",
];
const FINE_TUNED: &[&str] = &["tokenizer", "pretrain", "sft"];

/// The name of the fork with another weight of the KL penalty.
fn of_kl(kl: f64) -> String {
    format!("small-kl-{kl}")
}

/// The runs of a seed. Wider models learn at smaller rates.
fn plans(kl: &[f64], larger: &[Size]) -> Vec<Plan> {
    let fork = |name: &str, set: String| Plan {
        name: name.to_owned(),
        set: vec![set],
        stages: WHOLE,
        is_fork: true,
    };
    let small = Plan {
        name: SMALL.to_owned(),
        set: Vec::new(),
        stages: WHOLE,
        is_fork: false,
    };
    let sweep = kl.iter().map(|&kl| fork(&of_kl(kl), format!("ppo.kl.coef={kl}")));
    let larger = larger.iter().map(|&size| {
        let rate = WIDTH_OF_RATES.min(size.width) as f64 / size.width as f64;
        Plan {
            name: size.name(),
            set: vec![
                format!("model.n_layers={}", size.layers),
                format!("model.d_model={}", size.width),
                format!("model.n_heads={}", size.heads),
                format!("pretrain.lr.peak_lr={:.2e}", 4e-3 * rate),
                format!("sft.lr.peak_lr={:.2e}", 1.5e-3 * rate),
            ],
            stages: FINE_TUNED,
            is_fork: false,
        }
    });
    [small, fork(WITHOUT_PTX, "ppo.ptx.coef=0".to_owned())]
        .into_iter()
        .chain(sweep)
        .chain(larger)
        .collect()
}

/// The models that stand in the matrix of preferences: name, and folder of run and stage.
fn compared(larger: &[Size]) -> Vec<(String, PathBuf)> {
    let of = |name: &str, run: &str, stage: &str| (name.to_owned(), Path::new(run).join(stage));
    let larger = larger.iter().map(|size| of(&size.name(), &size.name(), "sft"));
    [
        of("small-sft", SMALL, "sft"),
        of("small-ppo", WITHOUT_PTX, "ppo"),
        of("small-ppo-ptx", SMALL, "ppo"),
    ]
    .into_iter()
    .chain(larger)
    .collect()
}

#[expect(clippy::print_stdout, reason = "the tables are what the command was asked for")]
pub(crate) fn run(args: &Args) -> Result<()> {
    process::outlive_interrupts()?;
    let rlhf = build("flex")?;
    let config = args
        .config
        .clone()
        .unwrap_or_else(|| from_root("configs/headline.toml"));
    for seed in &args.seeds {
        let folder = args.run.join(format!("seed-{seed}"));
        for plan in plans(&args.kl, &args.larger) {
            let run = folder.join(&plan.name);
            if plan.is_fork {
                fork(&folder.join(SMALL), &run)?;
            }
            for stage in plan.stages {
                let mut command = Command::new(&rlhf);
                command.arg(stage).arg("--config").arg(&config).arg("--run").arg(&run);
                command.args(["--seed", &seed.to_string()]);
                for set in args.set.iter().chain(&plan.set) {
                    command.args(["--set", set]);
                }
                process::run(&mut command)?;
            }
        }
        process::run(&mut matrix(args, &rlhf, &config, &folder, *seed))?;
    }
    print!("{}", tables::markdown(args)?);
    Ok(())
}

/// Everybody's answers to the prompts of the small run's test, judged by the judge of the world.
fn matrix(args: &Args, rlhf: &Path, config: &Path, folder: &Path, seed: u64) -> Command {
    let mut command = Command::new(rlhf);
    command.args(["eval", "preference", "--judge", "task"]);
    command.arg("--config").arg(config);
    command.args(["--seed", &seed.to_string()]);
    for set in &args.set {
        command.args(["--set", set]);
    }
    for (name, model) in compared(&args.larger) {
        let model = folder.join(model);
        command.arg("--model").arg(format!("{name}={}", model.display()));
    }
    command
        .arg("--prompts")
        .arg(folder.join(SMALL).join("data/prompts.held_out.jsonl"))
        .args(["--part", "test"])
        .arg("--out")
        .arg(folder.join("preference"));
    command
}

/// Copies what a run has done before PPO, unless it is there already.
fn fork(from: &Path, to: &Path) -> Result<()> {
    for stage in SHARED {
        if !to.join(stage).exists() {
            copy(&from.join(stage), &to.join(stage))?;
        }
    }
    Ok(())
}

/// Copies a folder and all below it: whole or not at all, as far as the name says.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let fault = |path: &Path, error: std::io::Error| Failure::new(format!("{}: {error}", path.display()));
    let half = to.with_extension("half");
    if half.exists() {
        fs::remove_dir_all(&half).map_err(|error| fault(&half, error))?;
    }
    let mut folders = vec![(from.to_owned(), half.clone())];
    while let Some((from, to)) = folders.pop() {
        fs::create_dir_all(&to).map_err(|error| fault(&to, error))?;
        for entry in fs::read_dir(&from).map_err(|error| fault(&from, error))? {
            let path = entry.map_err(|error| fault(&from, error))?.path();
            let Some(name) = path.file_name() else { continue };
            if path.is_dir() {
                folders.push((path.clone(), to.join(name)));
            } else {
                fs::copy(&path, to.join(name)).map_err(|error| fault(&path, error))?;
            }
        }
    }
    fs::rename(&half, to).map_err(|error| fault(to, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_of_the_matrix_is_made_by_a_plan_that_has_its_stage() {
        let larger = ["3x128x4", "7x192x6"].map(|size| size.parse().expect("a size"));
        let plans = plans(&[0.05], &larger);
        for (name, model) in compared(&larger) {
            let plan = plans.iter().find(|plan| model.starts_with(&plan.name));
            let stage = model.file_name().and_then(|name| name.to_str()).expect("a stage");
            assert!(plan.is_some_and(|plan| plan.stages.contains(&stage)), "{name}");
        }
        let set = |name: &str| {
            plans
                .iter()
                .find(|plan| plan.name == name)
                .map(|plan| plan.set.join(" "))
        };
        assert_eq!(set("small-kl-0.05").as_deref(), Some("ppo.kl.coef=0.05"));
        let rates = "pretrain.lr.peak_lr=2.67e-3 sft.lr.peak_lr=1.00e-3";
        assert_eq!(
            set("sft-7x192"),
            Some(format!("model.n_layers=7 model.d_model=192 model.n_heads=6 {rates}"))
        );
        assert_eq!(plans[0].name, SMALL, "others are forks of it");
    }

    #[test]
    fn a_size_has_three_numbers_and_heads_that_divide_its_width() {
        for given in ["7x192", "7x192x5", "0x64x4", "axbxc", ""] {
            assert!(given.parse::<Size>().is_err(), "{given}");
        }
    }

    #[test]
    fn a_fork_has_what_came_before_ppo_and_what_it_has_is_left_alone() {
        let dir = std::env::temp_dir().join(format!("rlhf-headline-{}", std::process::id()));
        let [from, to] = ["small", "fork"].map(|name| dir.join(name));
        for stage in SHARED {
            fs::create_dir_all(from.join(stage).join("below")).expect("a temporary folder");
            fs::write(from.join(stage).join("below/file"), stage).expect("a temporary folder");
        }
        fs::create_dir_all(to.join("label")).expect("a temporary folder");
        fork(&from, &to).expect("it copies");
        assert_eq!(
            fs::read_to_string(to.join("reward/below/file")).ok().as_deref(),
            Some("reward")
        );
        assert!(!to.join("label/below").exists());
        fs::remove_dir_all(&dir).expect("a temporary folder");
    }
}
