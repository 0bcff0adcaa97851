//! JSON as Python writes it.

use serde_json::Value;

/// Words that Python's `json` writes for numbers that JSON does not have.
const NO_NUMBERS: [&[u8]; 3] = [b"NaN", b"-Infinity", b"Infinity"];

/// Parses JSON; `NaN`, `Infinity` and `-Infinity`, which Python writes and JSON does not have, are null. A byte order mark
/// before the text is passed over.
///
/// # Errors
/// The parser's, with line and column.
pub fn parse_json(bytes: &[u8]) -> serde_json::Result<Value> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    serde_json::from_slice(bytes).or_else(|error| match without_words(bytes) {
        Some(text) => serde_json::from_slice(&text),
        None => Err(error),
    })
}

/// JSON with null for each of the words outside of strings that Python writes for what is no number, and spaces behind the longer
/// ones; nothing if it has none. For texts too long to be parsed as one value.
pub fn without_words(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    let (mut in_string, mut any, mut rest) = (false, false, bytes);
    while let [first, tail @ ..] = rest {
        if let Some(word) = NO_NUMBERS.iter().find(|word| !in_string && rest.starts_with(word)) {
            // `NaN` is shorter than `null`: of the columns after it one is lost.
            out.extend_from_slice(format!("{:<1$}", "null", word.len()).as_bytes());
            (any, rest) = (true, &rest[word.len()..]);
            continue;
        }
        out.push(*first);
        rest = tail;
        match first {
            b'"' => in_string = !in_string,
            b'\\' if in_string => {
                // Whatever follows a backslash ends no string.
                if let [next, tail @ ..] = rest {
                    out.push(*next);
                    rest = tail;
                }
            }
            _ => {}
        }
    }
    any.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn words_for_numbers_outside_of_strings_are_null() {
        for (text, expected) in [
            (r#"{"a": NaN}"#, json!({"a": null})),
            (r#"[Infinity, -Infinity,NaN]"#, json!([null, null, null])),
            (
                r#"{"NaN": "Infinity \" NaN", "b": NaN}"#,
                json!({"NaN": "Infinity \" NaN", "b": null}),
            ),
            (r#"["\\", NaN]"#, json!(["\\", null])),
            (r#"{"a": 1.5}"#, json!({"a": 1.5})),
        ] {
            assert_eq!(parse_json(text.as_bytes()).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_json_remains_an_error() {
        for text in ["", "NaNa", "[NaN", "{\"a\": nan}", "\"NaN", "[NaN1]", "[-NaN]"] {
            assert!(parse_json(text.as_bytes()).is_err(), "{text}");
        }
    }
}
