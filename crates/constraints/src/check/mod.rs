//! Checking answers against constraints.

mod case;
mod count;
mod ends;
mod form;
mod marks;
mod vocabulary;

use serde::{Deserialize, Serialize};

use crate::constraint::Constraint;
use crate::text::{has_word, words};

/// The most that an answer gets that does not meet a constraint.
const NEAREST: f64 = 0.99;

/// Outcome of checking an answer against a constraint.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// True of an answer that meets the constraint.
    pub met: bool,
    /// Nearness of the answer to meeting it, in 0..=1; 1 exactly when it is met.
    pub degree: f64,
}

impl Check {
    /// An answer that has nothing of what was asked.
    const NOTHING: Self = Self {
        met: false,
        degree: 0.0,
    };

    /// Met, or else near to it by so much.
    fn new(met: bool, near: f64) -> Self {
        if met {
            return Self { met, degree: 1.0 };
        }
        let degree = if near.is_nan() { 0.0 } else { near.clamp(0.0, NEAREST) };
        Self { met, degree }
    }

    /// Met if nothing is missing of a share.
    fn share(part: usize, whole: usize) -> Self {
        Self::new(part >= whole && whole > 0, part as f64 / whole.max(1) as f64)
    }
}

/// An answer whose words are counted.
struct Answer<'a> {
    /// Trimmed, with plain line breaks.
    text: &'a str,
    /// At least one.
    words: Vec<&'a str>,
}

impl Constraint {
    /// Checks an answer to a request. The request is the user's, without the instruction that asks for the constraint.
    ///
    /// ```
    /// use rlhf_constraints::Constraint;
    ///
    /// let brief = Constraint::WordsAtMost { n: 2 };
    /// assert!(brief.check("Explain tides.", "Moon pulls.").met);
    /// assert_eq!(brief.check("Explain tides.", "The moon pulls water.").degree, 0.5);
    /// ```
    pub fn check(&self, request: &str, answer: &str) -> Check {
        let text = answer.replace("\r\n", "\n");
        let text = text.trim();
        if !has_word(text) {
            return Check::NOTHING;
        }
        let answer = Answer {
            text,
            words: words(text),
        };
        self.check_words(request, &answer)
    }

    fn check_words(&self, request: &str, answer: &Answer<'_>) -> Check {
        match self {
            Self::WordUsed { word } => vocabulary::repeated(answer, word, 1),
            Self::WordRepeated { word, times } => vocabulary::repeated(answer, word, *times),
            Self::TwoWords { words } => vocabulary::all_used(answer, words),
            Self::WordsAbsent { words } => vocabulary::absent(answer, words),
            Self::LetterAbsent { letter } => vocabulary::letter_absent(answer, *letter),
            Self::LetterCount { letter, at_least } => vocabulary::letter_count(answer, *letter, *at_least),
            Self::Alliteration { letter, at_least } => vocabulary::alliteration(answer, *letter, *at_least),
            Self::Numeral { language } => vocabulary::numeral(answer, *language),
            Self::ShortWords { letters } => vocabulary::short_words(answer, *letters),
            Self::FirstWord { word } => ends::first_word(answer, word),
            Self::LastWord { word } => ends::last_word(answer, word),
            Self::StartPhrase { phrase } => ends::start_phrase(answer, phrase),
            Self::EndPhrase { phrase } => ends::end_phrase(answer, phrase),
            Self::YesNo => ends::yes_no(answer),
            Self::RepeatRequest => ends::repeat_request(answer, request),
            Self::EndQuestion => ends::end_mark(answer, '?'),
            Self::EndExclamation => ends::end_mark(answer, '!'),
            Self::Postscript => ends::postscript(answer),
            Self::SentencesExactly { n } => count::exactly(count::sentence_count(answer), *n),
            Self::SentencesAtMost { n } => count::at_most(count::sentence_count(answer), *n),
            Self::SentencesAtLeast { n } => count::at_least(count::sentence_count(answer), *n),
            Self::DistinctSentences { at_least } => count::distinct_sentences(answer, *at_least),
            Self::ShortSentences { words } => count::short_sentences(answer, *words),
            Self::Questions { at_least } => count::at_least(count::question_count(answer), *at_least),
            Self::WordsAtMost { n } => count::at_most(answer.words.len(), *n),
            Self::WordsAtLeast { n } => count::at_least(answer.words.len(), *n),
            Self::WordsBetween { low, high } => count::between(answer.words.len(), *low, *high),
            Self::OneWord => count::exactly(answer.words.len(), 1),
            Self::Paragraphs { n } => count::exactly(count::paragraph_count(answer), *n),
            Self::Lines { n } => count::exactly(count::line_count(answer), *n),
            Self::Bullets { n } => count::exactly(count::bullet_count(answer), *n),
            Self::Numbered { n } => form::numbered(answer, *n),
            Self::TwoParts => form::two_parts(answer),
            Self::Heading => form::heading(answer),
            Self::AngleTitle => form::angle_title(answer),
            Self::CodeBlock => form::code_block(answer),
            Self::Json => form::json(answer),
            Self::JsonKey { key } => form::json_key(answer, key),
            Self::Quoted => form::quoted(answer),
            Self::Parenthesized => form::parenthesized(answer),
            Self::LowerCase => case::lower(answer),
            Self::UpperCase => case::upper(answer),
            Self::TitleCase => case::title(answer),
            Self::CapitalWords { at_least } => count::at_least(case::capital_words(answer), *at_least),
            Self::NoComma => marks::none(answer, |c| c == ','),
            Self::NoFullStop => marks::none(answer, |c| c == '.'),
            Self::NoDigit => marks::none(answer, char::is_numeric),
            Self::Commas { at_least } => count::at_least(marks::count(answer, |c| c == ','), *at_least),
            Self::Digit => marks::digit(answer),
            Self::Bold { at_least } => count::at_least(marks::bold(answer), *at_least),
            Self::Placeholders { at_least } => count::at_least(marks::placeholders(answer), *at_least),
            Self::Hashtags { at_least } => count::at_least(marks::hashtags(answer), *at_least),
        }
    }
}
