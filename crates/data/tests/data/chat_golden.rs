//! Parity with transformers on `tests/golden/chat` and `tests/golden/chat_features`: text, errors, ids, spans and masks, to
//! the letter.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::PathBuf;

use rlhf_data::{Chat, ChatTemplate, Clock, Error, Tokenizer};
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
struct Case {
    template: String,
    conversation: String,
    messages: Vec<Value>,
    add_generation_prompt: bool,
    bos_token: String,
    eos_token: String,
    rendered: Option<String>,
    error: Option<String>,
    ids: Option<Vec<u32>>,
    generation_char_spans: Option<Vec<[usize; 2]>>,
    assistant_mask: Option<Vec<u8>>,
}

impl Case {
    fn template(&self) -> ChatTemplate {
        let path = golden("chat/templates").join(format!("{}.jinja", self.template));
        let tokens = json!({ "bos_token": self.bos_token, "eos_token": self.eos_token });
        let tokens: Map<String, Value> = serde_json::from_value(tokens).unwrap();
        ChatTemplate::from_file(path).unwrap().with_special_tokens(tokens)
    }

    fn chat(&self) -> Chat<'_> {
        Chat {
            add_generation_prompt: self.add_generation_prompt,
            ..Chat::new(&self.messages)
        }
    }

    fn name(&self) -> String {
        let prompt = if self.add_generation_prompt {
            " and a generation prompt"
        } else {
            ""
        };
        format!("{} with {}{prompt}", self.template, self.conversation)
    }
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden")
        .join(name)
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(golden("chat/cases.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&text).unwrap();
    assert_eq!(cases.len(), 64);
    cases
}

#[test]
fn conversations_render_as_in_transformers() {
    let mut refused = 0;
    for case in cases() {
        let text = case.template().text(&case.chat());
        match (&case.rendered, &case.error) {
            (Some(expected), None) => assert_eq!(&text.unwrap(), expected, "{}", case.name()),
            (None, Some(expected)) => {
                refused += 1;
                let Err(Error::TemplateRaised { message, .. }) = text else {
                    panic!("{}: {text:?} is not a refusal", case.name());
                };
                assert_eq!(&message, expected, "{}", case.name());
            }
            other => panic!("{}: the fixture says {other:?}", case.name()),
        }
    }
    assert_eq!(refused, 2);
}

#[test]
fn ids_spans_and_masks_are_those_of_transformers() {
    let tokenizer = Tokenizer::load(golden("tokenizer")).unwrap();
    let mut masks = 0;
    for case in cases().into_iter().filter(|case| case.error.is_none()) {
        let template = case.template();
        let text = template.text(&case.chat()).unwrap();
        assert_eq!(
            Some(tokenizer.encode_with_special_tokens(&text)),
            case.ids,
            "{}",
            case.name()
        );
        assert_eq!(template.has_generation_blocks(), case.assistant_mask.is_some());
        let Some(expected) = &case.assistant_mask else {
            continue;
        };
        let rendered = template.render(&case.chat()).unwrap();
        assert_eq!(rendered.text, text);
        let spans: Vec<[usize; 2]> = rendered
            .answer_chars()
            .into_iter()
            .map(|span| [span.start, span.end])
            .collect();
        assert_eq!(Some(spans), case.generation_char_spans, "{}", case.name());
        let encoded = tokenizer.encode_rendered(&rendered);
        assert_eq!(Some(encoded.input_ids), case.ids, "{}", case.name());
        let mask: Vec<u8> = encoded.assistant_mask.into_iter().map(u8::from).collect();
        assert_eq!(&mask, expected, "{}", case.name());
        masks += 1;
    }
    assert!(masks >= 48, "{masks}");
}

/// The prefix renderings of a template agree with its generation blocks where it has them: the answer is what comes after
/// the generation prompt.
#[test]
fn derived_answers_are_those_of_generation_blocks() {
    let mut derived = 0;
    for case in cases()
        .into_iter()
        .filter(|case| case.error.is_none() && case.template != "alpaca")
    {
        if case.conversation == "bad_order" {
            continue; // It begins with an answer; nothing is before it that a template could render.
        }
        let path = golden("chat/templates").join(format!("{}.jinja", case.template));
        let plain = std::fs::read_to_string(path).unwrap();
        let plain = ["{% ", "{%- "].into_iter().fold(plain, |source, tag| {
            let source = source.replace(&format!("{tag}generation"), &format!("{tag}with"));
            source.replace(&format!("{tag}endgeneration"), &format!("{tag}endwith"))
        });
        let tokens = json!({ "bos_token": case.bos_token, "eos_token": case.eos_token });
        let plain = ChatTemplate::new(&plain, "plain.jinja")
            .unwrap()
            .with_special_tokens(serde_json::from_value(tokens).unwrap());
        assert!(!plain.has_generation_blocks());
        let by_blocks = case.template().render(&case.chat()).unwrap();
        let by_prefixes = plain.render(&case.chat()).unwrap();
        assert_eq!(by_prefixes.text, by_blocks.text, "{}", case.name());
        assert_eq!(by_prefixes.answers.len(), by_blocks.answers.len());
        for (prefixes, blocks) in by_prefixes.answers.iter().zip(&by_blocks.answers) {
            // A block may leave out the line break after the answer's eos, which prefixes cannot tell from the answer.
            assert_eq!(prefixes.start, blocks.start, "{}", case.name());
            assert_eq!(by_blocks.text[blocks.end..prefixes.end].trim(), "", "{}", case.name());
            derived += 1;
        }
    }
    assert!(derived > 20, "{derived}");
}

#[test]
fn the_answers_of_alpaca_are_found_without_blocks() {
    for case in cases() {
        if case.template == "alpaca" && case.conversation == "system_multi" {
            let rendered = case.template().render(&case.chat()).unwrap();
            let answers: Vec<&str> = rendered
                .answers
                .iter()
                .map(|span| &rendered.text[span.clone()])
                .collect();
            assert_eq!(
                answers,
                ["Paris<|endoftext|>\n\n", "Rome<|endoftext|>\n\n"],
                "{}",
                case.name()
            );
        }
    }
}

#[derive(Deserialize)]
struct Features {
    cases: Vec<Feature>,
}

#[derive(Deserialize)]
struct Feature {
    name: String,
    template: String,
    messages: Vec<Value>,
    variables: Map<String, Value>,
    rendered: Option<String>,
    error: Option<String>,
    generation_char_spans: Option<Vec<[usize; 2]>>,
}

#[test]
fn what_templates_use_does_as_in_transformers() {
    let text = std::fs::read_to_string(golden("chat_features/cases.json")).unwrap();
    let features: Features = serde_json::from_str(&text).unwrap();
    assert!(features.cases.len() >= 36);
    let clock = Clock::fixed("2026-03-07T16:05:09", "clock").unwrap();
    let mut wrong = Vec::new();
    for mut feature in features.cases {
        let tools = feature.variables.remove("tools");
        let template = ChatTemplate::new(&feature.template, &feature.name)
            .unwrap()
            .with_clock(clock);
        let chat = Chat {
            tools: tools.as_ref(),
            variables: Some(&feature.variables),
            ..Chat::new(&feature.messages)
        };
        let found = match template.text(&chat) {
            Err(Error::TemplateRaised { message, .. }) => Err(message),
            Err(error) => Err(error.to_string()),
            Ok(text) => Ok(text),
        };
        let expected = feature.rendered.ok_or_else(|| feature.error.unwrap_or_default());
        if found != expected {
            wrong.push(format!(
                "{}:\n  expected {expected:?}\n  found    {found:?}",
                feature.name
            ));
        } else if let Some(expected) = feature.generation_char_spans {
            let spans = template.render(&chat).map(|rendered| rendered.answer_chars());
            let spans: Vec<[usize; 2]> = spans.unwrap().into_iter().map(|span| [span.start, span.end]).collect();
            assert_eq!(spans, expected, "{}", feature.name);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
