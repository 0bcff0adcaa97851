//! LAMBADA: the last word of a passage, as lm-evaluation-harness defines `lambada_openai`. The context is everything before the last
//! space, the continuation that space and what follows it.

use std::path::Path;

use rlhf_data::read_objects;

use crate::error::Result;
use crate::question::{Key, Question, Request, Scored};
use crate::task::Figure;

const EXPECTED: &str = "JSON lines of {\"text\"}, each a passage that ends with the word asked for";

pub(crate) const FIGURES: [Figure; 2] = [Figure::share("accuracy"), Figure::perplexity("perplexity")];

pub(crate) fn read(path: &Path) -> Result<Vec<Question>> {
    let rows = read_objects(path, EXPECTED)?;
    let question = |row: &rlhf_data::Row| -> Result<Question> {
        let text = row.string("text")?;
        let Some((context, _)) = text.rsplit_once(' ').filter(|(_, word)| !word.is_empty()) else {
            let expected = "a passage of several words, with no space after the last";
            return Err(row.wrong_with("text", expected, format!("{text:?}")).into());
        };
        Ok(Question {
            origin: row.origin(),
            groups: Vec::new(),
            requests: vec![Request::after(context, &text[context.len()..])],
            key: Key::LastWord,
        })
    };
    rows.iter().map(question).collect()
}

pub(crate) fn figures(scored: &Scored) -> Vec<Option<f64>> {
    let is_said = scored.greedy.map(|greedy| f64::from(u8::from(greedy)));
    vec![is_said, Some(scored.logprob)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::Context;

    fn read_text(text: &str) -> Result<Vec<Question>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("passages.jsonl");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn the_last_word_goes_with_the_space_before_it() {
        let questions = read_text("\u{feff}{\"text\": \"Two  words. \\n\\\"Ah\\\" she said\"}\r\n\r\n").unwrap();
        let expected = Request::after("Two  words. \n\"Ah\" she", " said");
        assert_eq!(questions[0].requests, [expected]);
        assert_eq!(questions[0].origin.line(), Some(1));
        let double = read_text("{\"text\": \"a  b\"}").unwrap();
        assert_eq!(double[0].requests[0].context, Context::Text("a ".to_owned()));
    }

    #[test]
    fn rows_without_a_last_word_are_named() {
        for (row, expected) in [
            (r#"{"text": "one"}"#, "passages.jsonl:2"),
            (r#"{"text": "one "}"#, "no space after the last"),
            (r#"{"txt": "a b"}"#, "`text`"),
            ("[1]", "passages.jsonl:2"),
        ] {
            let error = read_text(&format!("{{\"text\":\"a b\"}}\n{row}\n"))
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(read_text("\n").is_err());
    }

    #[test]
    fn a_word_is_right_if_greedy_decoding_says_it() {
        let scored = |greedy| Scored {
            logprob: -2.5,
            tokens: 2,
            greedy,
        };
        assert_eq!(figures(&scored(Some(true))), [Some(1.0), Some(-2.5)]);
        assert_eq!(figures(&scored(Some(false))), [Some(0.0), Some(-2.5)]);
        assert_eq!(figures(&scored(None))[0], None);
    }
}
