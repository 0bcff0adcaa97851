//! Scripts that compare with Python's libraries, run where `RLHF_PYTHON` names a Python that has them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The exit status of a script where Python lacks something.
const SKIPPED: i32 = 77;

/// Runs a script of this folder on some folders; whether it ran to its end. A script that finds a difference fails the
/// test.
pub(crate) fn run(script: &str, cases: &[PathBuf]) -> bool {
    let Some(python) = std::env::var_os("RLHF_PYTHON") else {
        eprintln!("skipped: RLHF_PYTHON names no Python");
        return false;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
    let output = Command::new(python)
        .arg(script)
        .args(cases)
        .output()
        .expect("RLHF_PYTHON starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    eprintln!("{said}");
    if output.status.code() == Some(SKIPPED) {
        return false;
    }
    assert!(output.status.success(), "{said}");
    true
}
