//! Readers of whole files.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::columns::Columns;
use crate::error::{Error, Result};
use crate::lines::{self, Format, kind_of};
use crate::row::Row;
use crate::rows::{Parsed, Skip};
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
    /// Demonstrations left out because none of their answers is to be learnt.
    #[serde(default)]
    pub skipped_not_learnt: usize,
    /// By the reason, the lines of the first rows that were left out.
    #[serde(default)]
    pub skipped_lines: BTreeMap<String, Vec<usize>>,
}

/// Lines of a kind that are told.
pub(crate) const TOLD: usize = 8;

impl FileReport {
    /// Rows left out, whatever the reason.
    pub fn skipped(&self) -> usize {
        self.by_reason().iter().map(|(_, count)| count).sum()
    }

    fn by_reason(&self) -> [(Skip, usize); 4] {
        [
            (Skip::Empty, self.skipped_empty),
            (Skip::AllTies, self.skipped_ties),
            (Skip::Unaligned, self.skipped_unaligned),
            (Skip::NotLearnt, self.skipped_not_learnt),
        ]
    }

    /// The reasons for which rows were left out, each with their number and where the first of them stand.
    pub(crate) fn reasons(&self) -> String {
        let said = self.by_reason().into_iter().filter(|(_, count)| *count > 0);
        let said = said.map(|(reason, count)| {
            let lines = self.skipped_lines.get(reason.as_str()).map_or(&[][..], Vec::as_slice);
            format!("{count} {}{}", reason.as_str(), told(lines, count))
        });
        said.collect::<Vec<_>>().join(", ")
    }

    fn skip(&mut self, reason: Skip, line: usize) {
        let count = match reason {
            Skip::Empty => &mut self.skipped_empty,
            Skip::AllTies => &mut self.skipped_ties,
            Skip::Unaligned => &mut self.skipped_unaligned,
            Skip::NotLearnt => &mut self.skipped_not_learnt,
        };
        *count += 1;
        let lines = self.skipped_lines.entry(reason.as_str().to_owned()).or_default();
        if lines.len() < TOLD {
            lines.push(line);
        }
    }
}

/// ` (lines 2, 5, …)` of the first of `count` rows.
pub(crate) fn told(lines: &[usize], count: usize) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let all: Vec<String> = lines.iter().map(usize::to_string).collect();
    let noun = if count == 1 { "line" } else { "lines" };
    let more = if count > lines.len() { ", …" } else { "" };
    format!(" ({noun} {}{more})", all.join(", "))
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
/// messages are taken as they are. Rows without a question or an answer are left out and counted. An answer whose message
/// says so (`weight` 0, `train` false, …) is not learnt, and a row without one to learn is left out. Other fields are ignored.
///
/// # Errors
/// If the file is missing, empty or of unknown format, or a row is malformed; also if it holds tools or calls of them, or a
/// prompt that is not that of the conversation beside it.
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
/// Texts are treated as [`read_demonstrations`] says. Completions of the same text tie, whatever their ranks; rows whose
/// completions all tie are left out and counted.
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
        for origin in &left_out {
            file.skip(Skip::AllTies, origin.line().unwrap_or(0));
        }
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

/// The rows of a file as they stand there, whatever they hold: JSON lines or an array, either gzipped, or Parquet.
///
/// # Errors
/// If the file is missing or empty, or a line is no JSON object; `expected` says what was hoped for.
pub fn read_objects(path: impl AsRef<Path>, expected: &'static str) -> Result<Vec<Row>> {
    let path = path.as_ref();
    objects(path, lines::open_rows(path, expected)?, expected)
}

/// [`read_objects`] of what a reader gives, JSON lines or an array, by the name of `path`.
///
/// # Errors
/// As [`read_objects`].
pub fn read_objects_from(path: &Path, reader: Box<dyn BufRead>, expected: &'static str) -> Result<Vec<Row>> {
    objects(path, lines::rows_of(path, reader)?, expected)
}

fn objects(path: &Path, rows: lines::Rows, expected: &'static str) -> Result<Vec<Row>> {
    let shared: Arc<Path> = path.into();
    let row = |item: Result<(usize, _)>| item.map(|(line, fields)| Row::new(shared.clone(), line, fields));
    let rows = rows.map(row).collect::<Result<Vec<Row>>>()?;
    if rows.is_empty() {
        let path = path.to_owned();
        return Err(Error::EmptyFile { path, expected });
    }
    Ok(rows)
}

fn read_rows<T>(
    path: &Path,
    expected: &'static str,
    columns: &Columns,
    parse: impl Fn(Row) -> Parsed<T>,
) -> Result<Loaded<T>> {
    let source = lines::open_rows(path, expected)?;
    if lines::format_of(path)? != Format::Rows {
        return Err(Error::UnknownFormat {
            path: path.to_owned(),
            expected: ".jsonl or .json, or one of these and .gz, or .parquet",
        });
    }
    let shared: Arc<Path> = path.into();
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
        match parse(Row::new(shared.clone(), line, fields))? {
            Ok(row) => rows.push(row),
            Err(reason) => file.skip(reason, line),
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
