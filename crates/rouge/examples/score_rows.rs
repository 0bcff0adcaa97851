//! Scores rows of `{"reference", "summary"}` from standard input; `tests/golden/rouge/compare.py` compares them with `rouge-score`.

use std::io::{BufRead, Write};

use rlhf_rouge::{Rouge, Stemming, Text};
use serde_json::{Map, Value, json};

fn main() -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let row: Value = serde_json::from_str(&line?)?;
        let field = |name: &str| row[name].as_str().unwrap_or_default();
        let mut scores = Map::new();
        for (name, stemming) in [("plain", Stemming::None), ("stemmed", Stemming::Porter)] {
            let (reference, summary) = (
                Text::new(field("reference"), stemming),
                Text::new(field("summary"), stemming),
            );
            let score = |rouge: Rouge| {
                let score = rouge.score(&reference, &summary);
                (rouge.name(), json!([score.precision, score.recall, score.f1]))
            };
            let of_all: Map<String, Value> = Rouge::REPORTED.into_iter().map(score).collect();
            scores.insert(name.to_owned(), of_all.into());
            scores.insert(format!("{name}_words"), json!(reference.words()));
        }
        writeln!(output, "{}", Value::Object(scores))?;
    }
    Ok(())
}
