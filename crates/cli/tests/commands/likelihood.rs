//! `rlhf eval likelihood`.

use std::path::Path;

use serde_json::Value;

use crate::support::{argument, file, folder, language_model, rlhf};

/// A file of `tests/golden`.
fn golden(name: &str) -> String {
    argument(
        &Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/golden")
            .join(name),
    )
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).expect("it was written")).expect("JSON")
}

#[test]
fn figures_are_printed_and_written_and_models_compared() {
    let dir = folder("likelihood_figures");
    let out = argument(&dir.join("out"));
    let (first, second) = (
        format!("stories={}", golden("gguf/spm-stories260k-q4_0.gguf")),
        format!("random={}", golden("gguf/llama-f32.gguf")),
    );
    let files = [
        ("--text", "text.txt"),
        ("--lambada", "lambada.jsonl"),
        ("--truthfulqa", "truthfulqa.csv"),
        ("--winogender", "winogender.tsv"),
        ("--crows-pairs", "crows_pairs.csv"),
        ("--model-written", "model_written.jsonl"),
        ("--choices", "choices.jsonl"),
    ]
    .map(|(option, name)| (option, golden(&format!("likelihood/{name}"))));
    let mut arguments = vec![
        "eval",
        "likelihood",
        "--model",
        &first,
        "--model",
        &second,
        "--out",
        &out,
    ];
    arguments.extend(files.iter().flat_map(|(option, path)| [*option, path.as_str()]));
    let table = rlhf(&arguments).printed();
    for part in [
        "| evaluation | figure | stories | random |",
        "| lambada (lambada.jsonl) | accuracy | 28.6 % (",
        "| text.txt | perplexity by word |",
        "the difference from stories",
        "random, truthfulqa: ",
    ] {
        assert!(table.contains(part), "{part:?} is not in {table}");
    }
    let summary = json(&dir.join("out/summary.json"));
    let schema = summary
        .as_object()
        .and_then(|fields| fields.iter().next())
        .expect("fields");
    assert_eq!(
        (schema.0.as_str(), schema.1),
        ("schema", &Value::from("rlhf-eval-likelihood/1"))
    );
    let models = &summary["models"];
    assert_eq!(models["stories"]["tasks"].as_array().map(Vec::len), Some(6));
    assert_eq!(models["stories"]["tasks"][0]["beside_first"], Value::Null);
    let ratio = &models["random"]["tasks"][0]["beside_first"]["perplexity"];
    assert!(
        ratio["low"].as_f64() > Some(1.0),
        "a random model is worse on every word: {ratio}"
    );
    assert_eq!(models["random"]["before_text"], Value::from(vec![3]));
    let rows = std::fs::read_to_string(dir.join("out/questions.jsonl")).expect("it was written");
    // Seven passages, three questions, three occupations, four pairs, three behaviours and five choices, of two models.
    assert_eq!(rows.lines().count(), 2 * (7 + 3 + 3 + 4 + 3 + 5));
    let card = std::fs::read_to_string(dir.join("out/model_card.md")).expect("it was written");
    assert!(card.starts_with("- stories: ") && card.contains("mc1"), "{card}");
    // The same again is the same, to the byte.
    let again = argument(&dir.join("again"));
    arguments[7] = &again;
    assert_eq!(rlhf(&arguments).printed(), table);
    assert_eq!(json(&dir.join("again/summary.json")), summary);
}

#[test]
fn questions_may_be_asked_as_conversations_and_fewer_of_them() {
    let dir = folder("likelihood_chat");
    let model = language_model(&dir);
    let choices = golden("likelihood/choices.jsonl");
    let of = |extra: &[&str], name: &str| {
        let out = argument(&dir.join(name));
        let arguments = [
            "eval",
            "likelihood",
            "--model",
            &model,
            "--choices",
            &choices,
            "--limit",
            "2",
            "--out",
            &out,
        ];
        rlhf(&[&arguments[..], extra].concat()).printed();
        std::fs::read_to_string(dir.join(name).join("questions.jsonl")).expect("it was written")
    };
    let (plain, chat) = (of(&[], "plain"), of(&["--chat-template"], "chat"));
    assert_eq!((plain.lines().count(), chat.lines().count()), (2, 2));
    assert_ne!(plain, chat);
    let summary = json(&dir.join("chat/summary.json"));
    assert_eq!(summary["settings"]["style"], "chat");
    assert_eq!(summary["settings"]["limit"], 2);
}

#[test]
fn what_cannot_be_asked_is_named_before_any_model_is_read() {
    let dir = folder("likelihood_refused");
    let model = language_model(&dir);
    let out = argument(&dir.join("out"));
    let refused = |extra: &[&str], fragments: &[&str]| {
        let arguments = ["eval", "likelihood", "--model", &model, "--out", &out];
        rlhf(&[&arguments[..], extra].concat()).refused(1, fragments);
    };
    refused(&[], &["nothing to evaluate", "--lambada FILE"]);
    refused(&["--lambada", "no/such.jsonl"], &["no/such.jsonl", "no such file"]);
    let bad = file(
        &dir,
        "bad.csv",
        "Question,Best Answer,Correct Answers,Incorrect Answers\nQ?,A,A,B\nQ?,A,A,\n",
    );
    refused(&["--truthfulqa", &bad], &["bad.csv:3", "`Incorrect Answers`"]);
    let passages = file(&dir, "passages.jsonl", "{\"text\":\"a b\"}\n{\"text\":\"a\"}\n");
    refused(&["--lambada", &passages], &["passages.jsonl:2"]);
    let long = format!("{{\"text\":\"a {}\"}}\n", "xyz".repeat(30));
    let long = file(&dir, "long.jsonl", &long);
    refused(&["--lambada", &long], &["long.jsonl:1", "expected less than 48"]);
    let text = file(&dir, "text.txt", "the sea, the shore");
    refused(&["--text", &text, "--window", "49"], &["--window", "at most 48"]);
    refused(&["--text", &text, "--stride", "0"], &["stride"]);
    let twice = format!("x={model}");
    let both = [
        "--model",
        twice.as_str(),
        "--model",
        twice.as_str(),
        "--text",
        text.as_str(),
    ];
    refused(&both, &["two models are called x"]);
    assert!(!dir.join("out").exists(), "nothing is written where nothing was found");
}
