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
