//! A file that is there whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A file under a temporary name beside its final one; dropped without [`Pending::commit`] it disappears.
pub(super) struct Pending {
    writer: Option<BufWriter<File>>,
    temporary: PathBuf,
    target: PathBuf,
    written: u64,
}

impl Pending {
    /// Starts the file that is to stand at `path`.
    pub(super) fn new(path: &Path) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = path.with_file_name(format!(".rlhf-tmp-{name}-{}", std::process::id()));
        let file = File::create(&temporary).map_err(|source| write_error(path, source))?;
        Ok(Self {
            writer: Some(BufWriter::with_capacity(1 << 20, file)),
            temporary,
            target: path.to_owned(),
            written: 0,
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let writer = self.writer.as_mut().expect("it is there until the file is committed");
        writer
            .write_all(bytes)
            .map_err(|source| write_error(&self.target, source))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Zeros up to a multiple of `alignment`.
    pub(super) fn pad(&mut self, alignment: u64) -> Result<()> {
        let zeros = self.written.next_multiple_of(alignment) - self.written;
        self.write(&vec![0; zeros as usize])
    }

    /// Gives the file its final name, replacing what is there; returns its length.
    pub(super) fn commit(mut self) -> Result<u64> {
        let writer = self.writer.take().expect("a file is committed once");
        let finish = || {
            let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            drop(file);
            fs::rename(&self.temporary, &self.target)?;
            match self.target.parent().filter(|_| cfg!(unix)) {
                Some(dir) if dir.as_os_str().is_empty() => File::open(".")?.sync_all(),
                Some(dir) => File::open(dir)?.sync_all(),
                None => Ok(()),
            }
        };
        finish().map_err(|source| write_error(&self.target, source))?;
        Ok(self.written)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.writer = None;
        // After the renaming there is nothing under this name; before, the error that counts has been returned.
        let _ = fs::remove_file(&self.temporary);
    }
}

fn write_error(path: &Path, source: io::Error) -> Error {
    Error::Write {
        path: path.to_owned(),
        source,
    }
}
