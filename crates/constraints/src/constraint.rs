//! The constraints themselves.

use serde::{Deserialize, Serialize};

/// Something that a program can find in an answer or miss there, with its parameters.
///
/// Words are compared without regard to case, as [whole words](crate::Constraint#words-and-sentences); phrases and marks
/// are compared as they are written. White space around an answer is of no account, and an answer without a word meets
/// nothing.
///
/// # Words and sentences
/// A word is a run of letters and digits, with apostrophes and hyphens inside, a decimal, or an abbreviation like "e.g.".
/// A sentence ends at a full stop, a question mark or an exclamation mark, with the quotation marks that close there, but
/// not at the point of an abbreviation; "..." is one end. A line ends a sentence unless the next goes on in small letters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Constraint {
    /// A word that occurs.
    WordUsed {
        /// The word.
        word: String,
    },
    /// A word that occurs several times.
    WordRepeated {
        /// The word.
        word: String,
        /// Least number of times.
        times: usize,
    },
    /// Two words that both occur.
    TwoWords {
        /// The words.
        words: [String; 2],
    },
    /// Words that do not occur.
    WordsAbsent {
        /// The words.
        words: Vec<String>,
    },
    /// A letter that does not occur, small or capital.
    LetterAbsent {
        /// The letter, small.
        letter: char,
    },
    /// A letter that occurs several times, small or capital.
    LetterCount {
        /// The letter, small.
        letter: char,
        /// Least number of times.
        at_least: usize,
    },
    /// Several words that begin with a letter.
    Alliteration {
        /// The letter, small.
        letter: char,
        /// Least number of words.
        at_least: usize,
    },
    /// A number word of a language, such as "drei".
    Numeral {
        /// The language.
        language: Language,
    },
    /// The first word.
    FirstWord {
        /// The word.
        word: String,
    },
    /// The last word.
    LastWord {
        /// The word.
        word: String,
    },
    /// The words that the answer begins with, and others behind them.
    StartPhrase {
        /// The phrase.
        phrase: String,
    },
    /// The words that the answer ends with, and others before them.
    EndPhrase {
        /// The phrase.
        phrase: String,
    },
    /// A beginning of "Yes," or "No,", and something behind it.
    YesNo,
    /// The request word for word, and an answer behind it.
    RepeatRequest,
    /// A question mark at the end.
    EndQuestion,
    /// An exclamation mark at the end.
    EndExclamation,
    /// A line at the end that begins with "P.S.".
    Postscript,
    /// A number of sentences.
    SentencesExactly {
        /// The number.
        n: usize,
    },
    /// A greatest number of sentences.
    SentencesAtMost {
        /// The number.
        n: usize,
    },
    /// A least number of sentences.
    SentencesAtLeast {
        /// The number.
        n: usize,
    },
    /// Several sentences, none of them twice.
    DistinctSentences {
        /// Least number of sentences.
        at_least: usize,
    },
    /// Sentences of few words each.
    ShortSentences {
        /// Most words of a sentence.
        words: usize,
    },
    /// Sentences that ask.
    Questions {
        /// Least number of them.
        at_least: usize,
    },
    /// A greatest number of words.
    WordsAtMost {
        /// The number.
        n: usize,
    },
    /// A least number of words.
    WordsAtLeast {
        /// The number.
        n: usize,
    },
    /// A number of words between two bounds, which are allowed as well.
    WordsBetween {
        /// Least number.
        low: usize,
        /// Greatest number.
        high: usize,
    },
    /// A single word.
    OneWord,
    /// Words of few letters each.
    ShortWords {
        /// Most letters of a word.
        letters: usize,
    },
    /// Paragraphs with a blank line between them.
    Paragraphs {
        /// Their number.
        n: usize,
    },
    /// Lines that are not blank.
    Lines {
        /// Their number.
        n: usize,
    },
    /// Lines that begin with "- " or "* ".
    Bullets {
        /// Their number.
        n: usize,
    },
    /// Lines that begin with "1. ", "2. " and so on.
    Numbered {
        /// Their number.
        n: usize,
    },
    /// Two parts with a line of "***" between them.
    TwoParts,
    /// A line that begins with "# ", and text besides.
    Heading,
    /// A title in double angular brackets, and text besides.
    AngleTitle,
    /// A fenced block that holds the whole answer.
    CodeBlock,
    /// JSON, an object or a list, and nothing besides.
    Json,
    /// A JSON object that has a key, and nothing besides.
    JsonKey {
        /// The key.
        key: String,
    },
    /// Double quotation marks around the whole answer, and none inside.
    Quoted,
    /// Parentheses around the whole answer.
    Parenthesized,
    /// No capital letter.
    LowerCase,
    /// No small letter.
    UpperCase,
    /// A capital at the beginning of every word.
    TitleCase,
    /// Words of two letters or more that are all in capitals.
    CapitalWords {
        /// Least number of them.
        at_least: usize,
    },
    /// No comma.
    NoComma,
    /// No full stop, and no point of any other use.
    NoFullStop,
    /// Several commas.
    Commas {
        /// Least number of them.
        at_least: usize,
    },
    /// No digit.
    NoDigit,
    /// A digit.
    Digit,
    /// Words or phrases between double asterisks.
    Bold {
        /// Least number of them.
        at_least: usize,
    },
    /// Names in square brackets, for somebody to fill in.
    Placeholders {
        /// Least number of them.
        at_least: usize,
    },
    /// Words that begin with "#".
    Hashtags {
        /// Least number of them.
        at_least: usize,
    },
}

/// A language whose number words can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Language {
    /// German.
    German,
    /// French.
    French,
    /// Spanish.
    Spanish,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 3] = [Self::German, Self::French, Self::Spanish];

    /// Number words with their values, without those that are English words as well.
    pub(crate) const fn numerals(self) -> &'static [(usize, &'static str)] {
        match self {
            Self::German => &[
                (1, "eins"),
                (2, "zwei"),
                (3, "drei"),
                (4, "vier"),
                (5, "fünf"),
                (6, "sechs"),
                (7, "sieben"),
                (8, "acht"),
                (9, "neun"),
                (10, "zehn"),
                (12, "zwölf"),
            ],
            Self::French => &[
                (2, "deux"),
                (3, "trois"),
                (4, "quatre"),
                (5, "cinq"),
                (7, "sept"),
                (8, "huit"),
                (9, "neuf"),
                (10, "dix"),
                (11, "onze"),
                (12, "douze"),
            ],
            Self::Spanish => &[
                (1, "uno"),
                (3, "tres"),
                (4, "cuatro"),
                (5, "cinco"),
                (6, "seis"),
                (7, "siete"),
                (8, "ocho"),
                (9, "nueve"),
                (10, "diez"),
                (12, "doce"),
            ],
        }
    }
}

/// The list of kinds and the name of a constraint's, from one list.
macro_rules! kinds {
    ($($variant:ident => $name:literal,)*) => {
        /// The name of every kind of constraint, as it is in files.
        pub const KINDS: &[&str] = &[$($name),*];

        impl Constraint {
            /// The name of its kind, one of [`KINDS`].
            pub const fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $name,)*
                }
            }
        }
    };
}

kinds! {
    WordUsed => "word_used",
    WordRepeated => "word_repeated",
    TwoWords => "two_words",
    WordsAbsent => "words_absent",
    LetterAbsent => "letter_absent",
    LetterCount => "letter_count",
    Alliteration => "alliteration",
    Numeral => "numeral",
    FirstWord => "first_word",
    LastWord => "last_word",
    StartPhrase => "start_phrase",
    EndPhrase => "end_phrase",
    YesNo => "yes_no",
    RepeatRequest => "repeat_request",
    EndQuestion => "end_question",
    EndExclamation => "end_exclamation",
    Postscript => "postscript",
    SentencesExactly => "sentences_exactly",
    SentencesAtMost => "sentences_at_most",
    SentencesAtLeast => "sentences_at_least",
    DistinctSentences => "distinct_sentences",
    ShortSentences => "short_sentences",
    Questions => "questions",
    WordsAtMost => "words_at_most",
    WordsAtLeast => "words_at_least",
    WordsBetween => "words_between",
    OneWord => "one_word",
    ShortWords => "short_words",
    Paragraphs => "paragraphs",
    Lines => "lines",
    Bullets => "bullets",
    Numbered => "numbered",
    TwoParts => "two_parts",
    Heading => "heading",
    AngleTitle => "angle_title",
    CodeBlock => "code_block",
    Json => "json",
    JsonKey => "json_key",
    Quoted => "quoted",
    Parenthesized => "parenthesized",
    LowerCase => "lower_case",
    UpperCase => "upper_case",
    TitleCase => "title_case",
    CapitalWords => "capital_words",
    NoComma => "no_comma",
    NoFullStop => "no_full_stop",
    Commas => "commas",
    NoDigit => "no_digit",
    Digit => "digit",
    Bold => "bold",
    Placeholders => "placeholders",
    Hashtags => "hashtags",
}
