//! Files and folders that are there whole or not at all.
//!
//! Everything is written under a temporary name beside its final one, synced to the disk and renamed. A process that
//! is killed leaves at most a temporary name behind, which is removed at the next start.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::error::{Error, Result};

/// Begins the name of what is still being written.
const TEMPORARY: &str = ".rlhf-tmp-";
/// Begins the name of a folder that is being replaced; it goes back if its successor never arrives.
const REPLACED: &str = ".rlhf-old-";

/// Writes `bytes` to `path`, replacing what is there, or leaves what is there untouched.
pub fn write_file(path: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    let path = path.as_ref();
    write_file_with(path, |temporary| {
        File::create(temporary)
            .and_then(|mut file| file.write_all(bytes))
            .map_err(|e| Error::io("write", path, e))
    })
}

/// As [`write_file`], with the bytes that `write` puts into the file at the path it gets.
pub fn write_file_with<E: From<Error>>(
    path: impl AsRef<Path>,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let path = path.as_ref();
    let temporary = temporary_name(path)?;
    let written = write(&temporary).and_then(|()| {
        Ok(sync_file(&temporary)
            .and_then(|()| fs::rename(&temporary, path))
            .map_err(|e| Error::io("write", path, e))?)
    });
    if written.is_err() {
        // The first error is the one to report; a leftover is cleaned at the next start.
        let _ = fs::remove_file(&temporary);
        return written;
    }
    Ok(sync_dir(parent(path))?)
}

fn sync_file(path: &Path) -> io::Result<()> {
    File::options().write(true).open(path)?.sync_all()
}

/// Fills a new folder through `fill`, which gets its temporary path, and puts it at `path`, replacing what is there.
///
/// If `fill` fails nothing is left of its work.
pub fn write_dir<T, E: From<Error>>(path: impl AsRef<Path>, fill: impl FnOnce(&Path) -> Result<T, E>) -> Result<T, E> {
    let pending = PendingDir::new(path)?;
    let result = fill(pending.path())?;
    pending.commit()?;
    Ok(result)
}

/// A folder under its temporary name; dropped without [`PendingDir::commit`] it disappears.
#[derive(Debug)]
pub(crate) struct PendingDir {
    temporary: PathBuf,
    target: PathBuf,
    committed: bool,
}

impl PendingDir {
    /// Starts a folder that is to stand at `path`, whose parent is made if it is missing.
    pub(crate) fn new(path: impl AsRef<Path>) -> Result<Self> {
        let target = path.as_ref().to_path_buf();
        make_dir(parent(&target))?;
        let temporary = temporary_name(&target)?;
        fs::create_dir(&temporary).map_err(|e| Error::io("create", &target, e))?;
        Ok(Self {
            temporary,
            target,
            committed: false,
        })
    }

    /// Path to write to for now.
    pub(crate) fn path(&self) -> &Path {
        &self.temporary
    }

    /// Syncs everything inside and gives the folder its final name, replacing what is there.
    pub(crate) fn commit(mut self) -> Result<()> {
        sync_tree(&self.temporary)?;
        let replaced = self
            .target
            .exists()
            .then(|| sibling(&self.target, REPLACED))
            .transpose()?;
        if let Some(replaced) = &replaced {
            remove_if_there(replaced)?;
            fs::rename(&self.target, replaced).map_err(|e| Error::io("replace", &self.target, e))?;
        }
        fs::rename(&self.temporary, &self.target).map_err(|e| Error::io("write", &self.target, e))?;
        self.committed = true;
        sync_dir(parent(&self.target))?;
        replaced.map_or(Ok(()), |replaced| remove_if_there(&replaced))
    }
}

impl Drop for PendingDir {
    fn drop(&mut self) {
        if !self.committed {
            // Nothing can be reported from here; a leftover is cleaned at the next start.
            let _ = fs::remove_dir_all(&self.temporary);
        }
    }
}

/// Removes a folder in two steps, so that a process killed in between leaves no half of it under its own name.
pub(crate) fn remove_dir(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let temporary = temporary_name(path)?;
    fs::rename(path, &temporary).map_err(|e| Error::io("remove", path, e))?;
    fs::remove_dir_all(&temporary).map_err(|e| Error::io("remove", path, e))
}

/// Removes from `dir` what a killed process left under temporary names, and puts back a folder whose replacement it
/// did not finish. Only for folders in which no other process writes.
pub(crate) fn clean_leftovers(dir: impl AsRef<Path>) -> Result<()> {
    let dir = dir.as_ref();
    for entry in fs::read_dir(dir).map_err(|e| Error::io("list", dir, e))? {
        let entry = entry.map_err(|e| Error::io("list", dir, e))?;
        let (name, path) = (entry.file_name(), entry.path());
        let Some(name) = name.to_str() else { continue };
        if name.starts_with(TEMPORARY) {
            tracing::debug!(path = %path.display(), "removing what an interrupted run left");
            remove_if_there(&path)?;
        } else if let Some(original) = name.strip_prefix(REPLACED) {
            let original = dir.join(original);
            if original.exists() {
                remove_if_there(&path)?;
            } else {
                fs::rename(&path, &original).map_err(|e| Error::io("restore", &original, e))?;
            }
        }
    }
    Ok(())
}

/// Makes a folder and its parents.
/// Creates a folder and those above it.
pub fn make_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|e| Error::io("create", path, e))
}

fn remove_if_there(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, e)),
        _ => Ok(()),
    }
}

fn parent(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// `path` with `prefix` before its last part.
fn sibling(path: &Path, prefix: &str) -> Result<PathBuf> {
    let name = path.file_name().and_then(OsStr::to_str).ok_or_else(|| Error::BadName {
        name: path.display().to_string(),
        reason: "its last part must be a name in UTF-8",
    })?;
    Ok(parent(path).join(format!("{prefix}{name}")))
}

fn temporary_name(path: &Path) -> Result<PathBuf> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    sibling(path, &format!("{TEMPORARY}{}-{number}-", std::process::id()))
}

/// Makes a rename in `dir` survive a power cut. Windows cannot open folders and needs no such thing.
fn sync_dir(dir: &Path) -> Result<()> {
    if cfg!(windows) {
        return Ok(());
    }
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|e| Error::io("sync", dir, e))
}

fn sync_tree(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(|e| Error::io("list", dir, e))? {
        let path = entry.map_err(|e| Error::io("list", dir, e))?.path();
        if path.is_dir() {
            sync_tree(&path)?;
        } else {
            File::open(&path)
                .and_then(|file| file.sync_all())
                .map_err(|e| Error::io("sync", &path, e))?;
        }
    }
    sync_dir(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        for text in ["first, long", "second"] {
            write_file(&path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(names(dir.path()), ["a.json"]);
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_file_and_no_temporary_one() {
        let dir = tempfile::tempdir().unwrap();
        // A folder in the way makes the rename fail after the temporary file was written.
        let path = dir.path().join("taken");
        fs::create_dir_all(path.join("inside")).unwrap();
        assert!(write_file(&path, b"text").is_err());
        assert_eq!(names(dir.path()), ["taken"]);
        let missing = write_file(dir.path().join("none/file"), b"text").unwrap_err();
        assert!(matches!(missing, Error::NotFound { .. }), "{missing}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_reported_as_such() {
        // Every write to this device fails as on a full disk.
        let mut full = File::options().write(true).open("/dev/full").unwrap();
        let error = Error::io("write", "runs/x", full.write_all(b"text").unwrap_err());
        assert!(matches!(error, Error::NoSpace { .. }), "{error}");
    }

    #[test]
    fn a_folder_appears_whole_and_replaces_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/model");
        for part in ["one", "two"] {
            write_dir(&path, |tmp| {
                assert!(!path.join(part).exists(), "nothing shows before the end");
                fs::create_dir(tmp.join(part)).unwrap();
                write_file(tmp.join(part).join("x"), b"x")
            })
            .unwrap();
            assert_eq!(names(&path), [part]);
        }
        assert_eq!(names(&dir.path().join("deep")), ["model"]);
    }

    #[test]
    fn a_folder_whose_filling_fails_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let failed = write_dir(dir.path().join("model"), |tmp| -> Result<()> {
            write_file(tmp.join("x"), b"x")?;
            Err(Error::BadName {
                name: "y".into(),
                reason: "a test",
            })
        });
        assert!(matches!(failed, Err(Error::BadName { .. })));
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn leftovers_of_a_killed_process_are_removed_and_a_half_replaced_folder_goes_back() {
        let dir = tempfile::tempdir().unwrap();
        let make = |path: &str| fs::create_dir_all(dir.path().join(path)).unwrap();
        make(".rlhf-tmp-99-0-model/part");
        make(".rlhf-old-model/old");
        make(".rlhf-old-other/old");
        make("other/new");
        make("untouched");
        fs::write(dir.path().join(".rlhf-tmp-99-1-a.json"), "{").unwrap();
        clean_leftovers(dir.path()).unwrap();
        assert_eq!(names(dir.path()), ["model", "other", "untouched"]);
        assert_eq!(names(&dir.path().join("model")), ["old"]);
        assert_eq!(names(&dir.path().join("other")), ["new"]);
    }
}
