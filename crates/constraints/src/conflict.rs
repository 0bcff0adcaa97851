//! Constraints that cannot be kept together.

use crate::constraint::Constraint;
use crate::text::{fold, words};

/// A side of an answer of which two constraints do not both dispose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Start,
    End,
    /// Number of words or sentences.
    Length,
    /// Lines and paragraphs.
    Layout,
    /// What stands around all of it.
    Frame,
    Case,
    Commas,
    Stops,
    Digits,
    Letters,
    /// Words that may be used at all.
    Choice,
}

/// True of two constraints that one answer can keep. In doubt they are kept apart: the rule goes by what each disposes of
/// (the beginning, the end, the length, ...) and by texts that one needs and the other forbids.
///
/// ```
/// use rlhf_constraints::{Constraint, compatible};
///
/// assert!(compatible(&Constraint::LowerCase, &Constraint::NoComma));
/// assert!(!compatible(&Constraint::LowerCase, &Constraint::UpperCase));
/// ```
pub fn compatible(a: &Constraint, b: &Constraint) -> bool {
    let alone = [a, b].iter().any(|c| matches!(c, Constraint::OneWord));
    let share = a.sides().iter().any(|side| b.sides().contains(side));
    let clash = |a: &Constraint, b: &Constraint| b.needs().iter().any(|text| a.forbids(text));
    a.kind() != b.kind() && !alone && !share && !clash(a, b) && !clash(b, a)
}

impl Constraint {
    fn sides(&self) -> &'static [Side] {
        use Side::{Case, Choice, Commas, Digits, End, Frame, Layout, Length, Letters, Start, Stops};
        match self {
            Self::WordUsed { .. } | Self::WordRepeated { .. } | Self::TwoWords { .. } | Self::Numeral { .. } => &[],
            Self::Bold { .. } | Self::Placeholders { .. } | Self::Hashtags { .. } | Self::OneWord => &[],
            Self::WordsAbsent { .. } | Self::ShortWords { .. } => &[Choice],
            Self::LetterAbsent { .. } | Self::LetterCount { .. } | Self::Alliteration { .. } => &[Letters],
            Self::FirstWord { .. } | Self::StartPhrase { .. } | Self::YesNo => &[Start],
            Self::LastWord { .. } | Self::EndPhrase { .. } | Self::EndQuestion | Self::EndExclamation => &[End],
            Self::RepeatRequest => &[
                Start, Length, Layout, Frame, Case, Commas, Stops, Digits, Letters, Choice,
            ],
            Self::Postscript => &[End, Length, Layout, Stops],
            Self::SentencesExactly { .. } | Self::SentencesAtMost { .. } | Self::SentencesAtLeast { .. } => {
                &[Length, Stops]
            }
            Self::DistinctSentences { .. } | Self::ShortSentences { .. } => &[Length, Stops],
            Self::Questions { .. } => &[Length],
            Self::WordsAtMost { .. } | Self::WordsAtLeast { .. } | Self::WordsBetween { .. } => &[Length],
            Self::Paragraphs { .. } | Self::Lines { .. } | Self::Bullets { .. } => &[Length, Layout],
            Self::Numbered { .. } => &[Length, Layout, Stops, Digits],
            Self::TwoParts | Self::Heading | Self::AngleTitle => &[Length, Layout],
            Self::CodeBlock | Self::Quoted | Self::Parenthesized => &[Start, End, Layout, Frame],
            Self::Json | Self::JsonKey { .. } => &[Start, End, Length, Layout, Frame, Stops],
            Self::LowerCase | Self::UpperCase | Self::TitleCase | Self::CapitalWords { .. } => &[Case],
            Self::NoComma | Self::Commas { .. } => &[Commas],
            Self::NoFullStop => &[Stops],
            Self::NoDigit | Self::Digit => &[Digits],
        }
    }

    /// Texts without which it cannot be kept.
    fn needs(&self) -> Vec<String> {
        match self {
            Self::WordUsed { word } | Self::WordRepeated { word, .. } => vec![fold(word)],
            Self::FirstWord { word } | Self::LastWord { word } => vec![fold(word)],
            Self::TwoWords { words } => words.iter().map(|word| fold(word)).collect(),
            Self::StartPhrase { phrase } | Self::EndPhrase { phrase } => vec![phrase.clone()],
            Self::YesNo => vec!["Yes,".to_owned(), "No,".to_owned()],
            Self::Postscript => vec!["P.S.".to_owned()],
            Self::JsonKey { key } => vec![format!("{key:?}")],
            Self::Numeral { language } => language.numerals().iter().map(|(_, word)| (*word).to_owned()).collect(),
            _ => Vec::new(),
        }
    }

    /// True if it cannot be kept by an answer that has this text.
    fn forbids(&self, text: &str) -> bool {
        let is_phrase = text.chars().any(|c| !c.is_alphanumeric());
        match self {
            Self::WordsAbsent { words: absent } => words(&fold(text))
                .iter()
                .any(|word| absent.iter().any(|w| fold(w) == *word)),
            Self::LetterAbsent { letter } => fold(text).contains(*letter),
            Self::ShortWords { letters } => words(text).iter().any(|word| word.chars().count() > *letters),
            Self::NoComma => text.contains(','),
            Self::NoFullStop => text.contains('.'),
            Self::NoDigit => text.contains(char::is_numeric),
            Self::LowerCase => text.contains(char::is_uppercase),
            // Words may be written in any case, phrases as they are.
            Self::UpperCase | Self::TitleCase => is_phrase && text.contains(char::is_lowercase),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(word: &str) -> Constraint {
        Constraint::WordUsed { word: word.to_owned() }
    }

    #[test]
    fn what_one_needs_the_other_must_allow() {
        let absent = Constraint::WordsAbsent {
            words: vec!["The".to_owned(), "moon".to_owned()],
        };
        let ending = |phrase: &str| Constraint::EndPhrase {
            phrase: phrase.to_owned(),
        };
        let no_m = Constraint::LetterAbsent { letter: 'm' };
        for (a, b, expected) in [
            (&word("moon"), &absent, false),
            (&word("sea"), &absent, true),
            (&word("moon"), &no_m, false),
            (&word("sea"), &no_m, true),
            (&word("sea"), &Constraint::UpperCase, true),
            (&ending("That is all."), &Constraint::UpperCase, false),
            (&ending("That is all."), &Constraint::LowerCase, false),
            (&ending("That is all."), &Constraint::NoFullStop, false),
            (&ending("That is all."), &Constraint::EndQuestion, false),
            (&ending("That is all."), &Constraint::NoComma, true),
            (&Constraint::NoComma, &Constraint::Commas { at_least: 2 }, false),
            (&Constraint::NoComma, &Constraint::YesNo, false),
            (&Constraint::OneWord, &Constraint::NoComma, false),
            (
                &Constraint::Bullets { n: 3 },
                &Constraint::SentencesExactly { n: 2 },
                false,
            ),
            (&Constraint::RepeatRequest, &Constraint::NoDigit, false),
            (&Constraint::Json, &Constraint::Quoted, false),
            (&Constraint::Json, &Constraint::NoComma, true),
        ] {
            assert_eq!(compatible(a, b), expected, "{a:?} {b:?}");
            assert_eq!(compatible(b, a), expected, "{b:?} {a:?}");
        }
    }

    #[test]
    fn a_kind_does_not_go_with_itself() {
        assert!(!compatible(&word("sea"), &word("moon")));
    }
}
