//! Changes that put an answer into the form asked for.

use rand::Rng;
use rand::seq::IndexedRandom;
use serde_json::json;

use crate::constraint::{Constraint, Language};
use crate::draw::{KEYS, WORD_BOUNDS};
use crate::text::{content_words, fold, has_word, is_bullet, number_of, rewrite_words, sentences, words};

/// Most sentences that become items, lines or paragraphs; further ones are left out.
const MOST_PARTS: usize = 5;
const POSTSCRIPTS: &[&str] = &[
    "P.S. Feel free to ask for more.",
    "P.S. Tell me if something is unclear.",
    "P.S. There is always more to learn.",
    "P.S. I hope you have a good day.",
];
const CLOSING_QUESTIONS: &[&str] = &[
    "Does that help?",
    "Is that what you wanted to know?",
    "What do you think?",
    "Would you like to know more?",
];
const PLACEHOLDER_LINES: &[&str] = &[
    "Written for [name].",
    "Written for [name] on [date].",
    "Written for [name] on [date] in [place].",
];

/// A constraint of a kind, and the answer changed for it; to be checked. Programs and tables are left alone.
pub(super) fn changed(kind: &str, request: &str, answer: &str, rng: &mut impl Rng) -> Option<(Constraint, String)> {
    if !has_word(answer) || answer.contains("```") || answer.contains(" | ") {
        return None;
    }
    added(kind, request, answer, rng)
        .or_else(|| arranged(kind, answer, rng))
        .or_else(|| marked(kind, request, answer, rng))
        .or_else(|| rewritten(kind, answer))
}

fn one_of(list: &[&str], rng: &mut impl Rng) -> String {
    list.choose(rng).copied().unwrap_or_default().to_owned()
}

/// The answer with something before or behind it.
fn added(kind: &str, request: &str, answer: &str, rng: &mut impl Rng) -> Option<(Constraint, String)> {
    let drawn = Constraint::draw(kind, request, rng)?;
    let text = match &drawn {
        Constraint::StartPhrase { phrase } => format!("{phrase} {answer}"),
        Constraint::EndPhrase { phrase } => format!("{answer} {phrase}"),
        Constraint::RepeatRequest => format!("{request}\n\n{answer}"),
        Constraint::EndQuestion => format!("{answer} {}", one_of(CLOSING_QUESTIONS, rng)),
        Constraint::Postscript => format!("{answer}\n\n{}", one_of(POSTSCRIPTS, rng)),
        Constraint::Numeral { language } => format!("{answer} {}", counted(answer, *language)?),
        Constraint::YesNo => {
            let rest = ["Yes", "No"]
                .iter()
                .find_map(|word| Some((word, answer.strip_prefix(word)?)));
            let (word, rest) = rest.filter(|(_, rest)| rest.starts_with(['.', '!', ' ', ';']))?;
            format!("{word}, {}", rest[1..].trim_start())
        }
        Constraint::Placeholders { at_least } => format!("{answer}\n\n{}", PLACEHOLDER_LINES.get(at_least - 1)?),
        Constraint::Questions { at_least: 1 } => format!("{answer} {}", one_of(CLOSING_QUESTIONS, rng)),
        Constraint::Hashtags { at_least } => format!("{answer}\n\n{}", tags(answer, *at_least)?),
        Constraint::Heading => format!("# {}\n\n{answer}", title(request, answer)?),
        Constraint::AngleTitle => format!("<<{}>>\n\n{answer}", title(request, answer)?),
        _ => return None,
    };
    Some((drawn, text))
}

/// A sentence that says by a number word of the language how many sentences there are.
fn counted(answer: &str, language: Language) -> Option<String> {
    let count = sentences(answer).len();
    let (_, numeral) = language.numerals().iter().find(|(value, _)| *value == count)?;
    let noun = if count == 1 { "sentence" } else { "sentences" };
    Some(format!("That was {numeral} {noun}."))
}

fn tags(answer: &str, count: usize) -> Option<String> {
    let tags: Vec<String> = content_words(answer)
        .iter()
        .take(count)
        .map(|word| format!("#{word}"))
        .collect();
    (tags.len() == count).then(|| tags.join(" "))
}

/// One to three words that a request is about, or else its answer.
fn title(request: &str, answer: &str) -> Option<String> {
    let topic = [request, answer]
        .map(content_words)
        .into_iter()
        .find(|topic| !topic.is_empty())?;
    let words: Vec<String> = topic.iter().take(3).map(|word| capitalized(word)).collect();
    Some(words.join(" "))
}

fn capitalized(word: &str) -> String {
    let mut chars = word.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    first.chain(chars.as_str().chars()).collect()
}

/// The answer's sentences on other lines, or the first of them. An answer with a list is left alone.
fn arranged(kind: &str, answer: &str, rng: &mut impl Rng) -> Option<(Constraint, String)> {
    if answer.lines().any(|line| is_bullet(line) || number_of(line).is_some()) {
        return None;
    }
    let all: Vec<String> = sentences(answer).into_iter().map(one_line).collect();
    let n = all.len().min(MOST_PARTS);
    let parts = &all[..n];
    let several = n >= 2;
    Some(match kind {
        "bullets" if several => (Constraint::Bullets { n }, joined(parts, |_, s| format!("- {s}"))),
        "numbered" if several => (
            Constraint::Numbered { n },
            joined(parts, |i, s| format!("{}. {s}", i + 1)),
        ),
        "lines" if several => (Constraint::Lines { n }, parts.join("\n")),
        "paragraphs" if several => {
            let n = n.min(rng.random_range(2..=4));
            let groups: Vec<String> = grouped(&all, n);
            (Constraint::Paragraphs { n }, groups.join("\n\n"))
        }
        "two_parts" if several => (Constraint::TwoParts, grouped(&all, 2).join("\n***\n")),
        "no_full_stop" => {
            let bare: Vec<&str> = all.iter().map(|s| s.trim_end_matches('.')).collect();
            (Constraint::NoFullStop, bare.join("\n"))
        }
        "sentences_exactly" | "sentences_at_most" => {
            let n = rng.random_range(1..=n.min(4));
            let first = parts[..n].join(" ");
            match kind {
                "sentences_exactly" => (Constraint::SentencesExactly { n }, first),
                _ => (Constraint::SentencesAtMost { n }, first),
            }
        }
        "words_at_most" => {
            let first = one_of(&["20", "30", "40", "50"], rng).parse().ok()?;
            (Constraint::WordsAtMost { n: first }, beginning(&all, first)?)
        }
        "words_between" => {
            let (low, high) = *WORD_BOUNDS.choose(rng)?;
            (Constraint::WordsBetween { low, high }, beginning(&all, high)?)
        }
        _ => return None,
    })
}

fn one_line(sentence: &str) -> String {
    sentence.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn joined(parts: &[String], line: impl Fn(usize, &str) -> String) -> String {
    let lines: Vec<String> = parts.iter().enumerate().map(|(i, part)| line(i, part)).collect();
    lines.join("\n")
}

/// Sentences in so many groups of about equal size.
fn grouped(all: &[String], groups: usize) -> Vec<String> {
    let cut = |group: usize| group * all.len() / groups;
    (0..groups)
        .map(|group| all[cut(group)..cut(group + 1)].join(" "))
        .collect()
}

/// As many sentences from the first as have room in `most` words, if there is room for one.
fn beginning(all: &[String], most: usize) -> Option<String> {
    let mut count = 0;
    let fits = |sentence: &&String| {
        count += words(sentence).len();
        count <= most
    };
    let first: Vec<&str> = all.iter().take_while(fits).map(String::as_str).collect();
    (!first.is_empty()).then(|| first.join(" "))
}

/// The answer with marks around it or around words of it.
fn marked(kind: &str, request: &str, answer: &str, rng: &mut impl Rng) -> Option<(Constraint, String)> {
    let is_quote = |c: char| matches!(c, '"' | '“' | '”' | '„' | '«' | '»');
    let drawn = Constraint::draw(kind, request, rng)?;
    let text = match &drawn {
        Constraint::Quoted => format!("\"{}\"", answer.replace(is_quote, "'")),
        Constraint::Parenthesized => format!("({answer})"),
        Constraint::CodeBlock => format!("```\n{answer}\n```"),
        Constraint::Json => json!({ one_of(KEYS, rng): answer }).to_string(),
        Constraint::JsonKey { key } => json!({ key.as_str(): answer }).to_string(),
        Constraint::Bold { at_least } if !answer.contains('*') => {
            with_some_words(answer, *at_least, |word| format!("**{word}**"))
        }
        Constraint::CapitalWords { at_least } => with_some_words(answer, *at_least, str::to_uppercase),
        _ => return None,
    };
    Some((drawn, text))
}

/// The answer with the first so many of its telling words written otherwise.
fn with_some_words(answer: &str, count: usize, write: impl Fn(&str) -> String) -> String {
    let mut telling = content_words(answer);
    telling.truncate(count);
    rewrite_words(answer, |word| {
        let place = telling.iter().position(|known| *known == fold(word))?;
        telling.remove(place);
        Some(write(word))
    })
}

/// The answer in other letters, or without some marks.
fn rewritten(kind: &str, answer: &str) -> Option<(Constraint, String)> {
    Some(match kind {
        "lower_case" => (Constraint::LowerCase, answer.to_lowercase()),
        "upper_case" => (Constraint::UpperCase, answer.to_uppercase()),
        "title_case" => (
            Constraint::TitleCase,
            rewrite_words(answer, |word| Some(capitalized(word))),
        ),
        "no_comma" => (Constraint::NoComma, answer.replace(',', "")),
        "end_exclamation" => {
            let open = answer.strip_suffix('.').filter(|rest| !rest.ends_with('.'))?;
            (Constraint::EndExclamation, format!("{open}!"))
        }
        _ => return None,
    })
}
