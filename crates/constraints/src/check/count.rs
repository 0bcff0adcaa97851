//! Numbers of sentences, words, paragraphs, lines.

use std::collections::BTreeSet;

use crate::text::{CLOSERS, fold, is_bullet, paragraphs, sentences, words};

use super::{Answer, Check};

fn ratio(small: usize, great: usize) -> f64 {
    small as f64 / great.max(1) as f64
}

pub(super) fn exactly(found: usize, wanted: usize) -> Check {
    Check::new(found == wanted, ratio(found.min(wanted), found.max(wanted)))
}

pub(super) fn at_most(found: usize, most: usize) -> Check {
    Check::new(found <= most, ratio(most, found))
}

pub(super) fn at_least(found: usize, least: usize) -> Check {
    Check::new(found >= least, ratio(found, least))
}

pub(super) fn between(found: usize, low: usize, high: usize) -> Check {
    if found < low {
        at_least(found, low)
    } else {
        at_most(found, high)
    }
}

pub(super) fn sentence_count(answer: &Answer<'_>) -> usize {
    sentences(answer.text).len()
}

pub(super) fn question_count(answer: &Answer<'_>) -> usize {
    let asks = |sentence: &&str| sentence.trim_end_matches(CLOSERS).ends_with('?');
    sentences(answer.text).into_iter().filter(asks).count()
}

pub(super) fn paragraph_count(answer: &Answer<'_>) -> usize {
    paragraphs(answer.text).len()
}

pub(super) fn line_count(answer: &Answer<'_>) -> usize {
    answer.text.lines().filter(|line| !line.trim().is_empty()).count()
}

pub(super) fn bullet_count(answer: &Answer<'_>) -> usize {
    answer.text.lines().filter(|line| is_bullet(line)).count()
}

/// The share of different sentences, among all and among those that are wanted.
pub(super) fn distinct_sentences(answer: &Answer<'_>, least: usize) -> Check {
    let all: Vec<Vec<String>> = sentences(answer.text)
        .into_iter()
        .map(|sentence| words(sentence).into_iter().map(fold).collect())
        .collect();
    let distinct = all.iter().collect::<BTreeSet<_>>().len();
    Check::share(distinct, all.len().max(least))
}

/// The share of sentences that are short enough.
pub(super) fn short_sentences(answer: &Answer<'_>, most: usize) -> Check {
    let all = sentences(answer.text);
    let short = all.iter().filter(|sentence| words(sentence).len() <= most).count();
    Check::share(short, all.len())
}
