//! `rlhf data inspect`.

use serde_json::Value;

use crate::support::{file, folder, language_model, rlhf};

const COMPARISONS: &str = r#"{"prompt":"the sea?","chosen":"the shore","rejected":"no"}
{"prompt":"a ship?","completions":["a","b","c"],"ranking":[0,1,1]}
"#;

#[test]
fn a_file_is_counted_for_people_and_as_json() {
    let dir = folder("inspect_counts");
    let path = file(&dir, "a.jsonl", COMPARISONS);
    let text = rlhf(&["data", "inspect", &path]).printed();
    assert!(text.starts_with(&format!("{path}: comparisons\n")), "{text}");
    assert!(text.contains("3 decided, 1 tied"), "{text}");
    assert!(!text.contains("tokens"), "{text}");
    let row: Value = serde_json::from_str(&rlhf(&["data", "inspect", &path, "--json"]).printed()).unwrap();
    assert_eq!(
        (&row["decided_pairs"], &row["tied_pairs"]),
        (&Value::from(3), &Value::from(1))
    );
    let model = language_model(&dir);
    let text = rlhf(&["data", "inspect", &path, "--model", &model]).printed();
    assert!(text.contains("completion, tokens"), "{text}");
}

#[test]
fn a_file_that_cannot_be_read_says_where_and_why() {
    let dir = folder("inspect_bad");
    let inspect = |path: &str| rlhf(&["data", "inspect", path]);
    inspect("nowhere.jsonl").refused(1, &["nowhere.jsonl: no such file"]);
    inspect(&file(&dir, "empty.jsonl", "")).refused(1, &["empty.jsonl: the file is empty"]);
    inspect(&file(&dir, "a.csv", "a,b\n")).refused(1, &["a.csv: unknown format"]);
    let short = "{\"prompt\":\"a\",\"completions\":[\"b\",\"c\"],\"ranking\":[0,1,2]}\n";
    inspect(&file(&dir, "short.jsonl", &format!("{COMPARISONS}{short}")))
        .refused(1, &["short.jsonl:3: field `ranking`: expected 2 ranks", "found 3"]);
    let ties = "{\"prompt\":\"a\",\"completions\":[\"b\",\"c\"],\"ranking\":[0,0]}\n";
    inspect(&file(&dir, "ties.jsonl", ties)).refused(1, &["ties.jsonl: all 1 rankings are ties"]);
    inspect(&file(&dir, "half.jsonl", &COMPARISONS[..70])).refused(1, &["half.jsonl:2: malformed line"]);
}

/// The tokenizer's bytes and a few merges; a context of 48 tokens.
#[test]
fn with_a_model_it_says_what_does_not_fit_and_shows_a_row_as_the_model_is_given_it() {
    let dir = folder("inspect_fit");
    let model = language_model(&dir);
    let long = "x".repeat(60);
    let rows = format!(
        "{{\"prompt\":\"the sea?\",\"completion\":\"the shore\"}}\n{{\"prompt\":\"a\",\"completion\":\"{long}\"}}\n"
    );
    let path = file(&dir, "a.jsonl", &rows);
    let inspect = |more: &[&str]| rlhf(&[&["data", "inspect", &path, "--model", &model], more].concat());
    let text = inspect(&[]).printed();
    for line in [
        "at most 48 tokens:",
        "  sft: 1 rows whole, 0 shortened, 1 left out",
        "    rows 2",
        "row 1:",
        "  <|user|>the sea?<|assistant|>[[the shore<|eos|>]]",
        "  position      id  learnt  text",
    ] {
        assert!(text.lines().any(|found| found == line), "{line:?} is not in\n{text}");
    }
    assert!(!text.contains("new tokens"), "{text}");
    let text = inspect(&["--row", "2", "--max-seq-len", "100", "--max-new-tokens", "98"]).printed();
    assert!(text.contains("at most 100 tokens:\n  sft: 2 rows whole"), "{text}");
    assert!(
        text.contains("sample, ppo, eval: 0 rows whole, 0 shortened, 2 left out"),
        "{text}"
    );
    assert!(
        text.contains(&format!("\nrow 2:\n  user: a\n  assistant: {long}\n")),
        "{text}"
    );
    let row: Value = serde_json::from_str(&inspect(&["--json"]).printed()).unwrap();
    assert_eq!(
        (&row["max_seq_len"], &row["fit"][0]["affected"][0]),
        (&Value::from(48), &Value::from(2))
    );
    let tokens = &row["row"]["parts"][0]["tokens"];
    let ids = tokens["input_ids"].as_array().unwrap();
    assert_eq!(ids.len(), tokens["mask"].as_array().unwrap().len());
    // `rlhf template` says the same of the conversation.
    let messages = r#"{"messages":[{"role":"user","content":"the sea?"},{"role":"assistant","content":"the shore"}]}"#;
    let template = |more: &[&str]| {
        let arguments = [&["template", "--model", &model, "--input", "-"], more].concat();
        crate::support::rlhf_reading(&arguments, messages)
    };
    let rendered = template(&[]).rows();
    assert_eq!(
        (&rendered[0]["input_ids"], &rendered[0]["assistant_mask"]),
        (&tokens["input_ids"], &tokens["mask"])
    );
    let table = template(&["--table"]).printed();
    assert!(
        table.starts_with("<|user|>the sea?<|assistant|>[[the shore<|eos|>]]\n\nposition      id  assistant  text\n"),
        "{table}"
    );
    assert_eq!(table.lines().count(), ids.len() + 4, "{table}");
}

#[test]
fn options_that_say_nothing_are_refused() {
    let dir = folder("inspect_options");
    let path = file(&dir, "a.jsonl", COMPARISONS);
    let inspect = |more: &[&str]| rlhf(&[&["data", "inspect", &path], more].concat());
    inspect(&["--max-seq-len", "8"]).refused(2, &["--model"]);
    inspect(&["--row", "3"]).refused(1, &["a.jsonl: there is no row 3; expected one from 1 to 2"]);
    let model = language_model(&dir);
    inspect(&["--model", &model, "--max-seq-len", "1"]).refused(1, &["--max-seq-len: expected at least 2"]);
    assert!(
        inspect(&["--row", "2"])
            .printed()
            .contains("\nrow 2:\n  user: a ship?\n  rank 0: a\n")
    );
}
