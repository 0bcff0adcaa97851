//! Developer commands, `cargo xtask …`: the order of the stages, the checks, and what they need.
//!
//! It runs other programs and links no tensor crate, so that it builds in seconds.

mod bench;
mod checks;
mod device;
#[cfg(test)]
mod docs;
mod headline;
mod libtorch;
mod pipeline;
mod process;
mod tour;

use std::process::ExitCode;

use clap::Parser;

/// Developer commands of the rlhf workspace.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    arg_required_else_help = true
)]
enum Command {
    /// Build `rlhf` and run its stages in order, ending with the table of results
    ///
    /// Stages that are complete for the same configuration are skipped, and one that was interrupted continues from its
    /// last checkpoint: run the same command again after Ctrl-C, a crash or a reboot.
    Pipeline(pipeline::Args),
    /// A small model after PPO-ptx beside larger ones after SFT, for several seeds: the headline of InstructGPT in miniature
    Headline(headline::Args),
    /// Run the tests; with --device tch the parity tests on libtorch
    Test(checks::TestArgs),
    /// All that CI checks besides the tests, cheapest first: formatting, clippy, documentation
    Check,
    /// Measure how fast this machine trains and samples, as a table
    Bench(bench::Args),
    /// Set up .libtorch/, which the `tch` backend builds and runs with
    ///
    /// Downloads about 0.9 GB from PyPI, keeps about 0.5 GB.
    Libtorch(libtorch::Args),
    /// Write the line numbers of docs/tour.md anew, where code that it shows has moved
    Tour,
}

fn main() -> ExitCode {
    let result = match Command::parse() {
        Command::Pipeline(args) => pipeline::run(&args),
        Command::Headline(args) => headline::run(&args),
        Command::Test(args) => checks::test(&args),
        Command::Check => checks::check(),
        Command::Bench(args) => bench::run(&args),
        Command::Libtorch(args) => libtorch::run(&args),
        Command::Tour => tour::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message {
                eprintln!("error: {message}");
            }
            ExitCode::from(failure.code)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Command::command().debug_assert();
    }
}
