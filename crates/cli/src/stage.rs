//! A subcommand for each stage of the recipe.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};
use rlhf_hub::Want;
use rlhf_pipeline::{Locations, Options, Run, RunLocations, STAGES, Stage};

use crate::config::ConfigArgs;
use crate::error::Result;
use crate::progress::{Terminal, say};

/// Options of every stage.
#[derive(Debug, Clone, Args)]
struct StageArgs {
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

/// A stage to run; the list of the recipe says which there are.
pub(crate) struct StageCommand {
    stage: &'static dyn Stage,
    args: StageArgs,
}

impl std::fmt::Debug for StageCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple(self.stage.name()).field(&self.args).finish()
    }
}

impl StageCommand {
    /// Runs the stage, or finds that it has been run.
    pub(crate) fn run(&self, offline: bool) -> Result<()> {
        // At the commit that the run has, or begins with.
        let folder_of = |base: &Path| {
            let locations = Locations::new(offline, Rc::new(Terminal));
            let locations = RunLocations::open(locations, &self.args.run).ok()?;
            locations.model(base, Want::Tokenizer).ok()
        };
        let loaded = self.args.config.load(folder_of)?;
        let options = Options {
            overwrite: self.args.overwrite,
            ignore_memory: self.args.ignore_memory,
            offline,
            resolved: Some(loaded.resolved_toml_with_sources()),
            listener: Rc::new(Terminal),
        };
        let run = Run::open(&self.args.run, loaded.config, options)?;
        let finished = run.stage(self.stage)?;
        for line in finished.findings.iter().flat_map(|findings| findings.lines()) {
            say(line)?;
        }
        Ok(())
    }
}

fn named(name: &str) -> Option<&'static dyn Stage> {
    STAGES.into_iter().find(|stage| stage.name() == name)
}

impl Subcommand for StageCommand {
    fn augment_subcommands(command: Command) -> Command {
        STAGES.into_iter().fold(command, |command, stage| {
            // Said last, for the arguments would say what they are.
            let own = StageArgs::augment_args(Command::new(stage.name()));
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
        Ok(Self {
            stage: named(name).ok_or_else(|| clap::Error::new(ErrorKind::InvalidSubcommand))?,
            args: StageArgs::from_arg_matches(matches)?,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
