//! The layers a configuration is put together from, and where each of its values came from.

use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
};

use toml::{
    Table, Value,
    de::{DeTable, DeValue},
};

use super::schema::{Kind, Node};
use crate::error::{Error, Result};

/// Source of a value of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The program's own setting.
    Default,
    /// A configuration file.
    File {
        /// The file, as it was given.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// A rule of the program for what it was given.
    Rule,
    /// The command line.
    Set,
}

/// Without the line, so that a resolved file does not change when a line is added above.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, .. } => write!(f, "{}", path.display()),
            Self::Rule => f.write_str("rule"),
            Self::Set => f.write_str("--set"),
        }
    }
}

impl Source {
    /// Byte `at` of the text of `file`.
    fn at(text: &str, file: &Path, at: usize) -> Self {
        Self::File {
            path: file.to_path_buf(),
            line: line_of(text, at),
        }
    }

    /// The source with the line, for error messages.
    pub(super) fn place(&self) -> String {
        match self {
            Self::File { path, line } => format!("{}:{line}", path.display()),
            other => other.to_string(),
        }
    }
}

/// Values and, by dotted path, where they came from.
#[derive(Debug, Default)]
pub(super) struct Layer {
    pub(super) values: Table,
    pub(super) sources: BTreeMap<String, Source>,
}

/// The dotted path of `key` under `path`.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

impl Layer {
    /// Reads a TOML file.
    pub(super) fn from_file(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|source| Error::Read {
            path: path.to_path_buf(),
            source,
        })?;
        let malformed = |error: toml::de::Error| Error::Malformed {
            path: path.to_path_buf(),
            line: error.span().map(|span| line_of(&text, span.start)),
            message: error.message().to_owned(),
        };
        let values = toml::from_str(&text).map_err(malformed)?;
        let spans = DeTable::parse(&text).map_err(malformed)?;
        let mut sources = BTreeMap::new();
        note_lines(&text, path, "", spans.get_ref(), &mut sources);
        Ok(Self { values, sources })
    }

    /// Reads `dotted.key=value`. The value is TOML; what is not, or what stands where a string belongs, is a string.
    pub(super) fn from_set(text: &str, root: &Node<'_>, source: &Source) -> std::result::Result<Self, String> {
        let (path, raw) = text.split_once('=').ok_or("expected dotted.key=value, found no `=`")?;
        let keys: Vec<&str> = path.trim().split('.').map(str::trim).collect();
        if keys.iter().any(|key| key.is_empty()) {
            return Err("expected dotted.key=value, found an empty key".into());
        }
        let raw = raw.trim();
        let bare = || Value::String(raw.to_owned());
        let mut value = toml::from_str::<Table>(&format!("value = {raw}"))
            .ok()
            .filter(|parsed| parsed.len() == 1)
            .and_then(|mut parsed| parsed.remove("value"))
            .unwrap_or_else(bare);
        let node = keys.iter().try_fold(root.clone(), |node, key| node.property(key));
        if !value.is_str() && node.is_some_and(|node| matches!(node.kind(), Kind::Text | Kind::Choice(_))) {
            value = bare();
        }
        let mut sources = BTreeMap::new();
        note_leaves(&keys.join("."), &value, source, &mut sources);
        for (depth, key) in keys.iter().enumerate().rev() {
            sources.insert(keys[..=depth].join("."), source.clone());
            value = Value::Table(Table::from_iter([((*key).to_owned(), value)]));
        }
        let Value::Table(values) = value else {
            unreachable!("at least one key was wrapped around the value")
        };
        Ok(Self { values, sources })
    }

    /// Lays `upper` over this layer.
    pub(super) fn overlay(&mut self, upper: Self, root: &Node<'_>) {
        merge(&mut self.values, upper.values, Some(root), "", &mut self.sources);
        self.sources.extend(upper.sources);
    }
}

/// Puts `upper` over `base`: tables are merged key by key, everything else is replaced. A tagged table whose tag changes
/// is replaced as a whole, since the other form has other keys.
fn merge(base: &mut Table, upper: Table, node: Option<&Node<'_>>, path: &str, sources: &mut BTreeMap<String, Source>) {
    for (key, value) in upper {
        let path = join(path, &key);
        let node = node.and_then(|node| match node.kind() {
            Kind::Map(entry) => Some(entry),
            _ => node.property(&key),
        });
        match (base.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) if is_merged(node.as_ref(), below, &above) => {
                merge(below, above, node.as_ref(), &path, sources);
            }
            (_, value) => {
                sources.retain(|other, _| !is_inside(other, &path));
                base.insert(key, value);
            }
        }
    }
}

fn is_merged(node: Option<&Node<'_>>, below: &Table, above: &Table) -> bool {
    match node.map(Node::kind) {
        Some(Kind::Tagged(tag)) => above.get(tag).is_none_or(|chosen| below.get(tag) == Some(chosen)),
        Some(Kind::Table | Kind::Map(_)) => true,
        _ => false,
    }
}

/// True if `path` lies below `outer`.
fn is_inside(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer)
        .is_some_and(|rest| rest.starts_with(['.', '[']))
}

fn note_leaves(path: &str, value: &Value, source: &Source, into: &mut BTreeMap<String, Source>) {
    into.insert(path.to_owned(), source.clone());
    match value {
        Value::Table(table) => table
            .iter()
            .for_each(|(key, value)| note_leaves(&join(path, key), value, source, into)),
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(i, value)| note_leaves(&format!("{path}[{i}]"), value, source, into));
        }
        _ => {}
    }
}

fn note_lines(text: &str, file: &Path, path: &str, table: &DeTable<'_>, into: &mut BTreeMap<String, Source>) {
    for (key, value) in table {
        let path = join(path, key.get_ref());
        into.insert(path.clone(), Source::at(text, file, key.span().start));
        match value.get_ref() {
            DeValue::Table(table) => note_lines(text, file, &path, table, into),
            DeValue::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    let path = format!("{path}[{i}]");
                    into.insert(path.clone(), Source::at(text, file, item.span().start));
                    if let DeValue::Table(table) = item.get_ref() {
                        note_lines(text, file, &path, table, into);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The line, counted from 1, in which byte `at` stands.
fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|&byte| byte == b'\n').count() + 1
}
