//! Checkpoints: everything a run needs to go on as if it had never stopped.
//!
//! A checkpoint is a folder `step-00000123` with named parts and a manifest of their lengths and digests. It is written
//! under a temporary name and renamed, so a killed process leaves either all of it or nothing; a damaged one is noticed
//! by its digests, and the next older one is used instead.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    atomic::{self, PendingDir},
    error::{Error, Result},
    hash::{Fingerprint, bytes_sha256, file_sha256},
    params::DeviceTensor,
    tensor_file::{self, TensorFile},
};

/// Version of the layout below; a change that older programs cannot read raises it.
const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
const PREFIX: &str = "step-";

/// Content of a checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    step: u64,
    fingerprint: Fingerprint,
    files: BTreeMap<String, FileEntry>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileEntry {
    bytes: u64,
    sha256: String,
}

/// The manifest and its own digest, so that damage to the manifest shows as well.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    sha256: String,
    manifest: Value,
}

/// The checkpoints of one stage.
#[derive(Clone, Debug)]
pub struct CheckpointStore {
    dir: PathBuf,
    keep: usize,
}

impl CheckpointStore {
    /// Opens the folder, made if missing, and clears away what a killed process left. The newest `keep` checkpoints
    /// (at least one) are kept.
    pub fn open(dir: impl Into<PathBuf>, keep: usize) -> Result<Self> {
        let dir = dir.into();
        atomic::make_dir(&dir)?;
        atomic::clean_leftovers(&dir)?;
        Ok(Self { dir, keep: keep.max(1) })
    }

    /// Starts the checkpoint of `step`; it counts from [`CheckpointWriter::commit`] on.
    pub fn begin(&self, step: u64) -> Result<CheckpointWriter<'_>> {
        let pending = PendingDir::new(self.path_of(step))?;
        Ok(CheckpointWriter {
            store: self,
            step,
            pending,
            files: BTreeMap::new(),
        })
    }

    /// The steps of which there is a checkpoint, whole or not, in rising order.
    pub fn steps(&self) -> Result<Vec<u64>> {
        let mut steps = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(|e| Error::io("list", &self.dir, e))? {
            let name = entry.map_err(|e| Error::io("list", &self.dir, e))?.file_name();
            let step = name
                .to_str()
                .and_then(|name| name.strip_prefix(PREFIX))
                .and_then(|step| step.parse::<u64>().ok());
            steps.extend(step);
        }
        steps.sort_unstable();
        Ok(steps)
    }

    /// The newest checkpoint that is whole.
    ///
    /// A damaged one is passed over with a warning.
    ///
    /// # Errors
    /// [`Error::OtherConfig`] if it was made with another configuration or input, [`Error::FormatVersion`] if by
    /// another version of this program.
    pub fn latest(&self, fingerprint: &Fingerprint) -> Result<Option<Checkpoint>> {
        for step in self.steps()?.into_iter().rev() {
            let dir = self.path_of(step);
            let manifest = match verify(&dir, step) {
                Ok(manifest) => manifest,
                Err(Error::Damaged { path, reason }) => {
                    tracing::warn!(path = %path.display(), reason, "damaged checkpoint passed over");
                    continue;
                }
                Err(other) => return Err(other),
            };
            if let Some(difference) = fingerprint.difference(&manifest.fingerprint) {
                return Err(difference.into_error(dir));
            }
            return Ok(Some(Checkpoint { dir, manifest }));
        }
        Ok(None)
    }

    fn path_of(&self, step: u64) -> PathBuf {
        self.dir.join(format!("{PREFIX}{step:08}"))
    }

    /// Removes all but the newest `keep`, and those after `newest`: only damaged ones can be there, since a run goes on
    /// from the newest whole one.
    fn prune(&self, newest: u64) -> Result<()> {
        let (kept, stale): (Vec<u64>, Vec<u64>) = self.steps()?.into_iter().partition(|&step| step <= newest);
        let old = kept.len().saturating_sub(self.keep);
        kept[..old]
            .iter()
            .chain(&stale)
            .try_for_each(|&step| atomic::remove_dir(self.path_of(step)))
    }
}

/// A checkpoint being written; dropped without [`CheckpointWriter::commit`] it disappears.
#[derive(Debug)]
pub struct CheckpointWriter<'a> {
    store: &'a CheckpointStore,
    step: u64,
    pending: PendingDir,
    files: BTreeMap<String, FileEntry>,
}

impl CheckpointWriter<'_> {
    /// Adds a part that is read back with [`Checkpoint::json`].
    pub fn add_json(&mut self, name: &str, value: &impl Serialize) -> Result<()> {
        let bytes = serde_json::to_vec(value).map_err(|e| Error::Encode {
            what: name.into(),
            message: e.to_string(),
        })?;
        self.add(name, "json", |path| {
            fs::write(path, bytes).map_err(|e| Error::io("write", path, e))
        })
    }

    /// Adds tensors that are read back with [`Checkpoint::tensors`]. They are kept bit for bit, in a safetensors file, and
    /// come to the host one at a time.
    pub fn add_tensors(&mut self, name: &str, tensors: Vec<DeviceTensor>) -> Result<()> {
        self.add(name, "safetensors", |path| {
            tensor_file::write(path, tensors).map_err(|error| match error {
                safetensors::SafeTensorError::IoError(source) => Error::io("write", path, source),
                other => Error::Encode {
                    what: name.into(),
                    message: other.to_string(),
                },
            })
        })
    }

    /// Adds the file that `write` leaves at the path it gets.
    fn add(&mut self, name: &str, extension: &str, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let file = format!("{name}.{extension}");
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let reason = if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
            "only letters, digits, `_`, `-` and `.` may be used, and no `.` in front"
        } else if file == MANIFEST || self.files.contains_key(&file) {
            "the checkpoint has such a file already"
        } else {
            let path = self.pending.path().join(&file);
            write(&path)?;
            let bytes = fs::metadata(&path).map_err(|e| Error::io("read", &path, e))?.len();
            let sha256 = file_sha256(&path)?;
            self.files.insert(file, FileEntry { bytes, sha256 });
            return Ok(());
        };
        Err(Error::BadName {
            name: name.into(),
            reason,
        })
    }

    /// Makes the checkpoint count, and removes older ones than are to be kept.
    pub fn commit(self, fingerprint: &Fingerprint) -> Result<()> {
        let encode = |e: serde_json::Error| Error::Encode {
            what: MANIFEST.into(),
            message: e.to_string(),
        };
        let manifest = Manifest {
            format: FORMAT,
            step: self.step,
            fingerprint: fingerprint.clone(),
            files: self.files,
        };
        let manifest = serde_json::to_value(manifest).map_err(encode)?;
        let sealed = Sealed {
            sha256: bytes_sha256(manifest.to_string().as_bytes()),
            manifest,
        };
        let path = self.pending.path().join(MANIFEST);
        fs::write(&path, serde_json::to_vec(&sealed).map_err(encode)?).map_err(|e| Error::io("write", &path, e))?;
        self.pending.commit()?;
        self.store.prune(self.step)
    }
}

/// A whole checkpoint.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    dir: PathBuf,
    manifest: Manifest,
}

impl Checkpoint {
    /// The step it was written after.
    pub fn step(&self) -> u64 {
        self.manifest.step
    }

    /// Reads what [`CheckpointWriter::add_json`] wrote.
    pub fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let path = self.path_of(name, "json")?;
        let bytes = fs::read(&path).map_err(|e| Error::io("read", &path, e))?;
        serde_json::from_slice(&bytes).map_err(|e| Error::Malformed {
            path,
            line: Some(e.line()),
            expected: std::any::type_name::<T>(),
            message: e.to_string(),
        })
    }

    /// Opens what [`CheckpointWriter::add_tensors`] wrote.
    pub fn tensors(&self, name: &str) -> Result<TensorFile> {
        TensorFile::open(&self.path_of(name, "safetensors")?)
    }

    /// Path of a part of the checkpoint.
    fn path_of(&self, name: &str, extension: &str) -> Result<PathBuf> {
        let file = format!("{name}.{extension}");
        if !self.manifest.files.contains_key(&file) {
            let known = self.manifest.files.keys().cloned().collect();
            return Err(Error::UnknownPart {
                path: self.dir.clone(),
                name: file,
                known,
            });
        }
        Ok(self.dir.join(file))
    }
}

/// Reads the manifest and compares every file with it; whatever is not as it was written is [`Error::Damaged`].
fn verify(dir: &Path, step: u64) -> Result<Manifest> {
    let path = dir.join(MANIFEST);
    let damaged = |path: &Path, reason: String| Error::Damaged {
        path: path.to_path_buf(),
        reason,
    };
    let absent = |error: Error| match error {
        Error::NotFound { path, .. } => damaged(&path, "the file is missing".into()),
        other => other,
    };
    let bytes = fs::read(&path).map_err(|e| absent(Error::io("read", &path, e)))?;
    let sealed: Sealed = serde_json::from_slice(&bytes).map_err(|e| damaged(&path, e.to_string()))?;
    if bytes_sha256(sealed.manifest.to_string().as_bytes()) != sealed.sha256 {
        return Err(damaged(&path, "its digest does not match".into()));
    }
    match sealed.manifest["format"].as_u64() {
        Some(found) if found != u64::from(FORMAT) => {
            let found = u32::try_from(found).unwrap_or(u32::MAX);
            return Err(Error::FormatVersion {
                path,
                expected: FORMAT,
                found,
            });
        }
        _ => {}
    }
    let manifest: Manifest = serde_json::from_value(sealed.manifest).map_err(|e| damaged(&path, e.to_string()))?;
    if manifest.step != step {
        return Err(damaged(&path, format!("it is of step {}", manifest.step)));
    }
    for (name, entry) in &manifest.files {
        let path = dir.join(name);
        let bytes = fs::metadata(&path)
            .map_err(|e| absent(Error::io("read", &path, e)))?
            .len();
        if bytes != entry.bytes {
            return Err(damaged(
                &path,
                format!("{bytes} bytes long, {} were written", entry.bytes),
            ));
        }
        if file_sha256(&path)? != entry.sha256 {
            return Err(damaged(&path, "its digest does not match".into()));
        }
    }
    Ok(manifest)
}

#[cfg(test)]
#[path = "checkpoint_tests.rs"]
mod tests;
