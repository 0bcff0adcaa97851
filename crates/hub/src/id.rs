//! `hf://org/name@revision/path`: what stands on the Hub where, and how it is written.

use std::fmt;

use crate::error::{Error, Result};

const SCHEME: &str = "hf://";
const DATASETS: &str = "datasets/";
const MAIN: &str = "main";

/// The kind of a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RepoKind {
    /// A model: weights, configuration, tokenizer.
    Model,
    /// A data set.
    Dataset,
}

/// A place on the Hub.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HubId {
    kind: RepoKind,
    repo: String,
    revision: String,
    path: String,
}

impl HubId {
    /// True of locations on the Hub rather than on this machine.
    pub fn is_hub(location: &str) -> bool {
        location.starts_with(SCHEME)
    }

    /// Reads `hf://org/name[@revision][/folder]`, a model.
    ///
    /// ```
    /// let id = rlhf_hub::HubId::model("hf://org/name@v1.0/checkpoint")?;
    /// assert_eq!((id.repo(), id.revision(), id.path()), ("org/name", "v1.0", "checkpoint"));
    /// # Ok::<(), rlhf_hub::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Id`] if it is written otherwise, or is a data set.
    pub fn model(location: &str) -> Result<Self> {
        let id = Self::parse(location, RepoKind::Model)?;
        match id.kind {
            RepoKind::Model => Ok(id),
            RepoKind::Dataset => Err(fault(location, "a model, hf://org/name", "a data set")),
        }
    }

    /// Reads `hf://datasets/org/name[@revision][/path]`, a data set; `datasets/` may be left out.
    ///
    /// ```
    /// let id = rlhf_hub::HubId::data("hf://org/name/data/train-*.parquet")?;
    /// assert_eq!(id.to_string(), "hf://datasets/org/name@main/data/train-*.parquet");
    /// # Ok::<(), rlhf_hub::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Id`] if it is written otherwise.
    pub fn data(location: &str) -> Result<Self> {
        Self::parse(location, RepoKind::Dataset)
    }

    fn parse(location: &str, plain: RepoKind) -> Result<Self> {
        const EXPECTED: &str = "hf://org/name, perhaps with @revision and /path after it";
        let wrong = |found: &str| fault(location, EXPECTED, found);
        let rest = location.strip_prefix(SCHEME).ok_or_else(|| wrong("another scheme"))?;
        let (kind, rest) = match rest.strip_prefix(DATASETS) {
            Some(rest) => (RepoKind::Dataset, rest),
            None => (plain, rest),
        };
        if rest.starts_with("spaces/") {
            return Err(wrong("a space"));
        }
        let parts: Vec<&str> = rest.trim_end_matches('/').split('/').collect();
        // `hf://gpt2` and `hf://gpt2@main/…`: repositories from before there were organisations.
        let named = if parts.len() == 1 || parts[0].contains('@') {
            1
        } else {
            2
        };
        let last = parts[named - 1];
        let (name, revision) = match last.split_once('@') {
            Some((name, revision)) => (name, revision.replace("%2F", "/")),
            None => (last, MAIN.to_owned()),
        };
        let repo: Vec<&str> = parts[..named - 1].iter().copied().chain([name]).collect();
        let mut path = &parts[named..];
        let revision = match (revision.as_str(), path) {
            // Git's own names of pull requests and of the Hub's conversions: `refs/pr/1`, `refs/convert/parquet`.
            ("refs", [space @ ("pr" | "convert"), name, ..]) => {
                path = &path[2..];
                format!("refs/{space}/{name}")
            }
            _ => revision,
        };
        if let Some(part) = repo.iter().find(|part| !is_name(part)) {
            return Err(wrong(&format!("the name `{part}`")));
        }
        if !revision.split('/').all(is_step) {
            return Err(wrong(&format!("the revision `{revision}`")));
        }
        if let Some(part) = path.iter().find(|part| !is_step(part)) {
            return Err(wrong(&format!("`{part}` in the path")));
        }
        Ok(Self {
            kind,
            repo: repo.join("/"),
            revision,
            path: path.join("/"),
        })
    }

    /// Model or data set.
    pub fn kind(&self) -> RepoKind {
        self.kind
    }

    /// `org/name`.
    pub fn repo(&self) -> &str {
        &self.repo
    }

    /// The branch, tag or commit; `main` if none was named.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The file, folder or pattern in the repository; empty for the whole.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// True if the revision is a commit, of which nothing changes any more.
    pub fn is_pinned(&self) -> bool {
        is_commit(&self.revision)
    }

    /// The same place in another revision.
    #[must_use]
    pub fn at(&self, revision: &str) -> Self {
        Self {
            revision: revision.to_owned(),
            ..self.clone()
        }
    }

    /// The repository and revision without the path: `hf://datasets/org/name@main`.
    pub fn repository(&self) -> String {
        let kind = match self.kind {
            RepoKind::Model => "",
            RepoKind::Dataset => DATASETS,
        };
        format!("{SCHEME}{kind}{}@{}", self.repo, self.revision)
    }
}

impl fmt::Display for HubId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository())?;
        match self.path.as_str() {
            "" => Ok(()),
            path => write!(f, "/{path}"),
        }
    }
}

/// True of a whole commit hash.
pub(crate) fn is_commit(revision: &str) -> bool {
    is_hex(revision, 40)
}

/// True of so many hexadecimal digits, in lower case.
pub(crate) fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// True of a repository's paths that stay inside the folder they are put into.
pub(crate) fn is_inside(path: &str) -> bool {
    path.split('/').all(is_step)
}

fn is_step(part: &str) -> bool {
    !matches!(part, "" | "." | "..") && !part.contains(['\\', ':', '\0'])
}

fn is_name(part: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    is_step(part) && part.bytes().all(is_plain)
}

fn fault(location: &str, expected: &'static str, found: &str) -> Error {
    Error::Id {
        location: location.to_owned(),
        expected,
        found: found.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(location: &str, repo: &str, revision: &str, path: &str) {
        let id = HubId::data(location).unwrap();
        assert_eq!(
            (id.repo(), id.revision(), id.path()),
            (repo, revision, path),
            "{location}"
        );
        // What is printed is read as the same.
        assert_eq!(HubId::data(&id.to_string()).unwrap(), id);
    }

    #[test]
    fn repository_revision_and_path_are_told_apart() {
        check("hf://org/name", "org/name", "main", "");
        check("hf://org/name/", "org/name", "main", "");
        check(
            "hf://datasets/org/name@v1.2/a/b.parquet",
            "org/name",
            "v1.2",
            "a/b.parquet",
        );
        check(
            "hf://org/name/data/train-*.parquet",
            "org/name",
            "main",
            "data/train-*.parquet",
        );
        check("hf://org/name@refs/pr/3/a.json", "org/name", "refs/pr/3", "a.json");
        check("hf://org/name@refs%2Fpr%2F3/a.json", "org/name", "refs/pr/3", "a.json");
        check(
            "hf://org/name@refs/convert/parquet/default/train",
            "org/name",
            "refs/convert/parquet",
            "default/train",
        );
        check("hf://squad", "squad", "main", "");
        check("hf://squad@v2/plain", "squad", "v2", "plain");
    }

    #[test]
    fn the_same_place_of_another_revision() {
        let id = HubId::model("hf://org/name/sub").unwrap();
        assert!(!id.is_pinned());
        let commit = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(id.at(commit).to_string(), format!("hf://org/name@{commit}/sub"));
        assert!(id.at(commit).is_pinned());
        assert_eq!(id.repository(), "hf://org/name@main");
    }

    #[test]
    fn what_is_no_place_on_the_hub_is_refused_with_the_reason() {
        let refused = |location: &str, reason: &str| {
            let error = HubId::model(location).unwrap_err().to_string();
            assert!(error.starts_with(location) && error.contains(reason), "{error}");
        };
        refused("hf://", "found the name ``");
        refused("hf://org/a b", "found the name `a b`");
        refused("hf://../name", "found the name `..`");
        refused("hf://org/name@", "found the revision ``");
        refused("hf://org/name/../x", "found `..` in the path");
        refused("hf://spaces/org/name", "found a space");
        refused(
            "hf://datasets/org/name",
            "expected a model, hf://org/name, found a data set",
        );
        assert!(HubId::is_hub("hf://x/y") && !HubId::is_hub("x/y"));
    }
}
