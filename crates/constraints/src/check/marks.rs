//! Marks within an answer.

use crate::text::has_word;

use super::{Answer, Check};

pub(super) fn count(answer: &Answer<'_>, is: impl Fn(char) -> bool) -> usize {
    answer.text.chars().filter(|c| is(*c)).count()
}

/// One in one more than there are of them.
pub(super) fn none(answer: &Answer<'_>, is: impl Fn(char) -> bool) -> Check {
    let found = count(answer, is);
    Check::new(found == 0, 1.0 / (found + 1) as f64)
}

pub(super) fn digit(answer: &Answer<'_>) -> Check {
    Check::new(count(answer, |c| c.is_ascii_digit()) > 0, 0.0)
}

/// Words or phrases between double asterisks, on one line.
pub(super) fn bold(answer: &Answer<'_>) -> usize {
    let in_line = |line: &str| {
        let pieces: Vec<&str> = line.split("**").collect();
        let closed = pieces.len() - usize::from(pieces.len().is_multiple_of(2));
        let inside = pieces[..closed].iter().skip(1).step_by(2);
        inside.filter(|piece| is_tight(piece)).count()
    };
    answer.text.lines().map(in_line).sum()
}

fn is_tight(piece: &str) -> bool {
    has_word(piece) && piece.trim() == piece
}

/// Names in square brackets that are no links.
pub(super) fn placeholders(answer: &Answer<'_>) -> usize {
    let is_name = |piece: &&str| {
        let name = piece.split_once(']');
        name.is_some_and(|(name, rest)| has_word(name) && !name.contains('\n') && !rest.starts_with('('))
    };
    answer.text.split('[').skip(1).filter(is_name).count()
}

/// Words behind a "#" that begins them.
pub(super) fn hashtags(answer: &Answer<'_>) -> usize {
    let is_tag = |word: &&str| {
        let name = word.strip_prefix('#');
        name.is_some_and(|name| name.starts_with(char::is_alphabetic))
    };
    answer.text.split_whitespace().filter(is_tag).count()
}
