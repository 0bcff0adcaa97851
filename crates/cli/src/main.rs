//! The `rlhf` command: one subcommand per stage of the recipe, and the commands to look at what they made.

mod commands;
mod config;
mod error;
mod memory;
mod pace;
mod places;
mod progress;
mod run;
mod stages;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::error::Result;
use crate::places::Places;
use crate::stages::Stage;

/// Keeps the pages of large temporaries instead of mapping them anew at every step.
#[global_allocator]
static ALLOCATOR: rlhf_kernels::allocator::Allocator = rlhf_kernels::allocator::Allocator;

/// Align a language model as InstructGPT describes it: SFT, K-wise reward model, PPO-ptx.
#[derive(Debug, Parser)]
#[command(name = "rlhf", version, arg_required_else_help = true)]
struct Cli {
    /// Take what is named hf://… from the cache alone, as HF_HUB_OFFLINE=1 does
    #[arg(long, global = true)]
    offline: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the data of the built-in world, train the tokenizer
    Tokenizer(StageArgs),
    /// Train a language model on text, from random weights
    Pretrain(StageArgs),
    /// Fine-tune it on demonstrations (step 1)
    Sft(StageArgs),
    /// Sample K answers to each prompt from the SFT model (step 2)
    Sample(StageArgs),
    /// Rank the answers (step 2)
    Label(StageArgs),
    /// Train the reward model on the rankings (step 2)
    Reward(StageArgs),
    /// Optimise the SFT model against the reward model (step 3)
    Ppo(StageArgs),
    /// Compare base, SFT, best-of-n and PPO on held-out prompts
    Eval(StageArgs),
    #[command(flatten)]
    Other(commands::Command),
}

/// Options of every stage.
#[derive(Debug, Clone, Args)]
pub(crate) struct StageArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Folder of the run
    #[arg(long, default_value = "runs/default")]
    pub(crate) run: PathBuf,
    /// Do the stage again from its start, whatever it began or finished earlier
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Start even if the memory forecast says that the stage cannot fit
    #[arg(long)]
    pub(crate) ignore_memory: bool,
}

/// Where the configuration comes from.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigArgs {
    /// TOML file; without it the built-in defaults hold
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
    /// Override one key, such as --set ppo.kl.coef=0.02; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Device: flex, tch, tch:cuda:N, cuda:N or wgpu, as far as this build has them
    #[arg(long)]
    pub(crate) device: Option<String>,
    /// Seed of everything random
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Model to start from instead of pretraining, data.base: a folder with config.json, model.safetensors, tokenizer.json, which
    /// starts from data.root if it is relative, or `hf://org/name[@revision]`
    #[arg(long, value_name = "DIR")]
    pub(crate) base: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    install_tracing();
    let stop = rlhf_core::StopFlag::process();
    let handler = ctrlc::set_handler(move || {
        if stop.request() {
            std::process::exit(130);
        }
        progress::note("stopping after this step; press Ctrl-C again to stop at once");
    });
    if let Err(error) = handler {
        tracing::warn!(%error, "Ctrl-C will end the process without a checkpoint");
    }
    // On a thread of the pool that computes: it takes a share of the work it hands out, where the main thread would
    // only be put to sleep and woken again at every operation.
    match rayon::scope(|_| dispatch(cli.command, Places::new(cli.offline))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress::note(&format!("error: {error}"));
            ExitCode::from(if error.is_interrupt() { 130 } else { 1 })
        }
    }
}

fn dispatch(command: Command, places: Places) -> Result<()> {
    let (stage, args) = match command {
        Command::Tokenizer(args) => (Stage::Tokenizer, args),
        Command::Pretrain(args) => (Stage::Pretrain, args),
        Command::Sft(args) => (Stage::Sft, args),
        Command::Sample(args) => (Stage::Sample, args),
        Command::Label(args) => (Stage::Label, args),
        Command::Reward(args) => (Stage::Reward, args),
        Command::Ppo(args) => (Stage::Ppo, args),
        Command::Eval(args) => (Stage::Eval, args),
        Command::Other(command) => return commands::run(command, &places),
    };
    // Steps of training need again what the last one freed; what only reads a model does not.
    rlhf_kernels::allocator::keep_freed_pages();
    run::run_stage(stage, &args, places)
}

fn install_tracing() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("RLHF_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
}
