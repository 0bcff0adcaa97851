//! Drawing constraints for a request.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};

use crate::constraint::{Constraint, Language};
use crate::text::content_words;

/// Words to ask for where a request has none.
const WORDS: &[&str] = &[
    "water", "light", "simple", "often", "world", "friend", "nature", "small", "music", "paper", "green", "morning",
];
/// Words that are easily written and not hard to avoid.
const COMMON_WORDS: &[&str] = &[
    "the", "and", "is", "that", "it", "for", "with", "can", "are", "you", "very", "this",
];
/// Letters that are neither in every word nor in hardly any.
pub(crate) const LETTERS: &[char] = &['b', 'c', 'd', 'f', 'g', 'k', 'l', 'm', 'p', 'v', 'w', 'y'];
const FIRST_WORDS: &[&str] = &[
    "first",
    "here",
    "today",
    "well",
    "imagine",
    "sometimes",
    "one",
    "perhaps",
];
const LAST_WORDS: &[&str] = &[
    "done", "today", "enough", "then", "end", "forever", "always", "together",
];
/// Beginnings, each a clause by itself.
pub(crate) const STARTS: &[&str] = &[
    "Here is my answer:",
    "In short:",
    "Good question!",
    "Let us see.",
    "As far as I know:",
    "Thank you for asking.",
];
/// Endings, each a sentence by itself.
pub(crate) const ENDINGS: &[&str] = &[
    "That is all.",
    "I hope this helps!",
    "Let me know what you think.",
    "Is there anything else?",
    "This is my answer.",
    "Have a nice day!",
];
/// Keys of JSON objects.
pub(crate) const KEYS: &[&str] = &["answer", "text", "reply", "result", "response", "summary"];
/// Bounds of numbers of words.
pub(crate) const WORD_BOUNDS: &[(usize, usize)] = &[(10, 20), (15, 30), (20, 40), (30, 50), (40, 60), (50, 80)];

impl Constraint {
    /// A constraint of a kind for a request, with parameters that a small model can reach; nothing for a name that is no
    /// kind. Words to use are the request's own, if it has any that say something.
    pub fn draw(kind: &str, request: &str, rng: &mut impl Rng) -> Option<Self> {
        draw_vocabulary(kind, request, rng)
            .or_else(|| draw_count(kind, rng))
            .or_else(|| draw_form(kind, rng))
    }
}

fn one_of<T: Copy>(list: &[T], rng: &mut impl Rng) -> T {
    *list.choose(rng).expect("the list is a constant with entries")
}

fn word_of(list: &[&str], rng: &mut impl Rng) -> String {
    one_of(list, rng).to_owned()
}

/// Two different words that an answer to the request might well have.
fn likely_words(request: &str, rng: &mut impl Rng) -> [String; 2] {
    let mut likely = content_words(request);
    likely.shuffle(rng);
    let mut spare: Vec<&str> = WORDS.to_vec();
    spare.shuffle(rng);
    for word in spare {
        if likely.len() < 2 && !likely.iter().any(|known| known == word) {
            likely.push(word.to_owned());
        }
    }
    let mut likely = likely.into_iter();
    [likely.next().unwrap_or_default(), likely.next().unwrap_or_default()]
}

/// Two words to avoid: a common one, and one of the request or another common one.
fn unwanted_words(request: &str, rng: &mut impl Rng) -> Vec<String> {
    let mut common: Vec<&str> = COMMON_WORDS.to_vec();
    common.shuffle(rng);
    let own = content_words(request);
    let second = own.choose(rng).filter(|_| rng.random_bool(0.5));
    let second = second.filter(|word| **word != common[0]);
    vec![
        common[0].to_owned(),
        second.cloned().unwrap_or_else(|| common[1].to_owned()),
    ]
}

fn draw_vocabulary(kind: &str, request: &str, rng: &mut impl Rng) -> Option<Constraint> {
    let [word, other] = likely_words(request, rng);
    Some(match kind {
        "word_used" => Constraint::WordUsed { word },
        "word_repeated" => Constraint::WordRepeated {
            word,
            times: rng.random_range(2..=3),
        },
        "two_words" => Constraint::TwoWords { words: [word, other] },
        "words_absent" => Constraint::WordsAbsent {
            words: unwanted_words(request, rng),
        },
        "letter_absent" => Constraint::LetterAbsent {
            letter: one_of(LETTERS, rng),
        },
        "letter_count" => Constraint::LetterCount {
            letter: one_of(LETTERS, rng),
            at_least: rng.random_range(3..=6),
        },
        "alliteration" => Constraint::Alliteration {
            letter: one_of(LETTERS, rng),
            at_least: rng.random_range(2..=4),
        },
        "numeral" => Constraint::Numeral {
            language: one_of(&Language::ALL, rng),
        },
        "short_words" => Constraint::ShortWords {
            letters: rng.random_range(7..=10),
        },
        "first_word" => Constraint::FirstWord {
            word: end_word(FIRST_WORDS, &word, rng),
        },
        "last_word" => Constraint::LastWord {
            word: end_word(LAST_WORDS, &word, rng),
        },
        _ => return None,
    })
}

/// A word of the list or, one time in two, the likely one.
fn end_word(list: &[&str], likely: &str, rng: &mut impl Rng) -> String {
    if rng.random_bool(0.5) {
        likely.to_owned()
    } else {
        word_of(list, rng)
    }
}

fn draw_count(kind: &str, rng: &mut impl Rng) -> Option<Constraint> {
    let mut from = |low: usize, high: usize| rng.random_range(low..=high);
    Some(match kind {
        "sentences_exactly" => Constraint::SentencesExactly { n: from(1, 5) },
        "sentences_at_most" => Constraint::SentencesAtMost { n: from(1, 4) },
        "sentences_at_least" => Constraint::SentencesAtLeast { n: from(2, 5) },
        "distinct_sentences" => Constraint::DistinctSentences { at_least: from(2, 4) },
        "short_sentences" => Constraint::ShortSentences { words: from(8, 15) },
        "questions" => Constraint::Questions { at_least: from(1, 2) },
        "words_at_most" => Constraint::WordsAtMost { n: 5 * from(2, 10) },
        "words_at_least" => Constraint::WordsAtLeast { n: 10 * from(1, 8) },
        "words_between" => {
            let (low, high) = one_of(WORD_BOUNDS, rng);
            Constraint::WordsBetween { low, high }
        }
        "paragraphs" => Constraint::Paragraphs { n: from(2, 4) },
        "lines" => Constraint::Lines { n: from(2, 5) },
        "bullets" => Constraint::Bullets { n: from(2, 5) },
        "numbered" => Constraint::Numbered { n: from(2, 5) },
        "capital_words" => Constraint::CapitalWords { at_least: from(1, 4) },
        "commas" => Constraint::Commas { at_least: from(2, 5) },
        "bold" => Constraint::Bold { at_least: from(1, 3) },
        "placeholders" => Constraint::Placeholders { at_least: from(1, 3) },
        "hashtags" => Constraint::Hashtags { at_least: from(1, 3) },
        _ => return None,
    })
}

fn draw_form(kind: &str, rng: &mut impl Rng) -> Option<Constraint> {
    Some(match kind {
        "start_phrase" => Constraint::StartPhrase {
            phrase: word_of(STARTS, rng),
        },
        "end_phrase" => Constraint::EndPhrase {
            phrase: word_of(ENDINGS, rng),
        },
        "json_key" => Constraint::JsonKey {
            key: word_of(KEYS, rng),
        },
        "yes_no" => Constraint::YesNo,
        "repeat_request" => Constraint::RepeatRequest,
        "end_question" => Constraint::EndQuestion,
        "end_exclamation" => Constraint::EndExclamation,
        "postscript" => Constraint::Postscript,
        "one_word" => Constraint::OneWord,
        "two_parts" => Constraint::TwoParts,
        "heading" => Constraint::Heading,
        "angle_title" => Constraint::AngleTitle,
        "code_block" => Constraint::CodeBlock,
        "json" => Constraint::Json,
        "quoted" => Constraint::Quoted,
        "parenthesized" => Constraint::Parenthesized,
        "lower_case" => Constraint::LowerCase,
        "upper_case" => Constraint::UpperCase,
        "title_case" => Constraint::TitleCase,
        "no_comma" => Constraint::NoComma,
        "no_full_stop" => Constraint::NoFullStop,
        "no_digit" => Constraint::NoDigit,
        "digit" => Constraint::Digit,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::constraint::KINDS;
    use crate::text::words;

    #[test]
    fn there_are_many_kinds_and_each_can_be_drawn_for_any_request() {
        assert!(KINDS.len() >= 40);
        assert_eq!(KINDS.iter().collect::<BTreeSet<_>>().len(), KINDS.len());
        let mut rng = rlhf_tasks::stream(1, "test", 0);
        for kind in KINDS {
            for request in ["Explain tides.", "Why?", "", "潮汐是什么？"] {
                let drawn = Constraint::draw(kind, request, &mut rng).unwrap();
                assert_eq!(drawn.kind(), *kind);
                let stored = serde_json::to_value(&drawn).unwrap();
                assert_eq!(stored["kind"], *kind);
                assert_eq!(serde_json::from_value::<Constraint>(stored).unwrap(), drawn);
            }
        }
        assert_eq!(Constraint::draw("rhyme", "Why?", &mut rng), None);
    }

    #[test]
    fn words_to_use_are_the_requests_own() {
        let mut rng = rlhf_tasks::stream(1, "test", 0);
        for _ in 0..20 {
            let Some(Constraint::WordUsed { word }) = Constraint::draw("word_used", "Explain ocean tides.", &mut rng)
            else {
                panic!("a word is asked for");
            };
            assert!(["ocean", "tides"].contains(&word.as_str()), "{word}");
        }
    }

    #[test]
    fn two_words_are_different() {
        let mut rng = rlhf_tasks::stream(1, "test", 0);
        for _ in 0..200 {
            let [a, b] = likely_words("Some paper.", &mut rng);
            assert_ne!(a, b);
            let unwanted = unwanted_words("That very thing, this very paper.", &mut rng);
            assert_ne!(unwanted[0], unwanted[1]);
        }
    }

    #[test]
    fn phrases_are_told_apart_by_words() {
        for phrase in STARTS.iter().chain(ENDINGS) {
            assert!(words(phrase).len() >= 2, "{phrase}");
        }
    }
}
