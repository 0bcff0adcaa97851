//! The numbers of `rouge-score`: `tests/golden/rouge`.

use std::path::Path;

use rlhf_rouge::{Copied, Rouge, Score, Stemming, Text, copied, stem};
use serde_json::Value;

const TOLERANCE: f64 = 1e-9;

fn golden() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/rouge/cases.json");
    let text = std::fs::read_to_string(path).expect("the fixture");
    serde_json::from_str(&text).expect("JSON")
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn close(found: f64, expected: f64, of: &Value) {
    assert!(
        (found - expected).abs() <= TOLERANCE,
        "{found}, expected {expected}: {of}"
    );
}

#[test]
fn scores_are_those_of_rouge_score_with_and_without_stemming() {
    let golden = golden();
    let cases = golden["cases"].as_array().expect("cases");
    assert!(cases.len() > 250);
    for case in cases {
        for (name, stemming) in [("plain", Stemming::None), ("stemmed", Stemming::Porter)] {
            let text = |field: &str| Text::new(case[field].as_str().expect("a text"), stemming);
            let (reference, summary) = (text("reference"), text("summary"));
            for rouge in Rouge::REPORTED {
                let expected = &case[name][rouge.name()];
                let Score { precision, recall, f1 } = rouge.score(&reference, &summary);
                for (found, expected) in [precision, recall, f1]
                    .into_iter()
                    .zip(expected.as_array().expect("three"))
                {
                    close(found, number(expected), case);
                }
            }
        }
    }
}

#[test]
fn stems_are_those_of_nltk() {
    let golden = golden();
    let stems = golden["stems"].as_object().expect("words");
    assert!(stems.len() > 1000);
    for (word, expected) in stems {
        assert_eq!(stem(word), expected.as_str().expect("a stem"), "{word}");
    }
}

#[test]
fn what_is_copied_is_what_another_implementation_finds() {
    let golden = golden();
    for case in golden["cases"].as_array().expect("cases") {
        let text = |field: &str| Text::new(case[field].as_str().expect("a text"), Stemming::None);
        let expected = &case["copied"];
        let Some(found) = copied(&text("reference"), &text("summary")) else {
            assert!(expected.is_null(), "{case}");
            continue;
        };
        let Copied {
            ngrams,
            longest_run,
            coverage,
            density,
        } = found;
        for (found, expected) in ngrams.iter().zip(expected["ngrams"].as_array().expect("four")) {
            assert_eq!(found.is_none(), expected.is_null(), "{case}");
            close(found.unwrap_or(0.0), expected.as_f64().unwrap_or(0.0), case);
        }
        assert_eq!(
            longest_run as u64,
            expected["longest_run"].as_u64().expect("a count"),
            "{case}"
        );
        close(coverage, number(&expected["coverage"]), case);
        close(density, number(&expected["density"]), case);
    }
}
