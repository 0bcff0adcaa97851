//! Rows that the readers make of well-formed files.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use rlhf_data::{
    Comparison, DataKind, Demonstration, Documents, Error, InspectOptions, Message, Prompt, Source, Split, Tokenizer,
    TokenizerConfig, inspect, load_demonstrations, load_text, read_comparisons, read_demonstrations, read_prompts,
    read_text, split_by_hash, split_rows,
};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.path().join(name);
        if name.ends_with(".gz") {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(content.as_bytes()).unwrap();
            std::fs::write(&path, encoder.finish().unwrap()).unwrap();
        } else {
            std::fs::write(&path, content).unwrap();
        }
        path
    }
}

#[test]
fn every_container_gives_the_same_rows() {
    let lines = "\u{feff}{\"prompt\":\"a\",\"completion\":\"b\"}\r\n\r\n{\"prompt\":\"c\",\"completion\":\"d\"}";
    let array = "[{\"prompt\":\"a\",\"completion\":\"b\"},\n {\"prompt\":\"c\",\n\"completion\":\"d\"}]\n";
    let folder = Folder::new();
    let expected = read_demonstrations(folder.write("plain.jsonl", lines)).unwrap().rows;
    assert_eq!(expected.len(), 2);
    assert_eq!(expected[1].messages, [Message::user("c"), Message::assistant("d")]);
    for (name, content) in [
        ("a.jsonl.gz", lines),
        ("a.json", array),
        ("a.json.gz", array),
        ("lines.json", lines),
        ("A.JSONL", lines),
    ] {
        assert_eq!(
            read_demonstrations(folder.write(name, content)).unwrap().rows,
            expected,
            "{name}"
        );
    }
}

#[test]
fn thumbs_become_rankings_of_the_answers_to_a_prompt() {
    let rows = [
        r#"{"prompt":"a","completion":"good","label":true}"#,
        r#"{"prompt":"b","completion":"alone","label":true}"#,
        r#"{"prompt":"a","completion":"bad","label":false}"#,
        r#"{"prompt":[{"role":"user","content":"a"}],"completion":[{"role":"assistant","content":"fine"}],"label":1}"#,
        r#"{"prompt":"a","completion":"mine","label":false,"labeler":"x"}"#,
        r#"{"prompt":"c","chosen":"yes","rejected":"no"}"#,
    ];
    let folder = Folder::new();
    let path = folder.write("thumbs.jsonl", &rows.join("\n"));
    assert_eq!(
        inspect(&path, &InspectOptions::default()).unwrap().kind,
        DataKind::Comparisons
    );
    let loaded = read_comparisons(path).unwrap();
    let [a, c] = &loaded.rows[..] else {
        panic!("{:?}", loaded.rows)
    };
    assert_eq!(a.messages, [Message::user("a")]);
    assert_eq!(a.completions, ["good", "bad", "fine"]);
    assert_eq!(a.ranking, [0, 1, 0]);
    assert_eq!(c.completions, ["yes", "no"]);
    // One prompt with a single thumb, and one labeler with a single thumb.
    assert_eq!(loaded.report.files[0].skipped_ties, 2);
}

#[test]
fn columns_with_other_names_are_found_by_their_source() {
    let folder = Folder::new();
    folder.write(
        "alpaca.jsonl",
        "{\"instruction\":\"Translate.\",\"input\":\"un chat\",\"output\":\"a cat\"}\n\
         {\"instruction\":\"Say hello.\",\"input\":\"\",\"output\":\"Hello.\"}",
    );
    let source = |columns: &str| -> Source {
        serde_json::from_str(&format!(r#"{{"path":"alpaca.jsonl","columns":{columns}}}"#)).unwrap()
    };
    let load = |columns: &str| load_demonstrations(&[source(columns)], folder.0.path(), 1);
    let rows = load(r#"{"prompt":["instruction","input"],"completion":"output"}"#)
        .unwrap()
        .rows;
    assert_eq!(
        rows[0].messages,
        [Message::user("Translate.\n\nun chat"), Message::assistant("a cat")]
    );
    assert_eq!(
        rows[1].messages,
        [Message::user("Say hello."), Message::assistant("Hello.")]
    );
    // A column that is not there is a field that is not there.
    let error = load(r#"{"prompt":"question","completion":"output"}"#)
        .unwrap_err()
        .to_string();
    assert!(error.contains("alpaca.jsonl:1") && error.contains("prompt"), "{error}");
}

#[test]
fn completions_may_be_conversations_of_one_message() {
    let row = r#"{"prompt":[{"role":"user","content":"Hi"}],"completions":[[{"role":"assistant","content":"Hello."}],"Go."],"ranking":[0,1]}"#;
    let rows = read_comparisons(Folder::new().write("a.jsonl", row)).unwrap().rows;
    assert_eq!(rows[0].completions, ["Hello.", "Go."]);
}

fn demonstration(row: &str) -> Demonstration {
    read_demonstrations(Folder::new().write("a.jsonl", row))
        .unwrap()
        .rows
        .remove(0)
}

fn comparison(row: &str) -> Comparison {
    read_comparisons(Folder::new().write("a.jsonl", row))
        .unwrap()
        .rows
        .remove(0)
}

fn prompt(row: &str) -> Prompt {
    read_prompts(Folder::new().write("a.jsonl", row))
        .unwrap()
        .rows
        .remove(0)
}

#[test]
fn texts_are_trimmed_where_prompt_and_completion_meet() {
    let row = demonstration(r#"{"prompt":"Question: why?\nAnswer:\n","completion":" Because.\n"}"#);
    assert_eq!(
        row.messages,
        [Message::user("Question: why?\nAnswer:"), Message::assistant("Because.")]
    );
    // Messages are what somebody said, to the letter.
    let row = demonstration(r#"{"messages":[{"role":"user","content":" a "},{"role":"assistant","content":" b"}]}"#);
    assert_eq!(row.messages, [Message::user(" a "), Message::assistant(" b")]);
}

#[test]
fn a_prompt_may_be_messages() {
    let row =
        demonstration(r#"{"prompt":[{"role":"system","content":"s"},{"role":"user","content":"a"}],"completion":"b"}"#);
    assert_eq!(
        row.messages,
        [Message::system("s"), Message::user("a"), Message::assistant("b")]
    );
    let row = demonstration(
        r#"{"prompt":[{"role":"user","content":"a"}],"completion":[{"role":"assistant","content":"b"}]}"#,
    );
    assert_eq!(row.messages, [Message::user("a"), Message::assistant("b")]);
}

#[test]
fn dialogues_in_one_text_become_turns() {
    let row = comparison(
        r#"{"chosen":"\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: d","rejected":"\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: e"}"#,
    );
    assert_eq!(
        row.messages,
        [Message::user("a"), Message::assistant("b"), Message::user("c")]
    );
    assert_eq!(
        (row.completions, row.ranking),
        (vec!["d".to_owned(), "e".to_owned()], vec![0, 1])
    );
    let with_prompt = prompt(r#"{"prompt":"\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant:"}"#);
    assert_eq!(with_prompt.messages, row.messages);
}

#[test]
fn whole_conversations_that_part_early_are_left_out() {
    let bad = r#"{"chosen":"\n\nHuman: a\n\nAssistant: b","rejected":"\n\nHuman: z\n\nAssistant: c"}"#;
    let good = r#"{"prompt":" a\n","chosen":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],"rejected":[{"role":"user","content":"a"},{"role":"assistant","content":"c"}]}"#;
    let loaded = read_comparisons(Folder::new().write("a.jsonl", &format!("{bad}\n{good}\n"))).unwrap();
    assert_eq!(loaded.rows[0].messages, [Message::user("a")]);
    assert_eq!((loaded.rows.len(), loaded.report.files[0].skipped_unaligned), (1, 1));
}

#[test]
fn a_source_is_a_name_and_nothing_longer() {
    let with = |source: &str| {
        let row = serde_json::json!({ "prompt": "a", "chosen": "b", "rejected": "c", "source": source });
        comparison(&row.to_string()).source
    };
    assert_eq!(with("evol_instruct").as_deref(), Some("evol_instruct"));
    for other in ["", "a text\nof two lines", &"a text that was summarised ".repeat(9)] {
        assert_eq!(with(other), None, "{other}");
    }
    let written = Comparison {
        source: Some("chats".to_owned()),
        ..comparison(r#"{"prompt": "a", "chosen": "b", "rejected": "c", "source": 7}"#)
    };
    assert_eq!(comparison(&serde_json::to_string(&written).unwrap()), written);
}

#[test]
fn comparisons_keep_what_the_labeler_said() {
    let row = comparison(
        r#"{"id":7,"prompt":"a","completions":["x ","y","z"],"ranking":[1,0,1],"labeler":"anna","confidence":0.8,"margin":2,"task":{"kind":"list"},"other":null}"#,
    );
    assert_eq!(row.id, "7");
    assert_eq!(row.completions, ["x", "y", "z"]);
    assert_eq!(row.pairs(), [(1, 0), (1, 2)]);
    assert_eq!(
        (row.labeler.as_deref(), row.confidence, row.margin),
        (Some("anna"), Some(0.8), Some(2.0))
    );
    assert_eq!(row.task.unwrap()["kind"], "list");
}

#[test]
fn files_of_answers_serve_as_prompts() {
    for row in [
        r#"{"prompt":"a","completion":"b"}"#,
        r#"{"prompt":"a","chosen":"b","rejected":"c"}"#,
        r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}"#,
        r#"{"messages":[{"role":"user","content":"a"}],"prompt":null}"#,
    ] {
        assert_eq!(prompt(row).messages, [Message::user("a")], "{row}");
    }
}

#[test]
fn absent_ids_depend_on_the_content_alone() {
    let [first, again] = [r#"{"prompt":"a","source":"x"}"#, r#"{"prompt":"a"}"#].map(prompt);
    assert_eq!(first.id, again.id);
    assert_eq!(first.id.len(), 16);
    assert_ne!(first.id, prompt(r#"{"prompt":"b"}"#).id);
    assert_eq!(prompt(r#"{"prompt":"a","id":"x1"}"#).id, "x1");
}

#[test]
fn what_is_written_is_read_back() {
    let rows = [
        r#"{"prompt":" a ","completions":["x\n"," y"],"ranking":[1,0],"labeler":"l","margin":0.25}"#,
        r#"{"messages":[{"role":"user","content":" a "}],"completions":["x\n"," y"],"ranking":[1,0]}"#,
    ];
    for row in rows.map(comparison) {
        assert_eq!(comparison(&serde_json::to_string(&row).unwrap()), row);
    }
    let row = demonstration(r#"{"messages":[{"role":"user","content":" a "},{"role":"assistant","content":"b\n"}]}"#);
    assert_eq!(demonstration(&serde_json::to_string(&row).unwrap()), row);
    let row = prompt(r#"{"prompt":"a","task":{"n":1}}"#);
    assert_eq!(prompt(&serde_json::to_string(&row).unwrap()), row);
}

#[test]
fn text_comes_from_files_and_rows() {
    let folder = Folder::new();
    let path = folder.write("a.txt", "one\n\ntwo\n");
    assert_eq!(read_text(&path, Documents::BlankLine).unwrap().rows, ["one", "two"]);
    assert_eq!(read_text(&path, Documents::Auto).unwrap().rows, ["one\n\ntwo"]);
    let path = folder.write("a.jsonl.gz", "{\"text\":\"one\\n\\ntwo\"}\n{\"text\":\" \"}\n");
    let loaded = read_text(&path, Documents::BlankLine).unwrap();
    assert_eq!(
        (loaded.rows, loaded.report.files[0].skipped_empty),
        (vec!["one\n\ntwo".to_owned()], 1)
    );
}

#[test]
fn sources_join_files_under_a_root() {
    let folder = Folder::new();
    folder.write("a.jsonl", r#"{"prompt":"a","completion":"b"}"#);
    let elsewhere = Folder::new();
    let path = elsewhere.write(
        "c.jsonl",
        "{\"prompt\":\"c\",\"completion\":\"d\"}\n{\"prompt\":\"e\",\"completion\":\"f\"}",
    );
    let sources = [
        Source::new("a.jsonl").with_weight(2.0),
        Source::new(path).with_weight(0.5),
    ];
    let loaded = load_demonstrations(&sources, folder.0.path(), 1).unwrap();
    assert_eq!(loaded.rows.len(), 3);
    assert_eq!((loaded.report.rows(), loaded.report.files.len()), (3, 2));
    assert_eq!(loaded, load_demonstrations(&sources, folder.0.path(), 1).unwrap());
    // The digest is of the file as it lies there: `sha256sum` of {"prompt":"a","completion":"b"}.
    assert_eq!(loaded.report.files[0].bytes, 31);
    assert_eq!(loaded.report.files[0].sha256.len(), 64);
}

#[test]
fn a_folder_stands_for_its_text_files() {
    let folder = Folder::new();
    folder.write("b.txt", "second");
    folder.write("a.txt.gz", "first");
    folder.write("README.md", "not this");
    let load = |name: &str| load_text(&[Source::new(name)], folder.0.path(), 0);
    assert_eq!(load(".").unwrap().rows, ["first", "second"]);
    std::fs::create_dir(folder.0.path().join("empty")).unwrap();
    assert!(matches!(load("empty").unwrap_err(), Error::EmptyFile { .. }));
}

#[test]
fn one_prompt_is_on_one_side_in_every_file() {
    let rows: String = (0..200)
        .map(|n| format!("{{\"prompt\":\"What is {n}?\\n\",\"completion\":\"{n}\"}}\n"))
        .collect();
    let path = Folder::new();
    let path_of_rows = path.write("a.jsonl", &rows);
    let (train, held_out) = split_rows(
        read_demonstrations(&path_of_rows).unwrap().rows,
        0.2,
        Demonstration::key,
    );
    let (prompts, held_out_prompts) = split_rows(read_prompts(&path_of_rows).unwrap().rows, 0.2, Prompt::key);
    assert_eq!((train.len(), held_out.len()), (prompts.len(), held_out_prompts.len()));
    for row in &held_out_prompts {
        assert_eq!(split_by_hash(&row.messages[0].content, 0.2), Split::Validation);
        assert!(train.iter().all(|other| other.messages[0] != row.messages[0]));
    }
}

#[test]
fn inspection_counts_what_is_there() {
    let rows = concat!(
        r#"{"prompt":"a b","completions":["long one","c"],"ranking":[0,1],"labeler":"x"}"#,
        "\n",
        r#"{"prompt":"a b","completions":["long one","c"],"ranking":[0,1],"labeler":"x"}"#,
        "\n",
        r#"{"prompt":"d","completions":["e","f g","h"],"ranking":[0,1,1],"labeler":"y"}"#,
        "\n",
        r#"{"prompt":"d","completions":["e","f"],"ranking":[2,2],"labeler":"y"}"#,
    );
    let folder = Folder::new();
    let path = folder.write("a.jsonl", rows);
    let tokenizer = Tokenizer::train(["a"], &TokenizerConfig::default()).unwrap();
    let found = inspect(
        &path,
        &InspectOptions {
            tokenizer: Some(&tokenizer),
            ..InspectOptions::default()
        },
    )
    .unwrap();
    assert_eq!(found.kind, DataKind::Comparisons);
    assert_eq!((found.file.rows, found.file.skipped_ties), (3, 1));
    assert_eq!((found.distinct_prompts, found.duplicate_rows), (2, 1));
    assert_eq!(
        found.completions_per_row.into_iter().collect::<Vec<_>>(),
        [(2, 2), (3, 1)]
    );
    // Rows 1 and 2: one pair each, the longer wins. Row 3: e beats "f g" and h, which tie; e and h are of one length.
    assert_eq!((found.decided_pairs, found.tied_pairs), (4, 1));
    assert_eq!(found.longer_wins, Some(2.0 / 3.0));
    assert_eq!(
        found.labelers.into_iter().collect::<Vec<_>>(),
        [("x".to_owned(), 2), ("y".to_owned(), 1)]
    );
    let of: Vec<&str> = found.lengths.iter().map(|lengths| lengths.of.as_str()).collect();
    assert_eq!(
        of,
        [
            "completion, words",
            "prompt, words",
            "completion, tokens",
            "prompt, tokens"
        ]
    );
    // Tokens are bytes here: "long one" and eos are 9; <|user|> a b <|assistant|> is 5.
    assert_eq!((found.lengths[2].max, found.lengths[3].max), (9, 5));
}

#[test]
fn inspection_tells_the_kind_and_prints() {
    let folder = Folder::new();
    for (name, row, kind) in [
        (
            "a.jsonl",
            r#"{"prompt":"a","completion":"b"}"#,
            DataKind::Demonstrations,
        ),
        (
            "a.jsonl",
            r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}"#,
            DataKind::Demonstrations,
        ),
        (
            "a.jsonl",
            r#"{"messages":[{"role":"user","content":"a"}]}"#,
            DataKind::Prompts,
        ),
        ("a.jsonl", r#"{"prompt":"a"}"#, DataKind::Prompts),
        (
            "a.json",
            r#"[{"prompt":"a","chosen":"b","rejected":"c"}]"#,
            DataKind::Comparisons,
        ),
        ("a.jsonl", r#"{"text":"a"}"#, DataKind::Text),
        ("a.txt", "a", DataKind::Text),
    ] {
        let found = inspect(folder.write(name, row), &InspectOptions::default()).unwrap();
        assert_eq!(found.kind, kind, "{row}");
        let printed = found.to_string();
        assert!(
            printed.contains("rows            1") && printed.contains("row 1:"),
            "{printed}"
        );
    }
    assert!(matches!(
        inspect(folder.write("b.jsonl", ""), &InspectOptions::default()).unwrap_err(),
        Error::EmptyFile { .. }
    ));
    assert!(matches!(
        inspect(folder.0.path().join("none.jsonl"), &InspectOptions::default()).unwrap_err(),
        Error::MissingFile { .. }
    ));
}
