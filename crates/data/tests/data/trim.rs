//! Laws of prompts that are brought to a number of tokens: one text in every stage, whatever the answers.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::borrow::Cow;
use std::sync::LazyLock;

use proptest::prelude::*;
use rlhf_data::{
    Asks, Comparison, Demonstration, Fit, InspectOptions, Message, Prompt, Role, Tokenizer, TokenizerConfig, inspect,
    trimmed,
};

/// Role tokens, and one token a byte.
static BYTES: LazyLock<Tokenizer> = LazyLock::new(|| {
    let config = TokenizerConfig {
        vocab_size: 261,
        min_frequency: 2,
    };
    Tokenizer::train(["x"], &config).unwrap()
});

fn prompt(messages: Vec<Message>) -> Prompt {
    Prompt {
        id: "p".into(),
        messages,
        task: None,
        origin: Default::default(),
    }
}

fn post(text: &str) -> Prompt {
    prompt(vec![Message::user(text)])
}

fn len(row: &impl Asks) -> usize {
    BYTES.encode_prompt(row.asked()).unwrap().len()
}

#[test]
fn a_post_loses_its_last_paragraphs_and_what_asks_for_the_summary_stays() {
    let row = post("SUBREDDIT: r/a\n\nTITLE: b\n\nPOST: One.\nTwo.\n\nThree.\n\nTL;DR:");
    let whole = len(&row);
    assert!(matches!(trimmed(&BYTES, &row, whole).unwrap(), Cow::Borrowed(_)));
    let text = |max| trimmed(&BYTES, &row, max).unwrap().messages[0].content.clone();
    let without_three = "SUBREDDIT: r/a\n\nTITLE: b\n\nPOST: One.\nTwo.\n\nTL;DR:";
    assert_eq!(text(whole - 1), without_three);
    assert_eq!(text(whole - 8), without_three, "the line and its break are 8 bytes");
    assert_eq!(text(whole - 9), "SUBREDDIT: r/a\n\nTITLE: b\n\nPOST: One.\n\nTL;DR:");
}

#[test]
fn a_text_of_one_paragraph_loses_sentences_and_then_words() {
    let row = post("One two. Three four\n\nTL;DR:");
    let text = |max| trimmed(&BYTES, &row, max).unwrap().messages[0].content.clone();
    assert_eq!(text(len(&row) - 1), "One two.\n\nTL;DR:");
    assert_eq!(text(len(&row) - 12), "One\n\nTL;DR:");
    // A single word is no post without it: the rules of the stages decide.
    assert_eq!(text(3), "One two. Three four\n\nTL;DR:");
}

#[test]
fn a_prompt_a_comparison_and_a_demonstration_of_a_post_are_cut_alike() {
    let messages = vec![Message::user("a\nbb\nccc\n\nTL;DR:")];
    let comparison = Comparison {
        id: "c".into(),
        messages: messages.clone(),
        completions: vec!["long ".repeat(50), "short".into()],
        ranking: vec![0, 1],
        labeler: None,
        confidence: None,
        margin: None,
        task: None,
        source: None,
        origin: Default::default(),
    };
    let demonstration = Demonstration {
        id: "d".into(),
        messages: [messages.clone(), vec![Message::assistant("answer")]].concat(),
        task: None,
        origin: Default::default(),
    };
    let expected = [Message::user("a\nbb\n\nTL;DR:")];
    let max = len(&prompt(messages.clone())) - 1;
    assert_eq!(trimmed(&BYTES, &prompt(messages), max).unwrap().messages, expected);
    let found = trimmed(&BYTES, &comparison, max).unwrap();
    assert_eq!(found.messages, expected);
    assert_eq!(found.completions, comparison.completions);
    let found = trimmed(&BYTES, &demonstration, max).unwrap();
    assert_eq!(found.prompt(), expected);
    assert_eq!(found.completion(), "answer");
}

#[test]
fn an_inspection_counts_what_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    std::fs::write(
        &path,
        "{\"prompt\": \"aaaa\\nbbbb\\ncccc\\nTL;DR:\"}\n{\"prompt\": \"a\\nTL;DR:\"}\n",
    )
    .unwrap();
    let options = InspectOptions {
        tokenizer: Some(&BYTES),
        max_prompt_tokens: Some(20),
        ..InspectOptions::default()
    };
    let found = inspect(&path, &options).unwrap();
    let [
        Fit {
            whole,
            shortened,
            left_out,
            tokens,
            kept_tokens,
            rule,
            ..
        },
    ] = found.fit.as_slice()
    else {
        panic!("{:?}", found.fit);
    };
    assert_eq!((*whole, *shortened, *left_out), (1, 1, 0));
    assert_eq!(tokens - kept_tokens, 5);
    assert!(rule.starts_with("a long prompt loses its last paragraphs"), "{rule}");
    assert!(found.row.fate.is_some_and(|fate| fate.starts_with("shortened")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_left_fits_is_a_beginning_and_is_left_alone_the_next_time(
        body in "[a-c .\n]{0,60}", call in "[A-Z]{1,6}:", history in 0_usize..3, max in 4_usize..90,
    ) {
        let mut messages = vec![Message::system("s")];
        for _ in 0..history {
            messages.extend([Message::user("question"), Message::assistant("answer")]);
        }
        messages.push(Message::user(format!("{body}\n\n{call}")));
        let row = prompt(messages);
        let found = trimmed(&BYTES, &row, max).unwrap();
        let last = &found.messages.last().unwrap().content;
        prop_assert!(last.ends_with(&call));
        prop_assert_eq!(found.messages[0].role, Role::System);
        prop_assert!(row.messages.last().unwrap().content.starts_with(last[..last.len() - call.len()].trim_end()));
        match found {
            Cow::Owned(ref cut) => {
                prop_assert!(len(cut) <= max && len(&row) > max);
                prop_assert!(matches!(trimmed(&BYTES, cut, max).unwrap(), Cow::Borrowed(_)));
            }
            // Either it fits, or nothing can go any more: the first word and what asks for the answer are too much.
            Cow::Borrowed(_) => {
                let word = body.find(|letter: char| !letter.is_whitespace()).unwrap_or(0);
                let end = body[word..].find(char::is_whitespace).map_or(body.len(), |end| word + end);
                let blank = &body[body.trim_end().len()..];
                let least = vec![Message::system("s"), Message::user(format!("{}{blank}\n\n{call}", &body[..end]))];
                prop_assert!(len(&row) <= max || len(&prompt(least)) > max);
            }
        }
    }
}
