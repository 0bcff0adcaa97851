//! Comparing values with the schema: unknown keys, wrong types, missing keys.

use std::collections::BTreeMap;

use strsim::damerau_levenshtein;
use toml::{Table, Value};

use super::{
    errors::ConfigErrors,
    layer::{Source, join},
    schema::{Kind, Node},
};

/// Every fault of `values`, with the place it came from.
pub(super) fn check(
    values: &Table,
    root: &Node<'_>,
    sources: &BTreeMap<String, Source>,
    renamed: &[(&str, &str)],
) -> ConfigErrors {
    let mut checker = Checker {
        root,
        sources,
        renamed,
        errors: ConfigErrors::new(),
    };
    checker.table(values, root, "");
    checker.errors
}

struct Checker<'a> {
    root: &'a Node<'a>,
    sources: &'a BTreeMap<String, Source>,
    /// Keys of earlier versions with their new paths.
    renamed: &'a [(&'a str, &'a str)],
    errors: ConfigErrors,
}

impl Checker<'_> {
    /// Source of the value at `path`, or of what it stands in.
    fn place(&self, path: &str) -> String {
        let ends = path
            .char_indices()
            .filter(|(_, c)| matches!(c, '.' | '['))
            .map(|(at, _)| at);
        let mut ends: Vec<usize> = ends.chain([path.len()]).collect();
        ends.reverse();
        ends.into_iter()
            .find_map(|end| self.sources.get(&path[..end]))
            .unwrap_or(&Source::Default)
            .place()
    }

    fn table(&mut self, table: &Table, node: &Node<'_>, path: &str) {
        if let Kind::Tagged(tag) = node.kind()
            && node.variant_for(table).is_none()
        {
            return self.bad_tag(table.get(tag), tag, node, path);
        }
        let known = node.properties_for(table);
        for (key, value) in table {
            let path = join(path, key);
            match known.iter().find(|(name, _)| name == key) {
                Some((_, node)) => self.value(value, node, &path),
                None => self.unknown_key(key, node, &known, &path),
            }
        }
        let variant = node.variant_for(table);
        let required = node.required().chain(variant.iter().flat_map(Node::required));
        let missing: Vec<&str> = required.filter(|key| !table.contains_key(*key)).collect();
        for key in missing {
            self.errors
                .push(join(path, key), format!("missing ({})", self.place(path)));
        }
    }

    fn value(&mut self, value: &Value, node: &Node<'_>, path: &str) {
        match (node.kind(), value) {
            (Kind::Table | Kind::Tagged(_), Value::Table(table)) => self.table(table, node, path),
            (Kind::Map(entry), Value::Table(table)) => {
                table
                    .iter()
                    .for_each(|(key, value)| self.value(value, &entry, &join(path, key)));
            }
            (Kind::List(item), Value::Array(items)) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(i, value)| self.value(value, &item, &format!("{path}[{i}]")));
            }
            (Kind::Choice(choices), Value::String(found)) if !choices.contains(&found.as_str()) => {
                let hint = nearest(found, choices.iter().copied()).map(|near| format!(", did you mean `{near}`?"));
                self.wrong(value, node, path, &hint.unwrap_or_default());
            }
            (kind, value) if !fits(&kind, value) => self.wrong(value, node, path, ""),
            _ => {}
        }
    }

    fn wrong(&mut self, value: &Value, node: &Node<'_>, path: &str, hint: &str) {
        let place = self.place(path);
        self.errors.push(
            path,
            format!(
                "expected {}, found {} ({place}){hint}",
                expectation(&node.kind()),
                describe(value)
            ),
        );
    }

    fn bad_tag(&mut self, found: Option<&Value>, tag: &str, node: &Node<'_>, path: &str) {
        let choices: Vec<&str> = node
            .variants()
            .iter()
            .filter_map(|variant| variant.tag_value(tag))
            .collect();
        let path = join(path, tag);
        let place = self.place(&path);
        let found = found.map_or("nothing".to_owned(), describe);
        self.errors.push(
            path,
            format!(
                "expected {}, found {found} ({place})",
                expectation(&Kind::Choice(choices))
            ),
        );
    }

    fn unknown_key(&mut self, key: &str, node: &Node<'_>, known: &[(&str, Node<'_>)], path: &str) {
        let parent = path.strip_suffix(key).unwrap_or_default();
        let renamed = self.renamed.iter().find(|(old, _)| *old == path);
        let hint = if let Some((_, new)) = renamed {
            format!("; it is called `{new}` now")
        } else if let Some((tag, form)) = other_form(node, key) {
            format!("; it belongs to `{tag}` = `{form}`")
        } else if let Some(near) = nearest(key, known.iter().map(|(name, _)| *name)) {
            format!(", did you mean `{parent}{near}`?")
        } else if let Some(near) = elsewhere(self.root, key, path) {
            format!(", did you mean `{near}`?")
        } else {
            format!(
                "; known here: {}",
                known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
            )
        };
        self.errors
            .push(path, format!("unknown key in {}{hint}", self.place(path)));
    }
}

/// The form of a tagged table that has such a key, where the one at hand has not.
fn other_form<'a>(node: &Node<'a>, key: &str) -> Option<(&'a str, &'a str)> {
    let Kind::Tagged(tag) = node.kind() else { return None };
    let form = node
        .variants()
        .into_iter()
        .find(|variant| variant.properties().iter().any(|(name, _)| *name == key))?;
    Some((tag, form.tag_value(tag)?))
}

/// A key of the same name in another section, else the dotted path most like this one.
fn elsewhere(root: &Node<'_>, key: &str, path: &str) -> Option<String> {
    let mut paths = Vec::new();
    list_paths(root, "", &mut paths);
    let same_name = paths
        .iter()
        .find(|other| other.rsplit('.').next() == Some(key))
        .cloned();
    same_name.or_else(|| nearest(path, paths.iter().map(String::as_str)).map(str::to_owned))
}

fn list_paths(node: &Node<'_>, path: &str, into: &mut Vec<String>) {
    let variants = node.variants();
    for (key, node) in node
        .properties()
        .into_iter()
        .chain(variants.iter().flat_map(Node::properties))
    {
        let path = join(path, key);
        list_paths(&node, &path, into);
        into.push(path);
    }
}

/// The name that a slip of the pen could have turned into `found`.
pub fn nearest<'a>(found: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (found.chars().count() / 3).max(1);
    let near = names
        .map(|name| (damerau_levenshtein(found, name), name))
        .min_by_key(|(distance, _)| *distance);
    near.filter(|(distance, _)| *distance <= limit).map(|(_, name)| name)
}

fn fits(kind: &Kind<'_>, value: &Value) -> bool {
    match (kind, value) {
        (Kind::Integer { least, most }, Value::Integer(found)) => {
            least.is_none_or(|least| *found >= least)
                && most.is_none_or(|most| u64::try_from(*found).map_or(true, |found| found <= most))
        }
        (Kind::Other, _)
        | (Kind::Table | Kind::Map(_) | Kind::Tagged(_), Value::Table(_))
        | (Kind::List(_), Value::Array(_))
        | (Kind::Choice(_) | Kind::Text, Value::String(_))
        | (Kind::Number, Value::Float(_) | Value::Integer(_))
        | (Kind::Boolean, Value::Boolean(_)) => true,
        _ => false,
    }
}

fn expectation(kind: &Kind<'_>) -> String {
    match kind {
        Kind::Table | Kind::Map(_) | Kind::Tagged(_) => "a table".into(),
        Kind::Choice(choices) => {
            let quoted: Vec<String> = choices.iter().map(|choice| format!("`{choice}`")).collect();
            if quoted.len() == 1 {
                quoted.concat()
            } else {
                format!("one of {}", quoted.join(", "))
            }
        }
        Kind::List(_) => "a list".into(),
        Kind::Integer {
            least: Some(least),
            most: Some(most),
        } => format!("a whole number from {least} to {most}"),
        Kind::Integer {
            least: Some(least),
            most: None,
        } => format!("a whole number of at least {least}"),
        Kind::Integer { .. } => "a whole number".into(),
        Kind::Number => "a number".into(),
        Kind::Text => "a string".into(),
        Kind::Boolean => "true or false".into(),
        Kind::Other => "another form".into(),
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::String(text) => format!("the string {text:?}"),
        Value::Integer(number) => format!("the whole number {number}"),
        Value::Float(number) => format!("the number {number:?}"),
        Value::Boolean(value) => value.to_string(),
        Value::Datetime(date) => format!("the date {date}"),
        Value::Array(_) => "a list".into(),
        Value::Table(_) => "a table".into(),
    }
}
