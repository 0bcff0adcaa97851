//! `rlhf data …`.

use std::path::{Path, PathBuf};

use rlhf_data::{InspectOptions, Tokenizer, inspect};
use rlhf_hub::Want;
use rlhf_model::load_config;
use rlhf_pipeline::Locations;

use super::output::Output;
use crate::error::{Error, Result};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Count what is in a file of demonstrations, comparisons, prompts or text, and show a row
    ///
    /// With a model also in its tokens: what of each row a stage would leave out or shorten, by which rule, and the row as the
    /// model is given it, each token with its id and whether it is learnt.
    Inspect(InspectArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct InspectArgs {
    /// .jsonl, .json or .txt, or one of these and .gz, or .parquet; or `hf://org/name[@revision][/path]`, a data set
    file: PathBuf,
    /// Folder of a model or of a stage, or `hf://org/name[@revision]`, whose tokenizer counts lengths in tokens too
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Tokens of a sequence at most; without it the model's own context
    #[arg(long, value_name = "N", requires = "model")]
    max_seq_len: Option<usize>,
    /// Prompts of more tokens lose the end of their last question, as in a run with this data.max_prompt_tokens
    #[arg(long, value_name = "N", requires = "model")]
    max_prompt_tokens: Option<usize>,
    /// Room for an answer that a prompt has to leave, in tokens [default: 64 for files of prompts]
    #[arg(long, value_name = "N", requires = "model")]
    max_new_tokens: Option<usize>,
    /// The row to show
    #[arg(long, value_name = "N", default_value_t = 1)]
    row: usize,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &Command, locations: &Locations) -> Result<()> {
    let Command::Inspect(args) = command;
    if args.max_seq_len.is_some_and(|tokens| tokens < 2) {
        return Err(Error::Usage("--max-seq-len: expected at least 2".into()));
    }
    let model = args.model.as_deref();
    let model = model.map(|model| locations.model(model, Want::Tokenizer)).transpose()?;
    let tokenizer = model.as_deref().map(Tokenizer::load).transpose()?;
    let of_model = model.as_deref().map(context_of).transpose()?.flatten();
    let options = InspectOptions {
        tokenizer: tokenizer.as_ref(),
        max_seq_len: args.max_seq_len.or(of_model),
        max_new_tokens: args.max_new_tokens,
        max_prompt_tokens: args.max_prompt_tokens,
        row: args.row,
    };
    let mut output = Output::open();
    for file in locations.data(&args.file)? {
        let found = inspect(&file, &options)?;
        if args.json {
            output.row(&found)?;
        } else {
            output.text(&format!("{found}\n"))?;
        }
    }
    output.flush()
}

/// The longest sequence of a model; nothing for a folder with a tokenizer alone.
fn context_of(dir: &Path) -> Result<Option<usize>> {
    if !dir.is_file() && !dir.join("config.json").exists() {
        return Ok(None);
    }
    Ok(Some(load_config(dir)?.max_seq_len()))
}
