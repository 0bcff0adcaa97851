//! Commands beside the stages: look at a configuration or a file, and use a model.

mod bench;
mod chat;
mod config;
mod data;
pub(crate) mod eval;
mod export;
mod generate;
mod init;
mod input;
mod logprobs;
mod merge;
mod model;
mod output;
mod report;
mod sampling;
mod score;
mod serve;
mod stages;
mod template;
mod turns;
mod watch;

use std::io::ErrorKind;
use std::ops::ControlFlow;

use clap::Subcommand;
use rlhf_pipeline::Locations;

use crate::error::{Error, Result};

/// Tokens that go through a network together.
const TOKENS_AT_ONCE: usize = 8192;
/// Rows that are answered before the next are looked at.
const ROWS_AT_ONCE: usize = 64;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the log-probability of every token of each row
    ///
    /// Rows are JSON lines, {"input_ids":[…]}, {"text":…} or {"prompt":…,"completion":…}; the answer to each is a row
    /// {"logprobs":[…]} whose entry t is ln p(token t + 1 | tokens up to t).
    Logprobs(logprobs::Args),
    /// Print what a reward model says of each row
    ///
    /// Rows, JSON lines or in a file of any kind that stages read, are {"input_ids":[…]}, {"text":…} or {"prompt":…,"completion":…},
    /// the latter perhaps with "label" (a thumb up or down), answered by {"score":…}, or {"prompt":…,"chosen":…,"rejected":…},
    /// {"prompt":…,"completions":[…]}, perhaps with "ranking" (0 is best), or two whole conversations {"chosen":…,"rejected":…},
    /// answered by {"scores":[…]}. After comparisons comes a row
    /// {"pair_accuracy":…,"n":…,"low":…,"high":…} with Wilson's 95 % interval. Answers that are the same are no pair.
    Score(score::Args),
    /// Complete a prompt, or every prompt of a file
    Generate(generate::Args),
    /// Talk with a model
    Chat(chat::Args),
    /// Print each conversation as the model reads it: its text, its tokens, and which of them are the assistant's
    ///
    /// Rows are JSON lines, {"messages":[{"role":…,"content":…}]}, perhaps with "tools", answered by
    /// {"text":…,"input_ids":[…],"assistant_mask":[…]}.
    Template(template::Args),
    /// Write a model with LoRA adapters as a model without: their updates are added to its weights
    Merge(merge::Args),
    /// Write a model as a GGUF file, for llama.cpp, Ollama and LM Studio: with tokenizer and chat template, adapters merged
    Export(export::Args),
    /// Write a run as one page, report.html, or several runs beside each other
    ///
    /// `rlhf report --run DIR` writes DIR/report.html, `rlhf report --run A --run B` writes A/comparison.html, unless --out says where. A
    /// run may have only some of its stages; what is damaged is named on the page.
    Report(report::Args),
    /// Print the stages of the recipe in order, one a line
    Stages,
    /// Look at a model, data and this machine, and print a commented configuration that suits them
    ///
    /// `rlhf init --base DIR --data DIR > my.toml`: adapters or all weights, learning rates by size with their source, lengths from the
    /// data, passes that the memory fits, and the time that this machine needs.
    Init(init::Args),
    /// Print the configuration that holds, with the source of each value
    Config(config::Args),
    /// Measure how fast this machine trains and samples: one JSON line a measurement
    Bench(bench::Args),
    /// Show the curves of a run in the terminal while it goes on
    Watch(watch::Args),
    /// Serve models by an OpenAI-compatible API
    ///
    /// `POST /v1/chat/completions` and `/v1/completions`, streamed or whole, `GET /v1/models`, `/healthz`, `/readyz`, `/metrics`. Requests are
    /// answered together as they come. Ctrl-C answers what is under way and ends.
    Serve(serve::Args),
    /// Look at data files
    #[command(subcommand)]
    Data(data::Command),
}

pub(crate) fn run(command: Command, locations: &Locations) -> Result<()> {
    let result = match command {
        Command::Logprobs(args) => logprobs::run(&args, locations),
        Command::Score(args) => score::run(&args, locations),
        Command::Generate(args) => generate::run(&args, locations),
        Command::Chat(args) => chat::run(&args, locations),
        Command::Template(args) => template::run(&args, locations),
        Command::Merge(args) => merge::run(&args, locations),
        Command::Export(args) => export::run(&args, locations),
        Command::Report(args) => report::run(&args),
        Command::Stages => stages::run(),
        Command::Init(args) => init::run(&args, locations),
        Command::Config(args) => config::run(&args, locations),
        Command::Bench(args) => bench::run(&args),
        Command::Watch(args) => watch::run(&args),
        Command::Serve(args) => serve::run(&args, locations),
        Command::Data(command) => data::run(&command, locations),
    };
    match result {
        // Whoever read the output, `head` say, has seen enough.
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Ends generation if the user has had enough.
fn break_if(has_enough: bool) -> ControlFlow<()> {
    if has_enough {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}

/// An error if some of the numbers that a model gave, which are called `name`, are none.
fn check_finite(numbers: &[f32], name: &str) -> Result<()> {
    match numbers.iter().find(|number| !number.is_finite()) {
        None => Ok(()),
        Some(number) => Err(Error::Usage(format!(
            "the model's {name} are not finite ({number}): its weights, or --temperature, lead beyond what f32 holds"
        ))),
    }
}

/// Ends a command between two rows if the user pressed Ctrl-C.
fn check_stop() -> Result<()> {
    if rlhf_core::StopFlag::process().requested() {
        return Err(Error::Interrupted);
    }
    Ok(())
}
