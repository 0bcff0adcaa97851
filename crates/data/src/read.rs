//! Readers of whole files.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::columns::Columns;
use crate::error::{Error, Result};
use crate::lines::{self, Format, kind_of};
use crate::rows::{Parsed, Row, Skip};
use crate::thumbs;
use crate::types::{Comparison, Demonstration, Prompt};

/// Rows and what was seen while reading them.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded<T> {
    /// The rows that can be used, in the order of the file.
    pub rows: Vec<T>,
    /// The rows that were read and that were left out.
    pub report: LoadReport,
}

/// The rows that were read and that were left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadReport {
    /// One entry for each file, in the order given.
    pub files: Vec<FileReport>,
}

/// The rows that were read from one file and that were left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FileReport {
    /// The file.
    pub path: PathBuf,
    /// Its size on the disk.
    pub bytes: u64,
    /// Its sha256 on the disk, in hexadecimal digits.
    pub sha256: String,
    /// Rows that can be used.
    pub rows: usize,
    /// Rows left out because nothing is asked or nothing is answered.
    pub skipped_empty: usize,
    /// Comparisons left out because every completion has the same rank.
    pub skipped_ties: usize,
    /// Pairs of conversations left out because they part before their last turn.
    pub skipped_unaligned: usize,
}

impl FileReport {
    /// Rows left out, whatever the reason.
    pub fn skipped(&self) -> usize {
        self.skipped_empty + self.skipped_ties + self.skipped_unaligned
    }

    fn reasons(&self) -> String {
        let reasons = [
            (self.skipped_empty, "empty"),
            (self.skipped_ties, "all ties"),
            (self.skipped_unaligned, "different conversations"),
        ];
        let said = reasons
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, reason)| format!("{count} {reason}"));
        said.collect::<Vec<_>>().join(", ")
    }
}

impl LoadReport {
    /// Rows that can be used, over all files, before weights are applied.
    pub fn rows(&self) -> usize {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// Rows left out, over all files and reasons.
    pub fn skipped(&self) -> usize {
        self.files.iter().map(FileReport::skipped).sum()
    }
}

const DEMONSTRATIONS: &str = "demonstrations: rows of {\"prompt\",\"completion\"} or {\"messages\"}";
const COMPARISONS: &str = "comparisons: rows of {\"prompt\",\"chosen\",\"rejected\"}, {\"prompt\",\"completions\",\"ranking\"} or {\"prompt\",\"completion\",\"label\"}";
const PROMPTS: &str = "prompts: rows of {\"prompt\"} or {\"messages\"}";
const TEXT: &str = "text";

/// Reads demonstrations: rows of `{"prompt","completion"}` or `{"messages"}` that end with the assistant.
///
/// A prompt is a string or an array of messages. Where it is a string, white space around it and around the
/// completion is layout and is trimmed, and a text of `\n\nHuman:` and `\n\nAssistant:` turns becomes those turns;
/// messages are taken as they are. Rows without a question or an answer are left out and counted. Other fields are
/// ignored.
///
/// # Errors
/// If the file is missing, empty or of unknown format, or a row is malformed.
pub fn read_demonstrations(path: impl AsRef<Path>) -> Result<Loaded<Demonstration>> {
    read_demonstrations_from(path, &Columns::default())
}

/// [`read_demonstrations`] of a file whose columns have other names.
///
/// # Errors
/// As [`read_demonstrations`]; also if columns to be joined are no text.
pub fn read_demonstrations_from(path: impl AsRef<Path>, columns: &Columns) -> Result<Loaded<Demonstration>> {
    read_rows(path.as_ref(), DEMONSTRATIONS, columns, Row::into_demonstration)
}

/// Reads comparisons: rows of `{"prompt","chosen","rejected"}`, of `{"prompt","completions","ranking"}`, or of two
/// whole conversations `{"chosen","rejected"}` that differ in the last turn. Rows of `{"prompt","completion","label"}`,
/// answers that somebody liked (`true`) or not, are gathered by prompt and labeler. `labeler`, `confidence`, `margin` and
/// `task` are optional.
///
/// Texts are treated as [`read_demonstrations`] says. Rows whose completions all tie are left out and counted.
///
/// # Errors
/// As [`read_demonstrations`]; also if a ranking has another length than the completions, if there are fewer than two
/// completions, or if every row is all ties.
pub fn read_comparisons(path: impl AsRef<Path>) -> Result<Loaded<Comparison>> {
    read_comparisons_from(path, &Columns::default())
}

/// [`read_comparisons`] of a file whose columns have other names.
///
/// # Errors
/// As [`read_comparisons`]; also if columns to be joined are no text.
pub fn read_comparisons_from(path: impl AsRef<Path>, columns: &Columns) -> Result<Loaded<Comparison>> {
    let path = path.as_ref();
    let Loaded { rows, mut report } = read_rows(path, COMPARISONS, columns, Row::into_compared)?;
    let read = rows.len();
    let (rows, left_out) = thumbs::gather(rows);
    if rows.is_empty() {
        return Err(Error::AllTies {
            path: path.to_owned(),
            rows: read,
        });
    }
    for file in &mut report.files {
        file.rows = rows.len();
        file.skipped_ties += left_out;
    }
    Ok(Loaded { rows, report })
}

/// Reads prompts: rows of `{"prompt"}` or `{"messages"}`. Other fields are ignored and answers at the end of
/// `messages` are left off, so files of demonstrations or comparisons serve too.
///
/// # Errors
/// As [`read_demonstrations`].
pub fn read_prompts(path: impl AsRef<Path>) -> Result<Loaded<Prompt>> {
    read_prompts_from(path, &Columns::default())
}

/// [`read_prompts`] of a file whose columns have other names.
///
/// # Errors
/// As [`read_prompts`]; also if columns to be joined are no text.
pub fn read_prompts_from(path: impl AsRef<Path>, columns: &Columns) -> Result<Loaded<Prompt>> {
    read_rows(path.as_ref(), PROMPTS, columns, Row::into_prompt)
}

/// Reads documents: a text file, cut as `documents` says, or rows of `{"text"}`.
///
/// # Errors
/// As [`read_demonstrations`].
pub fn read_text(path: impl AsRef<Path>, documents: crate::Documents) -> Result<Loaded<String>> {
    read_text_from(path, documents, &Columns::default())
}

/// [`read_text`] of a file whose columns have other names.
///
/// # Errors
/// As [`read_text`]; also if columns to be joined are no text.
pub fn read_text_from(
    path: impl AsRef<Path>,
    documents: crate::Documents,
    columns: &Columns,
) -> Result<Loaded<String>> {
    let path = path.as_ref();
    if path.exists() && lines::format_of(path)? == Format::Rows {
        return read_rows(path, TEXT, columns, Row::into_text);
    }
    let text = lines::read_to_string(path, TEXT)?;
    let rows: Vec<String> = documents.cut(&text).map(str::to_owned).collect();
    if rows.is_empty() {
        return Err(Error::EmptyFile {
            path: path.to_owned(),
            expected: TEXT,
        });
    }
    let (bytes, sha256) = lines::fingerprint(path)?;
    let file = FileReport {
        path: path.to_owned(),
        bytes,
        sha256,
        rows: rows.len(),
        ..FileReport::default()
    };
    Ok(Loaded {
        rows,
        report: LoadReport { files: vec![file] },
    })
}

/// The error of a file of which no row can be used.
fn no_rows(file: &FileReport, expected: &'static str) -> Error {
    let path = file.path.clone();
    match (file.skipped(), file.skipped_ties) {
        (0, _) => Error::EmptyFile { path, expected },
        (rows, ties) if rows == ties => Error::AllTies { path, rows },
        (rows, _) => Error::NothingLeft {
            path,
            rows,
            reasons: file.reasons(),
        },
    }
}

fn read_rows<'a, T>(
    path: &'a Path,
    expected: &'static str,
    columns: &Columns,
    parse: impl Fn(Row<'a>) -> Parsed<T>,
) -> Result<Loaded<T>> {
    let source = lines::open_rows(path, expected)?;
    if lines::format_of(path)? != Format::Rows {
        return Err(Error::UnknownFormat {
            path: path.to_owned(),
            expected: ".jsonl or .json, or one of these and .gz, or .parquet",
        });
    }
    let mut rows = Vec::new();
    let mut file = FileReport {
        path: path.to_owned(),
        ..FileReport::default()
    };
    for item in source {
        let (line, fields) = item?;
        let fields = columns.rename(fields).map_err(|(field, found)| Error::WrongField {
            path: path.to_owned(),
            line,
            field,
            expected: "a string, to be joined with others".to_owned(),
            found: kind_of(&found),
        })?;
        match parse(Row { path, line, fields })? {
            Ok(row) => rows.push(row),
            Err(Skip::Empty) => file.skipped_empty += 1,
            Err(Skip::AllTies) => file.skipped_ties += 1,
            Err(Skip::Unaligned) => file.skipped_unaligned += 1,
        }
    }
    file.rows = rows.len();
    if rows.is_empty() {
        return Err(no_rows(&file, expected));
    }
    if file.skipped() > 0 {
        tracing::debug!(path = %path.display(), rows = file.rows, skipped = file.skipped(), "rows left out");
    }
    (file.bytes, file.sha256) = lines::fingerprint(path)?;
    Ok(Loaded {
        rows,
        report: LoadReport { files: vec![file] },
    })
}
