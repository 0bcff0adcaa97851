//! What stands where a file should be.

use std::fmt;
use std::path::Path;

use crate::error::{Error, Result};

/// Something that has the name of a file and is not that file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StandIn {
    /// The few lines that Git keeps in place of a large file.
    LfsPointer {
        /// Bytes of the file itself.
        size: Option<u64>,
    },
    /// HTML, as a server sends it that wants one to sign in, or has not found the file.
    WebPage,
    /// A zip archive, as `torch.save` writes checkpoints.
    Zip,
    /// A pickle, as `torch.save` wrote checkpoints before.
    Pickle,
}

impl StandIn {
    /// What a file that begins with these bytes is, if it is one of these. A few hundred bytes are enough.
    pub fn recognise(start: &[u8]) -> Option<Self> {
        let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
        if text.starts_with(b"version https://git-lfs.github.com/spec/") {
            let size = String::from_utf8_lossy(&text[..text.len().min(1024)])
                .lines()
                .find_map(|line| line.strip_prefix("size ")?.trim().parse().ok());
            return Some(Self::LfsPointer { size });
        }
        let page = text.trim_ascii_start();
        let begins = |word: &str| {
            page.get(..word.len())
                .is_some_and(|found| found.eq_ignore_ascii_case(word.as_bytes()))
        };
        match start {
            _ if begins("<!doctype html") || begins("<html") => Some(Self::WebPage),
            [b'P', b'K', 3, 4, ..] => Some(Self::Zip),
            // The mark of protocols 2 to 5, and what every one of them puts next.
            [0x80, 2..=5, 0x8a | b'}' | b'c' | 0x95, ..] => Some(Self::Pickle),
            _ => None,
        }
    }

    /// Refuses a file that begins with these bytes if it is one of these.
    ///
    /// # Errors
    /// [`Error::StandIn`].
    pub fn refuse(path: &Path, start: &[u8]) -> Result<()> {
        Self::recognise(start).map_or(Ok(()), |found| {
            Err(Error::StandIn {
                path: path.to_owned(),
                found,
            })
        })
    }
}

impl fmt::Display for StandIn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LfsPointer { size } => {
                write!(out, "a Git LFS pointer to the file")?;
                if let Some(size) = size {
                    write!(out, ", which has {size} bytes")?;
                }
                write!(out, ": fetch the file itself, with `git lfs pull` for one")
            }
            Self::WebPage => write!(
                out,
                "a web page (HTML) where the file should be, perhaps one that asks to sign in: fetch it again"
            ),
            Self::Zip => write!(out, "a zip archive, as `torch.save` writes: convert it to safetensors"),
            Self::Pickle => write!(out, "a pickle, as `torch.save` wrote: convert it to safetensors"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_for_a_file_is_told_by_its_first_bytes() {
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 269060552\n";
        let size = Some(269_060_552);
        assert_eq!(StandIn::recognise(pointer), Some(StandIn::LfsPointer { size }));
        assert_eq!(
            StandIn::recognise(&pointer[..45]),
            Some(StandIn::LfsPointer { size: None })
        );
        for page in [
            "<!DOCTYPE html><html>",
            "\n <html lang=en>",
            "<HTML>",
            "\u{feff}<!doctype HTML>",
        ] {
            assert_eq!(StandIn::recognise(page.as_bytes()), Some(StandIn::WebPage), "{page}");
        }
        assert_eq!(StandIn::recognise(b"PK\x03\x04rest"), Some(StandIn::Zip));
        assert_eq!(StandIn::recognise(b"\x80\x02}q\x00"), Some(StandIn::Pickle));
    }

    #[test]
    fn other_files_are_left_alone() {
        for start in [
            &b""[..],
            b"{",
            b"PK",
            b"version 1",
            b"<|user|>",
            b"\x80",
            b"PAR1",
            b"{\"__metadata__\"",
        ] {
            assert_eq!(StandIn::recognise(start), None, "{start:?}");
        }
    }
}
