//! The files and repositories that a result depends on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rlhf_core::hash::file_sha256;
use rlhf_data::Source;
use rlhf_hub::HubId;

use crate::error::Result;
use crate::locations::on_hub;
use crate::rows::RowsRead;
use crate::stage::Stage;
use crate::stages::WEIGHTS;
use crate::workspace::Workspace;

/// The inputs of a stage, collected for [`Stage::inputs`]: nothing is read yet.
pub struct Inputs<'a> {
    work: &'a Workspace<'a>,
    files: Vec<PathBuf>,
    /// Each with the commit that the run has for it.
    repositories: BTreeMap<String, String>,
}

impl<'a> Inputs<'a> {
    pub(crate) fn new(work: &'a Workspace<'a>) -> Self {
        Self {
            work,
            files: Vec::new(),
            repositories: BTreeMap::new(),
        }
    }

    /// A file of an earlier stage.
    ///
    /// # Errors
    /// [`Error::MissingStage`](crate::Error::MissingStage) if it is not there.
    pub fn output(mut self, stage: &dyn Stage, file: &str) -> Result<Self> {
        self.files.push(self.work.output(stage, file)?);
        Ok(self)
    }

    /// A file of an earlier stage that writes it only sometimes.
    #[must_use]
    pub fn output_if_there(self, stage: &dyn Stage, file: &str) -> Self {
        let path = self.work.folder(stage).join(file);
        self.file_if_there(path)
    }

    /// A file of the user's.
    #[must_use]
    pub fn file(mut self, path: PathBuf) -> Self {
        self.files.push(path);
        self
    }

    /// A file of the user's that may be missing, or a folder.
    #[must_use]
    pub fn file_if_there(mut self, path: PathBuf) -> Self {
        self.files.extend(Some(path).filter(|path| path.is_file()));
        self
    }

    /// A model that the user named: those of `files` that are in its folder, the GGUF file that it is, or the commit of its
    /// repository.
    ///
    /// # Errors
    /// A repository that cannot be asked.
    pub fn model(mut self, location: &Path, files: &[&str]) -> Result<Self> {
        if let Some(text) = on_hub(location) {
            let (repository, commit) = self.work.locations().dependency(text, HubId::model)?;
            self.repositories.insert(repository, commit);
            return Ok(self);
        }
        if location.is_file() {
            return Ok(self.file(location.to_owned()));
        }
        let mut paths: Vec<PathBuf> = files.iter().map(|file| location.join(file)).collect();
        if files.contains(&WEIGHTS) && !location.join(WEIGHTS).exists() {
            paths.extend(parts(location));
        }
        Ok(paths.into_iter().fold(self, Self::file_if_there))
    }

    /// Rows to learn from or to measure with: the files that a judged task was written to, or the user's.
    pub(crate) fn rows(mut self, reads: &[RowsRead]) -> Result<Self> {
        let data = &self.work.config().data;
        for read in reads {
            if data.source.is_judged() {
                let written = read.written().iter();
                self.files.extend(written.map(|file| self.work.path(file)));
            } else {
                self = self.sources(read.sources(data))?;
            }
        }
        Ok(self)
    }

    /// Files and data sets of the user's.
    ///
    /// # Errors
    /// A repository that cannot be asked.
    pub fn sources(mut self, sources: &[Source]) -> Result<Self> {
        for source in sources {
            if let Some(text) = on_hub(&source.path) {
                let (repository, commit) = self.work.locations().dependency(text, HubId::data)?;
                self.repositories.insert(repository, commit);
            } else {
                let path = self.work.config().data.located(&source.path);
                self = self.file_if_there(path);
            }
        }
        Ok(self)
    }

    /// The digest of each file and the commit of each repository.
    pub(crate) fn read(self) -> Result<BTreeMap<String, String>> {
        let mut found = self.repositories;
        for path in &self.files {
            found.insert(self.work.input_name(path), file_sha256(path)?);
        }
        Ok(found)
    }
}

/// The files of a folder whose weights are in several, in order.
fn parts(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut found: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "safetensors"))
        .collect();
    found.sort();
    found
}
