//! Configurations as text: the resolved file, and the tables of the documentation.

use std::{collections::BTreeMap, fmt::Write};

use toml::{Table, Value};

use super::{
    layer::{Source, join},
    schema::{Kind, Node},
};

/// Doc comments are wrapped at this column.
const WIDTH: usize = 100;

/// A TOML file with every key, its doc comment and its source.
pub(super) fn resolved_toml(values: &Table, root: &Node<'_>, sources: &BTreeMap<String, Source>) -> String {
    let mut file = File {
        sources,
        text: String::new(),
    };
    file.comment(root.description());
    file.table(values, root, "");
    file.text
}

struct File<'a> {
    sources: &'a BTreeMap<String, Source>,
    text: String,
}

impl File<'_> {
    /// The keys of a table, then its tables: in TOML a table ends only where the next one begins.
    fn table(&mut self, table: &Table, node: &Node<'_>, path: &str) {
        let entries = entries(table, node);
        for (key, node, value) in &entries {
            match value {
                Some(value) if is_section(node, value) => {}
                Some(value) => self.leaf(key, value, node, &join(path, key)),
                None => {
                    self.comment(node.description());
                    self.line(&format!("# {} is not set", quoted(key)));
                }
            }
        }
        for (key, node, value) in entries {
            if let Some(Value::Table(table)) = value.filter(|value| is_section(&node, value)) {
                let path = join(path, &quoted(&key));
                self.line("");
                self.comment(node.description());
                self.line(&format!("[{path}]"));
                self.table(table, &node, &path);
            }
        }
    }

    fn leaf(&mut self, key: &str, value: &Value, node: &Node<'_>, path: &str) {
        self.comment(node.description());
        let source = self.sources.get(path).unwrap_or(&Source::Default);
        self.line(&format!("{} = {}  # {source}", quoted(key), inline(value, 0)));
    }

    fn comment(&mut self, text: Option<String>) {
        let mut line = String::from("#");
        for word in text.iter().flat_map(|text| text.split_whitespace()) {
            if line.len() > 1 && line.len() + 1 + word.len() > WIDTH {
                let full = std::mem::replace(&mut line, String::from("#"));
                self.line(&full);
            }
            line.push(' ');
            line.push_str(word);
        }
        if line.len() > 1 {
            self.line(&line);
        }
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }
}

/// The keys a table may have, with its values: the declared ones in their order, then those of the user's choice.
fn entries<'a, 't>(table: &'t Table, node: &Node<'a>) -> Vec<(String, Node<'a>, Option<&'t Value>)> {
    if let Kind::Map(entry) = node.kind() {
        return table
            .iter()
            .map(|(key, value)| (key.clone(), entry.clone(), Some(value)))
            .collect();
    }
    let declared = node.properties_for(table);
    declared
        .into_iter()
        .map(|(key, node)| (key.to_owned(), node, table.get(key)))
        .collect()
}

fn is_section(node: &Node<'_>, value: &Value) -> bool {
    value.is_table() && matches!(node.kind(), Kind::Table | Kind::Map(_) | Kind::Tagged(_))
}

/// A key as TOML has it.
fn quoted(key: &str) -> String {
    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if bare { key.to_owned() } else { text(key) }
}

/// A value on one line, but a list of tables with one table a line.
fn inline(value: &Value, depth: usize) -> String {
    match value {
        Value::String(content) => text(content),
        // Rust's `{:?}` writes 3e-6 where TOML's own writer puts zeros.
        Value::Float(number) if number.is_finite() => format!("{number:?}"),
        Value::Table(table) => {
            let pairs: Vec<String> = table
                .iter()
                .map(|(key, value)| format!("{} = {}", quoted(key), inline(value, depth)))
                .collect();
            if pairs.is_empty() {
                "{}".into()
            } else {
                format!("{{ {} }}", pairs.join(", "))
            }
        }
        Value::Array(items) if items.iter().any(Value::is_table) => {
            let indent = "  ".repeat(depth + 1);
            let lines: String = items
                .iter()
                .map(|item| format!("{indent}{},\n", inline(item, depth + 1)))
                .collect();
            format!("[\n{lines}{}]", "  ".repeat(depth))
        }
        Value::Array(items) => {
            format!(
                "[{}]",
                items
                    .iter()
                    .map(|item| inline(item, depth))
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        }
        other => other.to_string(),
    }
}

/// A string between double quotes, with TOML's escapes.
fn text(content: &str) -> String {
    let mut out = String::from("\"");
    for c in content.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A heading and a Markdown table (key, default, description) for each section of a configuration.
pub(super) fn markdown_table(defaults: &Table, root: &Node<'_>) -> String {
    let mut out = String::new();
    markdown_section(&mut out, Some(defaults), root, "");
    out
}

fn markdown_section(out: &mut String, defaults: Option<&Table>, node: &Node<'_>, path: &str) {
    let (rows, sections): (Vec<_>, Vec<_>) = all_properties(node)
        .into_iter()
        .partition(|(_, _, node)| section_of(node).is_none());
    if !path.is_empty() {
        out.push_str(&format!("\n### `{path}`\n\n"));
        out.extend(node.description().map(|text| format!("{text}\n\n")));
    }
    if !rows.is_empty() {
        out.push_str("| Key | Default | Description |\n| --- | --- | --- |\n");
    }
    for (form, key, node) in rows {
        let value = defaults
            .and_then(|defaults| defaults.get(key))
            .map(|value| inline(value, 0).replace('\n', ""));
        let value = value.or_else(|| node.default_value().map(ToString::to_string));
        let value = value.map_or("not set".to_owned(), |value| format!("`{value}`"));
        let form = form.map(|form| format!("(`{form}`) ")).unwrap_or_default();
        let description = node.description().unwrap_or_default().replace('|', "\\|");
        out.push_str(&format!("| `{}` | {value} | {form}{description} |\n", join(path, key)));
    }
    for (_, key, node) in sections {
        let defaults = defaults.and_then(|defaults| defaults.get(key)?.as_table());
        let (section, suffix) = section_of(&node).unwrap_or((node.clone(), ""));
        markdown_section(out, defaults, &section, &format!("{}{suffix}", join(path, key)));
    }
}

/// The keys of a table in all its forms, each with the form it belongs to where there are several.
fn all_properties<'a>(node: &Node<'a>) -> Vec<(Option<&'a str>, &'a str, Node<'a>)> {
    let mut all: Vec<_> = node
        .properties()
        .into_iter()
        .map(|(key, node)| (None, key, node))
        .collect();
    let Kind::Tagged(tag) = node.kind() else { return all };
    let variants = node.variants();
    if let Some((_, tag_node)) = variants
        .first()
        .and_then(|v| v.properties().into_iter().find(|(key, _)| *key == tag))
    {
        all.push((None, tag, tag_node));
    }
    for variant in variants {
        let form = variant.tag_value(tag);
        all.extend(
            variant
                .properties()
                .into_iter()
                .filter(|(key, _)| *key != tag)
                .map(|(key, n)| (form, key, n)),
        );
    }
    all
}

/// The table that a key opens, with what its list or map of tables adds to the path.
fn section_of<'a>(node: &Node<'a>) -> Option<(Node<'a>, &'static str)> {
    let is_table = |node: &Node<'_>| matches!(node.kind(), Kind::Table | Kind::Tagged(_));
    match node.kind() {
        Kind::Table | Kind::Tagged(_) => Some((node.clone(), "")),
        Kind::List(item) if is_table(&item) => Some((item, "[]")),
        Kind::Map(entry) if is_table(&entry) => Some((entry, ".*")),
        _ => None,
    }
}
