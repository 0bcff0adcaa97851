//! A Hub of a few files on this machine: the answers that the `hf-hub` crate reads, and a record of what was asked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::json;
use sha2::{Digest, Sha256};

/// Files of this size and more lie on another server, as those of Git LFS do.
const LARGE: usize = 4096;

/// A repository.
#[derive(Clone, Default)]
pub(crate) struct Repository {
    /// `models/org/name` or `datasets/org/name`.
    pub(crate) name: String,
    /// Branches and tags, each a commit.
    pub(crate) revisions: BTreeMap<String, String>,
    /// The files of every commit.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// The token without which nobody gets a file.
    pub(crate) token: Option<String>,
}

impl Repository {
    /// A repository with one commit on `main`.
    pub(crate) fn new(name: &str, commit: &str) -> Self {
        Self {
            name: name.to_owned(),
            revisions: [("main".to_owned(), commit.to_owned())].into(),
            ..Self::default()
        }
    }

    pub(crate) fn with_file(mut self, name: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(name.to_owned(), content.into());
        self
    }

    /// All files that stand in a folder.
    #[allow(dead_code, reason = "not every test that shares this module has a folder")]
    pub(crate) fn with_folder(mut self, folder: &Path) -> Self {
        for entry in std::fs::read_dir(folder).expect("the folder is there") {
            let path = entry.expect("it can be read").path();
            let name = path.file_name().expect("it has a name").to_string_lossy().into_owned();
            if path.is_file() {
                self.files.insert(name, std::fs::read(&path).expect("it can be read"));
            }
        }
        self
    }
}

#[derive(Default)]
struct State {
    repositories: Vec<Repository>,
    /// Another name and what it redirects to.
    renamed: Vec<(String, String)>,
    /// `method path range` of each request.
    asked: Vec<String>,
    /// The next transfer of a large file ends after so many bytes.
    cut: Option<usize>,
}

/// The server; its thread ends with the process.
pub(crate) struct Server {
    pub(crate) endpoint: String,
    state: Arc<Mutex<State>>,
}

#[allow(dead_code, reason = "not every test that shares this module uses all of it")]
impl Server {
    pub(crate) fn start(repositories: Vec<Repository>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("it listens"));
        let state = Arc::new(Mutex::new(State {
            repositories,
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // A client that goes away is no fault of the server's.
                std::thread::spawn(move || answer(&stream, &shared).ok());
            }
        });
        Self { endpoint, state }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no request has panicked")
    }

    /// The requests since the last call.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.state().asked)
    }

    /// Changes a repository.
    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&mut Repository)) {
        let mut state = self.state();
        let found = state.repositories.iter_mut().find(|repository| repository.name == name);
        change(found.expect("the repository is there"));
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        self.state().renamed.push((from.to_owned(), to.to_owned()));
    }

    pub(crate) fn cut_next_transfer_after(&self, bytes: usize) {
        self.state().cut = Some(bytes);
    }
}

/// An address at which nobody listens.
#[allow(dead_code, reason = "not every test that shares this module uses all of it")]
pub(crate) fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    format!("http://{}", listener.local_addr().expect("it listens"))
}

struct Request {
    path: String,
    host: String,
    range: Option<String>,
    token: Option<String>,
}

fn read_request(stream: &TcpStream) -> std::io::Result<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let mut request = Request {
        path: first.split(' ').nth(1).unwrap_or_default().to_owned(),
        host: String::new(),
        range: None,
        token: None,
    };
    for line in lines {
        let line = line?;
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        match name.to_lowercase().as_str() {
            "host" => request.host = value.to_owned(),
            "range" => request.range = Some(value.to_owned()),
            "authorization" => request.token = value.strip_prefix("Bearer ").map(str::to_owned),
            _ => {}
        }
    }
    Ok(request)
}

/// An answer: status, headers, body.
type Answer = (u16, Vec<(&'static str, String)>, Vec<u8>);

fn answer(stream: &TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let request = read_request(stream)?;
    let mut state = state.lock().expect("no request has panicked");
    let range = request.range.clone().unwrap_or_default();
    state.asked.push(format!("{} {range}", request.path).trim().to_owned());
    let (status, headers, mut body) = respond(&request, &state);
    let length = body.len();
    if request.path.starts_with("/large/") && length > 1 {
        body.truncate(state.cut.take().unwrap_or(length));
    }
    drop(state);
    let mut head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut stream = stream;
    stream.write_all(head.as_bytes())?;
    stream.write_all(b"\r\n")?;
    stream.write_all(&body)
}

fn respond(request: &Request, state: &State) -> Answer {
    let path = request.path.split('?').next().unwrap_or_default();
    for (from, to) in &state.renamed {
        for (from, to) in [
            (format!("/api/{from}/"), format!("/api/{to}/")),
            resolve_names(from, to),
        ] {
            if path.starts_with(&from) {
                return (307, vec![("Location", path.replacen(&from, &to, 1))], Vec::new());
            }
        }
    }
    if let Some(digest) = path.strip_prefix("/large/") {
        let mut files = state
            .repositories
            .iter()
            .flat_map(|repository| repository.files.values());
        let file = files.find(|file| sha256(file) == digest).expect("it was redirected to");
        return ranged(request, file, Vec::new());
    }
    for repository in &state.repositories {
        if let Some(revision) = path.strip_prefix(&format!("/api/{}/revision/", repository.name)) {
            return describe(repository, &revision.replace("%2F", "/"));
        }
        let web = repository.name.strip_prefix("models/").unwrap_or(&repository.name);
        if let Some(rest) = path.strip_prefix(&format!("/{web}/resolve/")) {
            return resolve(request, repository, rest);
        }
    }
    failed(404, "RepoNotFound")
}

fn resolve_names(from: &str, to: &str) -> (String, String) {
    let web = |name: &str| format!("/{}/resolve/", name.strip_prefix("models/").unwrap_or(name));
    (web(from), web(to))
}

fn failed(status: u16, code: &str) -> Answer {
    (status, vec![("X-Error-Code", code.to_owned())], Vec::new())
}

fn commit_of(repository: &Repository, revision: &str) -> Option<String> {
    let named = repository.revisions.get(revision).cloned();
    named.or_else(|| {
        repository
            .revisions
            .values()
            .find(|commit| *commit == revision)
            .cloned()
    })
}

fn describe(repository: &Repository, revision: &str) -> Answer {
    let Some(commit) = commit_of(repository, revision) else {
        return failed(404, "RevisionNotFound");
    };
    let file = |(name, content): (&String, &Vec<u8>)| json!({"rfilename": name, "size": content.len()});
    let files: Vec<_> = repository.files.iter().map(file).collect();
    let body = json!({"id": repository.name, "sha": commit, "siblings": files, "private": false});
    (
        200,
        vec![("Content-Type", "application/json".to_owned())],
        body.to_string().into_bytes(),
    )
}

fn resolve(request: &Request, repository: &Repository, rest: &str) -> Answer {
    if repository.token.is_some() && request.token != repository.token {
        return failed(401, "GatedRepo");
    }
    let (revision, file) = rest.split_once('/').expect("a revision and a file");
    let Some(commit) = commit_of(repository, revision) else {
        return failed(404, "RevisionNotFound");
    };
    let Some(content) = repository.files.get(file) else {
        return failed(404, "EntryNotFound");
    };
    let mut headers = vec![("X-Repo-Commit", commit)];
    if content.len() >= LARGE {
        let digest = sha256(content);
        headers.extend([
            ("ETag", "\"of-the-link\"".to_owned()),
            ("X-Linked-Etag", format!("\"{digest}\"")),
            ("X-Linked-Size", content.len().to_string()),
            // Relative would be a renamed repository.
            ("Location", format!("http://{}/large/{digest}", request.host)),
        ]);
        return (302, headers, Vec::new());
    }
    // Git's hash has as many digits; nobody here computes it.
    headers.push(("ETag", format!("\"{}\"", &sha256(content)[..40])));
    ranged(request, content, headers)
}

/// Content from where the request wants it.
fn ranged(request: &Request, content: &[u8], mut headers: Vec<(&'static str, String)>) -> Answer {
    let Some((start, end)) = request
        .range
        .as_deref()
        .and_then(|range| range.strip_prefix("bytes=")?.split_once('-'))
    else {
        return (200, headers, content.to_vec());
    };
    let start: usize = start.parse().expect("a number");
    if start >= content.len() {
        return (416, headers, Vec::new());
    }
    let end = end.parse().unwrap_or(content.len() - 1).min(content.len() - 1);
    headers.push(("Content-Range", format!("bytes {start}-{end}/{}", content.len())));
    (206, headers, content[start..=end].to_vec())
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
