//! `rlhf eval summaries`.

use std::path::Path;

use serde_json::Value;

use crate::support::{argument, file, folder, language_model, rlhf};

const PROMPTS: &str = r#"{"prompt":"Divers searched the wreck for herring.","completion":"Divers search for herring"}
{"prompt":"The mill was sold to a tailor.","completion":"Mill sold to tailor"}
"#;
const ONE: &str = r#"{"article":"Divers searched the wreck for herring.","summary":"Divers searched"}
{"article":"The mill was sold to a tailor.","summary":"Mill sold"}
"#;
const OTHERS: &str = r#"{"prompt":"Divers searched the wreck for herring.","summaries":{"b":"for herring","c":"Nobody knows"}}
{"prompt":"The mill was sold to a tailor.","summaries":{"b":"sold to a tailor"}}
{"prompt":"Another article.","summaries":{"b":"of no use"}}
"#;

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).expect("it was written")).expect("JSON")
}

#[test]
fn summaries_of_files_are_scored_beside_references_and_compared() {
    let dir = folder("summaries_files");
    let out = argument(&dir.join("out"));
    let prompts = file(&dir, "prompts.jsonl", PROMPTS);
    let one = format!("one={}", file(&dir, "one.jsonl", ONE));
    let others = file(&dir, "others.jsonl", OTHERS);
    let arguments = [
        "eval",
        "summaries",
        "--prompts",
        &prompts,
        "--answers",
        &one,
        "--answers",
        &others,
        "--out",
        &out,
    ];
    let table = rlhf(&arguments).printed();
    for part in [
        // Two stems of two and of four.
        "| one | 66.7 (66.7 to 66.7) |",
        "| references | 4.0 (4.0 to 4.0) |",
        "| one minus b |",
        "c: 1 summaries of 1 articles",
        "warning: c summed up 1 of 2 articles",
        "others.jsonl are of articles that --prompts does not have",
    ] {
        assert!(table.contains(part), "{part:?} is not in {table}");
    }
    let summary = json(&dir.join("out/summary.json"));
    assert_eq!(summary["schema"], "rlhf-eval-summaries/1");
    assert_eq!(summary["order"], serde_json::json!(["one", "b", "c"]));
    let found = summary["models"]["one"]["figures"]["rouge1"]["value"]
        .as_f64()
        .expect("a number");
    assert!((found - 2.0 / 3.0).abs() < 1e-12, "{found}");
    assert_eq!(summary["pairs"].as_array().expect("pairs").len(), 3);
    let card = std::fs::read_to_string(dir.join("out/model_card.md")).expect("it was written");
    assert!(card.starts_with("- one: ROUGE-1 66.7 (66.7 to 66.7), "), "{card}");
    let rows = std::fs::read_to_string(dir.join("out/summaries.jsonl")).expect("it was written");
    assert_eq!(rows.lines().count(), 5);
    // Without the stemmer "searched" is another word than "search".
    let plain = rlhf(&[&arguments[..], &["--no-stemmer"]].concat()).printed();
    assert!(plain.contains("| one | 50.0 ("), "{plain}");
}

#[test]
fn a_model_sums_up_the_articles_of_a_file() {
    let dir = folder("summaries_model");
    let out = argument(&dir.join("out"));
    let prompts = file(&dir, "prompts.jsonl", PROMPTS);
    let model = format!("tiny={}", language_model(&dir));
    let table = rlhf(&[
        "eval",
        "summaries",
        "--model",
        &model,
        "--prompts",
        &prompts,
        "--max-new-tokens",
        "3",
        "--limit",
        "1",
        "--out",
        &out,
    ])
    .printed();
    assert!(table.contains("tiny: 1 summaries of 1 articles"), "{table}");
    let summary = json(&dir.join("out/summary.json"));
    assert_eq!(summary["settings"]["max_new_tokens"], 3);
    assert!(summary["references"]["tokens"]["value"].as_f64().expect("a number") > 0.0);
}

#[test]
fn what_is_no_summary_is_refused_by_file_and_line() {
    let dir = folder("summaries_refused");
    rlhf(&["eval", "summaries"]).refused(1, &["nothing to evaluate", "--answers NAME=FILE"]);
    let bad = format!(
        "x={}",
        file(
            &dir,
            "bad.jsonl",
            "{\"article\":\"a\",\"summary\":\"b\"}\n{\"article\":\"c\"}\n"
        )
    );
    rlhf(&["eval", "summaries", "--answers", &bad]).refused(1, &["bad.jsonl:2", "`summary`"]);
    let model = format!("tiny={}", language_model(&dir));
    rlhf(&["eval", "summaries", "--model", &model]).refused(1, &["nothing to sum up", "--prompts"]);
}
