//! Beginnings and endings.

use crate::text::{CLOSERS, fold, has_word, words};

use super::vocabulary::likeness;
use super::{Answer, Check};

/// Nearness of a right word in the second place; it falls with the distance.
const MISPLACED: f64 = 0.8;
/// Nearness of what is there but not in its place or not written as it should be.
const PARTLY: f64 = 0.5;

pub(super) fn first_word(answer: &Answer<'_>, word: &str) -> Check {
    end_word(answer.words.iter().copied(), word)
}

pub(super) fn last_word(answer: &Answer<'_>, word: &str) -> Check {
    end_word(answer.words.iter().rev().copied(), word)
}

/// Compares the first of some words; further on the right word is worth the less the further away it is.
fn end_word<'a>(words: impl Iterator<Item = &'a str>, wanted: &str) -> Check {
    let wanted = fold(wanted);
    let words: Vec<String> = words.map(fold).collect();
    let like = words.first().map_or(0.0, |word| likeness(word, &wanted));
    let place = words.iter().position(|word| *word == wanted);
    let near = place.map_or(0.0, |place| MISPLACED / (place.max(1) as f64));
    Check::new(place == Some(0), near.max(like))
}

pub(super) fn start_phrase(answer: &Answer<'_>, phrase: &str) -> Check {
    let same = common(answer.text.chars(), phrase.chars());
    let rest = answer.text.strip_prefix(phrase);
    let met = rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric) && has_word(rest));
    let near = alike(same, phrase, answer.words.iter().copied(), words(phrase).into_iter());
    Check::new(met, near)
}

pub(super) fn end_phrase(answer: &Answer<'_>, phrase: &str) -> Check {
    let same = common(answer.text.chars().rev(), phrase.chars().rev());
    let rest = answer.text.strip_suffix(phrase);
    let met = rest.is_some_and(|rest| !rest.ends_with(char::is_alphanumeric) && has_word(rest));
    let near = alike(
        same,
        phrase,
        answer.words.iter().rev().copied(),
        words(phrase).into_iter().rev(),
    );
    Check::new(met, near)
}

fn common(one: impl Iterator<Item = char>, other: impl Iterator<Item = char>) -> usize {
    one.zip(other).take_while(|(a, b)| a == b).count()
}

/// Half for the characters in place, half for the words in place, up to the first that differs.
fn alike<'a>(
    same: usize,
    phrase: &str,
    found: impl Iterator<Item = &'a str>,
    wanted: impl ExactSizeIterator<Item = &'a str>,
) -> f64 {
    let count = wanted.len().max(1);
    let words = found.zip(wanted).take_while(|(a, b)| fold(a) == fold(b)).count();
    let letters = same as f64 / phrase.chars().count().max(1) as f64;
    (letters + words as f64 / count as f64) / 2.0
}

pub(super) fn yes_no(answer: &Answer<'_>) -> Check {
    let begins = |word: &str| answer.text.starts_with(word);
    let more = answer.words.len() > 1;
    let word = fold(answer.words[0]);
    let near = if ["yes", "no"].contains(&word.as_str()) {
        PARTLY
    } else {
        0.0
    };
    Check::new(more && (begins("Yes,") || begins("No,")), near)
}

/// The share of the request's words that the answer begins with.
pub(super) fn repeat_request(answer: &Answer<'_>, request: &str) -> Check {
    let wanted: Vec<String> = words(request).into_iter().map(fold).collect();
    let found = answer.words.iter().map(|word| fold(word));
    let same = found.zip(&wanted).take_while(|(a, b)| a == *b).count();
    let more = answer.words.len() > wanted.len();
    Check::new(same == wanted.len() && more, same as f64 / wanted.len().max(1) as f64)
}

/// The nearer the last such mark is to the end, the more.
pub(super) fn end_mark(answer: &Answer<'_>, mark: char) -> Check {
    let text = answer.text.trim_end_matches(CLOSERS);
    let at = text.rfind(mark).map_or(0.0, |at| at as f64 / text.len().max(1) as f64);
    Check::new(text.ends_with(mark), PARTLY * at)
}

/// A last paragraph, or a line, that begins with "P.S." and goes on, with words before it.
pub(super) fn postscript(answer: &Answer<'_>) -> Check {
    let Some(at) = answer.text.rfind("P.S.") else {
        let like = ["PS", "p.s."].iter().any(|mark| answer.text.contains(mark));
        return Check::new(false, if like { PARTLY / 2.0 } else { 0.0 });
    };
    let (before, after) = (&answer.text[..at], &answer.text[at + "P.S.".len()..]);
    let on_its_line = before.trim_end_matches([' ', '*', '_']).ends_with('\n');
    let met = on_its_line && has_word(before) && has_word(after) && !after.contains("\n\n");
    Check::new(met, PARTLY)
}
