//! The Hub against a server on this machine: what is fetched, what the cache answers, and what is said of every fault.

mod support;

use std::path::{Path, PathBuf};

use rlhf_hub::{Error, Event, Hub, HubId, Options, Want};
use support::{Repository, Server, nobody, sha256};

const FIRST: &str = "1111111111111111111111111111111111111111";
const SECOND: &str = "2222222222222222222222222222222222222222";

/// A hub of the server with its cache in `cache`.
fn hub(endpoint: &str, cache: &Path) -> Hub {
    Hub::new(options(endpoint, cache))
}

fn options(endpoint: &str, cache: &Path) -> Options {
    Options {
        endpoint: endpoint.to_owned(),
        cache: cache.to_owned(),
        token: None,
        offline: false,
    }
}

fn offline(endpoint: &str, cache: &Path) -> Hub {
    Hub::new(Options {
        offline: true,
        ..options(endpoint, cache)
    })
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/models")
        .join(name)
}

fn tiny() -> Repository {
    Repository::new("models/org/tiny", FIRST)
        .with_folder(&golden("llama_sharded"))
        .with_file("tokenizer.json", "{}")
        .with_file("pytorch_model.bin", vec![0; 9000])
        .with_file("original/consolidated.safetensors", vec![0; 9000])
}

fn model(location: &str) -> HubId {
    HubId::model(location).expect("the test writes it well")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("it can be read").file_name();
    let mut names: Vec<String> = entries
        .map(|entry| name(entry).to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_model_is_fetched_once_and_then_found_in_the_cache() {
    let server = Server::start(vec![tiny()]);
    let cache = tempfile::tempdir().unwrap();
    let found = hub(&server.endpoint, cache.path())
        .model(&model("hf://org/tiny"), Want::Model)
        .unwrap();
    assert_eq!(found.commit, FIRST);
    assert_eq!(
        names(&found.path),
        [
            "config.json",
            "model-00001-of-00002.safetensors",
            "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
            "tokenizer.json",
        ]
    );
    // The layout that other programs know, and the bytes of the files.
    assert_eq!(found.path, cache.path().join("models--org--tiny/snapshots").join(FIRST));
    for name in ["config.json", "model-00001-of-00002.safetensors"] {
        let expected = std::fs::read(golden("llama_sharded").join(name)).unwrap();
        assert_eq!(std::fs::read(found.path.join(name)).unwrap(), expected, "{name}");
    }
    assert!(server.asked().len() > 5);
    // Again: one question, which commit it is; offline and of a commit none.
    let again = hub(&server.endpoint, cache.path())
        .model(&model("hf://org/tiny"), Want::Model)
        .unwrap();
    assert_eq!(again, found);
    assert_eq!(server.asked(), ["/api/models/org/tiny/revision/main?blobs=true"]);
    let pinned = model(&format!("hf://org/tiny@{FIRST}"));
    assert_eq!(
        hub(&server.endpoint, cache.path()).model(&pinned, Want::Model).unwrap(),
        found
    );
    assert_eq!(
        offline(&nobody(), cache.path())
            .model(&model("hf://org/tiny"), Want::Model)
            .unwrap(),
        found
    );
    assert_eq!(server.asked(), [""; 0]);
}

#[test]
fn a_tokenizer_is_fetched_without_the_weights() {
    let server = Server::start(vec![tiny()]);
    let cache = tempfile::tempdir().unwrap();
    let hub = hub(&server.endpoint, cache.path());
    let found = hub.model(&model("hf://org/tiny"), Want::Tokenizer).unwrap();
    assert_eq!(names(&found.path), ["config.json", "tokenizer.json"]);
    // Offline the weights are then missing, and said to be.
    let error = offline(&server.endpoint, cache.path())
        .model(&model("hf://org/tiny"), Want::Model)
        .unwrap_err();
    assert!(
        matches!(&error, Error::NotCached { file, .. } if file == "model.safetensors.index.json"),
        "{error}"
    );
    let text = error.to_string();
    assert!(
        text.contains("--offline") && text.contains("HF_HOME") && text.contains(FIRST),
        "{text}"
    );
}

#[test]
fn a_branch_is_what_it_is_today_and_a_commit_what_it_was() {
    let server = Server::start(vec![tiny()]);
    let cache = tempfile::tempdir().unwrap();
    let id = model("hf://org/tiny");
    assert_eq!(hub(&server.endpoint, cache.path()).commit(&id).unwrap(), FIRST);
    hub(&server.endpoint, cache.path()).model(&id, Want::Tokenizer).unwrap();
    server.change("models/org/tiny", |repository| {
        repository.revisions.insert("v1".into(), FIRST.into());
        repository.revisions.insert("refs/pr/7".into(), FIRST.into());
        repository.revisions.insert("main".into(), SECOND.into());
    });
    let commit = |location: &str| hub(&server.endpoint, cache.path()).commit(&model(location)).unwrap();
    assert_eq!(commit("hf://org/tiny"), SECOND);
    assert_eq!(commit("hf://org/tiny@v1"), FIRST);
    assert_eq!(commit("hf://org/tiny@refs/pr/7"), FIRST);
    assert_eq!(commit(&format!("hf://org/tiny@{FIRST}")), FIRST);
    // Nothing of the second commit was fetched: the cache still knows the first.
    assert_eq!(offline(&server.endpoint, cache.path()).commit(&id).unwrap(), FIRST);
    server.asked();
    let found = hub(&server.endpoint, cache.path()).model(&id, Want::Tokenizer).unwrap();
    assert_eq!(found.commit, SECOND);
    // What both commits have is not sent again.
    let asked = server.asked();
    assert!(
        asked.len() > 2 && !asked.iter().any(|request| request.ends_with("bytes=0-")),
        "{asked:?}"
    );
    let config = std::fs::read(golden("llama_sharded").join("config.json")).unwrap();
    assert_eq!(std::fs::read(found.path.join("config.json")).unwrap(), config);
    assert_eq!(offline(&server.endpoint, cache.path()).commit(&id).unwrap(), SECOND);
}

#[test]
fn an_interrupted_transfer_goes_on_where_it_stopped() {
    let big: Vec<u8> = (0..20_000_u32).map(|at| (at % 251) as u8).collect();
    let repository = Repository::new("models/org/big", FIRST)
        .with_file("config.json", "{}")
        .with_file("model.safetensors", big.clone());
    let server = Server::start(vec![repository]);
    let cache = tempfile::tempdir().unwrap();
    let id = model("hf://org/big");
    server.cut_next_transfer_after(5000);
    let error = hub(&server.endpoint, cache.path()).model(&id, Want::Model).unwrap_err();
    assert!(matches!(error, Error::BrokenOff { .. }), "{error:?}");
    server.asked();
    let found = hub(&server.endpoint, cache.path()).model(&id, Want::Model).unwrap();
    assert_eq!(std::fs::read(found.path.join("model.safetensors")).unwrap(), big);
    let asked = server.asked();
    assert!(
        asked.iter().any(|request| request.ends_with("bytes=5000-")),
        "{asked:?}"
    );
}

/// A server of one model, `org/big`, with weights of these bytes.
fn server_of_weights(weights: &[u8]) -> Server {
    let repository = Repository::new("models/org/big", FIRST)
        .with_file("config.json", "{}")
        .with_file("model.safetensors", weights);
    Server::start(vec![repository])
}

/// The place of a file of `org/big` in the cache while it is being fetched; its folder is made.
fn part_of_weights(cache: &Path, weights: &[u8]) -> PathBuf {
    let blobs = cache.join("models--org--big/blobs");
    std::fs::create_dir_all(&blobs).expect("a folder can be made");
    blobs.join(sha256(weights)).with_extension("part")
}

#[test]
fn what_a_process_left_and_is_already_whole_is_fetched_anew() {
    let big = vec![7; 6000];
    let server = server_of_weights(&big);
    let cache = tempfile::tempdir().unwrap();
    let part = part_of_weights(cache.path(), &big);
    for left in [6000, 7000] {
        std::fs::write(&part, vec![0; left]).unwrap();
        let found = hub(&server.endpoint, cache.path())
            .model(&model("hf://org/big"), Want::Model)
            .unwrap();
        assert_eq!(std::fs::read(found.path.join("model.safetensors")).unwrap(), big);
        std::fs::remove_file(found.path.join("model.safetensors")).unwrap();
    }
}

#[test]
fn a_file_with_other_bytes_than_the_hub_says_is_removed() {
    let big = vec![7; 6000];
    let server = server_of_weights(&big);
    let cache = tempfile::tempdir().unwrap();
    // What an earlier process left is of another file.
    std::fs::write(part_of_weights(cache.path(), &big), [0; 100]).unwrap();
    let fetch = || hub(&server.endpoint, cache.path()).model(&model("hf://org/big"), Want::Model);
    let error = fetch().unwrap_err();
    assert!(
        matches!(&error, Error::Damaged { expected, .. } if *expected == sha256(&big)),
        "{error}"
    );
    let found = fetch().unwrap();
    assert_eq!(std::fs::read(found.path.join("model.safetensors")).unwrap(), big);
}

#[test]
fn a_link_whose_content_was_removed_is_made_anew() {
    let server = Server::start(vec![tiny()]);
    let cache = tempfile::tempdir().unwrap();
    let fetch = || hub(&server.endpoint, cache.path()).model(&model("hf://org/tiny"), Want::Tokenizer);
    let path = fetch().unwrap().path.join("tokenizer.json");
    std::fs::remove_file(std::fs::canonicalize(&path).unwrap()).unwrap();
    fetch().unwrap();
    assert_eq!(std::fs::read_to_string(path).unwrap(), "{}");
}

#[test]
fn a_renamed_repository_is_found_under_its_old_name() {
    let server = Server::start(vec![tiny()]);
    server.rename("models/tiny", "models/org/tiny");
    let cache = tempfile::tempdir().unwrap();
    let found = hub(&server.endpoint, cache.path())
        .model(&model("hf://tiny"), Want::Model)
        .unwrap();
    assert_eq!(found.commit, FIRST);
    assert!(found.path.join("model-00002-of-00002.safetensors").exists());
}

#[test]
fn files_of_a_data_set_are_chosen_and_the_choice_is_said() {
    let repository = Repository::new("datasets/org/rows", FIRST)
        .with_file("README.md", "rows")
        .with_file("data/test.jsonl", "{}\n")
        .with_file("data/train-00000-of-00002.jsonl", "{\"text\":\"a\"}\n")
        .with_file("data/train-00001-of-00002.jsonl", "{\"text\":\"b\"}\n");
    let server = Server::start(vec![repository]);
    let cache = tempfile::tempdir().unwrap();
    let data = |location: &str| HubId::data(location).unwrap();
    let found = hub(&server.endpoint, cache.path())
        .data(&data("hf://org/rows"))
        .unwrap();
    let snapshot = cache.path().join("datasets--org--rows/snapshots").join(FIRST);
    let train = ["data/train-00000-of-00002.jsonl", "data/train-00001-of-00002.jsonl"].map(|name| snapshot.join(name));
    assert_eq!(found.files, train);
    assert_eq!(std::fs::read_to_string(&found.files[1]).unwrap(), "{\"text\":\"b\"}\n");
    assert!(found.note.unwrap().starts_with("takes data/train.jsonl (2 of 3 files"));
    assert!(!snapshot.join("data/test.jsonl").exists());
    assert_eq!(
        offline(&nobody(), cache.path())
            .data(&data("hf://org/rows"))
            .unwrap()
            .files,
        train
    );
    let test = "hf://datasets/org/rows/data/test.jsonl";
    let error = offline(&nobody(), cache.path()).data(&data(test)).unwrap_err();
    assert!(
        matches!(&error, Error::NotCached { file, .. } if file == "data/test.jsonl"),
        "{error}"
    );
    let found = hub(&server.endpoint, cache.path()).data(&data(test)).unwrap();
    assert_eq!(
        (found.files, found.note),
        (vec![snapshot.join("data/test.jsonl")], None)
    );
}

#[test]
fn a_snapshot_of_another_program_is_used_as_far_as_it_goes() {
    let cache = tempfile::tempdir().unwrap();
    let repository = cache.path().join("models--org--tiny");
    let snapshot = repository.join("snapshots").join(FIRST);
    std::fs::create_dir_all(&snapshot).unwrap();
    std::fs::create_dir_all(repository.join("refs")).unwrap();
    std::fs::write(repository.join("refs/main"), FIRST).unwrap();
    std::fs::write(snapshot.join("config.json"), "{}").unwrap();
    let hub = || offline(&nobody(), cache.path());
    let error = hub().model(&model("hf://org/tiny"), Want::Model).unwrap_err();
    assert!(
        matches!(&error, Error::NotCached { file, .. } if file.contains("model.safetensors")),
        "{error}"
    );
    std::fs::write(snapshot.join("model.safetensors"), "x").unwrap();
    assert_eq!(
        hub().model(&model("hf://org/tiny"), Want::Model).unwrap().path,
        snapshot
    );
}

#[test]
fn what_does_not_exist_is_told_apart_from_what_is_not_allowed() {
    let mut gated = tiny();
    gated.name = "models/org/gated".into();
    gated.token = Some("hf_right".into());
    let server = Server::start(vec![tiny(), gated]);
    let cache = tempfile::tempdir().unwrap();
    let ask = |location: &str, token: Option<&str>| {
        let options = Options {
            token: token.map(str::to_owned),
            ..options(&server.endpoint, cache.path())
        };
        Hub::new(options).model(&model(location), Want::Tokenizer)
    };
    let said = |error: Error, fragments: &[&str]| {
        let text = error.to_string();
        assert!(fragments.iter().all(|fragment| text.contains(fragment)), "{text}");
    };
    let unknown = ask("hf://org/nothing", None).unwrap_err();
    assert!(matches!(unknown, Error::UnknownRepository { .. }), "{unknown:?}");
    said(unknown, &["hf://org/nothing@main: no such repository", "HF_TOKEN"]);
    let revision = ask("hf://org/tiny@v9", None).unwrap_err();
    assert!(matches!(revision, Error::UnknownRevision { .. }), "{revision:?}");
    said(revision, &["hf://org/tiny@v9: the repository has no revision `v9`"]);
    let denied = ask("hf://org/gated", None).unwrap_err();
    assert!(matches!(denied, Error::Denied { status: 401, .. }), "{denied:?}");
    said(denied, &["/org/gated", "accept the terms", "HF_TOKEN"]);
    said(
        ask("hf://org/gated", Some("hf_wrong")).unwrap_err(),
        &["the token given (HF_TOKEN) may not"],
    );
    ask("hf://org/gated", Some("hf_right")).unwrap();
    let file = ask("hf://org/tiny/elsewhere", None).unwrap_err();
    assert!(matches!(file, Error::NoFile { .. }), "{file:?}");
    said(
        file,
        &[
            "expected a tokenizer: tokenizer.json",
            "the repository has config.json, ",
        ],
    );
}

#[test]
fn without_a_network_the_error_says_what_was_tried_and_what_there_is() {
    let server = Server::start(vec![tiny()]);
    let cache = tempfile::tempdir().unwrap();
    let nobody = nobody();
    let ask = || {
        hub(&nobody, cache.path())
            .model(&model("hf://org/tiny"), Want::Tokenizer)
            .unwrap_err()
    };
    let error = ask();
    assert!(matches!(error, Error::NoNetwork { cached: None, .. }), "{error:?}");
    let text = error.to_string();
    for fragment in [
        &nobody,
        "refused",
        "HF_ENDPOINT",
        "--offline",
        "has nothing of it",
        "HF_HOME",
    ] {
        assert!(text.contains(fragment), "{text}");
    }
    hub(&server.endpoint, cache.path())
        .model(&model("hf://org/tiny"), Want::Tokenizer)
        .unwrap();
    let text = ask().to_string();
    assert!(
        text.contains("--offline uses what the cache") && text.contains(FIRST),
        "{text}"
    );
    // Offline nothing was ever asked.
    let empty = tempfile::tempdir().unwrap();
    server.asked();
    let error = offline(&server.endpoint, empty.path())
        .model(&model("hf://org/tiny"), Want::Model)
        .unwrap_err();
    assert!(matches!(error, Error::NotCached { .. }), "{error:?}");
    assert_eq!(server.asked(), [""; 0]);
}

#[test]
fn names_that_would_leave_the_cache_are_passed_over() {
    let repository = Repository::new("models/org/evil", FIRST)
        .with_file("config.json", "{}")
        .with_file("../../../tokenizer.json", "{}")
        .with_file(
            "model.safetensors.index.json",
            "{\"weight_map\":{\"a\":\"../../x.safetensors\"}}",
        );
    let server = Server::start(vec![repository]);
    let cache = tempfile::tempdir().unwrap();
    let ask = |want| {
        hub(&server.endpoint, cache.path())
            .model(&model("hf://org/evil"), want)
            .unwrap_err()
    };
    assert!(matches!(ask(Want::Tokenizer), Error::NoFile { .. }));
    assert!(matches!(ask(Want::Model), Error::NoFile { .. }));
}

#[test]
fn progress_counts_all_bytes_of_a_place() {
    let server = Server::start(vec![tiny()]);
    let cache = tempfile::tempdir().unwrap();
    let seen = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    let told = std::rc::Rc::clone(&seen);
    let hub = hub(&server.endpoint, cache.path()).with_listener(move |event| {
        told.borrow_mut().push(match event {
            Event::Begin { files, bytes, .. } => (files as u64, bytes),
            Event::Bytes { done, total, .. } => (done, total),
            Event::End => (0, 0),
        });
    });
    hub.model(&model("hf://org/tiny"), Want::Tokenizer).unwrap();
    let bytes = std::fs::metadata(golden("llama_sharded").join("config.json"))
        .unwrap()
        .len()
        + 2;
    let seen = seen.borrow();
    assert_eq!(seen.first(), Some(&(2, bytes)));
    assert_eq!(seen[seen.len() - 2..], [(bytes, bytes), (0, 0)]);
}
