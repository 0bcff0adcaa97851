//! `cargo xtask test` and `cargo xtask check`.

use crate::device;
use crate::process::{self, Result, cargo};

#[derive(Debug, clap::Args)]
pub(crate) struct TestArgs {
    /// flex runs every test; another device runs the parity tests on it
    #[arg(long, default_value = "flex")]
    device: String,
    /// Passed on to cargo test, such as a test's name or `-- --nocapture`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn test(args: &TestArgs) -> Result<()> {
    let mut command = cargo();
    match device::feature(&args.device)? {
        None => command.args(["test", "--workspace"]),
        Some(feature) => command.args(["test", "--package", "rlhf-tests", "--features", feature]),
    };
    if args.device.starts_with("tch") {
        device::with_libtorch(&mut command)?;
    }
    process::run(command.args(&args.rest).env("RLHF_TEST_DEVICE", &args.device))
}

pub(crate) fn check() -> Result<()> {
    process::run(cargo().args(["fmt", "--all", "--check"]))?;
    process::run(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    process::run(
        cargo()
            .args(["doc", "--workspace", "--no-deps"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )
}
