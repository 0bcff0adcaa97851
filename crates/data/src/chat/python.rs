//! Methods of Python's strings and lists that templates call and minijinja-contrib lacks or has otherwise.

use std::fmt::Write;

use minijinja::value::{Kwargs, Tuple, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat::unknown_method_callback;

use super::json;

/// Calls `value.method(*args)` as Python would.
pub(super) fn call_method(state: &mut State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let own = match (value.kind(), value.as_str()) {
        (ValueKind::String, Some(text)) => cut(text, method, args)
            .or_else(|| shape(text, method, args))
            .transpose()?,
        (ValueKind::Seq, _) if method == "index" => {
            let (wanted,): (Value,) = from_args(args)?;
            let place = value.try_iter()?.position(|item| item == wanted);
            Some(Value::from(
                place.ok_or_else(|| invalid(format!("index: {wanted} is not in the list")))?,
            ))
        }
        _ => None,
    };
    match own {
        Some(result) => Ok(result),
        None => unknown_method_callback(state, value, method, args),
    }
}

fn invalid(reason: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason)
}

/// Methods that take a string apart.
fn cut(text: &str, method: &str, args: &[Value]) -> Option<Result<Value, Error>> {
    let one = || argument(args);
    let result = match method {
        "removeprefix" => one().map(|prefix| Value::from(text.strip_prefix(prefix).unwrap_or(text))),
        "removesuffix" => one().map(|suffix| Value::from(text.strip_suffix(suffix).unwrap_or(text))),
        "partition" => one().and_then(separator).map(|separator| {
            let [before, between, after] = match text.split_once(separator) {
                Some((before, after)) => [before, separator, after],
                None => [text, "", ""],
            };
            Value::from(Tuple::from([before, between, after].map(Value::from)))
        }),
        "rpartition" => one().and_then(separator).map(|separator| {
            let [before, between, after] = match text.rsplit_once(separator) {
                Some((before, after)) => [before, separator, after],
                None => ["", "", text],
            };
            Value::from(Tuple::from([before, between, after].map(Value::from)))
        }),
        "index" => one().and_then(|wanted| place(text.find(wanted), text, wanted)),
        "rindex" => one().and_then(|wanted| place(text.rfind(wanted), text, wanted)),
        "split" => split_arguments(args).and_then(|(at, limit)| split(text, at.as_deref(), limit)),
        "rsplit" => split_arguments(args).and_then(|(at, limit)| rsplit(text, at.as_deref(), limit)),
        _ => return None,
    };
    Some(result)
}

fn argument(args: &[Value]) -> Result<&str, Error> {
    from_args(args).map(|(argument,)| argument)
}

fn strings<'a>(texts: impl IntoIterator<Item = &'a str>) -> Value {
    texts.into_iter().map(Value::from).collect()
}

fn separator(text: &str) -> Result<&str, Error> {
    if text.is_empty() {
        Err(invalid("empty separator"))
    } else {
        Ok(text)
    }
}

fn place(found: Option<usize>, text: &str, wanted: &str) -> Result<Value, Error> {
    let byte = found.ok_or_else(|| invalid(format!("substring {wanted:?} not found")))?;
    Ok(Value::from(text[..byte].chars().count()))
}

/// `(sep=None, maxsplit=-1)`: the separator, and how many cuts there are at most.
fn split_arguments(args: &[Value]) -> Result<(Option<String>, usize), Error> {
    let (at, limit, named): (Option<Value>, Option<i64>, Kwargs) = from_args(args)?;
    let at = match at {
        Some(at) => Some(at),
        None => named.get::<Option<Value>>("sep")?,
    };
    let limit = match limit {
        Some(limit) => Some(limit),
        None => named.get::<Option<i64>>("maxsplit")?,
    };
    named.assert_all_used()?;
    let at = at.filter(|at| !at.is_none()).map(|at| match at.as_str() {
        Some(text) => separator(text).map(str::to_owned),
        None => Err(invalid(format!("a separator is a string, not {}", at.kind()))),
    });
    let limit = limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX);
    Ok((at.transpose()?, limit))
}

fn split(text: &str, at: Option<&str>, limit: usize) -> Result<Value, Error> {
    if let Some(at) = at {
        return Ok(strings(text.splitn(limit.saturating_add(1), at)));
    }
    let mut pieces = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = if pieces.len() < limit {
            rest.find(char::is_whitespace)
        } else {
            None
        };
        let (piece, after) = rest.split_at(end.unwrap_or(rest.len()));
        pieces.push(piece);
        rest = after.trim_start();
    }
    Ok(strings(pieces))
}

fn rsplit(text: &str, at: Option<&str>, limit: usize) -> Result<Value, Error> {
    let mut pieces = Vec::new();
    if let Some(at) = at {
        pieces.extend(text.rsplitn(limit.saturating_add(1), at));
    } else {
        let mut rest = text.trim_end();
        while !rest.is_empty() {
            let space = if pieces.len() < limit {
                rest.char_indices().rfind(|(_, c)| c.is_whitespace())
            } else {
                None
            };
            let (before, piece) = rest.split_at(space.map_or(0, |(at, c)| at + c.len_utf8()));
            pieces.push(piece);
            rest = before.trim_end();
        }
    }
    pieces.reverse();
    Ok(strings(pieces))
}

/// Methods that give a string another shape.
fn shape(text: &str, method: &str, args: &[Value]) -> Option<Result<Value, Error>> {
    let none = || from_args::<()>(args);
    let result = match method {
        "swapcase" => none().map(|()| Value::from(text.chars().map(swap_case).collect::<String>())),
        "title" => none().map(|()| Value::from(title(text))),
        "casefold" => none().map(|()| Value::from(text.to_lowercase())),
        "ljust" | "rjust" | "center" | "zfill" => pad(text, method, args),
        _ => return None,
    };
    Some(result)
}

fn swap_case(c: char) -> String {
    if c.is_uppercase() {
        c.to_lowercase().collect()
    } else {
        c.to_uppercase().collect()
    }
}

/// Every word with a capital; a word begins after anything that is no letter.
fn title(text: &str) -> String {
    let mut is_inside = false;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_inside {
            out.extend(c.to_lowercase())
        } else {
            out.extend(c.to_uppercase())
        }
        is_inside = c.is_alphabetic();
    }
    out
}

/// A floating-point number as Python prints it, if it is one.
pub(super) fn float(value: &Value) -> Option<String> {
    let is_float = value.kind() == ValueKind::Number && !value.is_integer();
    let number = f64::try_from(value.clone()).ok().filter(|_| is_float)?;
    number.is_finite().then(|| json::python_float(number))
}

/// The filter `string`.
pub(super) fn string(value: Value) -> Result<Value, Error> {
    match (value.as_str(), float(&value)) {
        (Some(_), _) => Ok(value),
        (None, Some(float)) => Ok(Value::from(float)),
        (None, None) => printed(&value).map(Value::from),
    }
}

/// Longest text that a list or dict is printed as. One that holds another several times over, which does so again, would be
/// longer than any memory, and fuel is charged for a text only when it is there.
const LONGEST: usize = 1 << 24;

/// A value as it is printed.
pub(super) fn printed(value: &Value) -> Result<String, Error> {
    if let Some(text) = value.as_str() {
        return Ok(text.to_owned());
    }
    let mut out = Bounded(String::new());
    match write!(out, "{value}") {
        Ok(()) => Ok(out.0),
        Err(_) => Err(invalid(format!("a value takes more than {LONGEST} bytes to print"))),
    }
}

/// A text of at most [`LONGEST`] bytes.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        if self.0.len() + text.len() > LONGEST {
            return Err(std::fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// The test `iterable`: as in Python, undefined can be looped over, and none cannot.
pub(super) fn is_iterable(value: &Value) -> bool {
    let is_plain = matches!(value.kind(), ValueKind::None | ValueKind::Number | ValueKind::Bool);
    !is_plain && value.try_iter().is_ok()
}

/// The filter `escape`, with the entities that Python's markupsafe writes.
pub(super) fn escape(value: &Value) -> Result<String, Error> {
    let mut out = String::new();
    for c in printed(value)?.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            c => out.push(c),
        }
    }
    Ok(out)
}

/// Widest text that padding makes: a template is not to fill the memory.
const WIDEST: usize = 1 << 16;

fn pad(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let (width, fill): (i64, Option<&str>) = from_args(args)?;
    let width = usize::try_from(width).unwrap_or(0);
    if width > WIDEST {
        return Err(invalid(format!("{method}: width {width}, expected at most {WIDEST}")));
    }
    let missing = width.saturating_sub(text.chars().count());
    if method == "zfill" {
        let sign = &text[..usize::from(text.starts_with(['+', '-']))];
        return Ok(Value::from(format!(
            "{sign}{}{}",
            "0".repeat(missing),
            &text[sign.len()..]
        )));
    }
    let fill = fill.unwrap_or(" ");
    if fill.chars().count() != 1 {
        return Err(invalid(format!(
            "{method}: the fill is {fill:?}, expected one character"
        )));
    }
    let left = match method {
        "ljust" => 0,
        "rjust" => missing,
        // Where the two sides cannot be equal, Python gives the odd character to the left of odd widths.
        _ => missing / 2 + (missing & width & 1),
    };
    Ok(Value::from(format!(
        "{}{text}{}",
        fill.repeat(left),
        fill.repeat(missing - left)
    )))
}
