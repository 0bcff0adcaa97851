//! Rows as other programs write them, after reports of trouble with them: each is read as it was meant, or refused by its place.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod learnt;

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use rlhf_data::{
    ChatTemplate, Comparison, Demonstration, Documents, InspectOptions, LossOn, Message, Role, Tokenizer,
    TokenizerConfig, comparison_tokens, demonstration_sequence, inspect, read_comparisons, read_demonstrations,
    read_objects, read_prompts, read_text,
};
use serde_json::{Value, json};

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 269060552\n";
const PAGE: &str = "<!DOCTYPE html><html><head><title>Sign in</title></head></html>\n";

struct Written {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

fn file(name: &str, content: &str) -> Written {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    if name.ends_with(".gz") && content != POINTER {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content.as_bytes()).unwrap();
        std::fs::write(&path, encoder.finish().unwrap()).unwrap();
    } else {
        std::fs::write(&path, content).unwrap();
    }
    Written { _dir: dir, path }
}

fn rows(rows: &[Value]) -> Written {
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    file("rows.jsonl", &lines)
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/rows")
        .join(name)
}

fn user(content: &str) -> Value {
    json!({"role": "user", "content": content})
}

fn assistant(content: &str) -> Value {
    json!({"role": "assistant", "content": content})
}

/// An assistant's message with another field.
fn marked(content: &str, field: &str, value: Value) -> Value {
    let mut message = assistant(content);
    message[field] = value;
    message
}

/// The error of a reader, without the folder.
#[track_caller]
fn error_of<T: std::fmt::Debug>(found: rlhf_data::Result<T>) -> String {
    let error = found.unwrap_err().to_string();
    error
        .split_once("rows.jsonl")
        .map_or(error.clone(), |(_, rest)| format!("rows.jsonl{rest}"))
}

fn demonstrations(messages: &[Value]) -> rlhf_data::Result<Vec<Demonstration>> {
    read_demonstrations(rows(&[json!({ "messages": messages })]).path).map(|loaded| loaded.rows)
}

/// Which answers of a demonstration are learnt.
#[track_caller]
fn learnt(messages: &[Value]) -> Vec<bool> {
    let rows = demonstrations(messages).unwrap();
    let answers = rows[0]
        .messages
        .iter()
        .filter(|message| message.role == Role::Assistant);
    answers.map(|message| message.learnt).collect()
}

/// One token a byte.
fn tokenizer() -> Tokenizer {
    let config = TokenizerConfig {
        vocab_size: 261,
        min_frequency: 2,
    };
    Tokenizer::train(["x"], &config).unwrap()
}

fn with_template(source: &str) -> Tokenizer {
    tokenizer().with_chat_template(ChatTemplate::new(source, "t.jinja").unwrap())
}

/// The text that is taught.
fn taught(tokenizer: &Tokenizer, row: &Demonstration) -> String {
    let sequence = demonstration_sequence(tokenizer, row, LossOn::Assistant, 999)
        .unwrap()
        .unwrap()
        .value;
    let tokens = sequence.input_ids.iter().zip(&sequence.loss_mask);
    let ids: Vec<u32> = tokens.filter(|(_, mask)| **mask).map(|(id, _)| *id).collect();
    tokenizer.decode(&ids, false)
}

const PLAIN: &str = "{% for m in messages %}[{{ m.role }}]{{ m.content }}<|eos|>\n{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";
const BLOCKS: &str = "{% for m in messages %}[{{ m.role }}]{% if m.role == 'assistant' %}{% generation %}{{ m.content }}<|eos|>{% endgeneration %}{% else %}{{ m.content }}{% endif %}\n{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";

#[test]
fn calls_of_tools_are_refused_by_their_field_wherever_they_stand() {
    let call = json!([{"id": "1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]);
    for (content, field, value) in [
        (json!(""), "tool_calls", call.clone()),
        (json!(null), "tool_calls", call.clone()),
        (json!("It is late."), "tool_calls", call),
        (
            json!(null),
            "function_call",
            json!({"name": "weather", "arguments": "{}"}),
        ),
    ] {
        let message = json!({"role": "assistant", "content": content, field: value});
        let talk = [user("Is it late?"), message.clone(), user("Well?")];
        let place = format!("[1].{field}`: expected nothing: tools and calls of them are not read");
        let answered = [&talk[..], &[assistant("Yes.")]].concat();
        let whole = json!({ "messages": answered });
        let pair = json!({"prompt": talk, "chosen": "a", "rejected": "b"});
        let answer = json!({"prompt": "a", "chosen": [message.clone()], "rejected": [assistant("b")]});
        for (error, field, index) in [
            (
                error_of(read_demonstrations(rows(std::slice::from_ref(&whole)).path)),
                "messages",
                &place,
            ),
            (error_of(read_prompts(rows(&[whole]).path)), "messages", &place),
            (error_of(read_comparisons(rows(&[pair]).path)), "prompt", &place),
            (
                error_of(read_comparisons(rows(&[answer]).path)),
                "chosen",
                &place.replace("[1]", "[0]"),
            ),
        ] {
            assert!(
                error.starts_with(&format!("rows.jsonl:1: field `{field}{index}")),
                "{error}"
            );
        }
    }
    let tool = json!({"role": "tool", "content": "4"});
    let error = error_of(demonstrations(&[user("a"), tool, assistant("b")]));
    assert!(
        error.contains("messages[1].role`: expected one of system, user, assistant"),
        "{error}"
    );
    let tools = json!({"prompt": "a", "completion": "b", "tools": [{"type": "function"}]});
    let error = error_of(read_demonstrations(rows(&[tools]).path));
    assert!(
        error.starts_with("rows.jsonl:1: field `tools`: expected nothing"),
        "{error}"
    );
}

#[test]
fn columns_of_tools_without_a_tool_are_no_matter() {
    let mut message = assistant("b");
    for (field, nothing) in [
        ("tool_calls", json!([])),
        ("function_call", json!(null)),
        ("tools", json!("[]")),
    ] {
        message[field] = nothing.clone();
        let row = json!({"messages": [user("a"), message], field: nothing, "tools": []});
        assert_eq!(read_demonstrations(rows(&[row]).path).unwrap().rows.len(), 1);
    }
}

#[test]
fn columns_that_a_row_has_nothing_in_are_as_if_they_were_not_there() {
    let pair = json!({"prompt": "a", "chosen": "b", "rejected": "c"});
    let up = json!({"prompt": "a", "completion": "b", "label": true});
    let down = json!({"prompt": "a", "completion": "c", "label": false});
    let ranked = json!({"prompt": "a", "completions": ["b", "c"], "ranking": [0, 1]});
    let all = [
        "chosen",
        "rejected",
        "completion",
        "label",
        "completions",
        "ranking",
        "messages",
        "tools",
        "weight",
        "margin",
    ];
    let padded = |row: &Value| {
        let mut row = row.clone();
        for field in all {
            row[field] = row[field].clone();
        }
        row
    };
    for kind in [vec![&pair], vec![&up, &down], vec![&ranked], vec![&pair, &up, &down]] {
        let plain: Vec<Value> = kind.iter().map(|row| (*row).clone()).collect();
        let with_null: Vec<Value> = kind.iter().map(|row| padded(row)).collect();
        let read = |all: &[Value]| read_comparisons(rows(all).path).unwrap().rows;
        assert_eq!(read(&with_null), read(&plain));
        let found = inspect(rows(&with_null).path, &InspectOptions::default()).unwrap();
        assert_eq!(found.decided_pairs, if kind.len() == 3 { 2 } else { 1 });
    }
    let demonstration = json!({"prompt": "a", "completion": "b"});
    let read = |row: &Value| read_demonstrations(rows(std::slice::from_ref(row)).path).unwrap().rows;
    assert_eq!(read(&padded(&demonstration)), read(&demonstration));
    let found = inspect(golden("null_columns.parquet"), &InspectOptions::default()).unwrap();
    assert_eq!(found.decided_pairs, 2);
}

#[test]
fn numbers_that_are_none_are_null_as_python_writes_them() {
    let rows = "{\"prompt\": \"NaN\", \"chosen\": \"b\", \"rejected\": \"c\", \"margin\": NaN, \"completions\": NaN, \"confidence\": -Infinity}";
    for (name, text) in [
        ("rows.jsonl", format!("{rows}\n")),
        ("rows.json", format!("[\n{rows},\n{rows}]")),
        ("rows.json.gz", format!("[{rows}]")),
    ] {
        let found = read_comparisons(file(name, &text).path).unwrap().rows;
        assert_eq!((found[0].margin, found[0].confidence), (None, None));
        assert_eq!(found[0].messages[0].content, "NaN");
    }
    let label = "{\"prompt\": \"a\", \"completion\": \"b\", \"label\": 1.0}\n{\"prompt\": \"a\", \"completion\": \"c\", \"label\": 0.0}\n";
    assert_eq!(
        read_comparisons(file("rows.jsonl", label).path).unwrap().rows[0].pairs(),
        [(0, 1)]
    );
}

#[test]
fn what_stands_in_for_a_file_is_told_whatever_was_to_be_read() {
    for (content, said) in [(POINTER, "Git LFS pointer"), (PAGE, "web page (HTML)")] {
        for name in ["rows.jsonl", "rows.json", "rows.jsonl.gz", "rows.parquet"] {
            let written = file(name, content);
            for error in [
                read_demonstrations(&written.path).unwrap_err().to_string(),
                read_comparisons(&written.path).unwrap_err().to_string(),
                read_prompts(&written.path).unwrap_err().to_string(),
                read_text(&written.path, Documents::Auto).unwrap_err().to_string(),
                read_objects(&written.path, "rows").unwrap_err().to_string(),
                inspect(&written.path, &InspectOptions::default())
                    .unwrap_err()
                    .to_string(),
            ] {
                assert!(error.contains(name) && error.contains(said), "{error}");
            }
        }
        for name in ["story.txt", "story.txt.gz"] {
            let error = read_text(file(name, content).path, Documents::Auto)
                .unwrap_err()
                .to_string();
            assert!(error.contains(name) && error.contains(said), "{error}");
        }
    }
}

#[test]
fn answers_of_the_same_text_are_a_tie_in_every_kind_of_row() {
    let pair = json!({"prompt": "a", "chosen": "b", "rejected": "b"});
    let other = json!({"prompt": "a", "chosen": "b", "rejected": "c"});
    let found = inspect(rows(&[pair.clone(), other]).path, &InspectOptions::default()).unwrap();
    assert_eq!((found.decided_pairs, found.file.skipped_ties), (1, 1));
    assert_eq!(found.file.skipped_lines["all ties"], [1]);
    let ranked = json!({"prompt": "a", "completions": ["b", "c", "b"], "ranking": [0, 1, 2]});
    let found = inspect(rows(&[ranked]).path, &InspectOptions::default()).unwrap();
    assert_eq!(
        (found.decided_pairs, found.tied_pairs, found.tied_lines.as_slice()),
        (2, 1, &[1][..])
    );
    assert!(found.to_string().contains("2 decided, 1 tied (line 1)"), "{found}");
    let thumb = |label: bool| json!({"prompt": "a", "completion": "b", "label": label});
    let whole = json!({"chosen": [user("a"), assistant("b")], "rejected": [user("a"), assistant("b")]});
    for undecided in [vec![pair], vec![thumb(true), thumb(false)], vec![whole]] {
        let error = error_of(read_comparisons(rows(&undecided).path));
        assert!(error.contains("are ties, or of answers that are the same"), "{error}");
    }
}

#[test]
fn answers_of_the_same_tokens_are_a_tie() {
    // Of every answer the template writes the first letter.
    let source = PLAIN.replace("{{ m.content }}", "{{ m.content[:1] }}");
    let row = |completions: &[&str]| Comparison {
        id: "a".into(),
        messages: vec![Message::user("q")],
        completions: completions.iter().map(|text| (*text).to_owned()).collect(),
        ranking: (0..completions.len() as u32).collect(),
        labeler: None,
        confidence: None,
        margin: None,
        task: None,
        source: None,
        origin: Default::default(),
    };
    let tokenizer = with_template(&source);
    assert_eq!(comparison_tokens(&tokenizer, &row(&["ab", "ac"]), 999).unwrap(), None);
    let three = comparison_tokens(&tokenizer, &row(&["ab", "ac", "bc"]), 999)
        .unwrap()
        .unwrap();
    assert_eq!(three.value.pairs, [(0, 2), (1, 2)]);
}

#[test]
fn a_prompt_beside_whole_conversations_is_joined_with_them() {
    let system = json!({"role": "system", "content": "s"});
    let talk = |before: &[Value], answer: &str| [before, &[assistant(answer)]].concat();
    let whole = talk(&[user("q")], "b");
    for (prompt, before, expected) in [
        (json!("q"), vec![user("q")], vec![Message::user("q")]),
        (
            json!(" q\n"),
            vec![system.clone(), user("q")],
            vec![Message::system("s"), Message::user("q")],
        ),
        (json!([user("q")]), vec![user("q")], vec![Message::user("q")]),
        // A system message that only the prompt has.
        (
            json!([system, user("q")]),
            vec![user("q")],
            vec![Message::system("s"), Message::user("q")],
        ),
        (
            json!([system]),
            vec![user("q")],
            vec![Message::system("s"), Message::user("q")],
        ),
        // The conversations go on from the prompt.
        (
            json!([user("p")]),
            vec![assistant("o"), user("q")],
            vec![Message::user("p"), Message::assistant("o"), Message::user("q")],
        ),
    ] {
        let pair = json!({"prompt": prompt, "chosen": talk(&before, "b"), "rejected": talk(&before, "c")});
        let ranked =
            json!({"prompt": prompt, "completions": [talk(&before, "b"), talk(&before, "c")], "ranking": [0, 1]});
        for row in [pair, ranked] {
            let found = read_comparisons(rows(&[row]).path).unwrap().rows;
            assert_eq!(
                (&found[0].messages, found[0].completions.as_slice()),
                (&expected, &["b".to_owned(), "c".to_owned()][..])
            );
        }
        let beside = json!({"prompt": prompt, "messages": talk(&before, "b")});
        let completion = json!({"prompt": prompt, "completion": talk(&before, "b")});
        for row in [beside.clone(), completion] {
            let found = read_demonstrations(rows(&[row]).path).unwrap().rows;
            assert_eq!((found[0].prompt(), found[0].completion()), (&expected[..], "b"));
        }
        assert_eq!(read_prompts(rows(&[beside]).path).unwrap().rows[0].messages, expected);
    }
    for prompt in [json!("another"), json!([system, user("another")])] {
        let pair = json!({"prompt": prompt, "chosen": whole, "rejected": talk(&[user("q")], "c")});
        let thumb = json!({"prompt": prompt, "completion": whole, "label": true});
        let beside = json!({"prompt": prompt, "messages": whole});
        for (error, field) in [
            (error_of(read_comparisons(rows(&[pair]).path)), "chosen"),
            (error_of(read_comparisons(rows(&[thumb]).path)), "completion"),
            (
                error_of(read_demonstrations(rows(std::slice::from_ref(&beside)).path)),
                "messages",
            ),
            (error_of(read_prompts(rows(&[beside]).path)), "messages"),
        ] {
            let expected =
                format!("rows.jsonl:1: field `prompt`: expected the prompt of the conversation in `{field}`");
            assert!(error.starts_with(&expected), "{error}");
        }
    }
}

#[test]
fn a_prompt_beside_dialogues_written_as_text_is_joined_with_them() {
    let side = |answer: &str| format!("\n\nHuman: q\n\nAssistant: {answer}");
    let row = |prompt: &str| json!({"prompt": prompt, "chosen": side("b"), "rejected": side("c")});
    let found = read_comparisons(rows(&[row("q")]).path).unwrap().rows;
    assert_eq!(
        (found[0].messages.as_slice(), found[0].completions[0].as_str()),
        (&[Message::user("q")][..], "b")
    );
    let error = error_of(read_comparisons(rows(&[row("another")]).path));
    assert!(error.starts_with("rows.jsonl:1: field `prompt`"), "{error}");
    // Beside messages it is what a model has sampled.
    let sampled = json!({"messages": [user("p")], "completions": [side("b"), "c"], "ranking": [0, 1]});
    assert_eq!(
        read_comparisons(rows(&[sampled]).path).unwrap().rows[0].completions[0],
        side("b")
    );
}

#[test]
fn a_row_that_the_template_refuses_is_named_by_file_and_line() {
    let refuses = with_template(
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system message') }}{% endif %}[{{ m.role }}]{{ m.content }}<|eos|>{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}",
    );
    let system = json!({"role": "system", "content": "s"});
    let good = json!({"messages": [user("a"), assistant("b")], "id": "x"});
    let bad = json!({"messages": [system, user("a"), assistant("b")], "id": "x"});
    let written = rows(&[good, bad]);
    let options = InspectOptions {
        tokenizer: Some(&refuses),
        ..InspectOptions::default()
    };
    let error = error_of(inspect(&written.path, &options));
    assert_eq!(
        error,
        "rows.jsonl:2: t.jinja: the chat template refuses the conversation: no system message"
    );
    let demonstration = &read_demonstrations(&written.path).unwrap().rows[1];
    let error = error_of(demonstration_sequence(&refuses, demonstration, LossOn::Assistant, 99));
    assert!(error.starts_with("rows.jsonl:2: "), "{error}");
    let prompt = &read_prompts(&written.path).unwrap().rows[1];
    let error = error_of(rlhf_data::prompt_tokens(&refuses, prompt, 99, 1));
    assert!(error.starts_with("rows.jsonl:2: "), "{error}");
    let error = error_of(rlhf_data::prompt_tokens(&tokenizer(), prompt, 3, 1));
    assert!(error.starts_with("rows.jsonl:2: the prompt has "), "{error}");
}
