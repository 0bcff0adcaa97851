//! `rlhf eval labels`.

use serde_json::Value;

use crate::support::{argument, file, folder, rlhf};

/// OpenAI's form, with the column that its files have, and two posts.
const PAIRS: &str = r#"{"prompt":"a","chosen":" one two","rejected":" one","worker":"w1"}
{"prompt":"a","chosen":" one two","rejected":" one","worker":"w2"}
{"prompt":"a","chosen":" one","rejected":" one two","worker":"w3"}
{"prompt":"b","chosen":" x y z","rejected":" x","worker":"w1"}
{"prompt":"b","chosen":" x","rejected":" y","worker":"w1"}
"#;

#[test]
fn people_of_a_file_are_compared_and_merged() {
    let dir = folder("eval_labels");
    let pairs = file(&dir, "pairs.jsonl", PAIRS);
    let (out, merged) = (argument(&dir.join("out")), argument(&dir.join("merged.jsonl")));
    let arguments = [
        "eval",
        "labels",
        "--comparisons",
        &pairs,
        "--column",
        "labeler=worker",
        "--merge",
        &merged,
        "--out",
        &out,
    ];
    let said = rlhf(&arguments).printed();
    for part in [
        "5 rankings of 2 prompts by 3 labelers; 3 pairs of answers, 1 of them judged by several",
        "two people agree on 33.3 %",
        "the longer answer is preferred in 75.0 %",
        "| w3 | 1 | 0.0 %",
        "2 of 2 prompts have an order",
    ] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    let text = std::fs::read_to_string(dir.join("out/summary.json")).expect("it was written");
    let summary: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(summary["schema"], "rlhf-eval-labels/1");
    assert!(summary["first"].is_null(), "the better one stands first in every row");
    // What was merged is comparisons again: two of three prefer the longer, and w1 has x y z before x before y.
    let again = rlhf(&["data", "inspect", &merged]).printed();
    assert!(again.contains("comparisons") && again.contains("4 decided"), "{again}");
    let rows = std::fs::read_to_string(&merged).expect("it was written");
    let second: Value = rows
        .lines()
        .nth(1)
        .map(|row| serde_json::from_str(row).expect("JSON"))
        .expect("two rows");
    assert_eq!(second["ranking"], serde_json::json!([1, 0, 2]));
}

#[test]
fn a_file_that_is_no_comparisons_and_a_column_that_is_none_are_refused() {
    let dir = folder("eval_labels_refused");
    let prompts = file(&dir, "prompts.jsonl", "{\"prompt\":\"a\"}\n");
    let out = argument(&dir.join("out"));
    let told = |more: &[&str]| rlhf(&[&["eval", "labels", "--out", &out], more].concat());
    told(&["--comparisons", &prompts]).refused(1, &["prompts.jsonl"]);
    told(&["--comparisons", &prompts, "--column", "worker"]).refused(1, &["--column worker: expected FIELD=COLUMN"]);
    assert!(!dir.join("out").exists());
}
