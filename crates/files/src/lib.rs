//! Files that other programs wrote, read as those programs read them.
//!
//! [`parse_json`] takes what Python's `json` writes, numbers that are none included. [`StandIn`] tells what often stands where
//! a file should be: a Git LFS pointer that was never resolved, a web page that says that one has to sign in, a
//! checkpoint of pickle. [`read_text`] and [`read_object`] read small files whole and refuse those by name.
//!
//! ```
//! use rlhf_files::{StandIn, parse_json};
//!
//! let value = parse_json(br#"{"scale": NaN, "name": "NaN"}"#)?;
//! assert!(value["scale"].is_null());
//! assert_eq!(value["name"], "NaN");
//!
//! let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 269060552\n";
//! assert!(StandIn::recognise(pointer).unwrap().to_string().contains("Git LFS pointer"));
//! # Ok::<(), serde_json::Error>(())
//! ```

mod error;
mod json;
mod stand_in;

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde_json::{Map, Value};

pub use error::{Error, Result};
pub use json::{parse_json, without_words};
pub use stand_in::StandIn;

/// The bytes of a file.
///
/// # Errors
/// If it cannot be read, or something else stands in for it.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(path).map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })?;
    StandIn::refuse(path, &bytes)?;
    Ok(bytes)
}

/// The text of a file, without the byte order mark that some editors put before it.
///
/// # Errors
/// As [`read`], and if it is not UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    let text = String::from_utf8(read(path)?).map_err(|error| Error::NotUtf8 {
        path: path.to_owned(),
        offset: error.utf8_error().valid_up_to(),
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// The fields of a JSON object.
///
/// # Errors
/// As [`read`], and if it is no JSON object.
pub fn read_object(path: &Path) -> Result<Map<String, Value>> {
    let malformed = |message: String| Error::Json {
        path: path.to_owned(),
        message,
    };
    match parse_json(&read(path)?) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(malformed("expected a JSON object".to_owned())),
        Err(error) => Err(malformed(error.to_string())),
    }
}

/// What a function gave, or nothing if the file is not there.
///
/// # Errors
/// Those of the function, but for a missing file.
pub fn if_there<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(content: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        fs::write(&path, content).unwrap();
        (dir, path)
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_text() {
        let (_dir, path) = written("\u{feff}{\"a\": 1}".as_bytes());
        assert_eq!(read_text(&path).unwrap(), "{\"a\": 1}");
        assert_eq!(read_object(&path).unwrap()["a"], 1);
    }

    #[test]
    fn faults_name_the_file() {
        for (content, said) in [
            (&b"[1]"[..], "expected a JSON object"),
            (b"{", "EOF"),
            (
                b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n",
                "Git LFS",
            ),
            (b"<!DOCTYPE html><html>", "web page"),
        ] {
            let (_dir, path) = written(content);
            let error = read_object(&path).unwrap_err().to_string();
            assert!(error.contains("config.json: ") && error.contains(said), "{error}");
        }
        let (_dir, path) = written(b"ab\xff");
        let error = read_text(&path).unwrap_err().to_string();
        assert!(error.contains("byte 2"), "{error}");
    }

    #[test]
    fn a_missing_file_is_nothing_where_none_is_needed_and_an_error_where_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        assert!(if_there(read_object(&path)).unwrap().is_none());
        assert!(read_object(&path).unwrap_err().is_missing());
        fs::write(&path, "{").unwrap();
        assert!(if_there(read_object(&path)).is_err());
    }
}
