//! Commands beside the stages.

use clap::Subcommand;

use crate::error::Result;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
}

pub(crate) fn run(command: Command) -> Result<()> {
    match command {}
}
