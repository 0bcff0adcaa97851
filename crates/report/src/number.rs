//! Numbers, spans of time and sizes as people read them.

use serde_json::Value;

/// A figure with its 95 % interval, as every summary of the workspace writes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Interval {
    /// The figure.
    pub(crate) value: f64,
    /// Lower end.
    pub(crate) low: f64,
    /// Upper end.
    pub(crate) high: f64,
    /// Independent observations.
    pub(crate) n: u64,
}

impl Interval {
    /// The interval that a JSON value is; nothing where a part is missing or is no finite number, which JSON writes as null.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        let part = |name: &str| number(&value[name]);
        Some(Self {
            value: part("value")?,
            low: part("low")?,
            high: part("high")?,
            n: value["n"].as_u64().unwrap_or(0),
        })
    }
}

/// A finite number of a JSON value.
pub(crate) fn number(value: &Value) -> Option<f64> {
    value.as_f64().filter(|number| number.is_finite())
}

/// A sign that is as wide as a digit, and never a minus before what rounds to nothing.
fn signed(text: String) -> String {
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|c| matches!(c, '0' | '.')) => rest.to_owned(),
        Some(rest) => format!("−{rest}"),
        None => text,
    }
}

/// A number with so many decimals.
pub(crate) fn fixed(number: f64, decimals: usize) -> String {
    signed(format!("{number:.decimals$}"))
}

/// `64.6 %`.
pub(crate) fn percent(share: f64) -> String {
    format!("{} %", fixed(100.0 * share, 1))
}

/// Three digits that matter, whatever the size: `0.00123`, `1.85`, `5,600`, `1.2e-7`.
pub(crate) fn short(number: f64) -> String {
    let size = number.abs();
    if number == 0.0 {
        return "0".into();
    }
    if size >= 1e7 || size < 1e-4 {
        let text = format!("{number:.2e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return signed(format!("{}e{exponent}", without_zeros(digits)));
    }
    if size >= 1000.0 {
        return grouped(number.round() as i64);
    }
    let decimals = (2 - size.log10().floor() as i32).clamp(0, 6) as usize;
    signed(format!("{number:.decimals$}"))
}

/// A number on an axis: as [`short`], without zeros at its end.
pub(crate) fn tick(number: f64) -> String {
    let text = short(number);
    if text.contains('.') && !text.contains('e') {
        without_zeros(&text).to_owned()
    } else {
        text
    }
}

fn without_zeros(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}

/// A whole number with commas between thousands.
pub(crate) fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("−{text}") } else { text }
}

/// `8.4 s`, `2 min 31 s`, `1 h 05 min`.
pub(crate) fn duration(seconds: f64) -> String {
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    if whole < 3600 {
        format!("{} min {:02} s", whole / 60, whole % 60)
    } else {
        format!("{} h {:02} min", whole / 3600, whole % 3600 / 60)
    }
}

/// `412 MB`, `1.24 GB`.
pub(crate) fn size(bytes: f64) -> String {
    if bytes < 1e9 {
        format!("{:.0} MB", bytes / 1e6)
    } else {
        format!("{:.2} GB", bytes / 1e9)
    }
}

/// `1 prompt`, `500 prompts`.
pub(crate) fn count(number: u64, one: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {one}{ending}", grouped(number as i64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_interval_with_a_part_that_is_no_number_is_none() {
        let whole = json!({ "value": 0.5, "low": 0.4, "high": 0.6, "n": 12 });
        assert_eq!(Interval::of(&whole).map(|i| (i.low, i.high, i.n)), Some((0.4, 0.6, 12)));
        for part in ["value", "low", "high"] {
            let mut damaged = whole.clone();
            damaged[part] = Value::Null;
            assert_eq!(Interval::of(&damaged), None, "{part}");
        }
        assert_eq!(Interval::of(&Value::Null), None);
    }

    #[test]
    fn numbers_keep_three_digits_that_matter() {
        for (number, expected) in [
            (0.0, "0"),
            (0.001234, "0.00123"),
            (1.851, "1.85"),
            (-12.34, "−12.3"),
            (123.4, "123"),
            (5596.0, "5,596"),
            (0.0000123, "1.23e-5"),
            (2e8, "2e8"),
        ] {
            assert_eq!(short(number), expected);
        }
        assert_eq!(
            (tick(0.5), tick(2.0), tick(100.0)),
            ("0.5".into(), "2".into(), "100".into())
        );
        assert_eq!(fixed(-0.001, 2), "0.00");
        assert_eq!(percent(0.6461), "64.6 %");
        assert_eq!(grouped(-1_234_567), "−1,234,567");
    }

    #[test]
    fn time_and_memory_are_short() {
        assert_eq!(duration(8.44), "8.4 s");
        assert_eq!(duration(59.99), "1 min 00 s");
        assert_eq!(duration(151.2), "2 min 31 s");
        assert_eq!(duration(3900.0), "1 h 05 min");
        assert_eq!(
            (size(412_300_000.0), size(1.239e9)),
            ("412 MB".into(), "1.24 GB".into())
        );
        assert_eq!(
            (count(1, "prompt"), count(1500, "prompt")),
            ("1 prompt".into(), "1,500 prompts".into())
        );
    }
}
