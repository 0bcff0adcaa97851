//! Forms of a whole answer: lists, parts, titles, wrappings, JSON.

use serde_json::Value;

use crate::text::{has_word, number_of};

use super::{Answer, Check, count};

/// Nearness of JSON that is right but for what stands around it.
const FENCED: f64 = 0.9;
/// Greatest nearness of JSON that breaks off.
const BROKEN: f64 = 0.8;

/// Items numbered from 1; the share of lines that have the number they should have.
pub(super) fn numbered(answer: &Answer<'_>, n: usize) -> Check {
    let found: Vec<usize> = answer.text.lines().filter_map(number_of).collect();
    let right = found
        .iter()
        .zip(1..=n)
        .filter(|(found, wanted)| *found == wanted)
        .count();
    let near = right as f64 / found.len().max(n).max(1) as f64;
    Check::new(right == n && found.len() == n, near)
}

pub(super) fn two_parts(answer: &Answer<'_>) -> Check {
    let is_separator = |line: &str| line.trim() == "***";
    let lines: Vec<&str> = answer.text.lines().collect();
    let parts: Vec<String> = lines
        .split(|line| is_separator(line))
        .map(|part| part.concat())
        .collect();
    let full = parts.iter().filter(|part| has_word(part)).count();
    let met = parts.len() == 2 && full == 2;
    let near = if parts.len() > 1 {
        0.9 * count::exactly(full, 2).degree
    } else if answer.text.contains("***") {
        0.3
    } else {
        0.0
    };
    Check::new(met, near)
}

/// Half for the heading, half for the text.
pub(super) fn heading(answer: &Answer<'_>) -> Check {
    let is_heading = |line: &&str| line.strip_prefix("# ").is_some_and(has_word);
    let found = answer.text.lines().any(|line| is_heading(&line));
    let other = answer.text.lines().any(|line| !is_heading(&line) && has_word(line));
    let like = answer.text.lines().any(|line| line.starts_with('#'));
    Check::new(found && other, if found || like { 0.5 } else { 0.0 })
}

pub(super) fn angle_title(answer: &Answer<'_>) -> Check {
    let title = answer.text.lines().find_map(|line| {
        let (before, rest) = line.split_once("<<")?;
        let (title, after) = rest.split_once(">>")?;
        has_word(title).then_some((before, title, after))
    });
    let Some((before, _, after)) = title else {
        let marks = ["<<", ">>"].iter().filter(|mark| answer.text.contains(**mark)).count();
        let single = answer.text.contains('<') && answer.text.contains('>');
        return Check::new(false, 0.3 * marks as f64 + 0.2 * f64::from(u8::from(single)));
    };
    let other = answer.text.lines().any(|line| !line.contains("<<") && has_word(line));
    Check::new(other || has_word(before) || has_word(after), 0.7)
}

/// A third each for the first line, the last, and that there are no more fences.
pub(super) fn code_block(answer: &Answer<'_>) -> Check {
    let lines: Vec<&str> = answer.text.lines().map(str::trim_end).collect();
    let is_label = |label: &str| label.chars().all(|c| c.is_alphanumeric() || "+-#_".contains(c));
    let (Some(first), Some(last)) = (lines.first(), lines.last()) else {
        return Check::NOTHING;
    };
    let opens = first.strip_prefix("```").is_some_and(is_label);
    let closes = *last == "```";
    let fences = lines.iter().filter(|line| line.starts_with("```")).count();
    let inside = lines.iter().any(|line| !line.starts_with("```") && has_word(line));
    let parts = [opens, closes, fences == 2 && inside];
    Check::share(parts.iter().filter(|part| **part).count(), parts.len())
}

pub(super) fn json(answer: &Answer<'_>) -> Check {
    match read_json(answer.text) {
        Ok(value) => Check::new(says_something(&value), 0.5),
        Err(near) => Check::new(false, near),
    }
}

/// As for JSON without regard to the key, and a half for the key.
pub(super) fn json_key(answer: &Answer<'_>, key: &str) -> Check {
    let value = match read_json(answer.text) {
        Ok(value) => value,
        Err(near) => return Check::new(false, near / 2.0),
    };
    Check::new(value.get(key).is_some_and(says_something), 0.5)
}

/// The object or list that a text is, or the text's nearness to one.
fn read_json(text: &str) -> Result<Value, f64> {
    if !text.starts_with(['{', '[']) {
        let fenced = unfenced(text).and_then(|inner| serde_json::from_str::<Value>(inner).ok());
        return Err(if fenced.is_some_and(|value| says_something(&value)) {
            FENCED
        } else {
            0.0
        });
    }
    serde_json::from_str(text).map_err(|error| {
        let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
        let read = lines.map(str::len).sum::<usize>() + error.column();
        BROKEN * (read as f64 / text.len().max(1) as f64).min(1.0)
    })
}

fn unfenced(text: &str) -> Option<&str> {
    let (_, rest) = text.strip_prefix("```")?.split_once('\n')?;
    rest.trim_end().strip_suffix("```")
}

/// True of JSON with a text, a number or a truth value somewhere.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => has_word(text),
        Value::Array(items) => items.iter().any(says_something),
        Value::Object(entries) => entries.values().any(says_something),
    }
}

/// Half for each quotation mark, less if there are others inside.
pub(super) fn quoted(answer: &Answer<'_>) -> Check {
    const PAIRS: [(char, char); 4] = [('"', '"'), ('“', '”'), ('„', '“'), ('«', '»')];
    let is_mark = |c: char| PAIRS.iter().any(|(open, close)| c == *open || c == *close);
    let inner = PAIRS
        .iter()
        .find_map(|(open, close)| answer.text.strip_prefix(*open)?.strip_suffix(*close));
    let ends = [answer.text.starts_with(is_mark), answer.text.ends_with(is_mark)];
    let marks = ends.iter().filter(|mark| **mark).count() as f64;
    Check::new(inner.is_some_and(|inner| !inner.contains(is_mark)), marks * 0.4)
}

/// Parentheses of which the first is closed by the last.
pub(super) fn parenthesized(answer: &Answer<'_>) -> Check {
    let inner = answer.text.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
    let ends = [answer.text.starts_with('('), answer.text.ends_with(')')];
    let marks = ends.iter().filter(|mark| **mark).count() as f64;
    Check::new(inner.is_some_and(is_balanced), marks * 0.4)
}

fn is_balanced(text: &str) -> bool {
    let mut depth = 0_i64;
    for c in text.chars() {
        depth += i64::from(c == '(') - i64::from(c == ')');
        if depth < 0 {
            return false;
        }
    }
    depth == 0
}
