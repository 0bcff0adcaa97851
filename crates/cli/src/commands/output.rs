//! Standard output: buffered, one writer.

use std::io::{BufWriter, StdoutLock, Write};

use serde::Serialize;

use crate::error::{Error, Result};

/// Standard output of a command.
pub(super) struct Output(BufWriter<StdoutLock<'static>>);

impl Output {
    pub(super) fn open() -> Self {
        Self(BufWriter::new(std::io::stdout().lock()))
    }

    pub(super) fn text(&mut self, text: &str) -> Result<()> {
        self.0.write_all(text.as_bytes()).map_err(failed)
    }

    /// A JSON value on a line.
    pub(super) fn row(&mut self, row: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.0, row).map_err(|error| failed(error.into()))?;
        self.text("\n")
    }

    /// Shows what was written so far. To be called at the end: a drop cannot report a full disk.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.0.flush().map_err(failed)
    }
}

fn failed(source: std::io::Error) -> Error {
    Error::Io {
        path: "standard output".into(),
        source,
    }
}
