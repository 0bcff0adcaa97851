//! The files of a commit. A commit never changes, so a listing is asked for once and kept beside the snapshot.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::id::is_inside;

/// A file of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RepoFile {
    #[serde(rename = "rfilename")]
    pub(crate) name: String,
    /// In bytes.
    pub(crate) size: Option<u64>,
}

/// The files of a commit, in the words of the Hub's own answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listing {
    #[serde(rename = "sha")]
    pub(crate) commit: String,
    #[serde(rename = "siblings")]
    pub(crate) files: Vec<RepoFile>,
    /// True if these are only the files that some program has fetched.
    #[serde(skip)]
    pub(crate) is_partial: bool,
}

impl Listing {
    /// A listing that was kept; nothing if there is none, or it is damaged.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// The files of a snapshot that other programs have filled.
    pub(crate) fn of_snapshot(dir: &Path, commit: &str) -> Self {
        let mut files = Vec::new();
        let mut folders = vec![(dir.to_owned(), String::new())];
        while let Some((folder, prefix)) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
                // Files are links to where their content is kept.
                match fs::metadata(entry.path()) {
                    Ok(found) if found.is_dir() => folders.push((entry.path(), format!("{name}/"))),
                    Ok(_) => files.push(RepoFile { name, size: None }),
                    Err(_) => {}
                }
            }
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Self {
            commit: commit.to_owned(),
            files,
            is_partial: true,
        }
    }

    /// The same without names that would leave the folder they are put into.
    pub(crate) fn checked(mut self) -> Self {
        self.files.retain(|file| is_inside(&file.name));
        self
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.name.as_str())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.names().any(|found| found == name)
    }

    pub(crate) fn size(&self, name: &str) -> Option<u64> {
        self.files.iter().find(|file| file.name == name)?.size
    }

    /// Bytes of several files, as far as they are known.
    pub(crate) fn bytes(&self, names: &[&str]) -> u64 {
        names.iter().filter_map(|name| self.size(name)).sum()
    }

    /// The first names, for errors.
    pub(crate) fn summary(&self) -> String {
        const SHOWN: usize = 8;
        let names: Vec<&str> = self.names().take(SHOWN).collect();
        match self.files.len() {
            0 => "no files".to_owned(),
            all if all > SHOWN => format!("{} and {} more", names.join(", "), all - SHOWN),
            _ => names.join(", "),
        }
    }
}
