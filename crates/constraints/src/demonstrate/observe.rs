//! Constraints that are read off an answer.

use rand::Rng;
use rand::seq::IndexedRandom;

use crate::constraint::Constraint;
use crate::draw::{LETTERS, WORD_BOUNDS};
use crate::text::{CLOSERS, content_words, fold, is_bullet, number_of, paragraphs, sentences, words};

/// Draws of other parameters, where none can be read off.
const DRAWS: usize = 4;
/// Most sentences, lines or items that are asked for.
const MOST_PARTS: usize = 5;
/// Most words that are named as a bound.
const MOST_WORDS: usize = 80;

/// A constraint of a kind that the answer is likely to keep.
pub(super) fn observed(kind: &str, request: &str, answer: &str, rng: &mut impl Rng) -> Option<Constraint> {
    match kind {
        "word_used" | "word_repeated" | "two_words" | "first_word" | "last_word" => word(kind, request, answer, rng),
        "letter_absent" | "letter_count" | "alliteration" => letter(kind, answer, rng),
        "words_at_most" | "words_at_least" | "words_between" | "short_words" => word_count(kind, answer, rng),
        "sentences_exactly" | "sentences_at_most" | "sentences_at_least" | "distinct_sentences" | "short_sentences"
        | "questions" => sentence_count(kind, answer, rng),
        "paragraphs" | "lines" | "bullets" | "numbered" | "commas" => layout(kind, answer, rng),
        _ => {
            let mut drawn = (0..DRAWS).filter_map(|_| Constraint::draw(kind, request, rng));
            drawn.find(|constraint| constraint.check(request, answer).met)
        }
    }
}

/// Words of the answer, those of the request first.
fn word(kind: &str, request: &str, answer: &str, rng: &mut impl Rng) -> Option<Constraint> {
    let all: Vec<String> = words(answer).into_iter().map(fold).collect();
    let asked = content_words(request);
    let told = content_words(answer);
    let shared: Vec<&String> = told.iter().filter(|word| asked.contains(word)).collect();
    let plain = |word: &&String| word.chars().all(char::is_alphabetic);
    Some(match kind {
        "first_word" => Constraint::FirstWord {
            word: all.first().filter(plain)?.clone(),
        },
        "last_word" => Constraint::LastWord {
            word: all.last().filter(plain)?.clone(),
        },
        "two_words" => {
            let mut two = told.choose_multiple(rng, 2).cloned();
            Constraint::TwoWords {
                words: [two.next()?, two.next()?],
            }
        }
        "word_repeated" => {
            let count = |word: &String| all.iter().filter(|other| *other == word).count();
            let often: Vec<&String> = told.iter().filter(|word| count(word) >= 2).collect();
            let word = (*often.choose(rng)?).clone();
            let times = rng.random_range(2..=count(&word).min(3));
            Constraint::WordRepeated { word, times }
        }
        _ => Constraint::WordUsed {
            word: shared.choose(rng).copied().or(told.choose(rng))?.clone(),
        },
    })
}

fn letter(kind: &str, answer: &str, rng: &mut impl Rng) -> Option<Constraint> {
    let text = fold(answer);
    let starts: Vec<char> = words(&text).iter().filter_map(|word| word.chars().next()).collect();
    let in_text = |letter: char| text.chars().filter(|c| *c == letter).count();
    let at_starts = |letter: char| starts.iter().filter(|c| **c == letter).count();
    let choose = |fits: &dyn Fn(char) -> bool, rng: &mut _| {
        let fitting: Vec<char> = LETTERS.iter().copied().filter(|letter| fits(*letter)).collect();
        pick(&fitting, rng)
    };
    Some(match kind {
        "letter_absent" => Constraint::LetterAbsent {
            letter: choose(&|letter| in_text(letter) == 0, rng)?,
        },
        "letter_count" => {
            let letter = choose(&|letter| in_text(letter) >= 3, rng)?;
            let at_least = rng.random_range(3..=in_text(letter).min(6));
            Constraint::LetterCount { letter, at_least }
        }
        _ => {
            let letter = choose(&|letter| at_starts(letter) >= 2, rng)?;
            let at_least = rng.random_range(2..=at_starts(letter).min(4));
            Constraint::Alliteration { letter, at_least }
        }
    })
}

fn pick<T: Copy>(list: &[T], rng: &mut impl Rng) -> Option<T> {
    list.choose(rng).copied()
}

fn word_count(kind: &str, answer: &str, rng: &mut impl Rng) -> Option<Constraint> {
    let all = words(answer);
    let count = all.len();
    match kind {
        "words_at_most" => {
            let n = count.next_multiple_of(5).max(10);
            (n <= MOST_WORDS).then_some(Constraint::WordsAtMost { n })
        }
        "words_at_least" => {
            let tens = (count / 10).min(MOST_WORDS / 10);
            (tens > 0).then(|| Constraint::WordsAtLeast {
                n: 10 * rng.random_range(1..=tens),
            })
        }
        "words_between" => {
            let around = WORD_BOUNDS
                .iter()
                .copied()
                .filter(|(low, high)| (*low..=*high).contains(&count));
            let (low, high) = pick(&around.collect::<Vec<_>>(), rng)?;
            Some(Constraint::WordsBetween { low, high })
        }
        _ => {
            let longest = all.iter().map(|word| word.chars().count()).max()?;
            let letters = longest.max(7);
            (letters <= 10).then_some(Constraint::ShortWords { letters })
        }
    }
}

fn sentence_count(kind: &str, answer: &str, rng: &mut impl Rng) -> Option<Constraint> {
    let all = sentences(answer);
    let count = all.len();
    let few = (1..=MOST_PARTS).contains(&count);
    let mut some = || (count >= 2).then(|| rng.random_range(2..=count.min(MOST_PARTS)));
    match kind {
        "sentences_exactly" => few.then_some(Constraint::SentencesExactly { n: count }),
        "sentences_at_most" => few.then_some(Constraint::SentencesAtMost { n: count }),
        "sentences_at_least" => Some(Constraint::SentencesAtLeast { n: some()? }),
        "distinct_sentences" => Some(Constraint::DistinctSentences { at_least: some()? }),
        "short_sentences" => {
            let longest = all.iter().map(|sentence| words(sentence).len()).max()?;
            (longest <= 15).then_some(Constraint::ShortSentences { words: longest.max(8) })
        }
        _ => {
            let asks = |sentence: &&&str| sentence.trim_end_matches(CLOSERS).ends_with('?');
            let at_least = all.iter().filter(asks).count().min(2);
            (at_least > 0).then_some(Constraint::Questions { at_least })
        }
    }
}

fn layout(kind: &str, answer: &str, rng: &mut impl Rng) -> Option<Constraint> {
    let lines = || answer.lines().filter(|line| !line.trim().is_empty());
    let n = match kind {
        "paragraphs" => paragraphs(answer).len(),
        "lines" => lines().count(),
        "bullets" => lines().filter(|line| is_bullet(line)).count(),
        "numbered" => lines().filter_map(number_of).count(),
        _ => answer.matches(',').count(),
    };
    if kind == "commas" {
        return (n >= 2).then(|| Constraint::Commas {
            at_least: rng.random_range(2..=n.min(MOST_PARTS)),
        });
    }
    (2..=MOST_PARTS).contains(&n).then_some(match kind {
        "paragraphs" => Constraint::Paragraphs { n },
        "lines" => Constraint::Lines { n },
        "bullets" => Constraint::Bullets { n },
        _ => Constraint::Numbered { n },
    })
}
