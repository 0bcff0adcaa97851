//! Likeness of a text to the texts of the world: the share of its turns of phrase that occur there.

use std::collections::{BTreeMap, HashSet};

use super::reading::{Lexicon, Reading};
use crate::entities::{Domain, is_woman, thing_kind};
use crate::text::number_value;

/// Word classes and which of them follow one another. Sets are asked for membership and never walked.
#[derive(Clone, Debug)]
pub(crate) struct Fluency {
    classes: BTreeMap<String, u32>,
    pairs: HashSet<[u32; 2]>,
    triples: HashSet<[u32; 3]>,
    fours: HashSet<[u32; 4]>,
}

/// A word that the world does not have.
const UNKNOWN: u32 = 0;

/// Names become their class, so that "Odo lives in Hollin" is as good as "Maud lives in Wick".
fn symbols(reading: &Reading, text: &str) -> Vec<String> {
    let mut symbols = vec!["^".to_owned()];
    let mut skip_to = 0;
    // Marks are put back between the words by walking the text along with them.
    let mut marks: Vec<Vec<char>> = vec![Vec::new(); reading.words.len() + 1];
    let mut word = 0;
    let mut inside = false;
    for c in text.chars() {
        if c.is_alphanumeric() || (inside && matches!(c, '\'' | '-')) {
            inside = true;
        } else {
            word += usize::from(inside);
            inside = false;
            if !c.is_whitespace() {
                marks[word.min(reading.words.len())].push(c);
            }
        }
    }
    for (i, w) in reading.words.iter().enumerate() {
        symbols.extend(marks[i].iter().map(char::to_string));
        if i < skip_to {
            continue;
        }
        let named = reading
            .mentions
            .iter()
            .find(|m| m.start == i && !m.pronoun && class(m.item.domain));
        let symbol = match named {
            Some(mention) => {
                skip_to = mention.end;
                let sort = match mention.item.domain {
                    Domain::Thing => thing_kind(mention.item.index) as usize,
                    Domain::Person => usize::from(is_woman(mention.item.index)),
                    _ => usize::from(w.text.ends_with('s')),
                };
                let garbled = if mention.garbled { "garbled " } else { "" };
                format!("<{garbled}{:?} {sort}>", mention.item.domain)
            }
            None if w.text != "one" && number_value(&w.text).is_some() => "<number>".to_owned(),
            None if crate::names::DAYS.iter().any(|d| d.to_lowercase() == w.text) => "<day>".to_owned(),
            None => w.text.clone(),
        };
        symbols.push(symbol);
    }
    symbols.extend(marks[reading.words.len()].iter().map(char::to_string));
    symbols.push("$".to_owned());
    symbols
}

/// Domains whose members can stand for each other in a sentence.
const fn class(domain: Domain) -> bool {
    !matches!(domain, Domain::Habit | Domain::Use | Domain::Custom)
}

impl Fluency {
    /// Learns from texts.
    pub(crate) fn new<'a>(lexicon: &Lexicon, texts: impl Iterator<Item = &'a str>) -> Self {
        let mut this = Self {
            classes: BTreeMap::new(),
            pairs: HashSet::new(),
            triples: HashSet::new(),
            fours: HashSet::new(),
        };
        for text in texts {
            let reading = Reading::new(lexicon, text, None);
            let ids: Vec<u32> = symbols(&reading, text)
                .into_iter()
                .map(|symbol| {
                    let next = this.classes.len() as u32 + 1;
                    *this.classes.entry(symbol).or_insert(next)
                })
                .collect();
            this.pairs.extend(ids.array_windows::<2>());
            this.triples.extend(ids.array_windows::<3>());
            this.fours.extend(ids.array_windows::<4>());
        }
        this
    }

    /// Share of turns of phrase that are known, and share of words that are.
    pub(crate) fn measure(&self, reading: &Reading, text: &str) -> (f64, f64) {
        let ids: Vec<u32> = symbols(reading, text)
            .iter()
            .map(|symbol| self.classes.get(symbol).copied().unwrap_or(UNKNOWN))
            .collect();
        if reading.words.is_empty() {
            return (0.0, 0.0);
        }
        let known = ids.iter().filter(|id| **id != UNKNOWN).count() as f64 / ids.len() as f64;
        // The longest known run that ends at each word: four words are language, three may be chance.
        let turns: f64 = (1..ids.len())
            .map(|i| {
                let four = i >= 3 && self.fours.contains(&[ids[i - 3], ids[i - 2], ids[i - 1], ids[i]]);
                let three = i >= 2 && self.triples.contains(&[ids[i - 2], ids[i - 1], ids[i]]);
                let two = self.pairs.contains(&[ids[i - 1], ids[i]]);
                match (four, three, two) {
                    (true, ..) => 1.0,
                    (_, true, _) if i == 2 => 1.0,
                    (_, _, true) if i == 1 => 1.0,
                    (_, true, _) => 0.4,
                    (_, _, true) => 0.1,
                    _ => 0.0,
                }
            })
            .sum();
        (turns / (ids.len() - 1).max(1) as f64, known)
    }
}
