//! Multiple choice of any file: `ctx`, `endings` and `label` as HellaSwag has them, or `query` or `question`, `choices` and `answer`.
//!
//! `ctx` and `query` are contexts as they stand; a `question` stands as `Question: …`, and `Answer:` on the next line. Each choice
//! follows after a space.

use std::path::Path;

use rlhf_data::{Message, Row, read_objects};
use serde_json::Value;

use crate::compare::share_of_best;
use crate::error::Result;
use crate::question::{Context, Key as QuestionKey, Question, Request};
use crate::task::{Figure, Style};

const EXPECTED: &str =
    "rows of {\"ctx\",\"endings\",\"label\"}, or of {\"query\"} or {\"question\"} with {\"choices\",\"answer\"}";

pub(crate) const FIGURES: [Figure; 2] = [
    // The right choice has the largest log-probability.
    Figure::share("accuracy"),
    // It has the largest log-probability by byte of the choice.
    Figure::share("accuracy_norm"),
];

/// The right choice, and the bytes of each.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    right: usize,
    bytes: Vec<usize>,
}

impl Key {
    pub(crate) fn figures(&self, logprobs: &[f64]) -> Vec<Option<f64>> {
        let by_byte: Vec<f64> = logprobs
            .iter()
            .zip(&self.bytes)
            .map(|(&logprob, &bytes)| logprob / bytes as f64)
            .collect();
        vec![
            Some(share_of_best(logprobs, self.right)),
            Some(share_of_best(&by_byte, self.right)),
        ]
    }
}

pub(crate) fn read(path: &Path, style: Style) -> Result<Vec<Question>> {
    let rows = read_objects(path, EXPECTED)?;
    rows.iter().map(|row| question(row, style)).collect()
}

fn question(row: &Row, style: Style) -> Result<Question> {
    let (context, listed, key) = if row.has("endings") {
        (row.string("ctx")?, "endings", "label")
    } else if row.has("query") || style == Style::Chat && row.has("question") {
        let field = if row.has("query") { "query" } else { "question" };
        (row.string(field)?, "choices", "answer")
    } else {
        (
            format!("Question: {}\nAnswer:", row.string("question")?),
            "choices",
            "answer",
        )
    };
    let choices = texts(row, listed)?;
    let right = right(row, key, &choices)?;
    let (context, space) = match style {
        Style::Plain => (Context::Text(context), " "),
        Style::Chat => (Context::Turns(vec![Message::user(context)]), ""),
    };
    let request = |choice: &String| Request {
        context: context.clone(),
        continuation: format!("{space}{choice}"),
    };
    Ok(Question {
        origin: row.origin(),
        groups: Vec::new(),
        requests: choices.iter().map(request).collect(),
        key: QuestionKey::Choice(Key {
            right,
            bytes: choices.iter().map(String::len).collect(),
        }),
    })
}

/// Two or more texts.
fn texts(row: &Row, field: &str) -> Result<Vec<String>> {
    let text = |value: &Value| value.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned);
    let texts: Option<Vec<String>> = match row.get(field) {
        Some(Value::Array(items)) if items.len() > 1 => items.iter().map(text).collect(),
        _ => None,
    };
    texts.ok_or_else(|| row.wrong(field, "an array of two texts or more", row.get(field)).into())
}

/// The place of the right choice: counted from 0, a letter from A, or its text.
fn right(row: &Row, field: &str, choices: &[String]) -> Result<usize> {
    let place = match row.get(field) {
        Some(Value::Number(number)) => number.as_u64().and_then(|number| usize::try_from(number).ok()),
        Some(Value::String(text)) => choices
            .iter()
            .position(|choice| choice == text)
            .or_else(|| text.parse().ok())
            .or_else(|| match text.as_bytes() {
                [letter @ b'A'..=b'Z'] => Some(usize::from(letter - b'A')),
                _ => None,
            }),
        _ => None,
    };
    place.filter(|&place| place < choices.len()).ok_or_else(|| {
        let expected = format!(
            "the place of one of {} choices from 0, its letter or its text",
            choices.len()
        );
        let found = row.get(field).map_or_else(|| "nothing".to_owned(), Value::to_string);
        row.wrong_with(field, expected, found).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::Scored;

    fn read_text(text: &str, style: Style) -> Result<Vec<Question>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("choices.jsonl");
        std::fs::write(&path, text).unwrap();
        read(&path, style)
    }

    fn right_of(text: &str) -> usize {
        match read_text(text, Style::Plain).unwrap().remove(0).key {
            QuestionKey::Choice(key) => key.right,
            other => panic!("{other:?}"),
        }
    }

    fn scored(logprobs: &[f64]) -> Vec<Scored> {
        let one = |&logprob: &f64| Scored {
            logprob,
            tokens: 1,
            greedy: None,
        };
        logprobs.iter().map(one).collect()
    }

    #[test]
    fn rows_of_several_forms_are_read() {
        let hellaswag = r#"{"ctx":"A man sits. He","endings":["stands.","flies."],"label":"1"}"#;
        assert_eq!(right_of(hellaswag), 1);
        let question = read_text(hellaswag, Style::Plain).unwrap().remove(0);
        assert_eq!(question.requests[0], Request::after("A man sits. He", " stands."));
        assert_eq!(right_of(r#"{"question":"Q?","choices":["x","y","z"],"answer":"C"}"#), 2);
        assert_eq!(right_of(r#"{"query":"Q?","choices":["x","y","A"],"answer":"A"}"#), 2);
        assert_eq!(right_of(r#"{"query":"Q?","choices":["x","y"],"answer":1}"#), 1);
        let asked = r#"{"question":"Q?","choices":["x","y"],"answer":0}"#;
        let plain = read_text(asked, Style::Plain).unwrap().remove(0);
        assert_eq!(plain.requests[1], Request::after("Question: Q?\nAnswer:", " y"));
        let chat = read_text(asked, Style::Chat).unwrap().remove(0);
        assert_eq!(chat.requests[1].continuation, "y");
        assert_eq!(chat.requests[1].context, Context::Turns(vec![Message::user("Q?")]));
    }

    #[test]
    fn a_long_choice_may_win_by_the_byte() {
        let row = r#"{"query":"Q","choices":["ab","abcdefgé"],"answer":1}"#;
        let question = read_text(row, Style::Plain).unwrap().remove(0);
        // -4 / 2 = -2 by byte against -9 / 9 = -1: é has two bytes, and with eight it would be -1.125.
        assert_eq!(question.figures(&scored(&[-4.0, -9.0])), [Some(0.0), Some(1.0)]);
        assert_eq!(question.figures(&scored(&[-2.0, -9.0])), [Some(0.0), Some(0.5)]);
    }

    #[test]
    fn bad_rows_are_named() {
        let good = r#"{"query":"Q","choices":["a","b"],"answer":0}"#;
        for (row, expected) in [
            (r#"{"query":"Q","choices":["a","b"],"answer":2}"#, "one of 2 choices"),
            (r#"{"query":"Q","choices":["a","b"],"answer":"c"}"#, "found \"c\""),
            (r#"{"query":"Q","choices":["a"],"answer":0}"#, "two texts or more"),
            (r#"{"query":"Q","choices":["a",""],"answer":0}"#, "two texts or more"),
            (r#"{"choices":["a","b"],"answer":0}"#, "question"),
            (r#"{"endings":["a","b"],"label":0}"#, "ctx"),
        ] {
            let error = read_text(&format!("{good}\n{row}\n"), Style::Plain)
                .unwrap_err()
                .to_string();
            assert!(error.contains("choices.jsonl:2") && error.contains(expected), "{error}");
        }
    }
}
