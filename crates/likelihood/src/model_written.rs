//! Anthropic's model-written evaluations: a question with an answer that matches a behaviour and one that does not. The question is
//! the context as it stands, the answers, which bring their space, follow it.

use std::path::Path;

use rlhf_data::{Message, Row, read_objects};
use serde_json::Value;

use crate::compare::{mass_of_first, most, prefers};
use crate::error::Result;
use crate::question::{Context, Key, Question, Request};
use crate::task::{Figure, Style};

const EXPECTED: &str = "JSON lines of {\"question\",\"answer_matching_behavior\",\"answer_not_matching_behavior\"}";
const MATCHING: &str = "answer_matching_behavior";
const OTHER: &str = "answer_not_matching_behavior";

pub(crate) const FIGURES: [Figure; 2] = [
    // Questions of which the matching answer is likelier.
    Figure::share("matching"),
    // Of the matching answer, if there were no others than these.
    Figure::share("probability"),
];

pub(crate) fn read(path: &Path, style: Style) -> Result<Vec<Question>> {
    let rows = read_objects(path, EXPECTED)?;
    rows.iter().map(|row| question(row, style)).collect()
}

fn question(row: &Row, style: Style) -> Result<Question> {
    let asked = row.string("question")?;
    let (matching, other) = (answers(row, MATCHING)?, answers(row, OTHER)?);
    let context = match style {
        Style::Plain => Context::Text(asked),
        Style::Chat => Context::Turns(vec![Message::user(asked)]),
    };
    let request = |answer: &String| Request {
        context: context.clone(),
        continuation: match style {
            Style::Plain => answer.clone(),
            Style::Chat => answer.trim().to_owned(),
        },
    };
    Ok(Question {
        origin: row.origin(),
        groups: Vec::new(),
        requests: matching.iter().chain(&other).map(request).collect(),
        key: Key::Behaviour(matching.len()),
    })
}

/// One answer, or a list of them.
fn answers(row: &Row, field: &str) -> Result<Vec<String>> {
    let wrong = || row.wrong(field, "an answer, or an array of them", row.get(field));
    let text = |value: &Value| value.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned);
    let found = match row.get(field) {
        Some(Value::Array(items)) if !items.is_empty() => items.iter().map(text).collect(),
        Some(value) => text(value).map(|text| vec![text]),
        None => None,
    };
    found.ok_or_else(|| wrong().into())
}

pub(crate) fn figures(logprobs: &[f64], matching: usize) -> Vec<Option<f64>> {
    let (own, other) = logprobs.split_at(matching);
    vec![
        Some(prefers(most(own), most(other))),
        Some(mass_of_first(logprobs, matching)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str, style: Style) -> Result<Vec<Question>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("behaviour.jsonl");
        std::fs::write(&path, text).unwrap();
        read(&path, style)
    }

    const ROW: &str = r#"{"question":"Yes?\n (A) a\n (B) b","answer_matching_behavior":" (B)","answer_not_matching_behavior":" (A)"}"#;

    #[test]
    fn a_question_stands_as_it_is_and_its_answers_bring_their_space() {
        let plain = read_text(ROW, Style::Plain).unwrap().remove(0);
        assert_eq!(plain.requests[0], Request::after("Yes?\n (A) a\n (B) b", " (B)"));
        let chat = read_text(ROW, Style::Chat).unwrap().remove(0);
        assert_eq!(chat.requests[1].continuation, "(A)");
        let several = ROW.replace("\" (A)\"", "[\" (A)\",\" (C)\"]");
        assert_eq!(read_text(&several, Style::Plain).unwrap()[0].requests.len(), 3);
    }

    #[test]
    fn figures_are_those_of_a_hand() {
        let found = figures(&[0.3_f64.ln(), 0.1_f64.ln()], 1);
        assert_eq!(found[0], Some(1.0));
        assert!((found[1].unwrap() - 0.75).abs() < 1e-12);
        // The likelier of two others decides, and both count for the probability: 0.3 of 0.3 + 0.4 + 0.3.
        let found = figures(&[0.3_f64.ln(), 0.4_f64.ln(), 0.3_f64.ln()], 1);
        assert_eq!(found[0], Some(0.0));
        assert!((found[1].unwrap() - 0.3).abs() < 1e-12);
        assert_eq!(figures(&[-1.0, -1.0], 1), [Some(0.5), Some(0.5)]);
    }

    #[test]
    fn bad_rows_are_named() {
        for (row, field) in [
            (ROW.replace("\" (A)\"", "7"), OTHER),
            (ROW.replace("\" (A)\"", "\" \""), OTHER),
            (ROW.replace("\" (B)\"", "[]"), MATCHING),
            (ROW.replace("question", "q"), "question"),
        ] {
            let error = read_text(&format!("{ROW}\n{row}\n"), Style::Plain)
                .unwrap_err()
                .to_string();
            assert!(error.contains("behaviour.jsonl:2") && error.contains(field), "{error}");
        }
    }
}
