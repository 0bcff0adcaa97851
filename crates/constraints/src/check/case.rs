//! Small letters and capitals.

use super::{Answer, Check};

/// Small letters and capitals of a text.
fn letters(text: &str) -> (usize, usize) {
    let count = |is: fn(char) -> bool| text.chars().filter(|c| is(*c)).count();
    (count(char::is_lowercase), count(char::is_uppercase))
}

/// The share of letters that are small.
pub(super) fn lower(answer: &Answer<'_>) -> Check {
    let (small, capital) = letters(answer.text);
    Check::share(small, small + capital)
}

/// The share of letters that are capitals.
pub(super) fn upper(answer: &Answer<'_>) -> Check {
    let (small, capital) = letters(answer.text);
    Check::share(capital, small + capital)
}

/// The share of words that begin with a capital, of those that begin with a letter that could be one.
pub(super) fn title(answer: &Answer<'_>) -> Check {
    let firsts = answer.words.iter().filter_map(|word| word.chars().next());
    let cased: Vec<char> = firsts.filter(|c| c.is_lowercase() || c.is_uppercase()).collect();
    Check::share(cased.iter().filter(|c| c.is_uppercase()).count(), cased.len())
}

pub(super) fn capital_words(answer: &Answer<'_>) -> usize {
    let is_capital = |word: &&&str| matches!(letters(word), (0, 2..));
    answer.words.iter().filter(is_capital).count()
}
