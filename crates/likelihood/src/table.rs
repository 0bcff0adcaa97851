//! Tables of text: comma or tab between the fields, names in the first line.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use csv::{ReaderBuilder, StringRecord};
use rlhf_data::Origin;
use rlhf_files::StandIn;

use crate::error::{Error, Result};

/// Ways of writing tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Comma-separated; fields may stand in quotes, and hold line breaks then.
    Comma,
    /// Tab-separated; a quote is a character like any other.
    Tab,
}

/// The rows of a file.
pub(crate) struct Table {
    path: Arc<Path>,
    names: StringRecord,
    rows: Vec<(usize, StringRecord)>,
}

/// A row, with its place.
pub(crate) struct TableRow<'a> {
    pub(crate) origin: Origin,
    fields: Vec<&'a str>,
}

impl Table {
    /// Reads a whole file. A byte order mark is left out, and lines may end as on Windows.
    pub(crate) fn read(path: &Path, format: Format, expected: &'static str) -> Result<Self> {
        let bytes = fs::read(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => rlhf_data::Error::MissingFile {
                path: path.to_owned(),
                expected,
            }
            .into(),
            _ => Error::Read {
                path: path.to_owned(),
                source,
            },
        })?;
        StandIn::refuse(path, &bytes[..bytes.len().min(1024)])?;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let mut reader = ReaderBuilder::new()
            .delimiter(if format == Format::Tab { b'\t' } else { b',' })
            .quoting(format == Format::Comma)
            .from_reader(bytes);
        let names = reader
            .headers()
            .map_err(|error| malformed(path, bytes, &error))?
            .clone();
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| malformed(path, bytes, &error))?;
            let line = record.position().map_or(0, |position| line_at(bytes, position));
            rows.push((line as usize, record));
        }
        if rows.is_empty() {
            return Err(Error::Empty {
                path: path.to_owned(),
                expected,
            });
        }
        Ok(Self {
            path: path.into(),
            names,
            rows,
        })
    }

    /// The rows, each with its fields of these columns.
    pub(crate) fn columns(&self, columns: &[&'static str]) -> Result<impl Iterator<Item = TableRow<'_>>> {
        let places = columns
            .iter()
            .map(|column| self.place(column))
            .collect::<Result<Vec<usize>>>()?;
        Ok(self.rows.iter().map(move |(line, record)| TableRow {
            origin: Origin::new(self.path.clone(), *line),
            fields: places.iter().map(|&place| &record[place]).collect(),
        }))
    }

    fn place(&self, column: &'static str) -> Result<usize> {
        let found = self.names.iter().position(|name| name.trim() == column);
        found.ok_or_else(|| Error::MissingColumn {
            path: self.path.to_path_buf(),
            column,
            found: format!("{:?}", self.names.iter().collect::<Vec<_>>()),
        })
    }
}

impl<'a> TableRow<'a> {
    /// The field of a column, by its place among those asked for.
    pub(crate) fn field(&self, place: usize) -> &'a str {
        self.fields[place]
    }

    /// A field with something in it, without white space around it.
    pub(crate) fn text(&self, place: usize, field: &'static str) -> Result<&'a str> {
        match self.field(place).trim() {
            "" => Err(self.wrong(field, "a text", "")),
            text => Ok(text),
        }
    }

    /// The fault that a field is not as it should be.
    pub(crate) fn wrong(&self, field: &'static str, expected: &'static str, found: &str) -> Error {
        Error::WrongField {
            place: self.origin.to_string(),
            field,
            expected,
            found: if found.is_empty() {
                "nothing".to_owned()
            } else {
                format!("{found:?}")
            },
        }
    }
}

/// The line that a row begins on. The reader takes it to begin right after the first character that ends the one before, of which
/// Windows has two, and empty lines may follow.
fn line_at(bytes: &[u8], position: &csv::Position) -> u64 {
    let rest = bytes.get(position.byte() as usize..).unwrap_or_default();
    let ends = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    position.line() + ends.filter(|&&byte| byte == b'\n').count() as u64
}

fn malformed(path: &Path, bytes: &[u8], error: &csv::Error) -> Error {
    let line = error.position().map_or(1, |position| line_at(bytes, position));
    let reason = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("expected {expected_len} fields, as in the first line, found {len}")
        }
        csv::ErrorKind::Utf8 { .. } => "not UTF-8".to_owned(),
        _ => error.to_string(),
    };
    Error::MalformedTable {
        path: path.to_owned(),
        line,
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], format: Format) -> Result<Vec<(Option<usize>, String, String)>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table");
        fs::write(&path, bytes).unwrap();
        let table = Table::read(&path, format, "a table")?;
        let rows = table.columns(&["b", "a"])?;
        Ok(rows
            .map(|row| (row.origin.line(), row.field(0).to_owned(), row.field(1).to_owned()))
            .collect())
    }

    fn refused(bytes: &[u8], expected: &str) {
        let error = read(bytes, Format::Comma).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn a_table_is_read_whatever_its_line_ends_and_marks_are() {
        let plain = read(b"a,b,c\n1,2,3\n4,5,6\n", Format::Comma).unwrap();
        let expected = [(2, "2", "1"), (3, "5", "4")];
        assert_eq!(
            plain,
            expected.map(|(line, b, a)| (Some(line), b.to_owned(), a.to_owned()))
        );
        assert_eq!(
            read(b"\xef\xbb\xbfa,b,c\r\n1,2,3\r\n4,5,6", Format::Comma).unwrap(),
            plain
        );
        assert_eq!(read(b"a\tb\tc\r\n1\t2\t3\r\n4\t5\t6\r\n", Format::Tab).unwrap(), plain);
    }

    #[test]
    fn quotes_hold_line_breaks_and_commas_where_they_are_quotes() {
        let rows = read(b"a,b\n\"one\ntwo, \"\"three\"\"\",x\nlast,y\n", Format::Comma).unwrap();
        assert_eq!(rows[0].2, "one\ntwo, \"three\"");
        assert_eq!(
            rows[1].0,
            Some(4),
            "the row after a line break in quotes knows its line"
        );
        let rows = read(b"a\tb\n\"one\tx\n", Format::Tab).unwrap();
        assert_eq!(rows[0].2, "\"one");
    }

    #[test]
    fn a_table_that_is_none_is_refused_with_its_line() {
        refused(b"", "no rows");
        refused(b"a,b\n", "no rows");
        refused(b"a,c\n1,2\n", "table:1: no column `b`; found [\"a\", \"c\"]");
        refused(
            b"a,b\n1,2\n3\n",
            "table:3: malformed table: expected 2 fields, as in the first line, found 1",
        );
        refused(b"a,b\n1,\xff\n", "table:2: malformed table: not UTF-8");
        refused(b"version https://git-lfs.github.com/spec/v1\n", "Git LFS");
        let missing = Table::read(Path::new("no/such.csv"), Format::Comma, "a table");
        assert!(
            missing
                .err()
                .unwrap()
                .to_string()
                .contains("no such file; expected a table")
        );
    }
}
