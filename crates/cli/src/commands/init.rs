//! `rlhf init`.

use std::path::PathBuf;

use rlhf_pipeline::Locations;
use rlhf_pipeline::suggest::{Asked, suggest};

use super::output::Output;
use crate::error::{Error, Result};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Model to start from: a folder, a GGUF file, or `hf://org/name[@revision][/path]`
    #[arg(long, value_name = "DIR")]
    base: Option<PathBuf>,
    /// Folder with demonstrations, comparisons, prompts or text; what each file is, its rows say
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Do not spend ten seconds on measuring how fast this machine is
    #[arg(long)]
    no_trial: bool,
}

pub(super) fn run(args: &Args, locations: &Locations) -> Result<()> {
    if args.data.is_some() && args.base.is_none() {
        return Err(Error::Usage(
            "--data needs --base, the model whose tokens are counted and which is to learn from it".into(),
        ));
    }
    let asked = Asked {
        base: args.base.as_deref(),
        data: args.data.as_deref(),
        trial: !args.no_trial,
    };
    let text = suggest(asked, locations)?;
    let mut output = Output::open();
    output.text(&text)?;
    output.flush()
}
