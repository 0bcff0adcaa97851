//! Tests of the documentation: names that exist, examples that compile, a table of crates that is so.
//!
//! A name is whatever stands between back-ticks in `README.md`, `docs/*.md` and `crates/*/README.md`, outside of blocks of code. Its
//! form says where it has to be found ([`Workspace::has`]); commands and formulas are passed over.

mod workspace;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use self::workspace::Workspace;
use crate::process::root;

/// Folders that hold nothing of ours.
const LEFT_OUT: &[&str] = &["target", "runs", "corpus", "shared"];

/// Every file beneath `dir`, by its path from the root, with its text.
fn collect(root: &Path, dir: &Path, files: &mut BTreeMap<String, Option<String>>) {
    for entry in fs::read_dir(dir).expect("a folder of the workspace") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_hidden = name.starts_with('.') && ![".ci", ".cargo"].contains(&name.as_str());
        if is_hidden || LEFT_OUT.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            let from_root = path.strip_prefix(root).expect("it is beneath the root");
            files.insert(from_root.to_string_lossy().into_owned(), fs::read_to_string(&path).ok());
        }
    }
}

/// The texts between back-ticks outside of blocks of code, each with its line.
fn names(page: &str) -> Vec<(usize, &str)> {
    let mut in_code = false;
    let mut found = Vec::new();
    for (text, line) in page.lines().zip(1..) {
        if text.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            let spans = text.split('`').skip(1).step_by(2).map(str::trim);
            found.extend(spans.filter(|span| !span.is_empty()).map(|span| (line, span)));
        }
    }
    found
}

/// The pages whose names are checked.
fn is_page(path: &str) -> bool {
    let folder = path
        .strip_suffix(".md")
        .and_then(|path| path.rsplit_once('/'))
        .map(|(folder, _)| folder);
    path == "README.md" || folder == Some("docs") || (path.starts_with("crates/") && path.ends_with("/README.md"))
}

fn faults(workspace: &Workspace, page: &str, text: &str) -> Vec<String> {
    let wrong = names(text).into_iter().filter(|(_, name)| !workspace.has(name, page));
    wrong.map(|(line, name)| format!("{page}:{line}: `{name}`")).collect()
}

#[test]
fn every_name_in_the_documentation_exists() {
    let mut files = BTreeMap::new();
    collect(root(), root(), &mut files);
    let pages: Vec<(String, Option<String>)> = files.clone().into_iter().filter(|(path, _)| is_page(path)).collect();
    assert!(pages.len() > 15, "{} pages", pages.len());
    let workspace = Workspace::new(files);
    let faults: Vec<String> = pages
        .iter()
        .flat_map(|(page, text)| faults(&workspace, page, text.as_deref().unwrap_or_default()))
        .collect();
    assert!(
        faults.is_empty(),
        "{} names that are nowhere:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

/// Our crates that a manifest depends on, by their short names.
fn dependencies(manifest: &str) -> BTreeSet<&str> {
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    section
        .lines()
        .filter_map(|line| line.strip_prefix("rlhf-")?.split([' ', '.']).next())
        .collect()
}

/// The crates of the table in `docs/architecture.md`, each with those it builds on.
fn table(page: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let rows = page.lines().filter(|row| row.starts_with("| `"));
    let cells = rows.filter_map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        (cells.len() == 4).then(|| (cells[0].trim().trim_matches('`'), cells[1]))
    });
    cells
        .map(|(name, cell)| (name, cell.split('`').skip(1).step_by(2).collect()))
        .collect()
}

#[test]
fn the_table_of_crates_says_what_each_builds_on() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).expect("the page");
    let table = table(&page);
    let entries = fs::read_dir(root().join("crates")).expect("a folder of the workspace");
    let dirs = entries
        .map(|entry| entry.expect("an entry").path())
        .chain([root().join("xtask")]);
    let crates: BTreeMap<String, PathBuf> = dirs
        .map(|dir| (dir.file_name().unwrap_or_default().to_string_lossy().into_owned(), dir))
        .collect();
    let named: Vec<&str> = crates.keys().map(String::as_str).collect();
    assert_eq!(table.keys().copied().collect::<Vec<_>>(), named);
    for (name, dir) in &crates {
        let manifest = fs::read_to_string(dir.join("Cargo.toml")).expect("a manifest");
        assert_eq!(table[name.as_str()], dependencies(&manifest), "what `{name}` builds on");
    }
}

/// Lines of code in a page, without those that stand for others.
fn code(page: &str) -> Vec<&str> {
    let blocks = page.split("```rust\n").skip(1);
    let code = blocks.flat_map(|block| block.split("```").next().unwrap_or_default().lines());
    code.map(str::trim)
        .filter(|line| !line.is_empty() && *line != "…")
        .collect()
}

#[test]
fn the_code_that_the_readmes_of_stages_show_is_that_of_their_examples_and_tests() {
    for stage in ["sft", "reward", "ppo"] {
        let read = |path: &str| {
            fs::read_to_string(root().join(format!("crates/{stage}/{path}"))).expect("a file of the stage")
        };
        let tests = if stage == "ppo" {
            "tests/training/bandit.rs"
        } else {
            "tests/learning.rs"
        };
        let compiled = [read(&format!("examples/train_{stage}.rs")), read(tests)].concat();
        let compiled: BTreeSet<&str> = compiled.lines().map(str::trim).collect();
        let readme = read("README.md");
        let shown = code(&readme);
        assert!(shown.len() > 5, "{stage} shows an example");
        let other: Vec<&&str> = shown.iter().filter(|line| !compiled.contains(**line)).collect();
        assert!(
            other.is_empty(),
            "crates/{stage}/README.md shows what is not compiled: {other:#?}"
        );
    }
}

/// A workspace of a few files.
fn example() -> Workspace {
    let files = [
        (
            "crates/ppo/src/kl.rs",
            "//! Says `forgotten_name`.\npub use loss::KwiseLoss;\npub const KL_COEF: &str = \"objective/kl_coef\";\npub enum KlEstimator {\n    /// One.\n    Off,\n    TokenMean,\n}\nimpl KlEstimator {\n    pub fn of(self, log_ratio: f64) -> f64 { log_ratio }\n}\n",
        ),
        (
            "crates/core/src/optim.rs",
            "pub struct AdamW {\n    pub(crate) weight_decay: f64,\n    pub dry_run: bool,\n}\nfn save() { write(\"report.json\") }\n",
        ),
        ("docs/configuration.md", "| `ppo.kl.coef` | `0.05` | Weight. |\n"),
        ("tests/golden/ppo/kl.json", "{}"),
    ];
    Workspace::new(
        files
            .map(|(path, text)| (path.to_owned(), Some(text.to_owned())))
            .into(),
    )
}

#[test]
fn names_that_exist_are_found_in_every_form() {
    let page = "`ppo::KlEstimator`, `KlEstimator::of`, `KlEstimator::Off`, `of()`, `of(log_ratio)` `token_mean` `KL_COEF`\n\
                `core::AdamW` `rlhf_core::AdamW` `weight_decay` `objective/kl_coef` `ppo.kl.coef` `kl.coef` `ppo.kl`\n\
                `ppo.kl.coef = 0.1` `ppo.kl.coef=0.1` `--dry-run` `kl.rs` `crates/{ppo,core}/src` `ppo/src/kl.rs` `kl.json`\n\
                `RUN/STAGE/report.json` `DIR` `cargo test -p x` `-ln σ(x)` `1.5` `a + b` `burn::tensor::Device`\n\
                ```\n`not_looked_at`\n```\n";
    assert_eq!(faults(&example(), "docs/page.md", page), [""; 0]);
}

#[test]
fn names_that_do_not_exist_are_found_out_in_every_form() {
    let wrong = [
        "ppo::KlEstimators",
        "KlEstimator::weight_decay",
        "core::KlEstimator",
        "nothing_of()",
        "off_by_one(log_ratio)",
        "KL_COEFS",
        "forgotten_name",
        "Kl",
        "weight_decays",
        "objective/kl",
        "ppo.kl.coefficient",
        "ppo.kl.coefficient = 0.1",
        "--dry-runs",
        "loss.rs",
        "crates/{ppo,dpo}/src",
        "crates/ppo/src/loss.rs",
        "gae.json",
        "RUN/STAGE/reports.json",
        "word",
    ];
    for name in wrong {
        let page = format!("\nIt is `{name}`.\n");
        assert_eq!(
            faults(&example(), "docs/page.md", &page),
            [format!("docs/page.md:2: `{name}`")]
        );
    }
}
