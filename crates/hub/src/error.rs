//! Faults between a name of the Hub and a file on this machine.

use std::path::PathBuf;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something of the Hub is not there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A location is not written as one of the Hub.
    #[error("{location}: expected {expected}, found {found}")]
    Id {
        /// The text given.
        location: String,
        /// The value expected.
        expected: &'static str,
        /// The fault.
        found: String,
    },
    /// The Hub did not answer.
    #[error(
        "{id}: {endpoint} does not answer ({reason}): check the network, or HF_ENDPOINT for another server; {}",
        match cached {
            Some(commit) => format!("--offline uses what the cache {} (HF_HOME) has of it, commit {commit}", cache.display()),
            None => format!("--offline uses the cache {} (HF_HOME), which has nothing of it", cache.display()),
        }
    )]
    NoNetwork {
        /// The place asked for.
        id: String,
        /// The server that was tried.
        endpoint: String,
        /// The system's message.
        reason: String,
        /// The cache.
        cache: PathBuf,
        /// The commit that the cache has of this revision.
        cached: Option<String>,
    },
    /// There is no such repository, or it is hidden from this user.
    #[error(
        "{id}: no such repository at {endpoint}: check the name; a private one needs {}",
        token_that_may_read(*has_token)
    )]
    UnknownRepository {
        /// The place asked for.
        id: String,
        /// The server.
        endpoint: String,
        /// True if a token was sent.
        has_token: bool,
    },
    /// The repository is there, but not for everybody.
    #[error(
        "{id}: access denied (status {status}): {}",
        way_in(*has_token, page)
    )]
    Denied {
        /// The place asked for.
        id: String,
        /// 401 or 403.
        status: u16,
        /// The repository's page.
        page: String,
        /// True if a token was sent.
        has_token: bool,
    },
    /// The repository has no such branch, tag or commit.
    #[error("{id}: the repository has no revision `{revision}`")]
    UnknownRevision {
        /// The place asked for.
        id: String,
        /// The branch, tag or commit.
        revision: String,
    },
    /// The repository has no file that would do.
    #[error("{id}: expected {expected}; the repository has {found}")]
    NoFile {
        /// The place asked for.
        id: String,
        /// The value expected.
        expected: String,
        /// The value found.
        found: String,
    },
    /// A file is not in the cache, and nothing may be fetched.
    #[error(
        "{id}: {file} is not in the cache {} (HF_HOME), and offline nothing is fetched: run this once without --offline \
         (and without HF_HUB_OFFLINE)",
        cache.display()
    )]
    NotCached {
        /// The place asked for.
        id: String,
        /// The missing file.
        file: String,
        /// The cache.
        cache: PathBuf,
    },
    /// The connection ended before the file did.
    #[error("{id}: {url}: the transfer broke off ({source}): run this again, and it goes on from there")]
    BrokenOff {
        /// The place asked for.
        id: String,
        /// The address asked for.
        url: String,
        /// The system's message.
        source: std::io::Error,
    },
    /// The Hub answered with a status that is none of the above.
    #[error("{id}: {url}: status {status}")]
    Status {
        /// The place asked for.
        id: String,
        /// The address asked for.
        url: String,
        /// The status of the answer.
        status: u16,
    },
    /// The Hub's answer is not what it should be.
    #[error("{id}: {url}: {reason}")]
    Answer {
        /// The place asked for.
        id: String,
        /// The address asked for.
        url: String,
        /// The fault of the answer.
        reason: String,
    },
    /// A file was fetched and is not the one of the repository; it has been removed.
    #[error("{id}: {file} arrived damaged (expected {expected}, found {found}) and was removed: run this again")]
    Damaged {
        /// The place asked for.
        id: String,
        /// The file.
        file: String,
        /// Its size or SHA-256 on the Hub.
        expected: String,
        /// The size or SHA-256 that arrived.
        found: String,
    },
    /// Another process is fetching the same file.
    #[error("{id}: another process is fetching the same file (it holds {}): wait for it", path.display())]
    Busy {
        /// The place asked for.
        id: String,
        /// The lock.
        path: PathBuf,
    },
    /// The cache cannot be read or written.
    #[error("{}: {source}", path.display())]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// The system's message.
        source: std::io::Error,
    },
    /// There is no home folder to keep the cache in.
    #[error("no home folder for the cache of the Hub: set HF_HOME")]
    NoHome,
}

/// The token that a user needs for a repository that is private, if it exists.
fn token_that_may_read(has_token: bool) -> &'static str {
    if has_token {
        "a token that may read it: the one given (HF_TOKEN) may not"
    } else {
        "a token, in HF_TOKEN or from `hf auth login`"
    }
}

/// The steps by which a user is let into a repository that denied access.
fn way_in(has_token: bool, page: &str) -> String {
    if has_token {
        format!("the token given (HF_TOKEN) may not read it: accept the terms at {page} if there are any")
    } else {
        format!(
            "check the name; accept the terms at {page} if there are any, and give a token in HF_TOKEN or by \
             `hf auth login`"
        )
    }
}
