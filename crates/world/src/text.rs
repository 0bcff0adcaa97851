//! Templates and small matters of English: alternatives, slots, articles, capitals, number words, lists.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// One of the choices.
pub(crate) fn pick<'a>(rng: &mut ChaCha8Rng, choices: &[&'a str]) -> &'a str {
    choices.choose(rng).copied().unwrap_or("")
}

/// Writes a template out: `[a|b]` chooses an alternative (they nest), `{slot}` is replaced, articles and capitals are put right.
pub(crate) fn expand(rng: &mut ChaCha8Rng, template: &str, slots: &[(&str, &str)]) -> String {
    let chosen = alternatives(rng, template);
    let mut out = String::with_capacity(chosen.len() + 32);
    let mut rest = chosen.as_str();
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        let close = rest[open..].find('}').map_or(rest.len(), |i| open + i);
        let name = &rest[open + 1..close];
        match slots.iter().find(|(slot, _)| *slot == name) {
            Some((_, value)) => out.push_str(value),
            None => debug_assert!(false, "template {template:?} has no slot {name:?}"),
        }
        rest = rest.get(close + 1..).unwrap_or("");
    }
    out.push_str(rest);
    tidy(&out)
}

/// Resolves `[a|b|c]`, innermost first.
fn alternatives(rng: &mut ChaCha8Rng, template: &str) -> String {
    let mut text = template.to_owned();
    while let Some(close) = text.find(']') {
        let Some(open) = text[..close].rfind('[') else { break };
        let options: Vec<&str> = text[open + 1..close].split('|').collect();
        let choice = options[rng.random_range(0..options.len())].to_owned();
        text.replace_range(open..=close, &choice);
    }
    text
}

/// One space between words, none before punctuation, "an" before vowels, a capital after each full stop.
pub(crate) fn tidy(text: &str) -> String {
    let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    for i in 0..words.len().saturating_sub(1) {
        if words[i] == "a" || words[i] == "A" {
            let next = words[i + 1].trim_start_matches('"').to_lowercase();
            let vowel = next.starts_with(['a', 'e', 'i', 'o', 'u']);
            if vowel && !next.starts_with("one") && !next.starts_with("use") {
                words[i].push('n');
            }
        }
    }
    let joined = words.join(" ");
    let joined = [" ,", " .", " !", " ?", " ;"]
        .iter()
        .fold(joined, |text, mark| text.replace(mark, &mark[1..]));
    capitalise_sentences(&joined)
}

fn capitalise_sentences(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut start = true;
    let mut mark = false;
    for c in text.chars() {
        if start && c.is_alphabetic() {
            out.extend(c.to_uppercase());
            start = false;
        } else {
            start |= mark && c.is_whitespace();
            out.push(c);
            if !c.is_whitespace() && !matches!(c, '"' | '\'') {
                start &= !c.is_alphanumeric();
            }
        }
        mark = matches!(c, '.' | '!' | '?');
    }
    out
}

/// The first letter as a capital.
pub(crate) fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

/// The sentence without its last mark.
pub(crate) fn without_stop(text: &str) -> &str {
    text.trim_end().trim_end_matches(['.', '!', '?'])
}

/// The sentence as it stands inside another: a small first letter unless it begins with a name.
pub(crate) fn lowered(text: &str) -> String {
    let first = text.split([' ', ',', '\'']).next().unwrap_or("");
    let keeps_capital = first == "I"
        || crate::names::DAYS.contains(&first)
        || crate::names::MONTHS.contains(&first)
        || crate::entities::find_entity(first).is_some();
    let mut chars = text.chars();
    match chars.next() {
        Some(c) if !keeps_capital => c.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

/// "a, b and c".
pub(crate) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

const NUMBERS: [&str; 41] = [
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
    "twenty-one",
    "twenty-two",
    "twenty-three",
    "twenty-four",
    "twenty-five",
    "twenty-six",
    "twenty-seven",
    "twenty-eight",
    "twenty-nine",
    "thirty",
    "thirty-one",
    "thirty-two",
    "thirty-three",
    "thirty-four",
    "thirty-five",
    "thirty-six",
    "thirty-seven",
    "thirty-eight",
    "thirty-nine",
    "forty",
];

/// A number up to forty in words.
pub(crate) fn number_word(n: usize) -> &'static str {
    NUMBERS.get(n).copied().unwrap_or("many")
}

/// The number that a word or numeral says; "no" is not read as zero, for it says too many other things.
pub(crate) fn number_value(word: &str) -> Option<usize> {
    if let Ok(n) = word.parse::<usize>() {
        return Some(n);
    }
    if word == "none" || word == "zero" {
        return Some(0);
    }
    NUMBERS.iter().position(|n| *n == word).filter(|n| *n > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_written_out() {
        let mut rng = rlhf_tasks::stream(1, "text", 0);
        let text = expand(
            &mut rng,
            "{S} is a {V} [.|.] it is [so [true|true]|so true] .",
            &[("S", "odo"), ("V", "owl")],
        );
        assert_eq!(text, "Odo is an owl. It is so true.");
    }

    #[test]
    fn quoted_questions_do_not_capitalise_what_follows() {
        assert_eq!(tidy("\"where is it?\" asked Odo."), "\"Where is it?\" asked Odo.");
    }

    #[test]
    fn numbers_are_read_back() {
        for n in 1..=40 {
            assert_eq!(number_value(number_word(n)), Some(n));
        }
        assert_eq!(number_value("no"), None);
    }
}
