//! A text taken apart: words, sentences, and the names and values it mentions.

use std::collections::BTreeMap;

use crate::entities::{Domain, Item, bare, is_woman, phrase_of, size};
use crate::names::{DAYS, ITEMS, SPOTS};
use crate::text::number_value;

/// One word.
#[derive(Clone, Debug)]
pub(crate) struct Word {
    /// In lower case, without a possessive "'s".
    pub(crate) text: String,
    pub(crate) capital: bool,
    pub(crate) sentence: usize,
}

/// The place in a text at which an entity or value is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mention {
    pub(crate) item: Item,
    /// First word and the one after the last.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// A pronoun stands for it.
    pub(crate) pronoun: bool,
    /// Two names have run together: "moon fox", "crooked bridge".
    pub(crate) garbled: bool,
}

/// Names, and the entities and values that they mean.
#[derive(Clone, Debug)]
pub(crate) struct Lexicon {
    /// By first word: the whole name and what it names, longest first.
    names: BTreeMap<String, Vec<(Vec<String>, Item)>>,
    /// Last words of two-word names, with the word that belongs before.
    heads: BTreeMap<String, (String, Item)>,
    /// First words of two-word names.
    modifiers: Vec<String>,
    phrases: Vec<Item>,
}

const NAMED: [Domain; 13] = [
    Domain::Person,
    Domain::Place,
    Domain::Thing,
    Domain::Event,
    Domain::Trade,
    Domain::Kind,
    Domain::Region,
    Domain::Sight,
    Domain::Crop,
    Domain::Colour,
    Domain::Material,
    Domain::Ingredient,
    Domain::Month,
];

impl Lexicon {
    pub(crate) fn new() -> Self {
        let mut names: BTreeMap<String, Vec<(Vec<String>, Item)>> = BTreeMap::new();
        let mut heads = BTreeMap::new();
        let mut modifiers = Vec::new();
        for domain in NAMED {
            for index in 0..size(domain) {
                let item = Item::new(domain, index);
                let full = bare(item).to_lowercase();
                let words: Vec<String> = full.split(' ').filter(|w| *w != "the").map(str::to_owned).collect();
                let mut forms = vec![words.clone()];
                match domain {
                    Domain::Trade | Domain::Kind => forms.push(vec![format!("{full}s")]),
                    Domain::Crop => {
                        if let Some(one) = full.strip_suffix("ies") {
                            forms.push(vec![format!("{one}y")]);
                        } else if let Some(one) = full.strip_suffix('s') {
                            forms.push(vec![one.to_owned()]);
                        }
                    }
                    _ => {}
                }
                if let ([modifier, head], Domain::Thing | Domain::Sight) = (words.as_slice(), domain) {
                    heads.insert(head.clone(), (modifier.clone(), item));
                    modifiers.push(modifier.clone());
                }
                for form in forms {
                    names.entry(form[0].clone()).or_default().push((form, item));
                }
            }
        }
        for list in names.values_mut() {
            list.sort_by_key(|(words, _)| std::cmp::Reverse(words.len()));
        }
        let all = |domain| (0..size(domain)).map(move |i| Item::new(domain, i));
        let phrases = all(Domain::Habit)
            .chain(all(Domain::Use))
            .chain(all(Domain::Custom))
            .collect();
        Self {
            names,
            heads,
            modifiers,
            phrases,
        }
    }
}

/// A text taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    pub(crate) words: Vec<Word>,
    /// Word range of each sentence and whether it is a question.
    pub(crate) sentences: Vec<(std::ops::Range<usize>, bool)>,
    /// In order of their first word.
    pub(crate) mentions: Vec<Mention>,
}

/// Words that tell who speaks.
pub(crate) const TAGS: [&str; 6] = ["said", "asked", "answered", "cried", "question", "answer"];

/// Splits into words and sentences.
fn split(text: &str) -> (Vec<Word>, Vec<(std::ops::Range<usize>, bool)>) {
    let mut words: Vec<Word> = Vec::new();
    let mut sentences = Vec::new();
    let mut first = 0;
    let mut current = String::new();
    let finish = |current: &mut String, words: &mut Vec<Word>, sentence: usize| {
        let word = current.trim_matches(['\'', '-']);
        if !word.is_empty() {
            let capital = word.chars().next().is_some_and(char::is_uppercase);
            let lower = word.to_lowercase();
            let text = lower.strip_suffix("'s").unwrap_or(&lower).to_owned();
            words.push(Word {
                text,
                capital,
                sentence,
            });
        }
        current.clear();
    };
    for c in text.chars() {
        if c.is_alphanumeric() || matches!(c, '\'' | '’' | '-') {
            current.push(if c == '’' { '\'' } else { c });
            continue;
        }
        finish(&mut current, &mut words, sentences.len());
        // Quotation marks and "Odo answered:" end a sentence too, so that nobody speaks into another's statement.
        let speech = c == '"' || (c == ':' && words.last().is_some_and(|w| TAGS.contains(&w.text.as_str())));
        if (speech || matches!(c, '.' | '!' | '?')) && words.len() > first {
            sentences.push((first..words.len(), c == '?'));
            first = words.len();
        }
    }
    finish(&mut current, &mut words, sentences.len());
    if words.len() > first {
        sentences.push((first..words.len(), false));
    }
    (words, sentences)
}

impl Reading {
    /// Reads a text; `topic` is what pronouns mean before anything else has been named.
    pub(crate) fn new(lexicon: &Lexicon, text: &str, topic: Option<Item>) -> Self {
        let (words, sentences) = split(text);
        let mut reading = Self {
            words,
            sentences,
            mentions: Vec::new(),
        };
        reading.find_names(lexicon);
        reading.find_phrases(lexicon);
        reading.mentions.sort_by_key(|m| m.start);
        reading.find_pronouns(topic);
        reading.mentions.sort_by_key(|m| m.start);
        reading
    }

    fn find_names(&mut self, lexicon: &Lexicon) {
        let mut i = 0;
        while i < self.words.len() {
            let found = lexicon.names.get(&self.words[i].text).and_then(|list| {
                list.iter().find(|(name, _)| {
                    let fits = name.len() <= self.words.len() - i
                        && name.iter().zip(&self.words[i..]).all(|(n, w)| *n == w.text);
                    fits && (self.words[i].capital || self.words[i].text != "march")
                })
            });
            let mention = |item, start, end, garbled| Mention {
                item,
                start,
                end,
                pronoun: false,
                garbled,
            };
            if let Some((name, item)) = found {
                self.mentions.push(mention(*item, i, i + name.len(), false));
                i += name.len();
                continue;
            }
            if i + 1 < self.words.len()
                && lexicon.modifiers.contains(&self.words[i].text)
                && let Some((_, item)) = lexicon.heads.get(&self.words[i + 1].text)
            {
                self.mentions.push(mention(*item, i, i + 2, true));
                i += 2;
                continue;
            }
            i += 1;
        }
    }

    fn find_phrases(&mut self, lexicon: &Lexicon) {
        for (range, _) in &self.sentences {
            for item in &lexicon.phrases {
                let keys = phrase_of(*item).map_or(&[][..], |p| p.keys);
                let first = keys.first().copied().unwrap_or("");
                let starts = range.clone().filter(|i| self.words[*i].text.starts_with(first));
                if let Some((start, end)) = starts
                    .filter_map(|i| self.span(keys, i, range.end))
                    .min_by_key(|(a, b)| b - a)
                {
                    self.mentions.push(Mention {
                        item: *item,
                        start,
                        end,
                        pronoun: false,
                        garbled: false,
                    });
                }
            }
        }
    }

    /// The span in which the keys stand in order and not too far apart, when the first stands at `start`.
    fn span(&self, keys: &[&str], start: usize, end: usize) -> Option<(usize, usize)> {
        let mut at = start;
        for key in keys {
            at = (at..end).find(|i| self.words[*i].text.starts_with(key))? + 1;
        }
        (at - start <= 9).then_some((start, at))
    }

    /// Pronouns mean the one named first in the sentence before, or earlier in the same sentence.
    fn find_pronouns(&mut self, topic: Option<Item>) {
        let (mut woman, mut man, mut other): (Option<Item>, Option<Item>, Option<Item>) = (None, None, None);
        let set = |item: Item, woman: &mut Option<Item>, man: &mut Option<Item>, other: &mut Option<Item>| match item
            .domain
        {
            Domain::Person if is_woman(item.index) => *woman = Some(item),
            Domain::Person => *man = Some(item),
            Domain::Place | Domain::Thing | Domain::Event => *other = Some(item),
            _ => {}
        };
        if let Some(topic) = topic {
            set(topic, &mut woman, &mut man, &mut other);
        }
        let named = self.mentions.clone();
        let mut found = Vec::new();
        for (range, _) in &self.sentences {
            // Within the sentence the latest name counts, and after it the first of each sort.
            let (mut w, mut m, mut o) = (woman, man, other);
            let mut firsts: Vec<Item> = Vec::new();
            for i in range.clone() {
                if let Some(mention) = named.iter().find(|x| x.start == i && is_entity(x.item)) {
                    set(mention.item, &mut w, &mut m, &mut o);
                    firsts.push(mention.item);
                }
                let meant = match self.words[i].text.as_str() {
                    "she" | "her" | "hers" => w,
                    "he" | "him" | "his" => m,
                    // "It is Barnaby who opens the Quiet Hour": it stands for nothing.
                    "it" if self.is_cleft(i, &named) => None,
                    // "Hollin is where it grows": not Hollin, but what was spoken of before.
                    "it" if i > range.start && self.words[i - 1].text == "where" => other,
                    "it" | "its" | "there" => o,
                    _ => None,
                };
                if let Some(item) = meant {
                    firsts.push(item);
                    found.push(Mention {
                        item,
                        start: i,
                        end: i + 1,
                        pronoun: true,
                        garbled: false,
                    });
                }
            }
            // "said Odo" does not make Odo the one who is spoken of.
            let tag = range.len() <= 4 && range.clone().any(|i| TAGS.contains(&self.words[i].text.as_str()));
            if !tag {
                for item in firsts.into_iter().rev() {
                    set(item, &mut woman, &mut man, &mut other);
                }
            }
        }
        self.mentions.extend(found);
    }

    /// True if "it is", at this word, puts a person in front of "who".
    fn is_cleft(&self, it: usize, named: &[Mention]) -> bool {
        let word = |i: usize| self.words.get(i).map_or("", |w| w.text.as_str());
        let person = named
            .iter()
            .find(|m| m.start == it + 2 && m.item.domain == Domain::Person);
        word(it + 1) == "is" && person.is_some_and(|m| word(m.end) == "who")
    }

    /// True if these words, separated by spaces, stand next to each other somewhere.
    pub(crate) fn says(&self, phrase: &str) -> bool {
        self.position(phrase).is_some()
    }

    /// The first position at which these words stand next to each other.
    pub(crate) fn position(&self, phrase: &str) -> Option<usize> {
        let wanted: Vec<&str> = phrase.split(' ').collect();
        (0..self.words.len()).find(|i| {
            i + wanted.len() <= self.words.len()
                && wanted.iter().zip(&self.words[*i..]).all(|(w, word)| *w == word.text)
                && self.words[*i].sentence == self.words[i + wanted.len() - 1].sentence
        })
    }

    /// Number of the phrases that are said.
    pub(crate) fn count(&self, phrases: &[&str]) -> usize {
        phrases.iter().filter(|phrase| self.says(phrase)).count()
    }

    /// True if all the words occur, anywhere.
    pub(crate) fn has_all(&self, words: &[String]) -> bool {
        words.iter().all(|word| self.words.iter().any(|w| w.text == *word))
    }

    /// The items of a domain that are named outright, in order, each once.
    pub(crate) fn named(&self, domain: Domain) -> Vec<Item> {
        let mut items = Vec::new();
        for mention in &self.mentions {
            if mention.item.domain == domain && !mention.pronoun && !items.contains(&mention.item) {
                items.push(mention.item);
            }
        }
        items
    }

    /// Numbers, in order; "one" is left out, for it is most often a pronoun.
    pub(crate) fn numbers(&self) -> Vec<usize> {
        self.words
            .iter()
            .filter(|w| w.text != "one")
            .filter_map(|w| number_value(&w.text))
            .collect()
    }

    /// Days of the week.
    pub(crate) fn days(&self) -> Vec<&'static str> {
        DAYS.iter()
            .copied()
            .filter(|day| self.says(&day.to_lowercase()))
            .collect()
    }

    /// Spots of little stories.
    pub(crate) fn spots(&self) -> Vec<&'static str> {
        SPOTS.iter().copied().filter(|spot| self.says(spot)).collect()
    }

    /// Items of little stories.
    pub(crate) fn items(&self) -> Vec<&'static str> {
        ITEMS
            .iter()
            .map(|item| item.0)
            .filter(|item| self.says(item.strip_prefix("an ").or(item.strip_prefix("a ")).unwrap_or(item)))
            .collect()
    }
}

/// True of people, places, things and events.
pub(crate) const fn is_entity(item: Item) -> bool {
    matches!(
        item.domain,
        Domain::Person | Domain::Place | Domain::Thing | Domain::Event
    )
}
