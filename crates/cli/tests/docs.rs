//! Generated texts cannot go stale: the configuration tables, and the files in `configs/`.

use std::path::{Path, PathBuf};
use std::process::Command;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn rlhf(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_rlhf"))
        .args(args)
        .current_dir(repository())
        .output()
        .expect("the binary starts");
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("the configuration is text")
}

#[test]
fn the_configuration_tables_are_those_of_the_binary() {
    let page = std::fs::read_to_string(repository().join("docs/configuration.md")).expect("docs/configuration.md");
    let tables = rlhf(&["config", "--markdown"]);
    assert!(
        page.ends_with(&tables),
        "docs/configuration.md must end with what `rlhf config --markdown` prints"
    );
}

#[test]
fn every_configuration_file_is_valid_and_printing_it_changes_nothing() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for entry in std::fs::read_dir(repository().join("configs")).expect("configs/") {
        let path = entry.expect("an entry").path();
        let printed = rlhf(&["config", "--config", &path.display().to_string()]);
        let copy = dir.path().join("copy.toml");
        std::fs::write(&copy, &printed).expect("a temporary file");
        let again = rlhf(&["config", "--config", &copy.display().to_string()]);
        let values = |text: &str| toml::from_str::<toml::Table>(text).expect("TOML");
        assert_eq!(values(&printed), values(&again), "{}", path.display());
    }
}
