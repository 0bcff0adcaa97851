//! From a place on the Hub to a path on this machine.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use hf_hub::Cache;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::id::{HubId, is_commit, is_hex};
use crate::listing::Listing;
use crate::options::Options;
use crate::remote::{Remote, repo_of};
use crate::select::{INDEX, Want, data_files, model_files, shards};

/// A model's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFolder {
    /// The folder in the cache.
    pub path: PathBuf,
    /// The commit that it is of.
    pub commit: String,
}

/// Files of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataFiles {
    /// The files in the cache, in the order of the repository.
    pub files: Vec<PathBuf>,
    /// The commit that they are of.
    pub commit: String,
    /// The way in which they were chosen, where their names did not say it all.
    pub note: Option<String>,
}

/// A step of a [`Hub`], told while it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Files are about to be fetched.
    Begin {
        /// The place.
        id: &'a HubId,
        /// Number of files.
        files: usize,
        /// Bytes of all of them, as far as the Hub says.
        bytes: u64,
    },
    /// Some bytes have arrived.
    Bytes {
        /// The file that is coming.
        file: &'a str,
        /// Bytes so far, over all files of this place.
        done: u64,
        /// Bytes of all of them, as far as the Hub says.
        total: u64,
    },
    /// All files are there, or one could not be fetched.
    End,
}

type Listener = Box<dyn Fn(Event<'_>)>;

/// The Hub and its cache.
pub struct Hub {
    options: Options,
    listener: Listener,
    /// Listings asked for so far; each stays the same until the end of the process.
    listings: RefCell<HashMap<String, Listing>>,
}

impl Hub {
    /// The Hub; nothing is asked of it yet.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            listener: Box::new(|_| {}),
            listings: RefCell::default(),
        }
    }

    /// The same, which says what it does.
    #[must_use]
    pub fn with_listener(self, listener: impl Fn(Event<'_>) + 'static) -> Self {
        Self {
            listener: Box::new(listener),
            ..self
        }
    }

    /// The commit that a place's revision is. A commit is itself, and nothing is asked.
    ///
    /// # Errors
    /// As [`Self::model`].
    pub fn commit(&self, id: &HubId) -> Result<String> {
        if id.is_pinned() {
            return Ok(id.revision().to_owned());
        }
        if self.options.offline {
            return self.kept_commit(id).ok_or_else(|| self.not_cached(id, "this revision"));
        }
        Ok(self.listing(id)?.commit)
    }

    /// A model's folder, with the files that are wanted of it.
    ///
    /// A revision that is a commit is asked for only if the cache lacks something of it; of any other the Hub is asked which
    /// commit it is today, unless offline, when the cache's word holds.
    ///
    /// # Errors
    /// If the Hub does not answer or refuses, if there is no such repository, revision or file, or if something is
    /// neither in the cache nor to be fetched.
    pub fn model(&self, id: &HubId, want: Want) -> Result<ModelFolder> {
        let listing = self.listing(id)?;
        let commit = id.at(&listing.commit);
        let names = model_files(&listing, id.path(), want).map_err(|missing| self.no_file(id, &listing, &missing))?;
        self.fetch(&commit, &listing, &names)?;
        if let Some(index) = names.iter().find(|name| name.ends_with(INDEX)) {
            let path = self.snapshot(&commit).join(index);
            let bytes = fs::read(&path).map_err(|source| Error::Cache {
                path: path.clone(),
                source,
            })?;
            let shards: Vec<String> = shards(&bytes, id.path())
                .filter(|shards| !shards.is_empty() && shards.iter().all(|name| crate::id::is_inside(name)))
                .ok_or_else(|| self.no_file(id, &listing, "an index with a `weight_map` from tensors to files"))?
                .into_iter()
                .collect();
            self.fetch(&commit, &listing, &shards)?;
        }
        self.keep_commit(id, &listing.commit)?;
        Ok(ModelFolder {
            path: self.snapshot(&commit).join(id.path()),
            commit: listing.commit,
        })
    }

    /// The files of a data set that a place means: one file, those of a folder or a pattern (`*`, within a folder), or
    /// those of the training split.
    ///
    /// # Errors
    /// As [`Self::model`].
    pub fn data(&self, id: &HubId) -> Result<DataFiles> {
        let listing = self.listing(id)?;
        let commit = id.at(&listing.commit);
        let chosen = data_files(&listing, id).map_err(|missing| self.no_file(id, &listing, &missing))?;
        self.fetch(&commit, &listing, &chosen.files)?;
        self.keep_commit(id, &listing.commit)?;
        let snapshot = self.snapshot(&commit);
        Ok(DataFiles {
            files: chosen.files.iter().map(|file| snapshot.join(file)).collect(),
            commit: listing.commit,
            note: chosen.note,
        })
    }

    /// The files of a revision: as they were kept, as the Hub says, or, offline, as they lie in the cache.
    fn listing(&self, id: &HubId) -> Result<Listing> {
        let key = id.repository();
        if let Some(known) = self.listings.borrow().get(&key) {
            return Ok(known.clone());
        }
        let listing = self.find_listing(id)?;
        self.listings.borrow_mut().insert(key, listing.clone());
        Ok(listing)
    }

    fn find_listing(&self, id: &HubId) -> Result<Listing> {
        let kept = self.kept_commit(id);
        if self.options.offline || id.is_pinned() {
            let read = |commit: &String| Listing::read(&self.listing_path(id, commit));
            if let Some(listing) = kept.as_ref().and_then(read) {
                return Ok(listing.checked());
            }
        }
        if self.options.offline {
            let commit = kept.ok_or_else(|| self.not_cached(id, "this revision"))?;
            let snapshot = self.snapshot(&id.at(&commit));
            return if snapshot.is_dir() {
                Ok(Listing::of_snapshot(&snapshot, &commit))
            } else {
                Err(self.not_cached(id, &format!("commit {commit}")))
            };
        }
        tracing::debug!(%id, endpoint = self.options.endpoint, "asking the hub");
        let listing = Remote::new(&self.options, id)?.listing(id, kept)?;
        let path = self.listing_path(id, &listing.commit);
        write(&path, &serde_json::to_vec(&listing).unwrap_or_default())?;
        Ok(listing)
    }

    /// Fetches what the snapshot lacks.
    fn fetch(&self, commit: &HubId, listing: &Listing, names: &[String]) -> Result<()> {
        let snapshot = self.snapshot(commit);
        let missing: Vec<&str> = names
            .iter()
            .map(String::as_str)
            .filter(|name| !snapshot.join(name).exists())
            .collect();
        let Some(first) = missing.first() else {
            return Ok(());
        };
        if self.options.offline {
            return Err(self.not_cached(commit, first));
        }
        let remote = Remote::new(&self.options, commit)?;
        (self.listener)(Event::Begin {
            id: commit,
            files: missing.len(),
            bytes: listing.bytes(&missing),
        });
        let result = self.fetch_all(&remote, commit, listing, &missing);
        (self.listener)(Event::End);
        result
    }

    fn fetch_all(&self, remote: &Remote, commit: &HubId, listing: &Listing, files: &[&str]) -> Result<()> {
        let total = listing.bytes(files);
        let snapshot = self.snapshot(commit);
        let mut before = 0;
        for &file in files {
            let mut arrived = 0;
            // A link to content that somebody removed would stand in the way.
            if fs::symlink_metadata(snapshot.join(file)).is_ok() {
                remove(&snapshot.join(file))?;
            }
            let path = remote.fetch(commit, file, &mut |bytes| {
                arrived = bytes;
                let done = before + bytes;
                (self.listener)(Event::Bytes { file, done, total });
            })?;
            before += arrived;
            check(commit, file, &path, listing.size(file))?;
            if !snapshot.join(file).exists() {
                return Err(Error::Answer {
                    id: commit.to_string(),
                    url: file.to_owned(),
                    reason: format!("the server sent another commit's: {}", path.display()),
                });
            }
        }
        Ok(())
    }

    fn repository(&self, id: &HubId) -> PathBuf {
        self.options.cache.join(repo_of(id).folder_name())
    }

    fn snapshot(&self, commit: &HubId) -> PathBuf {
        let cache = Cache::new(self.options.cache.clone()).repo(repo_of(commit));
        cache.pointer_path(commit.revision())
    }

    /// The file of a listing, beside the folders that the other programs know.
    fn listing_path(&self, id: &HubId, commit: &str) -> PathBuf {
        self.repository(id).join("listings").join(format!("{commit}.json"))
    }

    /// The commit that the cache has of a revision.
    fn kept_commit(&self, id: &HubId) -> Option<String> {
        if id.is_pinned() {
            return Some(id.revision().to_owned());
        }
        let kept = fs::read_to_string(self.repository(id).join("refs").join(id.revision())).ok()?;
        Some(kept.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    /// Keeps which commit a revision is, once all that was wanted of it is there.
    fn keep_commit(&self, id: &HubId, commit: &str) -> Result<()> {
        if self.options.offline || id.is_pinned() {
            return Ok(());
        }
        let cache = Cache::new(self.options.cache.clone()).repo(repo_of(id));
        cache.create_ref(commit).map_err(|source| Error::Cache {
            path: self.repository(id).join("refs").join(id.revision()),
            source,
        })
    }

    fn not_cached(&self, id: &HubId, file: &str) -> Error {
        Error::NotCached {
            id: id.to_string(),
            file: file.to_owned(),
            cache: self.options.cache.clone(),
        }
    }

    /// A repository without a file that is needed; offline it may only be the cache that is without.
    fn no_file(&self, id: &HubId, listing: &Listing, expected: &str) -> Error {
        if listing.is_partial {
            self.not_cached(id, expected)
        } else {
            Error::NoFile {
                id: id.to_string(),
                expected: expected.to_owned(),
                found: listing.summary(),
            }
        }
    }
}

/// Compares a file that arrived with what the Hub says of it, and removes it if it is another. Large files are kept under their
/// SHA-256, which the Hub sends along; small ones are checked by their length.
fn check(id: &HubId, file: &str, path: &Path, size: Option<u64>) -> Result<()> {
    let failed = |source| Error::Cache {
        path: path.to_owned(),
        source,
    };
    let blob = fs::canonicalize(path).map_err(failed)?;
    let length = fs::metadata(&blob).map_err(failed)?.len();
    let name = blob.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let (expected, found) = match size {
        Some(size) if size != length => (format!("{size} bytes"), format!("{length}")),
        _ if is_hex(name, 64) => (name.to_owned(), sha256(&blob).map_err(failed)?),
        _ => return Ok(()),
    };
    if expected == found {
        return Ok(());
    }
    remove(path)?;
    remove(&blob)?;
    Err(Error::Damaged {
        id: id.to_string(),
        file: file.to_owned(),
        expected,
        found,
    })
}

fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).map_err(|source| Error::Cache {
        path: path.to_owned(),
        source,
    })
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut hasher = Sha256::new();
    io::copy(&mut File::open(path)?, &mut hasher)?;
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Writes a file whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |source| Error::Cache {
        path: path.to_owned(),
        source,
    };
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(failed)?;
    let temporary = path.with_extension(format!("tmp{}", std::process::id()));
    fs::write(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(failed)
}
