//! What is asked of data before a configuration is written: the files of a folder, their kinds, and the lengths of rows.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::Path;

use rlhf_data::{
    DataKind, Error, LossOn, Message, Tokenizer, TokenizerConfig, comparison_lengths, demonstration_lengths,
    demonstration_sequence, files_of, kind_of_file, prompt_lengths, prompt_tokens, read_comparisons,
    read_demonstrations, read_prompts,
};

/// One token a byte, after five special ones.
fn bytes() -> Tokenizer {
    let config = TokenizerConfig {
        vocab_size: 261,
        min_frequency: 2,
    };
    Tokenizer::train(["x"], &config).unwrap()
}

fn kind(name: &str, content: &str) -> Result<DataKind, Error> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    kind_of_file(&path)
}

const QUESTION: &str = r#"{"messages":[{"role":"user","content":"a"}]}"#;
const ANSWERED: &str = r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}"#;

#[test]
fn a_file_is_of_the_kind_of_most_of_its_first_rows() {
    let lines = |rows: &[&str]| kind("a.jsonl", &rows.join("\n")).unwrap();
    assert_eq!(lines(&[QUESTION, ANSWERED, ANSWERED]), DataKind::Demonstrations);
    assert_eq!(lines(&[ANSWERED, QUESTION, QUESTION]), DataKind::Prompts);
    // As many of each: the first says.
    assert_eq!(lines(&[QUESTION, ANSWERED]), DataKind::Prompts);
    assert_eq!(lines(&[ANSWERED, QUESTION]), DataKind::Demonstrations);
    // Rows far behind say nothing.
    let behind: Vec<&str> = [ANSWERED; 8].into_iter().chain([QUESTION; 20]).collect();
    assert_eq!(lines(&behind), DataKind::Demonstrations);
    let thumb = r#"{"prompt":"a","completion":"b","label":true}"#;
    assert_eq!(lines(&[thumb]), DataKind::Comparisons);
    // A table has a column for every row.
    let null = r#"{"text":"a","prompt":null,"chosen":null}"#;
    assert_eq!(lines(&[null]), DataKind::Text);
}

#[test]
fn a_fault_of_the_first_row_is_told_and_one_behind_it_is_the_readers() {
    assert_eq!(
        kind("a.jsonl", &format!("{ANSWERED}\n[")).unwrap(),
        DataKind::Demonstrations
    );
    let said = kind("a.jsonl", "[").unwrap_err().to_string();
    assert!(said.contains("a.jsonl:1: malformed line"), "{said}");
    assert!(matches!(kind("a.jsonl", "\n"), Err(Error::EmptyFile { .. })));
    assert!(matches!(kind("a.csv", "a,b"), Err(Error::UnknownFormat { .. })));
    let missing = kind_of_file("no/such/file.jsonl");
    assert!(matches!(missing, Err(Error::MissingFile { .. })), "{missing:?}");
    assert_eq!(kind("a.txt", "").unwrap(), DataKind::Text);
}

#[test]
fn a_folder_has_the_files_that_can_be_read_in_order_of_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let names = [
        "b.jsonl",
        "a.txt.gz",
        "c.parquet",
        "d.JSON",
        "e.ndjson",
        "README.md",
        ".hidden.json",
        "f.gz",
    ];
    for name in names {
        std::fs::write(dir.path().join(name), "").unwrap();
    }
    std::fs::create_dir(dir.path().join("deeper.jsonl")).unwrap();
    let found = files_of(dir.path()).unwrap();
    let found: Vec<&str> = found
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(found, ["a.txt.gz", "b.jsonl", "c.parquet", "d.JSON", "e.ndjson"]);
    let missing = files_of(Path::new("no/such/folder"));
    assert!(matches!(missing, Err(Error::MissingFile { .. })), "{missing:?}");
}

fn written(dir: &tempfile::TempDir, rows: &str) -> std::path::PathBuf {
    let path = dir.path().join("rows.jsonl");
    std::fs::write(&path, rows).unwrap();
    path
}

#[test]
fn rows_are_measured_whole() {
    let dir = tempfile::tempdir().unwrap();
    let tokenizer = bytes();
    // <|user|> a <|assistant|> b <|eos|>, twice, and once with ten bytes more.
    let demonstrations = r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"},{"role":"assistant","content":"d"}]}
{"prompt":"a","completion":"0123456789A"}
"#;
    let rows = read_demonstrations(written(&dir, demonstrations)).unwrap().rows;
    let found = demonstration_lengths(&tokenizer, &rows).unwrap().unwrap();
    assert_eq!((found.conversations.min, found.conversations.max), (10, 15));
    assert_eq!((found.answers.count, found.answers.min, found.answers.max), (2, 2, 12));
    let comparisons = r#"{"prompt":"a","completions":["b","cc","dddd"],"ranking":[0,1,2]}
{"prompt":"aaa","chosen":"b","rejected":"c"}
"#;
    let rows = read_comparisons(written(&dir, comparisons)).unwrap().rows;
    let found = comparison_lengths(&tokenizer, &rows).unwrap().unwrap();
    assert_eq!((found.prompts.count, found.prompts.min, found.prompts.max), (2, 3, 5));
    // 2, 3 and 5, then 2 and 2.
    assert_eq!(
        (
            found.completions.count,
            found.completions.median,
            found.completions.mean
        ),
        (5, 2, 2.8)
    );
    let rows = read_prompts(written(&dir, demonstrations)).unwrap().rows;
    let found = prompt_lengths(&tokenizer, &rows).unwrap().unwrap();
    assert_eq!((found.count, found.min, found.max), (2, 3, 8));
    assert_eq!(prompt_lengths(&tokenizer, &[]).unwrap(), None);
    assert_eq!(demonstration_lengths(&tokenizer, &[]).unwrap(), None);
    assert_eq!(comparison_lengths(&tokenizer, &[]).unwrap(), None);
}

/// The longest is just what a context must have for nothing to be lost.
#[test]
fn a_context_of_the_longest_shortens_nothing_and_a_smaller_one_does() {
    let dir = tempfile::tempdir().unwrap();
    let tokenizer = bytes();
    let talk = [
        Message::system("s"),
        Message::user("q"),
        Message::assistant("xy"),
        Message::user("r"),
        Message::assistant("z"),
    ];
    let path = written(&dir, &serde_json::json!({ "messages": talk }).to_string());
    let row = &read_demonstrations(&path).unwrap().rows[..];
    let longest = demonstration_lengths(&tokenizer, row)
        .unwrap()
        .unwrap()
        .conversations
        .max;
    let dropped = |max_len| {
        let fitted = demonstration_sequence(&tokenizer, &row[0], LossOn::Assistant, max_len).unwrap();
        fitted.unwrap().dropped_messages
    };
    assert_eq!((dropped(longest), dropped(longest - 1)), (0, 2));
    let row = &read_prompts(&path).unwrap().rows[..];
    let longest = prompt_lengths(&tokenizer, row).unwrap().unwrap().max;
    let dropped = |context| prompt_tokens(&tokenizer, &row[0], context, 3).unwrap().dropped_messages;
    assert_eq!((dropped(longest + 3), dropped(longest + 2)), (0, 2));
}
