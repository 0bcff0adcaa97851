//! `hf://…` wherever a model or data is named, against a Hub on this machine.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::server::{Repository, Server, nobody};
use crate::support::{Outcome, argument, file, folder, language_model, rlhf_in, tokenizer};

const FIRST: &str = "1111111111111111111111111111111111111111";
const SECOND: &str = "2222222222222222222222222222222222222222";
const LM: &str = "models/org/lm";

/// A Hub with a small language model, the folder that it was made of, and a cache.
struct Setting {
    server: Server,
    dir: PathBuf,
    model: String,
}

impl Setting {
    fn new(test: &str) -> Self {
        let dir = folder(test);
        let model = language_model(&dir);
        let rows = |answer: &str| {
            let row = |n: usize| json!({"prompt": format!("the sea {n}?"), "completion": answer});
            (0..40).map(|n| format!("{}\n", row(n))).collect::<String>()
        };
        let text: String = (0..40)
            .map(|n| format!("{}\n", json!({"text": format!("the sea and the shore {n}")})))
            .collect();
        let data = Repository::new("datasets/org/rows", FIRST)
            .with_file("chat/train.jsonl", rows("the shore"))
            .with_file("chat/test.jsonl", rows("no"))
            .with_file("text/train-00000-of-00002.jsonl", text.clone())
            .with_file("text/train-00001-of-00002.jsonl", text);
        let lm = Repository::new(LM, FIRST).with_folder(Path::new(&model));
        Self {
            server: Server::start(vec![lm, data]),
            dir,
            model,
        }
    }

    /// Runs the binary with this Hub and its cache.
    fn rlhf(&self, arguments: &[&str]) -> Outcome {
        self.rlhf_at(&self.server.endpoint, &[], arguments)
    }

    /// Runs it with another server.
    fn rlhf_at(&self, endpoint: &str, more: &[(&str, &str)], arguments: &[&str]) -> Outcome {
        let home = argument(&self.dir.join("hf"));
        let environment = [&[("HF_ENDPOINT", endpoint), ("HF_HOME", home.as_str())], more].concat();
        rlhf_in(&environment, arguments, "")
    }
}

/// `RUN/STAGE/complete.json`.
fn inputs(run: &str, stage: &str) -> Value {
    let text = std::fs::read_to_string(format!("{run}/{stage}/complete.json")).expect("the stage is complete");
    serde_json::from_str::<Value>(&text).expect("JSON")["inputs"].clone()
}

/// The arguments of a stage on a world of a few pages.
fn stage<'a>(name: &'a str, run: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut words = vec![name, "--run", run];
    for set in ["world.document_bytes=20000", "world.validation_document_bytes=2000"] {
        words.extend(["--set", set]);
    }
    words.extend(more);
    words
}

#[test]
fn a_model_of_the_hub_answers_as_its_folder_does_and_offline_too() {
    let setting = Setting::new("hub_model");
    let input = file(&setting.dir, "rows.jsonl", "{\"text\":\"the sea\"}\n");
    let logprobs = |model| vec!["logprobs", "--model", model, "--input", &input];
    let expected = setting.rlhf(&logprobs(&setting.model)).printed();
    assert_eq!(setting.server.asked(), [""; 0]);
    let fetched = setting.rlhf(&logprobs("hf://org/lm"));
    assert!(
        fetched.stderr.contains(&format!("of hf://org/lm@{FIRST}")),
        "{}",
        fetched.stderr
    );
    assert_eq!(fetched.printed(), expected);
    let offline = [&["--offline"], logprobs("hf://org/lm@main").as_slice()].concat();
    assert_eq!(setting.rlhf_at(&nobody(), &[], &offline).printed(), expected);
    // The flag stands before or after the command, and the environment says the same.
    let after = [logprobs("hf://org/lm").as_slice(), &["--offline"]].concat();
    assert_eq!(setting.rlhf_at(&nobody(), &[], &after).printed(), expected);
    let environment = [("HF_HUB_OFFLINE", "1")];
    assert_eq!(
        setting
            .rlhf_at(&nobody(), &environment, &logprobs("hf://org/lm"))
            .printed(),
        expected
    );
    setting.rlhf_at(&nobody(), &[], &logprobs("hf://org/lm")).refused(
        1,
        &[
            "hf://org/lm@main: http://127.0.0.1:",
            "does not answer",
            "--offline uses what the cache",
            FIRST,
            "HF_ENDPOINT",
        ],
    );
}

#[test]
fn every_command_that_takes_a_model_takes_one_of_the_hub() {
    let setting = Setting::new("hub_commands");
    let rows = file(
        &setting.dir,
        "rows.jsonl",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"the sea\"}]}\n",
    );
    let both = |arguments: &dyn Fn(&str) -> Vec<String>| {
        let run = |model: &str| {
            let words = arguments(model);
            setting
                .rlhf(&words.iter().map(String::as_str).collect::<Vec<_>>())
                .printed()
        };
        assert_eq!(run("hf://org/lm"), run(&setting.model));
    };
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    // Without the weights first: these two need none.
    both(&|model| words(&format!("template --model {model} --input {rows}")));
    both(&|model| words(&format!("data inspect {rows} --model {model}")));
    let asked = setting.server.asked();
    assert!(
        !asked.iter().any(|request| request.contains("safetensors")),
        "{asked:?}"
    );
    both(&|model| words(&format!("generate --model {model} --prompt sea --max-new-tokens 4")));
    both(&|model| words(&format!("chat --model {model}")));
    both(&|model| {
        words(&format!(
            "logprobs --model {model} --input {}",
            file(&setting.dir, "ids.jsonl", "{\"input_ids\":[1,2]}")
        ))
    });
    setting
        .rlhf(&["score", "--model", "hf://org/lm", "--input", &rows])
        .refused(1, &["lm"]);
    let out = argument(&setting.dir.join("merged"));
    let merge = [
        "merge",
        "--base",
        "hf://org/lm",
        "--adapter",
        "hf://org/lm",
        "--out",
        &out,
    ];
    setting
        .rlhf(&merge)
        .refused(1, &["hf://org/lm@main: expected adapter_config.json"]);
}

#[test]
fn data_of_the_hub_is_chosen_by_its_path_and_the_choice_is_said() {
    let setting = Setting::new("hub_data");
    let found = setting.rlhf(&["data", "inspect", "hf://org/rows/text"]);
    assert!(
        found
            .stderr
            .contains("hf://datasets/org/rows@main/text: takes text/train.jsonl (2 of 2 files with rows)"),
        "{}",
        found.stderr
    );
    let printed = found.printed();
    assert_eq!(printed.matches(": text\nrows            40\n").count(), 2, "{printed}");
    let found = setting.rlhf(&["data", "inspect", "hf://datasets/org/rows/chat/test.jsonl", "--json"]);
    assert_eq!(found.rows()[0]["kind"], "demonstrations");
    setting
        .rlhf(&["data", "inspect", "hf://org/rows/chat/none.jsonl"])
        .refused(
            1,
            &["hf://datasets/org/rows@main/chat/none.jsonl: expected a file of rows at `chat/none.jsonl`"],
        );
}

#[test]
fn faults_of_the_hub_are_told_apart() {
    let setting = Setting::new("hub_faults");
    setting
        .server
        .change(LM, |repository| repository.token = Some("hf_right".into()));
    let ask = |model: &str, environment: &[(&str, &str)]| {
        let arguments = ["template", "--model", model, "--input", "-"];
        setting.rlhf_at(&setting.server.endpoint, environment, &arguments)
    };
    ask("hf://org/nothing", &[]).refused(1, &["hf://org/nothing@main: no such repository"]);
    ask("hf://org/lm@v9", &[]).refused(1, &["the repository has no revision `v9`"]);
    ask("hf://org/lm", &[]).refused(1, &["access denied (status 401)", "HF_TOKEN", "/org/lm"]);
    ask("hf://org/lm", &[("HF_TOKEN", "hf_wrong")]).refused(1, &["the token given (HF_TOKEN) may not read it"]);
    // The token is right; there is nothing on standard input.
    ask("hf://org/lm", &[("HF_TOKEN", "hf_right")]).refused(1, &["standard input"]);
    ask("hf://datasets/org/rows", &[]).refused(1, &["expected a model, hf://org/name, found a data set"]);
    let offline = ["--offline", "template", "--model", "hf://org/other", "--input", "-"];
    setting.server.asked();
    setting.rlhf(&offline).refused(
        1,
        &[
            "hf://org/other@main: this revision is not in the cache",
            "without --offline",
        ],
    );
    assert_eq!(setting.server.asked(), [""; 0]);
}

#[test]
fn a_run_keeps_the_commit_that_it_began_with() {
    let setting = Setting::new("hub_pins");
    let run = argument(&setting.dir.join("run"));
    let base = ["--base", "hf://org/lm"];
    setting.rlhf(&stage("tokenizer", &run, &base)).printed();
    assert_eq!(inputs(&run, "tokenizer")["hf://org/lm@main"], FIRST);
    let pins = std::fs::read_to_string(format!("{run}/hub.json")).expect("the run keeps its commits");
    assert_eq!(
        serde_json::from_str::<Value>(&pins).unwrap(),
        json!({"hf://org/lm@main": FIRST})
    );
    // The branch goes on; the run does not.
    setting.server.change(LM, |repository| {
        repository.revisions.insert("old".into(), FIRST.into());
        repository.revisions.insert("main".into(), SECOND.into());
    });
    setting.server.asked();
    setting.rlhf(&stage("pretrain", &run, &base)).printed();
    assert_eq!(inputs(&run, "pretrain")["hf://org/lm@main"], FIRST);
    let asked = setting.server.asked();
    let of_first = |request: &String| request.contains(FIRST) || request.starts_with("/large/");
    assert!(!asked.is_empty() && asked.iter().all(of_first), "{asked:?}");
    let weights = |dir: &str| std::fs::read(format!("{dir}/model.safetensors")).expect("weights");
    assert_eq!(weights(&format!("{run}/pretrain")), weights(&setting.model));
    // A stage that is complete asks nobody, and says so.
    let again = setting.rlhf_at(&nobody(), &[], &stage("pretrain", &run, &base));
    assert!(again.stderr.contains("pretrain complete already"), "{}", again.stderr);
    // Another run begins with what the branch is now; a revision that is named is another configuration.
    let other = argument(&setting.dir.join("other"));
    setting.rlhf(&stage("tokenizer", &other, &base)).printed();
    assert_eq!(inputs(&other, "tokenizer")["hf://org/lm@main"], SECOND);
    let named = ["--base", "hf://org/lm@old"];
    setting
        .rlhf(&stage("tokenizer", &run, &named))
        .refused(1, &["another configuration", "data.base"]);
    std::fs::write(format!("{run}/hub.json"), "{").unwrap();
    setting
        .rlhf(&stage("tokenizer", &run, &base))
        .refused(1, &["hub.json:1", "restore or remove it"]);
}

#[test]
fn stages_read_lists_of_the_hub() {
    let setting = Setting::new("hub_lists");
    let run = argument(&setting.dir.join("run"));
    let config = file(
        &setting.dir,
        "c.toml",
        "[data]\nsource = \"files\"\nroot = \"elsewhere\"\n\
         pretrain = [{ path = \"hf://org/rows/text\" }]\n\
         demonstrations = [{ path = \"hf://datasets/org/rows@main/chat/train.jsonl\" }]\n\
         comparisons = [{ path = \"hf://org/comparisons\" }]\n\
         ppo_prompts = [{ path = \"hf://org/rows/chat\" }]\n\
         [label]\nlabeler = \"files\"\n[tokenizer]\nvocab_size = 300\n",
    );
    setting
        .rlhf(&["tokenizer", "--run", &run, "--config", &config])
        .printed();
    assert_eq!(inputs(&run, "tokenizer"), json!({"hf://datasets/org/rows@main": FIRST}));
    // What a stage does not read need not be there.
    setting
        .rlhf(&["label", "--run", &run, "--config", &config])
        .refused(1, &["hf://datasets/org/comparisons@main: no such repository"]);
    let tokenizer = rlhf_data::Tokenizer::load(format!("{run}/tokenizer")).unwrap();
    assert!(
        tokenizer.vocab_size() > 261,
        "it was trained on the rows: {}",
        tokenizer.vocab_size()
    );
}

#[test]
fn places_of_the_hub_are_checked_with_the_configuration() {
    let setting = Setting::new("hub_configuration");
    let check = |set: &str, message: &str| {
        setting.rlhf(&["config", "--set", set]).refused(1, &[message]);
    };
    check(
        "data.base=\"hf://datasets/org/rows\"",
        "data.base: hf://datasets/org/rows: expected a model",
    );
    check("data.root=\"hf://org/rows\"", "data.root: a place on the Hub");
    check(
        "data.pretrain=[{ path = \"hf://org/a b\" }]",
        "data.pretrain[0].path: hf://org/a b: expected hf://org/name",
    );
    setting
        .rlhf(&["config", "--set", "data.pretrain=[{ path = \"hf://org/rows@v1\" }]"])
        .printed();
    assert_eq!(setting.server.asked(), [""; 0]);
}

#[test]
fn a_relative_base_starts_from_the_root_like_every_path_of_its_section() {
    let dir = folder("hub_root");
    language_model(&dir);
    let run = argument(&dir.join("run"));
    let root = format!("data.root={}", json!(dir));
    let run_stage = |base: &str| rlhf_in(&[], &stage("tokenizer", &run, &["--set", &root, "--base", base]), "");
    run_stage("nowhere").refused(1, &["hub_root/nowhere/tokenizer.json: no such file"]);
    run_stage("lm").printed();
    let found = rlhf_data::Tokenizer::load(format!("{run}/tokenizer")).unwrap();
    assert_eq!(found.vocab_size(), tokenizer().vocab_size());
    // An absolute path is itself.
    let absolute = argument(&std::path::absolute(dir.join("lm")).unwrap());
    let other = argument(&dir.join("other"));
    rlhf_in(
        &[],
        &stage(
            "tokenizer",
            &other,
            &["--set", "data.root=nowhere", "--base", &absolute],
        ),
        "",
    )
    .printed();
}
