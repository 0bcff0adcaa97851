//! Words that occur or do not, and their letters.

use crate::constraint::Language;
use crate::text::fold;

use super::{Answer, Check};

/// Greatest nearness of a word that begins like the one asked for.
const LIKE: f64 = 0.5;

fn folded(answer: &Answer<'_>) -> Vec<String> {
    answer.words.iter().map(|word| fold(word)).collect()
}

/// Nearness of the word that begins most like this one: half the share of letters they begin with alike.
pub(super) fn likeness(word: &str, wanted: &str) -> f64 {
    let alike = word.chars().zip(wanted.chars()).take_while(|(a, b)| a == b).count();
    let longest = word.chars().count().max(wanted.chars().count());
    LIKE * alike as f64 / longest.max(1) as f64
}

fn nearness(words: &[String], wanted: &str) -> f64 {
    words.iter().map(|word| likeness(word, wanted)).fold(0.0, f64::max)
}

pub(super) fn repeated(answer: &Answer<'_>, word: &str, times: usize) -> Check {
    let (words, wanted) = (folded(answer), fold(word));
    let found = words.iter().filter(|word| **word == wanted).count();
    let near = if found == 0 {
        nearness(&words, &wanted)
    } else {
        found as f64
    };
    Check::new(found >= times, near / times.max(1) as f64)
}

/// The mean nearness to using each.
pub(super) fn all_used(answer: &Answer<'_>, words: &[String]) -> Check {
    let checks: Vec<Check> = words.iter().map(|word| repeated(answer, word, 1)).collect();
    let sum: f64 = checks.iter().map(|check| check.degree).sum();
    Check::new(checks.iter().all(|check| check.met), sum / checks.len().max(1) as f64)
}

/// One in one more than there are of them.
pub(super) fn absent(answer: &Answer<'_>, words: &[String]) -> Check {
    let unwanted: Vec<String> = words.iter().map(|word| fold(word)).collect();
    let found = folded(answer).iter().filter(|word| unwanted.contains(word)).count();
    Check::new(found == 0, 1.0 / (found + 1) as f64)
}

/// The share of words that are without the letter.
pub(super) fn letter_absent(answer: &Answer<'_>, letter: char) -> Check {
    let words = folded(answer);
    let without = words.iter().filter(|word| !word.contains(letter)).count();
    Check::share(without, words.len())
}

pub(super) fn letter_count(answer: &Answer<'_>, letter: char, at_least: usize) -> Check {
    let found = fold(answer.text).chars().filter(|c| *c == letter).count();
    Check::share(found, at_least)
}

pub(super) fn alliteration(answer: &Answer<'_>, letter: char, at_least: usize) -> Check {
    let found = folded(answer).iter().filter(|word| word.starts_with(letter)).count();
    Check::share(found, at_least)
}

pub(super) fn numeral(answer: &Answer<'_>, language: Language) -> Check {
    let words = folded(answer);
    let numerals = language.numerals();
    let met = numerals
        .iter()
        .any(|(_, numeral)| words.iter().any(|word| word == numeral));
    let near = numerals.iter().map(|(_, numeral)| nearness(&words, numeral));
    Check::new(met, near.fold(0.0, f64::max))
}

/// The share of words that are short enough, by their letters and digits.
pub(super) fn short_words(answer: &Answer<'_>, letters: usize) -> Check {
    let is_short = |word: &&&str| word.chars().filter(|c| c.is_alphanumeric()).count() <= letters;
    let short = answer.words.iter().filter(is_short).count();
    Check::share(short, answer.words.len())
}
