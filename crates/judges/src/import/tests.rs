//! Tasks go out, rankings come back.

use super::*;
use crate::export::export;

fn row(id: &str, completions: &[&str]) -> (Prompt, Vec<String>) {
    let prompt = Prompt {
        id: id.to_owned(),
        messages: vec![Message::user(format!("Question {id}?"))],
        task: Some(serde_json::json!({"kind": id})),
        origin: Default::default(),
    };
    (prompt, completions.iter().map(|text| (*text).to_owned()).collect())
}

fn rows() -> Vec<(Prompt, Vec<String>)> {
    ["a", "b", "c", "d"]
        .map(|id| row(id, &["one", "three three three", "two two", "four four four four"]))
        .to_vec()
}

/// The exported lines.
fn tasks(dir: &Path) -> Vec<Value> {
    let text = fs::read_to_string(dir.join(TASKS)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Ranks a line as somebody who likes long answers would, in the order shown.
fn by_length(line: &Value) -> Vec<usize> {
    let words = |text: &Value| text.as_str().unwrap().split(' ').count();
    let texts = line["completions"].as_array().unwrap();
    let longer = |own: &Value| texts.iter().filter(|other| words(other) > words(own)).count();
    texts.iter().map(longer).collect()
}

fn write_lines(path: &Path, lines: &[Value]) {
    let text: Vec<String> = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(path, text.concat()).unwrap();
}

#[test]
fn rankings_come_back_in_the_order_of_the_rows() {
    let dir = tempfile::tempdir().unwrap();
    export(dir.path(), &rows()).unwrap();
    let mut lines = tasks(dir.path());
    assert!(lines.iter().all(|line| line["ranking"].is_null()));
    for line in &mut lines {
        line["ranking"] = by_length(line).into();
    }
    // One line in full, one of id and ranking alone, one in another order, one that is not filled in.
    lines[1] = serde_json::json!({"id": "b", "ranking": lines[1]["ranking"]});
    lines[2]["completions"].as_array_mut().unwrap().reverse();
    lines[2]["ranking"].as_array_mut().unwrap().reverse();
    lines[3]["ranking"] = Value::Null;
    write_lines(&dir.path().join("rankings.jsonl"), &lines);

    let imported = import(dir.path(), &rows()).unwrap();
    assert_eq!(imported.missing, ["d"]);
    assert_eq!(imported.comparisons.len(), 3);
    for (comparison, (prompt, completions)) in imported.comparisons.iter().zip(rows()) {
        assert_eq!(comparison.id, prompt.id);
        assert_eq!(comparison.completions, completions);
        assert_eq!(comparison.ranking, [3, 1, 2, 0], "{}", prompt.id);
        assert_eq!(comparison.task, prompt.task);
        assert_eq!(comparison.labeler, None);
    }
}

#[test]
fn places_say_nothing_and_depend_on_the_id_alone() {
    let dir = tempfile::tempdir().unwrap();
    let ids: Vec<String> = (0..400).map(|id| id.to_string()).collect();
    let many: Vec<_> = ids.iter().map(|id| row(id, &["x", "y"])).collect();
    export(dir.path(), &many).unwrap();
    let first = tasks(dir.path());
    let kept = first.iter().filter(|line| line["completions"][0] == "x").count();
    // 200 expected, and a standard deviation of 10.
    assert!((150..=250).contains(&kept), "{kept}");
    export(dir.path(), &many[100..]).unwrap();
    assert_eq!(tasks(dir.path()), first[100..]);
}

#[test]
fn labelers_are_told_apart_by_line_or_by_file() {
    let dir = tempfile::tempdir().unwrap();
    export(dir.path(), &rows()).unwrap();
    let line = |ranking: [u32; 4], labeler: Option<&str>| {
        let mut line = serde_json::json!({"id": "a", "ranking": ranking, "confidence": 0.5});
        line["labeler"] = labeler.into();
        line
    };
    // The same ranking twice counts once.
    let unnamed = line([0, 1, 2, 3], None);
    write_lines(
        &dir.path().join("rankings.jsonl"),
        &[unnamed.clone(), line([3, 2, 1, 0], Some("maud")), unnamed],
    );
    write_lines(&dir.path().join("rankings-otto.jsonl"), &[line([1, 1, 1, 1], None)]);
    fs::write(dir.path().join("rankings-nora.jsonl"), "").unwrap();
    let imported = import(dir.path(), &rows()).unwrap();
    let labelers: Vec<_> = imported.comparisons.iter().map(|row| row.labeler.as_deref()).collect();
    assert_eq!(labelers, [Some("otto"), None, Some("maud")]);
    assert!(imported.comparisons.iter().all(|row| row.confidence == Some(0.5)));
    assert_eq!(imported.missing, ["b", "c", "d"]);
}

#[test]
fn without_rankings_everything_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    export(dir.path(), &rows()).unwrap();
    let imported = import(dir.path(), &rows()).unwrap();
    assert_eq!(imported.missing, ["a", "b", "c", "d"]);
    assert!(imported.comparisons.is_empty());
    let readme = fs::read_to_string(dir.path().join("README.txt")).unwrap();
    assert!(readme.contains("0 for the best") && readme.is_ascii());
    let names = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(names, 2, "nothing is left of writing them");
}

/// The error of these lines of `rankings.jsonl`.
fn fault(lines: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    export(dir.path(), &rows()).unwrap();
    fs::write(dir.path().join("rankings.jsonl"), lines.join("\n")).unwrap();
    import(dir.path(), &rows()).unwrap_err().to_string()
}

#[test]
fn faults_name_file_line_and_expectation() {
    let good = r#"{"id": "a", "ranking": [0, 1, 2, 3]}"#;
    for (line, said) in [
        (
            r#"{"id": "z", "ranking": [0, 1, 2, 3]}"#,
            "the id of a task that was exported, found the string `z`",
        ),
        (r#"{"ranking": [0, 1, 2, 3]}"#, "the id of a task, found nothing"),
        (
            r#"{"id": "b", "ranking": [0, 1]}"#,
            "expected 4 ranks, one for each completion, found 2 ranks",
        ),
        (
            r#"{"id": "b", "ranking": [0, 1, 2.5, 3]}"#,
            "`ranking[2]`: expected a whole number, 0 for the best, found",
        ),
        (
            r#"{"id": "b", "ranking": [0, 1, 2, -3]}"#,
            "`ranking[3]`: expected a whole number, 0 for the best, found",
        ),
        (
            r#"{"id": "b", "ranking": "0123"}"#,
            "expected 4 ranks, one for each completion, found the string",
        ),
        (
            r#"{"id": "b", "ranking": [0, 1, 2, 3], "confidence": 2}"#,
            "expected a number from 0 to 1",
        ),
        (
            r#"{"id": "b", "completions": ["one", "two two", "one", "four four four four"], "ranking": [0, 1, 2, 3]}"#,
            "`completions[2]`: expected the text of a completion that was exported, found the string `one`",
        ),
        (
            r#"{"id": "b", "completions": ["one"], "ranking": [0]}"#,
            "expected the 4 completions that were exported, found an array of 1",
        ),
        (
            r#"{"id": "b", "messages": [{"role": "user", "content": "Question a?"}], "ranking": [0, 1, 2, 3]}"#,
            "expected the conversation of task b, as it was exported, found another one",
        ),
        (
            r#"{"id": "b", "ranking": [0, 1, 2"#,
            "malformed line: expected a JSON object",
        ),
        (
            r#"{"id": "a", "ranking": [0, 1, 3, 2]}"#,
            "task a: somebody without a name ranks it as",
        ),
    ] {
        let error = fault(&[good, "", line]);
        assert!(error.contains("rankings.jsonl:3: ") && error.contains(said), "{error}");
    }
}

#[test]
fn tasks_that_have_changed_since_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    export(dir.path(), &rows()).unwrap();
    fs::write(
        dir.path().join("rankings.jsonl"),
        r#"{"id": "a", "ranking": [0, 1, 2, 3]}"#,
    )
    .unwrap();
    let mut changed = rows();
    changed[1].1[2] = "another".to_owned();
    let error = import(dir.path(), &changed).unwrap_err().to_string();
    assert!(error.contains("tasks.jsonl:2: field `completions["), "{error}");
    // A task of which no line remains is known by its texts alone.
    export(dir.path(), &rows()[1..]).unwrap();
    let error = import(dir.path(), &rows()).unwrap_err().to_string();
    assert!(error.contains("rankings.jsonl:1: field `completions`"), "{error}");
}

#[test]
fn what_cannot_be_ranked_is_not_exported() {
    let dir = tempfile::tempdir().unwrap();
    let error = export(dir.path(), &[row("a", &["one"])]).unwrap_err().to_string();
    assert_eq!(error, "task a: 1 completions, at least 2 are needed");
    let twice = [row("a", &["one", "two"]), row("a", &["three", "four"])];
    let error = export(dir.path(), &twice).unwrap_err().to_string();
    assert_eq!(error, "two tasks have the id \"a\": expected another one for each");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}
