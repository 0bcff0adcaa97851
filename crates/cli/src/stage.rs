//! A subcommand for each stage of the recipe.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use rlhf_hub::Want;
use rlhf_pipeline::stages::{Eval, Overopt};
use rlhf_pipeline::{Locations, Options, Run, RunLocations, STAGES, Stage};

use crate::commands::eval::Evaluation;
use crate::config::ConfigArgs;
use crate::error::Result;
use crate::progress::{Terminal, say};

/// Options of every stage.
#[derive(Debug, Clone, Args)]
pub(crate) struct StageArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Folder of the run
    #[arg(long, default_value = "runs/default")]
    run: PathBuf,
    /// Do the stage again from its start, whatever it began or finished earlier
    #[arg(long)]
    overwrite: bool,
    /// Start even if the memory forecast says that the stage cannot fit
    #[arg(long)]
    ignore_memory: bool,
}

/// A stage to run; the list of the recipe says which there are. Under the name of the last one there are also the evaluations of any
/// checkpoints, which need no run.
pub(crate) enum StageCommand {
    /// The stage of that name.
    Stage(&'static dyn Stage, StageArgs),
    /// `rlhf eval` with the name of an evaluation.
    Evaluation(Evaluation),
}

impl std::fmt::Debug for StageCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stage(stage, args) => f.debug_tuple(stage.name()).field(args).finish(),
            Self::Evaluation(evaluation) => f.debug_tuple(Eval.name()).field(evaluation).finish(),
        }
    }
}

impl StageCommand {
    /// Runs the stage, or finds that it has been run; or evaluates.
    pub(crate) fn run(&self, offline: bool) -> Result<()> {
        match self {
            Self::Stage(stage, args) => {
                // Steps of training need again what the last one freed; what only reads a model does not.
                rlhf_kernels::allocator::keep_freed_pages();
                args.run(*stage, offline)
            }
            Self::Evaluation(evaluation) => evaluation.run(&Locations::new(offline, Rc::new(Terminal))),
        }
    }
}

impl StageArgs {
    fn run(&self, stage: &'static dyn Stage, offline: bool) -> Result<()> {
        // At the commit that the run has, or begins with.
        let folder_of = |base: &Path| {
            let locations = Locations::new(offline, Rc::new(Terminal));
            let locations = RunLocations::open(locations, &self.run).ok()?;
            locations.model(base, Want::Tokenizer).ok()
        };
        let loaded = self.config.load(folder_of)?;
        let options = Options {
            overwrite: self.overwrite,
            ignore_memory: self.ignore_memory,
            offline,
            resolved: Some(loaded.resolved_toml_with_sources()),
            listener: Rc::new(Terminal),
        };
        let run = Run::open(&self.run, loaded.config, options)?;
        let finished = run.stage(stage)?;
        for line in finished.findings.iter().flat_map(|findings| findings.lines()) {
            say(line)?;
        }
        Ok(())
    }
}

/// The stages of the recipe, and what is no stage of it but works in the folder of a run like one.
fn all() -> impl Iterator<Item = &'static dyn Stage> {
    STAGES.into_iter().chain([&Overopt as &'static dyn Stage])
}

fn named(name: &str) -> Option<&'static dyn Stage> {
    all().find(|stage| stage.name() == name)
}

impl Subcommand for StageCommand {
    fn augment_subcommands(command: Command) -> Command {
        all().fold(command, |command, stage| {
            // Said last, for the arguments would say what they are.
            let own = StageArgs::augment_args(Command::new(stage.name()));
            let own = if stage.name() == Eval.name() {
                Evaluation::augment_subcommands(own)
                    .subcommand_required(false)
                    .arg_required_else_help(false)
                    .args_conflicts_with_subcommands(true)
            } else {
                own
            };
            command.subcommand(own.about(stage.about()).long_about(None))
        })
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        named(name).is_some()
    }
}

impl FromArgMatches for StageCommand {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let (name, matches) = matches
            .subcommand()
            .ok_or_else(|| clap::Error::new(ErrorKind::MissingSubcommand))?;
        if matches.subcommand().is_some() {
            return Ok(Self::Evaluation(Evaluation::from_arg_matches(matches)?));
        }
        let stage = named(name).ok_or_else(|| clap::Error::new(ErrorKind::InvalidSubcommand))?;
        Ok(Self::Stage(stage, StageArgs::from_arg_matches(matches)?))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
