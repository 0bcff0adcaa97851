//! A file mapped into memory: the one place of this crate that needs `unsafe`.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use memmap2::Mmap;

use crate::error::{Error, Result};

/// The bytes of a file, read when they are looked at.
#[derive(Debug)]
pub(crate) struct MappedFile {
    path: PathBuf,
    map: Mmap,
}

impl MappedFile {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let io = |source| Error::Io {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(io)?;
        let empty = file.metadata().map_err(io)?.len() == 0;
        if empty {
            // Some systems cannot map nothing.
            return Err(Error::Safetensors {
                path: path.to_owned(),
                message: "the file is empty".into(),
            });
        }
        #[expect(unsafe_code, reason = "mapping is unsafe in itself")]
        // SAFETY: the bytes are read as numbers of which every bit pattern is one, after the header was checked and
        // copied. Another process that changes the file while it is read changes numbers; one that shortens it ends
        // this process with a bus error, as it would any program that maps files.
        let map = unsafe { Mmap::map(&file) }.map_err(io)?;
        Ok(Self {
            path: path.to_owned(),
            map,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Gives the memory of a part back to the system; looked at again, it is read again.
    pub(crate) fn release(&self, part: Range<usize>) {
        #[cfg(unix)]
        {
            #[expect(unsafe_code, reason = "the call can drop changes, of which a read-only map has none")]
            // SAFETY: the map is read-only and backed by a file, so dropped pages come back with the same bytes.
            let advised = unsafe {
                self.map
                    .unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, part.start, part.len())
            };
            // Advice only: whether it is taken changes how much memory is in use, and nothing else.
            let _ = advised;
        }
        #[cfg(not(unix))]
        let _ = part;
    }
}
