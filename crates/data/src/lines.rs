//! Files to rows: JSON lines or a JSON array, either gzipped, or Parquet; one row in memory at a time where the format
//! allows.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use rlhf_files::StandIn;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::parquet::ParquetRows;

/// The format of a file, told by the ending of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `.jsonl` or `.json`, perhaps gzipped, or `.parquet`.
    Rows,
    /// `.txt`, perhaps gzipped.
    Text,
}

const ENDINGS: &str = ".jsonl, .json or .txt, or one of these and .gz, or .parquet";

const PARQUET: &str = "rows of a Parquet file that is not compressed, or by snappy or gzip";

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending))
}

/// Reads the format off the name.
pub(crate) fn format_of(path: &Path) -> Result<Format> {
    let name = path.to_string_lossy().to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("jsonl" | "ndjson" | "json" | "parquet") => Ok(Format::Rows),
        Some("txt") => Ok(Format::Text),
        _ => Err(Error::UnknownFormat {
            path: path.to_owned(),
            expected: ENDINGS,
        }),
    }
}

/// Size and sha256 of a file as it lies on the disk.
pub(crate) fn fingerprint(path: &Path) -> Result<(u64, String)> {
    let read_error = |source| Error::Read {
        path: path.to_owned(),
        line: 0,
        source,
    };
    let mut hasher = Sha256::new();
    let mut file = File::open(path).map_err(read_error)?;
    let bytes = std::io::copy(&mut file, &mut hasher).map_err(read_error)?;
    Ok((bytes, hex(&hasher.finalize())))
}

/// Lower-case hexadecimal digits of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn open_file(path: &Path, expected: &'static str) -> Result<File> {
    File::open(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => Error::MissingFile {
            path: path.to_owned(),
            expected,
        },
        _ => Error::Read {
            path: path.to_owned(),
            line: 0,
            source,
        },
    })
}

fn open(path: &Path, expected: &'static str) -> Result<Box<dyn BufRead>> {
    let mut file = Box::new(BufReader::new(open_file(path, expected)?));
    refuse_stand_in(path, &mut *file)?;
    if !has_ending(path, "gz") {
        return Ok(file);
    }
    let mut unpacked = Box::new(BufReader::new(MultiGzDecoder::new(file)));
    refuse_stand_in(path, &mut *unpacked)?;
    Ok(unpacked)
}

/// Refuses what is something else by the name of the file, as its first bytes show.
fn refuse_stand_in(path: &Path, reader: &mut dyn BufRead) -> Result<()> {
    let start = reader.fill_buf().map_err(|source| Error::Read {
        path: path.to_owned(),
        line: 0,
        source,
    })?;
    Ok(StandIn::refuse(path, start)?)
}

/// The file of a table. Its reader wants it from the start, and goes about in it.
fn open_table(path: &Path, expected: &'static str) -> Result<File> {
    let mut file = open_file(path, expected)?;
    refuse_stand_in(path, &mut BufReader::new(&file))?;
    file.rewind().map_err(|source| Error::Read {
        path: path.to_owned(),
        line: 0,
        source,
    })?;
    Ok(file)
}

/// The whole of a text file, unpacked and without a byte order mark.
pub(crate) fn read_to_string(path: &Path, expected: &'static str) -> Result<String> {
    let mut bytes = Vec::new();
    open(path, expected)?
        .read_to_end(&mut bytes)
        .map_err(|source| Error::Read {
            path: path.to_owned(),
            line: 0,
            source,
        })?;
    let text = utf8(path, 1, bytes)?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

fn utf8(path: &Path, first_line: usize, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = &error.as_bytes()[..valid];
        Error::MalformedLine {
            path: path.to_owned(),
            line: first_line + before.iter().filter(|&&byte| byte == b'\n').count(),
            expected: "UTF-8 text",
            found: format!("the byte 0x{:02x}", error.as_bytes()[valid]),
        }
    })
}

/// The rows of a file with the line each starts on; rows of Parquet are counted instead.
pub(crate) struct Rows {
    path: PathBuf,
    line: usize,
    source: Source,
}

enum Source {
    Lines(Box<dyn BufRead>),
    Array { text: String, at: usize, first: bool },
    Parquet(ParquetRows),
    Done,
}

/// Opens a file of rows; `expected` says what the caller hopes to find.
pub(crate) fn open_rows(path: &Path, expected: &'static str) -> Result<Rows> {
    if has_ending(path, "parquet") {
        let opened = ParquetRows::open(open_table(path, expected)?);
        let mut rows = Rows {
            path: path.to_owned(),
            line: 0,
            source: Source::Done,
        };
        rows.source = Source::Parquet(opened.map_err(|reason| rows.malformed(PARQUET, reason))?);
        return Ok(rows);
    }
    rows_of(path, open(path, expected)?)
}

/// The rows of JSON lines or of an array, by a name that says which where it ends in one of ours.
pub(crate) fn rows_of(path: &Path, mut reader: Box<dyn BufRead>) -> Result<Rows> {
    let first = first_byte(&mut reader).map_err(|source| Error::Read {
        path: path.to_owned(),
        line: 0,
        source,
    })?;
    let is_json_array = first == Some(b'[') && !is_json_lines(path);
    let source = if is_json_array {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map_err(|source| Error::Read {
            path: path.to_owned(),
            line: 0,
            source,
        })?;
        let bytes = rlhf_files::without_words(&bytes).unwrap_or(bytes);
        Source::Array {
            text: utf8(path, 1, bytes)?,
            at: 0,
            first: true,
        }
    } else {
        Source::Lines(reader)
    };
    // The array's brackets open on line 1; lines are counted as they are read.
    Ok(Rows {
        path: path.to_owned(),
        line: usize::from(is_json_array),
        source,
    })
}

fn is_json_lines(path: &Path) -> bool {
    let name = path.to_string_lossy().to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name).to_owned();
    name.ends_with(".jsonl") || name.ends_with(".ndjson")
}

/// The first byte that is neither white space nor byte order mark, as far as one buffer reaches.
fn first_byte(reader: &mut dyn BufRead) -> std::io::Result<Option<u8>> {
    let buffer = reader.fill_buf()?;
    let buffer = buffer.strip_prefix(b"\xef\xbb\xbf").unwrap_or(buffer);
    Ok(buffer.iter().copied().find(|byte| !byte.is_ascii_whitespace()))
}

impl Iterator for Rows {
    type Item = Result<(usize, Map<String, Value>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = match std::mem::replace(&mut self.source, Source::Done) {
            Source::Lines(reader) => self.next_line(reader),
            Source::Array { text, at, first } => self.next_element(text, at, first),
            Source::Parquet(rows) => self.next_parquet(rows),
            Source::Done => return None,
        };
        item.transpose()
    }
}

impl Rows {
    fn malformed(&self, expected: &'static str, found: impl Into<String>) -> Error {
        Error::MalformedLine {
            path: self.path.clone(),
            line: self.line,
            expected,
            found: found.into(),
        }
    }

    fn next_line(&mut self, mut reader: Box<dyn BufRead>) -> Result<Option<(usize, Map<String, Value>)>> {
        loop {
            let mut bytes = Vec::new();
            let length = reader.read_until(b'\n', &mut bytes).map_err(|source| Error::Read {
                path: self.path.clone(),
                line: self.line,
                source,
            })?;
            if length == 0 {
                return Ok(None);
            }
            self.line += 1;
            let text = utf8(&self.path, self.line, bytes)?;
            let text = text.trim_start_matches('\u{feff}').trim();
            if text.is_empty() {
                continue;
            }
            let value = rlhf_files::parse_json(text.as_bytes())
                .map_err(|error| self.malformed("a JSON object", format!("{} ({error})", excerpt(text))))?;
            let row = self.object(value)?;
            self.source = Source::Lines(reader);
            return Ok(Some((self.line, row)));
        }
    }

    fn next_parquet(&mut self, mut rows: ParquetRows) -> Result<Option<(usize, Map<String, Value>)>> {
        self.line += 1;
        let row = rows.next_row().map_err(|reason| self.malformed(PARQUET, reason))?;
        self.source = Source::Parquet(rows);
        Ok(row.map(|row| (self.line, row)))
    }

    fn next_element(
        &mut self,
        text: String,
        mut at: usize,
        first: bool,
    ) -> Result<Option<(usize, Map<String, Value>)>> {
        at = self.skip_blank(&text, at);
        let mark = text[at..].chars().next();
        match (mark, first) {
            (Some('['), true) | (Some(','), false) => at = self.skip_blank(&text, at + 1),
            (Some(']'), false) => return self.end_of_array(&text, at + 1),
            (Some(other), _) => {
                return Err(self.malformed("`,` or `]` after an element of the array", format!("`{other}`")));
            }
            (None, _) => return Err(self.malformed("`]` at the end of the array", "the end of the file")),
        }
        if first && text[at..].starts_with(']') {
            return self.end_of_array(&text, at + 1);
        }
        let start = self.line;
        let mut values = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>();
        let value = match values.next() {
            Some(Ok(value)) => value,
            Some(Err(error)) => {
                self.line += error.line() - 1;
                return Err(self.malformed("a JSON object", format!("{} ({error})", excerpt(&text[at..]))));
            }
            None => return Err(self.malformed("a JSON object", "the end of the file")),
        };
        let length = values.byte_offset();
        let row = self.object(value)?;
        self.line += text[at..at + length].matches('\n').count();
        self.source = Source::Array {
            at: at + length,
            text,
            first: false,
        };
        Ok(Some((start, row)))
    }

    fn end_of_array<T>(&mut self, text: &str, at: usize) -> Result<Option<T>> {
        let at = self.skip_blank(text, at);
        match text[at..].chars().next() {
            None => Ok(None),
            Some(other) => Err(self.malformed("nothing after the array", format!("`{other}`"))),
        }
    }

    fn skip_blank(&mut self, text: &str, at: usize) -> usize {
        let rest = &text[at..];
        let blank = rest.len()
            - rest
                .trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
                .len();
        self.line += rest[..blank].matches('\n').count();
        at + blank
    }

    fn object(&self, value: Value) -> Result<Map<String, Value>> {
        match value {
            Value::Object(row) => Ok(row),
            other => Err(self.malformed("a JSON object", kind_of(&other))),
        }
    }
}

/// The start of a text, for messages.
pub(crate) fn excerpt(text: &str) -> String {
    const SHOWN: usize = 40;
    let line = text.lines().next().unwrap_or("");
    if line.chars().count() <= SHOWN {
        format!("`{line}`")
    } else {
        format!("`{}…`", line.chars().take(SHOWN).collect::<String>())
    }
}

/// The kind of a JSON value in words, for messages.
pub(crate) fn kind_of(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => format!("the boolean {value}"),
        Value::Number(value) => format!("the number {value}"),
        Value::String(text) if text.is_empty() => "an empty string".to_owned(),
        Value::String(text) => format!("the string {}", excerpt(text)),
        Value::Array(items) if items.is_empty() => "an empty array".to_owned(),
        Value::Array(items) => format!("an array of {}", items.len()),
        Value::Object(_) => "an object".to_owned(),
    }
}
