//! Programs that answer well, badly, late and not at all; each is a few lines for `sh`.

#![cfg(unix)]

use rlhf_data::{Message, Prompt};

use super::*;

/// A command of which `sh` runs the script.
fn shell(script: &str) -> Command {
    shell_in_batches(script, 64)
}

fn shell_in_batches(script: &str, batch: usize) -> Command {
    let config = CommandConfig {
        program: ["sh", "-c", script].map(str::to_owned).to_vec(),
        batch,
        ..CommandConfig::default()
    };
    Command::start(&config).unwrap()
}

fn prompt(id: &str) -> Prompt {
    Prompt {
        id: id.to_owned(),
        messages: vec![Message::user("Why?")],
        task: None,
        origin: Default::default(),
    }
}

fn pairs(ids: &[&str]) -> Vec<RankTask> {
    let task = |id: &&str| RankTask::new(&prompt(id), &["So.".to_owned(), "Because.".to_owned()]);
    ids.iter().map(task).collect()
}

fn answers(ids: &[&str]) -> Vec<AnswerTask> {
    ids.iter().map(|id| AnswerTask::new(&prompt(id), "So.")).collect()
}

#[test]
fn rows_are_json_lines_with_all_that_a_judge_needs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows");
    let script = format!(
        r#"while read -r row; do printf '%s\n' "$row" >> '{}'; echo '{{"ranking": [1, 0], "confidence": 0.5, "score": 2}}'; done"#,
        path.display()
    );
    let command = shell(&script);
    let mut tasks = pairs(&["a"]);
    tasks[0].task = Some(serde_json::json!({"kind": "why"}));
    let ranking = command.rank(&tasks).unwrap().remove(0);
    assert_eq!((&*ranking.ranks, ranking.confidence), (&[1, 0][..], 0.5));
    assert_eq!(command.score(&answers(&["a\n\"b\""])).unwrap(), [2.0]);
    let rows = std::fs::read_to_string(path).unwrap();
    let expected = [
        r#"{"id":"a","messages":[{"role":"user","content":"Why?"}],"completions":["So.","Because."],"task":{"kind":"why"}}"#,
        r#"{"id":"a\n\"b\"","messages":[{"role":"user","content":"Why?"}],"completion":"So."}"#,
    ];
    assert_eq!(rows.lines().collect::<Vec<_>>(), expected);
    let row = tasks[0].comparison(ranking, command.id());
    assert_eq!((row.ranking, row.confidence), (vec![1, 0], Some(0.5)));
}

#[test]
fn a_program_is_started_once() {
    // It counts the rows that it has read since it was started.
    let command = shell_in_batches(
        r#"n=0; while read -r row; do n=$((n+1)); echo "{\"score\": $n}"; done"#,
        2,
    );
    assert_eq!(command.score(&answers(&["a", "b", "c"])).unwrap(), [1.0, 2.0, 3.0]);
    assert_eq!(command.score(&answers(&["a", "b"])).unwrap(), [4.0, 5.0]);
    assert_eq!(command.score(&[]).unwrap(), [0.0; 0]);
}

/// Gives back the rows of three in reverse order, with their ids and the numbers in which they were read.
const BACKWARDS: &str = r#"
n=0; out=
while read -r row; do
  n=$((n+1)); id=${row#*\"id\":\"}; id=${id%%\"*}
  out="{\"id\": \"$id\", \"score\": $n}
$out"
  if [ $((n % 3)) = 0 ]; then printf '%s\n' "$out"; out=; fi
done"#;

#[test]
fn answers_with_ids_come_in_any_order() {
    let command = shell_in_batches(BACKWARDS, 3);
    let scores = command.score(&answers(&["a", "b", "c", "d", "e", "f"])).unwrap();
    assert_eq!(scores, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
}

#[test]
fn large_batches_pass_through_small_pipes() {
    // 300 rows of 1 KiB in and lines of 2 KiB out: far more than the 64 KiB that a pipe holds, both ways, and on the standard error.
    let script = r#"
pad=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; pad=$pad$pad$pad$pad; pad=$pad$pad$pad$pad; pad=$pad$pad$pad$pad
while read -r row; do printf '%s\n' "$pad" >&2; printf '{"score": 1, "pad": "%s"}\n' "$pad"; done"#;
    let command = shell_in_batches(script, 300);
    let long = "y".repeat(1000);
    let answers: Vec<_> = (0..300)
        .map(|id| AnswerTask::new(&prompt(&id.to_string()), long.as_str()))
        .collect();
    assert_eq!(command.score(&answers).unwrap(), [1.0; 300]);
}

#[test]
fn a_program_that_is_not_there_cannot_be_started() {
    let config = CommandConfig {
        program: vec!["no-such-judge".to_owned(), "-v".to_owned()],
        ..CommandConfig::default()
    };
    let error = Command::start(&config).unwrap_err().to_string();
    assert!(error.starts_with("no-such-judge -v: cannot be started: "), "{error}");
    let error = Command::start(&CommandConfig::default()).unwrap_err().to_string();
    assert!(error.starts_with("program: expected the name of a program"), "{error}");
}

#[test]
fn an_early_end_is_told_with_status_and_last_words() {
    let script = r#"read -r row; echo '{"score": 1}'; for n in $(seq 30); do echo "trouble $n" >&2; done; exit 3"#;
    let command = shell(script);
    let error = command.score(&answers(&["a", "b", "c"])).unwrap_err();
    let Error::Ended {
        status,
        answered,
        expected,
        stderr,
        ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!((status.unwrap().code(), *answered, *expected), (Some(3), 1, 3));
    assert_eq!(stderr.lines().count(), 20);
    assert!(stderr.ends_with("trouble 30"), "{stderr}");
    assert!(
        error
            .to_string()
            .contains("ended (exit status: 3) after 1 of 3 answers"),
        "{error}"
    );
    // Nothing is asked of it any more.
    let error = command.score(&answers(&["a"])).unwrap_err();
    assert!(matches!(error, Error::Stopped { .. }), "{error}");
}

#[test]
fn a_closed_output_is_an_end() {
    let error = shell("exec >&-; exec sleep 5").score(&answers(&["a"])).unwrap_err();
    assert!(matches!(error, Error::Ended { status: None, .. }), "{error}");
    assert!(error.to_string().contains("it closed its output"), "{error}");
}

#[test]
fn lines_that_are_no_answers_are_told() {
    let check = |line: &str, said: &str| {
        let command = shell(&format!(
            "read -r a; read -r b; echo '{{\"ranking\": [0, 1], \"id\": \"a\"}}'; echo; echo '{line}'; cat"
        ));
        let error = command.rank(&pairs(&["a", "b"])).unwrap_err();
        assert!(matches!(error, Error::Line { line: 3, .. }), "{error}");
        assert!(error.to_string().contains(said), "{error}");
    };
    check(
        "thinking...",
        "line 3 of its output: expected a JSON object, found `thinking...` (",
    );
    check("[0, 1]", "expected a JSON object, found `[0, 1]`");
    check(
        r#"{"id": "b", "ranking": [0]}"#,
        "expected `ranking`, 2 ranks, one for each completion, found 1 ranks",
    );
    check(
        r#"{"id": "b", "ranking": [0, 1.5]}"#,
        "expected `ranking`, 2 whole numbers, 0 for the best, found `{",
    );
    check(r#"{"id": "b", "score": 1}"#, "expected `ranking`");
    check(
        r#"{"id": "b", "ranking": [0, 1], "confidence": 7}"#,
        "`confidence`, a number from 0 to 1, found 7",
    );
    check(
        r#"{"id": "c", "ranking": [0, 1]}"#,
        r#"expected the id of a row of the batch, found the id "c""#,
    );
    check(
        r#"{"id": "a", "ranking": [0, 1]}"#,
        r#"a second one for the id "a", after that of line 1"#,
    );
    check(
        r#"{"ranking": [0, 1]}"#,
        "expected an `id`, since other answers of the batch have one",
    );
}

#[test]
fn scores_are_finite_numbers() {
    for line in [
        r#"{"score": NaN}"#,
        r#"{"score": -Infinity}"#,
        r#"{"score": "1"}"#,
        r#"{"score": null}"#,
        "{}",
    ] {
        let command = shell(&format!("while read -r row; do echo '{line}'; done"));
        let error = command.score(&answers(&["a"])).unwrap_err().to_string();
        assert!(error.contains("expected `score`, a finite number, found"), "{error}");
    }
}

#[test]
fn lines_that_nobody_asked_for_are_refused() {
    // The second row is read only after the surplus line was written.
    let command = shell(r#"read -r a; echo '{"score": 1}'; echo '{"score": 2}'; read -r b; echo '{"score": 3}'; cat"#);
    let first = command.score(&answers(&["a"]));
    let error = first.and_then(|_| {
        std::thread::sleep(Duration::from_millis(50));
        command.score(&answers(&["b"]))
    });
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("line 2 of its output: expected no more lines"),
        "{error}"
    );
}

/// True while the process of this number runs, or is a zombie, on Linux.
fn is_there(id: u32) -> bool {
    std::path::Path::new(&format!("/proc/{id}")).exists()
}

fn process(command: &Command) -> u32 {
    command.running.lock().unwrap().as_ref().unwrap().id()
}

#[test]
fn a_program_that_does_not_answer_is_killed() {
    let answer = r#"read -r row; echo waiting >&2; echo '{"score": 1}'"#;
    let mut command = shell(&format!("{answer}; {answer}; exec sleep 5"));
    // It has started before its time is measured.
    command.score(&answers(&["a"])).unwrap();
    command.timeout = Duration::from_millis(200);
    let id = process(&command);
    let started = std::time::Instant::now();
    let error = command.score(&answers(&["a", "b"])).unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(3));
    let said = error.to_string();
    assert!(said.contains("1 of 2 answers after 0.2 s"), "{said}");
    assert!(said.ends_with("its standard error ends:\nwaiting\nwaiting"), "{said}");
    assert!(!is_there(id));
}

#[test]
fn a_program_that_does_not_read_is_killed() {
    let mut command = shell_in_batches("exec sleep 5", 300);
    command.timeout = Duration::from_millis(50);
    let long = "y".repeat(1000);
    let answers: Vec<_> = (0..300)
        .map(|id| AnswerTask::new(&prompt(&id.to_string()), long.as_str()))
        .collect();
    let error = command.score(&answers).unwrap_err();
    assert!(
        matches!(
            error,
            Error::TimedOut {
                answered: 0,
                expected: 300,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn dropping_stops_the_program() {
    // One ends when its input does, the other does not care.
    for script in ["cat >/dev/null", "exec sleep 5"] {
        let command = shell(script);
        let id = process(&command);
        assert!(is_there(id));
        drop(command);
        assert!(!is_there(id), "{script}");
    }
}

#[test]
fn tasks_that_cannot_be_told_apart_or_ranked_are_refused() {
    let command = shell("cat");
    let error = command.rank(&pairs(&["a", "b", "a"])).unwrap_err().to_string();
    assert_eq!(error, "two tasks have the id \"a\": expected another one for each");
    let mut tasks = pairs(&["a"]);
    tasks[0].completions.pop();
    let error = command.rank(&tasks).unwrap_err().to_string();
    assert_eq!(error, "task a: 1 completions, at least 2 are needed");
    let several = AnswerTask::of_completions(&prompt("a"), &["So.".to_owned(), "Because.".to_owned()]);
    assert_eq!(
        (&*several[0].id, &*several[1].id, &*several[1].completion),
        ("a/0", "a/1", "Because.")
    );
}
