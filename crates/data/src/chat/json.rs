//! `tojson` as transformers has it: Python's `json.dumps` with non-ASCII kept, and no escaping for HTML.

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Value};
use serde_json::Value as Json;

use super::python;

/// The filter `tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False)`.
pub(super) fn tojson(value: &Value, ensure_ascii: Option<bool>, options: Kwargs) -> Result<String, Error> {
    let named_ascii = options.get::<Option<bool>>("ensure_ascii")?;
    let indent = options
        .get::<Option<Value>>("indent")?
        .filter(|indent| !indent.is_none());
    let separators = options
        .get::<Option<Value>>("separators")?
        .filter(|pair| !pair.is_none());
    let sort_keys = options.get::<Option<bool>>("sort_keys")?;
    options.assert_all_used()?;
    if value.is_undefined() {
        return Err(invalid("tojson: the value is undefined"));
    }
    let indent = indent.as_ref().map(indentation).transpose()?;
    let default = if indent.is_some() { "," } else { ", " };
    let (between, colon) = match &separators {
        None => (default.to_owned(), ": ".to_owned()),
        Some(pair) => {
            let pair: Vec<Value> = pair.try_iter()?.collect();
            match pair.as_slice() {
                [between, colon] => (between.to_string(), colon.to_string()),
                _ => return Err(invalid("tojson: separators are two strings")),
            }
        }
    };
    // What is short when printed is small.
    python::printed(value)?;
    let json = serde_json::to_value(value).map_err(|error| invalid(format!("tojson: {error}")))?;
    let mut writer = Writer {
        out: String::new(),
        indent,
        between,
        colon,
        ensure_ascii: named_ascii.or(ensure_ascii).unwrap_or(false),
        sort_keys: sort_keys.unwrap_or(false),
    };
    writer.value(&json, 0);
    Ok(writer.out)
}

/// Widest indentation; nothing written for people has more.
const WIDEST: usize = 64;

/// The indentation of a level of nesting: a string, or a number of spaces.
fn indentation(indent: &Value) -> Result<String, Error> {
    match indent.kind() {
        ValueKind::String => Ok(indent.to_string()),
        ValueKind::Number | ValueKind::Bool => {
            let spaces = i64::try_from(indent.clone())?.max(0) as usize;
            if spaces <= WIDEST {
                Ok(" ".repeat(spaces))
            } else {
                Err(invalid(format!("tojson: indent {spaces}, expected at most {WIDEST}")))
            }
        }
        other => Err(invalid(format!(
            "tojson: indent is {other}, expected a number or a string"
        ))),
    }
}

fn invalid(reason: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason)
}

struct Writer {
    out: String,
    indent: Option<String>,
    between: String,
    colon: String,
    ensure_ascii: bool,
    sort_keys: bool,
}

impl Writer {
    fn value(&mut self, value: &Json, depth: usize) {
        match value {
            Json::Array(items) => {
                self.nest(['[', ']'], items.iter(), depth, |writer, item| {
                    writer.value(item, depth + 1)
                });
            }
            Json::Object(fields) => {
                let mut fields: Vec<(&String, &Json)> = fields.iter().collect();
                if self.sort_keys {
                    fields.sort_by_key(|(key, _)| *key);
                }
                self.nest(['{', '}'], fields.into_iter(), depth, |writer, (key, item)| {
                    writer.string(key);
                    writer.out.push_str(&writer.colon.clone());
                    writer.value(item, depth + 1);
                });
            }
            Json::String(text) => self.string(text),
            Json::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
                Some(float) => self.out.push_str(&python_float(float)),
                None => self.out.push_str(&number.to_string()),
            },
            Json::Bool(_) | Json::Null => self.out.push_str(&value.to_string()),
        }
    }

    fn nest<T>(
        &mut self,
        brackets: [char; 2],
        items: impl ExactSizeIterator<Item = T>,
        depth: usize,
        write: impl Fn(&mut Self, T),
    ) {
        self.out.push(brackets[0]);
        let is_empty = items.len() == 0;
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.out.push_str(&self.between.clone());
            }
            self.new_line(depth + 1);
            write(self, item);
        }
        if !is_empty {
            self.new_line(depth);
        }
        self.out.push(brackets[1]);
    }

    fn new_line(&mut self, depth: usize) {
        if let Some(indent) = &self.indent {
            self.out.push('\n');
            self.out.push_str(&indent.repeat(depth));
        }
    }

    fn string(&mut self, text: &str) {
        let quoted = Json::from(text).to_string();
        if !self.ensure_ascii {
            self.out.push_str(&quoted);
            return;
        }
        for c in quoted.chars() {
            if matches!(c, ' '..='~') {
                self.out.push(c);
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    self.out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
}

/// A number as Python's `repr` writes it: the shortest digits, with an exponent outside 1e-4 ..= 1e16.
pub(super) fn python_float(number: f64) -> String {
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').expect("the format has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent is a whole number");
    if (-4..16).contains(&exponent) {
        let plain = number.to_string();
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_python_writes_them() {
        for (number, expected) in [
            (1.0, "1.0"),
            (-0.1, "-0.1"),
            (0.0, "0.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e-7, "1.5e-07"),
            (0.0001, "0.0001"),
            (1e100, "1e+100"),
        ] {
            assert_eq!(python_float(number), expected);
        }
    }
}
