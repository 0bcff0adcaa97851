//! Names that the documentation may use, and how they are found.

use std::collections::{BTreeMap, BTreeSet};

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

/// All that the documentation may name.
pub(super) struct Workspace {
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
    pub(super) fn new(files: BTreeMap<String, Option<String>>) -> Self {
        let is_source = |path: &str| [".rs", ".toml", ".py"].iter().any(|ending| path.ends_with(ending));
        let text_of = |(path, text): (&String, &Option<String>)| Some((path.clone(), text.clone()?));
        let texts = files.iter().filter_map(text_of);
        // The tests of this module are full of names that are none.
        let sources = texts.filter(|(path, _)| is_source(path) && !path.starts_with("xtask/src/docs"));
        let keys = files.get("docs/configuration.md").and_then(Option::as_ref);
        Self {
            sources: sources.map(|(path, text)| Source::new(&path, &text)).collect(),
            keys: keys.map_or_else(BTreeSet::new, |page| page.lines().flat_map(keys_of).collect()),
            files: files.into_keys().collect(),
        }
    }

    /// A name that `page` may use, or something that is no name.
    pub(super) fn has(&self, name: &str, page: &str) -> bool {
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
        if self.is_key(name) {
            // Its last part may be an ending of files.
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
