//! The `rlhf` command: one subcommand per stage of the recipe, and the commands to look at what they made.

mod commands;
mod config;
mod error;
mod progress;
mod stage;

use std::process::ExitCode;
use std::rc::Rc;

use clap::{Parser, Subcommand};
use rlhf_pipeline::Locations;

use crate::error::Result;
use crate::progress::Terminal;
use crate::stage::StageCommand;

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
    #[command(flatten)]
    Stage(StageCommand),
    #[command(flatten)]
    Other(commands::Command),
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
    let result = match cli.command {
        // It only waits, and the models compute on threads of theirs: a thread of the pool that waits is missing there.
        Command::Other(commands::Command::Serve(_)) => dispatch(cli),
        _ => rayon::scope(|_| dispatch(cli)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress::note(&format!("error: {error}"));
            ExitCode::from(if error.is_interrupt() { 130 } else { 1 })
        }
    }
}

fn dispatch(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Stage(command) => command.run(cli.offline),
        Command::Other(command) => commands::run(command, &Locations::new(cli.offline, Rc::new(Terminal))),
    }
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
