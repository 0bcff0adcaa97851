//! `rlhf eval likelihood`.

use rlhf_pipeline::Locations;

use crate::error::{Error, Result};

/// Options of the evaluation.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Evaluates.
pub(crate) fn run(_args: &Args, _locations: &Locations) -> Result<()> {
    Err(Error::Usage("not yet".to_owned()))
}
