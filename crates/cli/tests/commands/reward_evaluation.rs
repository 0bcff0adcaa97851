//! `rlhf eval reward`: files of comparisons in several forms, and what is refused.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{argument, file, folder, language_model, reward_model, rlhf};

/// Rows of a file.
fn lines(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

fn summary(out: &Path) -> Value {
    let text = std::fs::read_to_string(out.join("summary.json")).expect("it was written");
    assert!(text.starts_with("{\n  \"schema\": \"rlhf-eval-reward/1\""), "{text}");
    serde_json::from_str(&text).expect("JSON")
}

/// The scores that `rlhf score` prints for the answers of a row.
fn scores_of(model: &str, dir: &Path, row: &Value) -> Vec<f64> {
    let path = file(dir, "one.jsonl", &lines(std::slice::from_ref(row)));
    let rows = rlhf(&["score", "--model", model, "--input", &path]).rows();
    let scores = rows[0]["scores"].as_array().expect("scores");
    scores.iter().map(|score| score.as_f64().expect("a number")).collect()
}

#[test]
fn accuracy_is_that_of_the_scores_and_stands_beside_length() {
    let dir = folder("eval_reward");
    let model = reward_model(&dir);
    let rows: Vec<Value> = (0..6)
        .map(|i| {
            let long = "sea ".repeat(i + 2);
            json!({
                "prompt": format!("the sea {i}"), "chosen": if i < 4 { long.as_str() } else { "sea" },
                "rejected": if i < 4 { "sea" } else { long.as_str() },
                "subset": if i % 2 == 0 { "mt-bench-easy" } else { "donotanswer" }, "worker": if i < 3 { "anna" } else { "bert" },
                "margin": i,
            })
        })
        .collect();
    let path = file(&dir, "bench.jsonl", &lines(&rows));
    let out = dir.join("out");
    let command = [
        "eval",
        "reward",
        "--model",
        &format!("rm={model}"),
        "--model",
        &format!("again={model}"),
        "--comparisons",
        &path,
        "--column",
        "labeler=worker",
        "--out",
        &argument(&out),
    ];
    let printed = rlhf(&command).printed();
    assert!(
        printed.contains("the longer wins") && printed.contains("| **Safety** | 3 |"),
        "{printed}"
    );
    let first = std::fs::read(out.join("summary.json")).expect("it was written");
    let found = summary(&out);
    let model_found = &found["models"]["rm"];
    let right = rows.iter().filter(|row| {
        let scores = scores_of(&model, &dir, row);
        scores[0] > scores[1]
    });
    assert_eq!(
        model_found["length"]["accuracy"]["value"],
        json!(right.count() as f64 / 6.0)
    );
    assert_eq!(model_found["length"]["longer"]["value"], json!(4.0 / 6.0));
    assert_eq!(model_found["slices"]["labeler"].as_array().expect("two").len(), 2);
    assert_eq!(model_found["slices"]["margin"].as_array().expect("six").len(), 6);
    assert_eq!(model_found["reward_bench"]["subsets"]["donotanswer"]["n"], 3);
    assert_eq!(found["models"]["again"]["beside_first"]["value"], 0.0);
    let invariance = &model_found["invariance"];
    for way in ["padded_left", "padded_right", "packed", "shared_prompt"] {
        assert!(invariance[way].as_f64().expect("a number") < 1e-4, "{invariance}");
    }
    let card = std::fs::read_to_string(out.join("model_card.md")).expect("it was written");
    assert!(card.starts_with("## Reward model\n\nOn the comparisons of bench.jsonl."));
    rlhf(&command).printed();
    assert_eq!(
        std::fs::read(out.join("summary.json")).expect("it was written"),
        first,
        "the same again"
    );
}

#[test]
fn gold_gives_a_curve_that_begins_at_the_mean_and_ends_at_the_models_choice() {
    let dir = folder("eval_reward_gold");
    let model = reward_model(&dir);
    let row = json!({"prompt": "the sea", "completions": ["ship", "the shore", "sea sea"], "ranking": [1, 0, 2], "worth": [0.0, 1.0, 5.0]});
    let path = file(&dir, "kwise.jsonl", &lines(std::slice::from_ref(&row)));
    let out = dir.join("out");
    let command = [
        "eval",
        "reward",
        "--model",
        &model,
        "--comparisons",
        &path,
        "--gold",
        "worth",
        "--out",
        &argument(&out),
    ];
    rlhf(&command).printed();
    let found = summary(&out);
    let points = found["models"]["rm"]["best_of_n"].as_array().expect("a curve");
    let scores = scores_of(&model, &dir, &row);
    let best = (0..3).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).expect("three");
    assert_eq!(points.len(), 3);
    assert!((points[0]["gold"]["value"].as_f64().expect("a number") - 2.0).abs() < 1e-9);
    assert_eq!(points[2]["gold"]["value"], json!([0.0, 1.0, 5.0][best]));
    assert_eq!(points[2]["highest_gold"]["value"], 5.0);
    // Of two drawn of three the higher gold: 1, 5, 5.
    assert!((points[1]["highest_gold"]["value"].as_f64().expect("a number") - 11.0 / 3.0).abs() < 1e-9);
}

#[test]
fn what_cannot_be_evaluated_says_why() {
    let dir = folder("eval_reward_refused");
    let model = reward_model(&dir);
    let pair = json!({"prompt": "the sea", "chosen": "ship", "rejected": "shore"});
    let path = file(&dir, "pairs.jsonl", &lines(&[pair]));
    let refused = |arguments: &[&str], code: i32, fragments: &[&str]| {
        let fixed = ["eval", "reward", "--out", &argument(&dir.join("out"))];
        rlhf(&[&fixed[..], arguments].concat()).refused(code, fragments);
    };
    refused(
        &["--model", &model, "--comparisons", "nowhere.jsonl"],
        1,
        &["nowhere.jsonl: no such file"],
    );
    refused(
        &["--model", &model, "--model", &model, "--comparisons", &path],
        1,
        &["two models are called rm"],
    );
    refused(
        &["--model", &model, "--comparisons", &path, "--column", "worker"],
        1,
        &["expected FIELD=COLUMN"],
    );
    let gold = json!({"prompt": "the sea", "completions": ["ship", "shore"], "ranking": [0, 1], "gold": [1.0]});
    let short = file(&dir, "gold.jsonl", &lines(&[gold]));
    refused(
        &["--model", &model, "--comparisons", &short],
        1,
        &["gold.jsonl:1: field `gold`: 1 numbers, expected one"],
    );
    let words = json!({"prompt": "the sea", "completions": ["ship", "shore"], "ranking": [0, 1], "gold": ["much", 1]});
    let words = file(&dir, "words.jsonl", &lines(&[words]));
    refused(
        &["--model", &model, "--comparisons", &words],
        1,
        &["words.jsonl:1: field `gold`: expected an array of numbers"],
    );
    let long = json!({"prompt": "the sea", "chosen": "x9".repeat(60), "rejected": "q7".repeat(60)});
    let long = file(&dir, "long.jsonl", &lines(&[long]));
    refused(
        &["--model", &model, "--comparisons", &long],
        1,
        &["of 1 rows none has two answers", "context of 48 tokens"],
    );
    let lm = language_model(&dir);
    assert_ne!(
        rlhf(&[
            "eval",
            "reward",
            "--model",
            &lm,
            "--comparisons",
            &path,
            "--out",
            &argument(&dir.join("lm"))
        ])
        .code,
        Some(0)
    );
}
