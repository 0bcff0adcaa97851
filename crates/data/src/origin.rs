//! Places of rows.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// The file and the line that a row was read at; nothing for one that was made. Two rows that say the same are equal
/// wherever they stand, so origins are always equal.
#[derive(Clone, Debug, Default)]
pub struct Origin(Option<(Arc<Path>, usize)>);

impl Origin {
    /// A line of a file, from 1; of a Parquet file a row.
    pub fn new(path: Arc<Path>, line: usize) -> Self {
        Self(Some((path, line)))
    }

    /// The file, if there is one.
    pub fn path(&self) -> Option<&Path> {
        self.0.as_ref().map(|(path, _)| path.as_ref())
    }

    /// The line, if there is one.
    pub fn line(&self) -> Option<usize> {
        self.0.as_ref().map(|(_, line)| *line)
    }

    /// `file:line`, or the row's id where there is no file.
    pub(crate) fn name(&self, id: &str) -> String {
        match &self.0 {
            Some(_) => self.to_string(),
            None => format!("row {id}"),
        }
    }
}

impl PartialEq for Origin {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Origin {}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some((path, line)) => write!(f, "{}:{line}", path.display()),
            None => f.write_str("a row of no file"),
        }
    }
}
