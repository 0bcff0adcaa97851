//! `rlhf config`.

use std::path::Path;

use rlhf_hub::Want;
use rlhf_pipeline::{Config, Locations};

use super::output::Output;
use crate::config::ConfigArgs;
use crate::error::Result;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print every key with its default and description, as Markdown tables
    #[arg(long, conflicts_with_all = ["config", "set", "device", "seed"])]
    markdown: bool,
}

pub(super) fn run(args: &Args, locations: &Locations) -> Result<()> {
    let text = if args.markdown {
        rlhf_config::markdown_table::<Config>()?
    } else {
        let folder_of = |base: &Path| locations.model(base, Want::Tokenizer).ok();
        args.config.load(folder_of)?.resolved_toml_with_sources()
    };
    let mut output = Output::open();
    output.text(&text)?;
    output.flush()
}
