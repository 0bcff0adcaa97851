//! `cargo xtask headline`: a small model after PPO-ptx beside larger ones after SFT, by `configs/headline.toml`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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
    #[arg(long, value_delimiter = ',', default_value = "1,2,3")]
    seeds: Vec<u64>,
    /// Weights of the KL penalty of PPO-ptx that are tried beside the configured one
    #[arg(long, value_delimiter = ',', default_value = "0.05,0.8")]
    kl: Vec<f64>,
}

/// The run that the others of a seed are compared with, and forked from.
const SMALL: &str = "small";
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

/// The runs of a seed. Larger models learn at smaller rates, as their width is larger.
fn plans(kl: &[f64]) -> Vec<Plan> {
    let plan = |name: &str, set: &[&str], stages, is_fork| Plan {
        name: name.to_owned(),
        set: set.iter().map(|set| (*set).to_owned()).collect(),
        stages,
        is_fork,
    };
    let larger = |name: &str, layers: usize, width: usize, heads: usize, rate: f64| {
        let set = [
            format!("model.n_layers={layers}"),
            format!("model.d_model={width}"),
            format!("model.n_heads={heads}"),
            format!("pretrain.lr.peak_lr={}", 4e-3 * rate),
            format!("sft.lr.peak_lr={}", 1.5e-3 * rate),
        ];
        plan(name, &set.each_ref().map(String::as_str), FINE_TUNED, false)
    };
    let mut plans = vec![
        plan(SMALL, &[], WHOLE, false),
        plan("small-ppo", &["ppo.ptx.coef=0"], WHOLE, true),
    ];
    plans.extend(
        kl.iter()
            .map(|kl| plan(&format!("small-kl-{kl}"), &[&format!("ppo.kl.coef={kl}")], WHOLE, true)),
    );
    plans.push(larger("medium", 3, 128, 4, 1.0));
    plans.push(larger("large", 7, 192, 6, 0.67));
    plans
}

/// The models that stand in the matrix of preferences, by the folder of their run and stage.
const COMPARED: [(&str, &str, &str); 5] = [
    ("small-sft", SMALL, "sft"),
    ("small-ppo", "small-ppo", "ppo"),
    ("small-ppo-ptx", SMALL, "ppo"),
    ("medium-sft", "medium", "sft"),
    ("large-sft", "large", "sft"),
];

pub(crate) fn run(args: &Args) -> Result<()> {
    process::outlive_interrupts()?;
    let rlhf = build("flex")?;
    let config = args
        .config
        .clone()
        .unwrap_or_else(|| from_root("configs/headline.toml"));
    for seed in &args.seeds {
        let folder = args.run.join(format!("seed-{seed}"));
        for plan in plans(&args.kl) {
            let run = folder.join(&plan.name);
            if plan.is_fork {
                fork(&folder.join(SMALL), &run)?;
            }
            for stage in plan.stages {
                let mut command = Command::new(&rlhf);
                command.arg(stage).arg("--config").arg(&config).arg("--run").arg(&run);
                command.args(["--seed", &seed.to_string()]);
                for set in &plan.set {
                    command.args(["--set", set]);
                }
                process::run(&mut command)?;
            }
        }
        process::run(&mut matrix(&rlhf, &config, &folder, *seed))?;
    }
    Ok(())
}

/// Everybody's answers to the prompts of the small run's test, judged by the judge of the world.
fn matrix(rlhf: &Path, config: &Path, folder: &Path, seed: u64) -> Command {
    let mut command = Command::new(rlhf);
    command.args(["eval", "preference", "--judge", "task"]);
    command.arg("--config").arg(config);
    command.args(["--seed", &seed.to_string()]);
    for (name, run, stage) in COMPARED {
        let model = folder.join(run).join(stage);
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
        let plans = plans(&[0.05]);
        for (name, run, stage) in COMPARED {
            let plan = plans.iter().find(|plan| plan.name == run);
            assert!(plan.is_some_and(|plan| plan.stages.contains(&stage)), "{name}");
        }
        assert!(
            plans
                .iter()
                .any(|plan| plan.name == "small-kl-0.05" && plan.set == ["ppo.kl.coef=0.05"])
        );
        assert_eq!(plans[0].name, SMALL, "others are forks of it");
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
