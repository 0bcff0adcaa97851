//! Tests of the documentation: names that exist, examples that compile, a table of crates that is so.
//!
//! A name is whatever stands between back-ticks in `README.md`, `docs/*.md` and `crates/*/README.md`, outside of blocks of code. Its
//! form says where it has to be found ([`Workspace::has`]); commands and formulas are passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::process::root;

/// Names that are not ours: whose, and which.
const OTHERS: &[(&str, &[&str])] = &[
    (
        "crates, and features of crates",
        &[
            "hf-hub",
            "cargo-mutants",
            "crossbeam-epoch",
            "cubecl-cuda",
            "x86-v4",
            "blocking",
        ],
    ),
    (
        "the standard library and Burn",
        &["GlobalAlloc", "no_grad", "Module::apply_lora"],
    ),
    ("PyTorch and PEFT", &["torch.compile", "PeftModel.save_pretrained"]),
    ("Jinja", &["trim_blocks", "lstrip_blocks"]),
    (
        "glibc",
        &["MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_"],
    ),
    ("repositories on the Hub", &["refs/pr/N", "train_prefs"]),
    ("formulas", &["dL/dr_i", "ns.x = ns.x + ns.x"]),
];

/// Crates of others, whose paths are not looked up.
const OTHER_CRATES: &[&str] = &["std", "burn", "serde_json"];

/// Endings of the names of files.
const ENDINGS: &[&str] = &[
    "rs",
    "md",
    "toml",
    "json",
    "jsonl",
    "txt",
    "gz",
    "py",
    "sh",
    "parquet",
    "safetensors",
    "bin",
    "model",
    "jinja",
];

/// Folders that hold nothing of ours.
const LEFT_OUT: &[&str] = &["target", "runs", "corpus", "shared"];

/// All that the documentation may name.
struct Workspace {
    /// Every file, by its path from the root.
    files: BTreeSet<String>,
    sources: Vec<Source>,
    /// Keys of the configuration, and the sections that they are in.
    keys: BTreeSet<String>,
}

/// A file of code without its comments.
struct Source {
    path: String,
    text: String,
    /// The names that it gives.
    defined: BTreeSet<String>,
    words: BTreeSet<String>,
    /// Words between quotation marks.
    quoted: BTreeSet<String>,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let is_code = |line: &&str| !line.trim_start().starts_with("//");
        let lines: Vec<&str> = text.lines().filter(is_code).collect();
        let quoted = lines.iter().flat_map(|line| line.split('"').skip(1).step_by(2));
        let own_names = path.trim_end_matches(".rs").split('/').map(str::to_owned);
        let given = lines.iter().flat_map(|line| definitions(line));
        // A variant is called in settings as it is in the code, without capitals.
        let given = given.flat_map(|name| [name.to_ascii_lowercase(), name]);
        Self {
            path: path.to_owned(),
            defined: given.chain(own_names).collect(),
            quoted: quoted.flat_map(words).map(str::to_owned).collect(),
            words: lines.iter().flat_map(|line| words(line)).map(str::to_owned).collect(),
            text: lines.join("\n"),
        }
    }

    fn says(&self, text: &str) -> bool {
        self.text.contains(&format!("\"{text}")) || self.text.contains(&format!("{text}\""))
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| !is_word(c)).filter(|word| !word.is_empty())
}

/// The names that a line of Rust gives: behind a keyword, or at its start to a field, an argument or a variant.
fn definitions(line: &str) -> Vec<String> {
    const KEYWORDS: [&str; 9] = [
        "fn",
        "struct",
        "enum",
        "trait",
        "const",
        "static",
        "mod",
        "type",
        "macro_rules",
    ];
    let all: Vec<&str> = words(line).collect();
    let pairs = all.windows(2).filter(|pair| KEYWORDS.contains(&pair[0]));
    let start = line.trim_start();
    let start = start.strip_prefix("pub").unwrap_or(start);
    let start = start.strip_prefix("(crate)").unwrap_or(start).trim_start();
    let name: &str = start.split(|c| !is_word(c)).next().unwrap_or_default();
    let rest = &start[name.len()..];
    let is_field = rest.starts_with(':') && !rest.starts_with("::");
    let may_be_variant = rest.is_empty() || [",", "(", " {"].iter().any(|next| rest.starts_with(next));
    let is_variant = may_be_variant && name.starts_with(|c: char| c.is_ascii_uppercase());
    let at_start = Some(name).filter(|name| !name.is_empty() && (is_field || is_variant));
    pairs.map(|pair| pair[1]).chain(at_start).map(str::to_owned).collect()
}

impl Workspace {
    /// The workspace of these files, whose text is known where they are text.
    fn new(files: BTreeMap<String, Option<String>>) -> Self {
        let is_source = |path: &str| [".rs", ".toml", ".py"].iter().any(|ending| path.ends_with(ending));
        let text_of = |(path, text): (&String, &Option<String>)| Some((path.clone(), text.clone()?));
        let texts = files.iter().filter_map(text_of);
        // This file is full of names that are none.
        let sources = texts.filter(|(path, _)| is_source(path) && path != "xtask/src/docs.rs");
        let keys = files.get("docs/configuration.md").and_then(Option::as_ref);
        Self {
            sources: sources.map(|(path, text)| Source::new(&path, &text)).collect(),
            keys: keys.map_or_else(BTreeSet::new, |page| page.lines().flat_map(keys_of).collect()),
            files: files.into_keys().collect(),
        }
    }

    /// A name that `page` may use, or something that is no name.
    fn has(&self, name: &str, page: &str) -> bool {
        if OTHERS.iter().any(|(_, names)| names.contains(&name)) {
            return true;
        }
        if let Some((key, _)) = name.split_once('=') {
            let key = key.trim();
            let is_key = is_made_of(key, ".") && key.starts_with(|c: char| c.is_ascii_lowercase());
            return !is_key || self.is_key(key) || self.is_identifier(key);
        }
        if let Some(flag) = name.strip_prefix("--") {
            return !is_made_of(flag, "-") || self.is_flag(flag);
        }
        // `name(arguments)`, `Name<T>`.
        let end = name.find(['(', '<']).unwrap_or(name.len());
        let (name, arguments) = name.split_at(end);
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic()) && is_made_of(name, ":/.-{},");
        if !is_name || !(arguments.is_empty() || arguments.ends_with([')', '>'])) {
            return true;
        }
        expanded(name).iter().all(|name| self.has_one(name, page))
    }

    /// A name without braces, options and arguments.
    fn has_one(&self, name: &str, page: &str) -> bool {
        if name.contains("::") {
            return self.is_item(name);
        }
        if name.contains(':') {
            // A device.
            return true;
        }
        if name.contains('/') {
            // A metric, or the beginning of some.
            let text = format!("\"{name}{}", if name.ends_with('/') { "" } else { "\"" });
            return self.is_file(name, page) || self.sources.iter().any(|source| source.text.contains(&text));
        }
        match name.rsplit_once('.') {
            Some((_, ending)) if ENDINGS.contains(&ending) => self.is_file(name, page),
            Some(_) => self.is_key(name) || self.sources.iter().any(|source| source.says(name)),
            None => self.is_identifier(name),
        }
    }

    /// A key of the configuration, or the end of one.
    fn is_key(&self, key: &str) -> bool {
        self.keys.contains(key) || self.keys.iter().any(|known| known.ends_with(&format!(".{key}")))
    }

    /// An option of a command: a field of its arguments, or said in a text.
    fn is_flag(&self, flag: &str) -> bool {
        let field = flag.replace('-', "_");
        let is_in = |source: &Source| source.defined.contains(&field) || source.text.contains(&format!("--{flag}"));
        self.sources.iter().any(is_in)
    }

    /// `crate::item`, `Type::method` or longer: together in a file that defines the last.
    fn is_item(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split("::").collect();
        if OTHER_CRATES.contains(&parts[0]) {
            return true;
        }
        let folder = format!("crates/{}/", parts[0].strip_prefix("rlhf_").unwrap_or(parts[0]));
        let is_crate = self.files.iter().any(|file| file.starts_with(&folder));
        let parts = if is_crate { &parts[1..] } else { &parts[..] };
        let last = parts[parts.len() - 1];
        let is_in = |source: &Source, part: &str| source.words.contains(part) || source.defined.contains(part);
        let is_home = |source: &Source| source.defined.contains(last) && parts.iter().all(|part| is_in(source, part));
        if !is_crate {
            return self.sources.iter().any(is_home);
        }
        let of_crate = || self.sources.iter().filter(|source| source.path.starts_with(&folder));
        // What a crate gives on is defined elsewhere.
        let gives_on = parts.len() == 1 && of_crate().any(|source| source.words.contains(last));
        of_crate().any(is_home) || (gives_on && self.sources.iter().any(is_home))
    }

    /// A file or a folder: from the root, from beside the page, by the end of its path, or, if a run writes it, by its name in
    /// a source.
    fn is_file(&self, name: &str, page: &str) -> bool {
        let name = name.trim_end_matches('/').trim_start_matches("../");
        let beside = page
            .rsplit_once('/')
            .map_or(String::new(), |(folder, _)| format!("{folder}/{name}"));
        let is_at = |path: &str| {
            let within = format!("{path}/");
            self.files.contains(path)
                || self
                    .files
                    .range(within.clone()..)
                    .next()
                    .is_some_and(|file| file.starts_with(&within))
        };
        let (end, part) = (format!("/{name}"), format!("/{name}/"));
        if is_at(name)
            || is_at(&beside)
            || self
                .files
                .iter()
                .any(|file| file.ends_with(&end) || file.contains(&part))
        {
            return true;
        }
        let is_kept = [".rs", ".md"].iter().any(|ending| name.ends_with(ending));
        // The first part may stand for the folder of a run or of a stage.
        let parts = || name.split('/').filter(|part| !is_placeholder(part));
        !is_kept && parts().all(|part| self.sources.iter().any(|source| source.says(part)))
    }

    /// A name with capitals or underscores is defined, or said in a text; a plain word is somewhere in a source.
    fn is_identifier(&self, name: &str) -> bool {
        let is_plain = name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        let without = name.replace(['-', '_'], "");
        let is_in = |source: &Source| {
            source.defined.contains(name)
                || source.quoted.contains(name)
                || source.defined.contains(&without)
                || source.text.contains(&format!("\"{name}\""))
                || (is_plain && name.split('-').all(|word| source.words.contains(word)))
        };
        is_placeholder(name) || self.is_key(name) || self.sources.iter().any(is_in)
    }
}

/// Letters, digits and underscores, and `others`.
fn is_made_of(text: &str, others: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| is_word(c) || others.contains(c))
}

/// Capitals alone: `DIR`, `RUN`.
fn is_placeholder(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_uppercase())
}

/// `{a,b}` written out.
fn expanded(name: &str) -> Vec<String> {
    let braces = name
        .split_once('{')
        .and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
    let Some((before, (choices, after))) = braces else {
        return vec![name.to_owned()];
    };
    let choices = choices
        .split(',')
        .map(|choice| format!("{before}{}{after}", choice.trim()));
    choices.flat_map(|name| expanded(&name)).collect()
}

/// The key in a row of the tables of the configuration, and the sections around it.
fn keys_of(row: &str) -> Vec<String> {
    let key = row.strip_prefix("| `").and_then(|rest| rest.split('`').next());
    let Some(key) = key else { return Vec::new() };
    let ends = key.match_indices('.').map(|(end, _)| end).chain([key.len()]);
    ends.map(|end| key[..end].to_owned()).collect()
}

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
    let mut crates = vec![("xtask".to_owned(), root().join("xtask"))];
    for entry in fs::read_dir(root().join("crates")).expect("a folder of the workspace") {
        let entry = entry.expect("an entry");
        crates.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
    }
    assert_eq!(
        table.keys().copied().collect::<Vec<_>>(),
        crates
            .iter()
            .map(|(name, _)| name.as_str())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    );
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
        let compiled = [read(&format!("examples/train_{stage}.rs")), read("tests/learning.rs")].concat();
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
