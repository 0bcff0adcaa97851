//! The folder of a run: `RUN/config.toml`, and a folder for each stage.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    atomic,
    checkpoint::CheckpointStore,
    error::{Error, Result},
    hash::Fingerprint,
    metrics::METRICS_FILE,
};

const COMPLETE: &str = "complete.json";
const LOCK: &str = "lock";

/// The folder of a run.
#[derive(Clone, Debug)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Opens the folder, made if missing.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        atomic::make_dir(&path)?;
        Ok(Self { path })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The resolved configuration, `config.toml`.
    fn config_path(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// Writes the resolved configuration.
    pub fn write_config(&self, toml: &str) -> Result<()> {
        atomic::write_file(self.config_path(), toml.as_bytes())
    }

    /// The folder of a stage; it is made when the stage is [locked](StageDir::lock).
    pub fn stage(&self, name: &str) -> StageDir {
        StageDir {
            path: self.path.join(name),
        }
    }
}

/// The folder of one stage of a run. The model's files stand directly in it, as others expect of a model's folder.
#[derive(Clone, Debug)]
pub struct StageDir {
    path: PathBuf,
}

impl StageDir {
    /// A stage's folder that is not part of a run, for a stage used alone.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Folder of the stage's model: `config.json`, `model.safetensors`, `tokenizer.json`.
    pub fn model_dir(&self) -> &Path {
        &self.path
    }

    /// Folder of a further model of the stage, such as the averaged policy or the value network.
    pub fn other_model_dir(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The rows of metrics; see [`MetricWriter`](crate::MetricWriter), which takes [`StageDir::path`].
    pub fn metrics_path(&self) -> PathBuf {
        self.path.join(METRICS_FILE)
    }

    /// The samples, a JSON object a line.
    pub fn samples_path(&self) -> PathBuf {
        self.path.join("samples.jsonl")
    }

    /// Opens the stage's checkpoints; to be called by whoever holds the lock.
    pub fn checkpoints(&self, keep: usize) -> Result<CheckpointStore> {
        CheckpointStore::open(self.path.join("checkpoints"), keep)
    }

    /// Makes this process the only one that works in the folder until the lock is dropped, and clears away what a
    /// killed process left.
    ///
    /// The operating system releases the lock of a process that dies, however it dies.
    ///
    /// # Errors
    /// [`Error::Locked`] with the other's process number.
    pub fn lock(&self) -> Result<StageLock> {
        atomic::make_dir(&self.path)?;
        let path = self.path.join(LOCK);
        let failed = |e: io::Error| Error::io("lock", &path, e);
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // Without the number the error still says what matters.
                let _ = file.read_to_string(&mut pid);
                return Err(Error::Locked {
                    path,
                    pid: pid.trim().parse().ok(),
                });
            }
            Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {
                tracing::warn!(path = %path.display(), "this file system has no locks: run one process a folder");
            }
            Err(TryLockError::Error(e)) => return Err(failed(e)),
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(failed)?;
        atomic::clean_leftovers(&self.path)?;
        Ok(StageLock { _file: file })
    }

    /// Takes away the mark that the stage has ended, for it is going on; what it has written stays.
    pub fn unmark(&self, _lock: &StageLock) -> Result<()> {
        let mark = self.path.join(COMPLETE);
        if mark.exists() {
            fs::remove_file(&mark).map_err(|e| Error::io("remove", &mark, e))?;
        }
        Ok(())
    }

    /// Removes everything the stage has written, to start it over.
    pub fn clear(&self, lock: &StageLock) -> Result<()> {
        // The mark goes first: half a folder must not look finished.
        self.unmark(lock)?;
        for entry in fs::read_dir(&self.path).map_err(|e| Error::io("list", &self.path, e))? {
            let entry = entry.map_err(|e| Error::io("list", &self.path, e))?;
            if entry.file_name() == LOCK {
                continue;
            }
            let path = entry.path();
            let is_dir = entry.file_type().map_err(|e| Error::io("read", &path, e))?.is_dir();
            let removed = if is_dir {
                fs::remove_dir_all(&path)
            } else {
                fs::remove_file(&path)
            };
            removed.map_err(|e| Error::io("remove", &path, e))?;
        }
        Ok(())
    }

    /// The mark that the stage left when it ended, if it has. A damaged mark counts as none, with a warning.
    pub fn completion(&self) -> Result<Option<Completion>> {
        let path = self.path.join(COMPLETE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("read", &path, e)),
        };
        match serde_json::from_slice(&bytes) {
            Ok(completion) => Ok(Some(completion)),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "damaged; the stage counts as unfinished");
                Ok(None)
            }
        }
    }

    /// Marks the stage as ended; to be called after everything else is written.
    pub fn mark_complete(&self, completion: &Completion) -> Result<()> {
        let path = self.path.join(COMPLETE);
        let json = serde_json::to_vec_pretty(completion).map_err(|e| Error::Encode {
            what: COMPLETE.into(),
            message: e.to_string(),
        })?;
        atomic::write_file(path, &json)
    }
}

/// Held while a process works on a stage; released when dropped.
#[derive(Debug)]
pub struct StageLock {
    _file: File,
}

/// Content of `complete.json`, the mark of a finished stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Completion {
    /// Configuration and inputs: a stage of the same fingerprint need not run again.
    pub fingerprint: Fingerprint,
    /// The run's seed.
    pub seed: u64,
    /// SHA-256 of each input file, and the commit of each repository of a hub.
    pub inputs: BTreeMap<String, String>,
    /// Versions of this program and of what its numbers depend on.
    pub versions: BTreeMap<String, String>,
    /// Duration of the stage in seconds, all its interrupted parts together if the stage counts them.
    pub seconds: f64,
    /// Units that the stage has done, where it may go on for more; the fingerprint leaves them out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extent: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::fingerprint;
    use serde_json::json;

    fn completion(lr: f64) -> Completion {
        Completion {
            fingerprint: fingerprint(&json!({"lr": lr})).unwrap(),
            seed: 3,
            inputs: [("a.jsonl".to_owned(), "00ff".to_owned())].into(),
            versions: [("rlhf".to_owned(), "0.1.0".to_owned())].into(),
            seconds: 1.5,
            extent: Some(6),
        }
    }

    #[test]
    fn a_stage_that_has_ended_says_with_what() {
        let dir = tempfile::tempdir().unwrap();
        let stage = RunDir::open(dir.path().join("run")).unwrap().stage("sft");
        let _lock = stage.lock().unwrap();
        assert_eq!(stage.completion().unwrap(), None);
        stage.mark_complete(&completion(0.1)).unwrap();
        assert_eq!(stage.completion().unwrap(), Some(completion(0.1)));
    }

    #[test]
    fn a_stage_that_goes_on_loses_its_mark_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let stage = StageDir::new(dir.path());
        let lock = stage.lock().unwrap();
        stage.mark_complete(&completion(0.1)).unwrap();
        fs::write(stage.samples_path(), "{}").unwrap();
        stage.unmark(&lock).unwrap();
        assert_eq!(stage.completion().unwrap(), None);
        assert!(stage.samples_path().exists());
        stage.unmark(&lock).unwrap();
    }

    #[test]
    fn a_mark_of_a_version_without_extents_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let stage = StageDir::new(dir.path());
        let old = Completion {
            extent: None,
            ..completion(0.1)
        };
        stage.mark_complete(&old).unwrap();
        let text = fs::read_to_string(dir.path().join(COMPLETE)).unwrap();
        assert!(!text.contains("extent"), "{text}");
        assert_eq!(stage.completion().unwrap(), Some(old));
    }

    #[test]
    fn a_damaged_mark_counts_as_none() {
        let dir = tempfile::tempdir().unwrap();
        let stage = StageDir::new(dir.path());
        stage.mark_complete(&completion(0.1)).unwrap();
        let path = dir.path().join(COMPLETE);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert_eq!(stage.completion().unwrap(), None);
    }

    #[test]
    fn a_second_process_is_told_who_holds_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let stage = StageDir::new(dir.path().join("ppo"));
        let lock = stage.lock().unwrap();
        // A second open file stands for a second process: the lock belongs to the open file.
        match stage.lock() {
            Err(Error::Locked { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        drop(lock);
        stage.lock().unwrap();
    }

    #[test]
    fn a_lock_file_left_by_a_dead_process_is_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(LOCK), "4194304999\n").unwrap();
        let stage = StageDir::new(dir.path());
        let _lock = stage.lock().unwrap();
        assert_eq!(
            fs::read_to_string(dir.path().join(LOCK)).unwrap(),
            format!("{}\n", std::process::id())
        );
    }

    #[test]
    fn clearing_a_stage_leaves_its_lock_alone() {
        let dir = tempfile::tempdir().unwrap();
        let stage = StageDir::new(dir.path());
        let lock = stage.lock().unwrap();
        stage.mark_complete(&completion(0.1)).unwrap();
        stage.checkpoints(2).unwrap();
        fs::create_dir(stage.other_model_dir("ema")).unwrap();
        stage.clear(&lock).unwrap();
        let left: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert_eq!(left, [LOCK]);
    }

    #[test]
    fn the_configuration_is_written_beside_the_stages() {
        let dir = tempfile::tempdir().unwrap();
        let run = RunDir::open(dir.path().join("deep/run")).unwrap();
        run.write_config("seed = 1\n").unwrap();
        assert_eq!(fs::read_to_string(run.config_path()).unwrap(), "seed = 1\n");
        assert_eq!(run.stage("sft").samples_path(), run.path().join("sft/samples.jsonl"));
    }
}
