//! Bytes in order, with what is left of the file.

use std::io::{self, BufRead, ErrorKind, Read};
use std::path::Path;

use crate::error::{Error, Result};

/// Bytes that are reserved at once for a text; a longer one grows as its bytes arrive.
const FIRST_RESERVE: u64 = 1 << 16;

/// A reader that knows how much of the file is left, so that no length is believed beyond it.
pub(super) struct Cursor<'a, R> {
    reader: R,
    path: &'a Path,
    at: u64,
    len: u64,
}

impl<'a, R: BufRead> Cursor<'a, R> {
    pub(super) fn new(reader: R, len: u64, path: &'a Path) -> Self {
        Self {
            reader,
            path,
            at: 0,
            len,
        }
    }

    pub(super) fn path(&self) -> &'a Path {
        self.path
    }

    /// Bytes read so far.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Bytes of the file.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    fn left(&self) -> u64 {
        self.len.saturating_sub(self.at)
    }

    /// An error if the file has no `needed` bytes left for `place`.
    pub(super) fn need(&self, needed: u64, place: &str) -> Result<()> {
        if needed <= self.left() {
            return Ok(());
        }
        Err(self.truncated(needed, place))
    }

    fn truncated(&self, needed: u64, place: &str) -> Error {
        Error::Truncated {
            path: self.path.to_owned(),
            place: place.to_owned(),
            needed,
            left: self.left(),
        }
    }

    fn io(&self, error: io::Error, needed: u64, place: &str) -> Error {
        if error.kind() == ErrorKind::UnexpectedEof {
            return self.truncated(needed, place);
        }
        Error::Read {
            path: self.path.to_owned(),
            source: error,
        }
    }

    pub(super) fn array<const N: usize>(&mut self, place: &str) -> Result<[u8; N]> {
        self.need(N as u64, place)?;
        let mut bytes = [0; N];
        self.reader
            .read_exact(&mut bytes)
            .map_err(|error| self.io(error, N as u64, place))?;
        self.at += N as u64;
        Ok(bytes)
    }

    pub(super) fn u32(&mut self, place: &str) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array(place)?))
    }

    pub(super) fn u64(&mut self, place: &str) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array(place)?))
    }

    /// The next `n` bytes.
    pub(super) fn bytes(&mut self, n: u64, place: &str) -> Result<Vec<u8>> {
        self.need(n, place)?;
        let mut bytes = Vec::with_capacity(n.min(FIRST_RESERVE) as usize);
        let read = (&mut self.reader).take(n).read_to_end(&mut bytes);
        read.map_err(|error| self.io(error, n, place))?;
        if (bytes.len() as u64) < n {
            return Err(self.truncated(n, place));
        }
        self.at += n;
        Ok(bytes)
    }

    /// A length and as many bytes of UTF-8; `Err` within `Ok` are bytes that are none.
    pub(super) fn text(&mut self, place: &str) -> Result<std::result::Result<String, String>> {
        let len = self.u64(place)?;
        let bytes = self.bytes(len, place)?;
        Ok(String::from_utf8(bytes).map_err(|error| format!("expected UTF-8: {}", error.utf8_error())))
    }
}
