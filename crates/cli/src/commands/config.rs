//! `rlhf config`.

use rlhf_pipeline::Config;

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

pub(super) fn run(args: &Args) -> Result<()> {
    let text = if args.markdown {
        rlhf_config::markdown_table::<Config>()?
    } else {
        args.config.load()?.resolved_toml_with_sources()
    };
    let mut output = Output::open();
    output.text(&text)?;
    output.flush()
}
