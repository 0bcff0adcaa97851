//! Questions to the server, through the `hf-hub` crate, and the meaning of its answers.

use std::error::Error as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hf_hub::api::Progress;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError};
use hf_hub::{Cache, CacheRepo, Repo, RepoType};

use crate::error::{Error, Result};
use crate::id::{HubId, RepoKind};
use crate::listing::Listing;
use crate::options::Options;

/// Time that a server may take to be found, and to begin an answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of a listing at most; those of the largest repositories have a few million.
const LISTING_BYTES: u64 = 256 << 20;

/// The repository of a place, as the `hf-hub` crate has it.
pub(crate) fn repo_of(id: &HubId) -> Repo {
    let kind = match id.kind() {
        RepoKind::Model => RepoType::Model,
        RepoKind::Dataset => RepoType::Dataset,
    };
    Repo::with_revision(id.repo().to_owned(), kind, id.revision().to_owned())
}

/// The server.
pub(crate) struct Remote<'a> {
    options: &'a Options,
    api: Api,
}

impl<'a> Remote<'a> {
    pub(crate) fn new(options: &'a Options, id: &HubId) -> Result<Self> {
        let builder = ApiBuilder::from_cache(Cache::new(options.cache.clone()))
            .with_endpoint(options.endpoint.clone())
            .with_token(options.token.clone())
            .with_user_agent("rlhf", env!("CARGO_PKG_VERSION"));
        let api = builder.build().map_err(|error| Error::Answer {
            id: id.to_string(),
            url: options.endpoint.clone(),
            reason: error.to_string(),
        })?;
        Ok(Self { options, api })
    }

    /// The commit of a revision and its files. `cached` is the commit that the cache has of it, for the error.
    pub(crate) fn listing(&self, id: &HubId, cached: Option<String>) -> Result<Listing> {
        let repo = repo_of(id);
        let url = format!("{}/api/{}", self.options.endpoint, repo.api_url());
        let request = self.api.repo(repo).info_request().query("blobs", "true");
        let request = request
            .config()
            .http_status_as_error(false)
            .timeout_resolve(Some(PATIENCE))
            .timeout_connect(Some(PATIENCE))
            .timeout_recv_response(Some(PATIENCE))
            .build();
        let mut response = request.call().map_err(|error| self.failed(id, &url, &error, cached))?;
        let code = response.headers().get("x-error-code");
        let code = code.and_then(|code| code.to_str().ok()).unwrap_or_default().to_owned();
        let status = response.status().as_u16();
        if status != 200 {
            return Err(self.refused(id, &url, status, &code));
        }
        let body = response.body_mut().with_config().limit(LISTING_BYTES);
        let listing: Listing = body.read_json().map_err(|error| Error::Answer {
            id: id.to_string(),
            url: url.clone(),
            reason: format!("not the description of a repository ({error})"),
        })?;
        if !crate::id::is_commit(&listing.commit) {
            return Err(Error::Answer {
                id: id.to_string(),
                url,
                reason: format!("expected a commit as `sha`, found `{}`", listing.commit),
            });
        }
        Ok(listing.checked())
    }

    /// Fetches a file of a commit into the cache, going on from what an interrupted process left of it. What another commit has
    /// too is there already.
    pub(crate) fn fetch(&self, id: &HubId, file: &str, progress: &mut dyn FnMut(u64)) -> Result<PathBuf> {
        let repo = self.api.repo(repo_of(id));
        let url = repo.url(file);
        if self.has_other_commits(id)
            && let Some(path) = self
                .reuse(id, file, &url)
                .map_err(|error| self.transfer_failed(id, &url, error))?
        {
            return Ok(path);
        }
        let mut fetch = || {
            repo.download_with_progress(
                file,
                Counter {
                    done: 0,
                    progress: &mut *progress,
                },
            )
        };
        let result = fetch().or_else(|error| {
            if is_unfit_rest(&error) {
                self.remove_rest(&url, id)?;
                fetch()
            } else {
                Err(error)
            }
        });
        result.map_err(|error| self.transfer_failed(id, &url, error))
    }

    fn cached(&self, id: &HubId) -> CacheRepo {
        Cache::new(self.options.cache.clone()).repo(repo_of(id))
    }

    /// True if the cache has another commit of the repository.
    fn has_other_commits(&self, id: &HubId) -> bool {
        let snapshot = self.cached(id).pointer_path(id.revision());
        let snapshots = snapshot.parent().and_then(|folder| fs::read_dir(folder).ok());
        snapshots
            .into_iter()
            .flatten()
            .flatten()
            .any(|entry| entry.path() != snapshot)
    }

    /// Takes a file from where the cache keeps it, if it has its content.
    fn reuse(&self, id: &HubId, file: &str, url: &str) -> Result<Option<PathBuf>, ApiError> {
        let metadata = self.api.metadata(url)?;
        let cache = self.cached(id);
        let blob = cache.blob_path(metadata.etag());
        let is_whole = fs::metadata(&blob).is_ok_and(|found| found.len() == metadata.size() as u64);
        if !is_whole || metadata.commit_hash() != id.revision() {
            return Ok(None);
        }
        let path = cache.pointer_path(id.revision()).join(file);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        // From the file's folder up to the repository's, `snapshots` and the commit on the way.
        let up = "../".repeat(file.split('/').count() + 1);
        link(&format!("{up}blobs/{}", metadata.etag()), &blob, &path)?;
        Ok(Some(path))
    }

    /// Removes what an earlier process left of a file and what cannot be gone on from.
    fn remove_rest(&self, url: &str, id: &HubId) -> Result<(), ApiError> {
        let metadata = self.api.metadata(url)?;
        let blob = self.cached(id).blob_path(metadata.etag());
        Ok(fs::remove_file(blob.with_extension("part"))?)
    }

    fn transfer_failed(&self, id: &HubId, url: &str, error: ApiError) -> Error {
        let id_text = id.to_string();
        match error {
            ApiError::RequestError(error) => match *error {
                ureq::Error::StatusCode(status) => self.refused(id, url, status, "EntryNotFound"),
                error => self.failed(id, url, &error, None),
            },
            ApiError::LockAcquisition(path) => Error::Busy { id: id_text, path },
            ApiError::IoError(source) if is_of_the_disk(&source) => Error::Cache {
                path: self.options.cache.clone(),
                source,
            },
            ApiError::IoError(source) => Error::BrokenOff {
                id: id_text,
                url: url.to_owned(),
                source,
            },
            other => Error::Answer {
                id: id_text,
                url: url.to_owned(),
                reason: other.to_string(),
            },
        }
    }

    /// A status that is not success.
    fn refused(&self, id: &HubId, url: &str, status: u16, code: &str) -> Error {
        let has_token = self.options.token.is_some();
        let denied = |status| Error::Denied {
            id: id.to_string(),
            status,
            page: format!("{}/{}", self.options.endpoint, repo_of(id).url()),
            has_token,
        };
        match (status, code) {
            (_, "RevisionNotFound") => Error::UnknownRevision {
                id: id.to_string(),
                revision: id.revision().to_owned(),
            },
            (401 | 403, "GatedRepo") => denied(status),
            (404, "EntryNotFound") => Error::Status {
                id: id.to_string(),
                url: url.to_owned(),
                status,
            },
            // Without a token the Hub says 401 of what does not exist and of what is hidden alike.
            (_, "RepoNotFound") | (404, _) => Error::UnknownRepository {
                id: id.to_string(),
                endpoint: self.options.endpoint.clone(),
                has_token,
            },
            (401 | 403, _) => denied(status),
            _ => Error::Status {
                id: id.to_string(),
                url: url.to_owned(),
                status,
            },
        }
    }

    /// An answer that did not come, or was none.
    fn failed(&self, id: &HubId, url: &str, error: &ureq::Error, cached: Option<String>) -> Error {
        use ureq::Error as E;
        let reason = match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        match error {
            E::Io(_) | E::Timeout(_) | E::HostNotFound | E::ConnectionFailed | E::ConnectProxyFailed(_) => {
                Error::NoNetwork {
                    id: id.to_string(),
                    endpoint: self.options.endpoint.clone(),
                    reason,
                    cache: self.options.cache.clone(),
                    cached,
                }
            }
            _ => Error::Answer {
                id: id.to_string(),
                url: url.to_owned(),
                reason,
            },
        }
    }
}

/// Makes `path` the content of `blob`, to which `relative` leads: a link, as the other programs make it.
#[cfg(unix)]
fn link(relative: &str, _blob: &Path, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(relative, path)
}

/// The same where links need rights of their own.
#[cfg(not(unix))]
fn link(_relative: &str, blob: &Path, path: &Path) -> std::io::Result<()> {
    fs::hard_link(blob, path)
}

/// True of the error that an earlier process left the whole of a file already, or more.
fn is_unfit_rest(error: &ApiError) -> bool {
    match error {
        ApiError::InvalidResume => true,
        ApiError::RequestError(error) => matches!(**error, ureq::Error::StatusCode(416)),
        _ => false,
    }
}

/// The transfer's connection and its file fail with the same type.
fn is_of_the_disk(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as K;
    matches!(
        error.kind(),
        K::NotFound
            | K::PermissionDenied
            | K::StorageFull
            | K::QuotaExceeded
            | K::ReadOnlyFilesystem
            | K::NotADirectory
    )
}

/// Adds up what arrives.
struct Counter<'a> {
    done: u64,
    progress: &'a mut dyn FnMut(u64),
}

impl Progress for Counter<'_> {
    fn init(&mut self, _size: usize, _filename: &str) {
        self.done = 0;
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        (self.progress)(self.done);
    }

    fn finish(&mut self) {}
}
