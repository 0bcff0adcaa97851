//! `rlhf config`.

use super::output::Output;
use crate::ConfigArgs;
use crate::config::Config;
use crate::error::Result;
use crate::run::load_config;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print every key with its default and description, as Markdown tables
    #[arg(long, conflicts_with_all = ["config", "set", "device", "seed"])]
    markdown: bool,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let text = match args.markdown {
        true => rlhf_config::markdown_table::<Config>()?,
        false => load_config(&args.config)?.resolved_toml_with_sources(),
    };
    let mut output = Output::open();
    output.text(&text)?;
    output.flush()
}
