//! `rlhf data …`.

use std::path::PathBuf;

use rlhf_data::{Tokenizer, inspect};

use super::output::Output;
use crate::error::Result;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Count what is in a file of demonstrations, comparisons, prompts or text, and show its first row
    Inspect(InspectArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct InspectArgs {
    /// .jsonl, .json or .txt, or one of these and .gz, or .parquet
    file: PathBuf,
    /// Folder of a model or of a stage, whose tokenizer counts lengths in tokens too
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &Command) -> Result<()> {
    let Command::Inspect(args) = command;
    let tokenizer = args.model.as_deref().map(Tokenizer::load).transpose()?;
    let found = inspect(&args.file, tokenizer.as_ref())?;
    let mut output = Output::open();
    match args.json {
        true => output.row(&found)?,
        false => output.text(&format!("{found}\n"))?,
    }
    output.flush()
}
