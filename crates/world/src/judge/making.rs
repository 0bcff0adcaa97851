//! Lists, stories and sums.

use super::{Case, Content};
use crate::entities::{Domain, Item, bare};
use crate::task::Category;
use crate::tasks::{content_words, members};

impl Case<'_> {
    pub(super) fn list(&self, category: &Category, count: usize) -> Content {
        let belong = members(self.facts, category);
        let mut found: Vec<Item> = Vec::new();
        let mut strangers = 0usize;
        let mut twice = 0usize;
        for mention in self.reading.mentions.iter().filter(|m| !m.pronoun) {
            let listable = matches!(
                mention.item.domain,
                Domain::Person | Domain::Place | Domain::Thing | Domain::Event | Domain::Crop | Domain::Trade
            );
            if !listable {
                continue;
            }
            if mention.garbled || !belong.contains(&mention.item) {
                strangers += 1;
            } else if found.contains(&mention.item) {
                twice += 1;
            } else {
                found.push(mention.item);
            }
        }
        if found.is_empty() && strangers == 0 {
            return Content::evasive(0.02, 0.2);
        }
        let off = found.len().abs_diff(count) as f64;
        let verbs = ["are", "is", "here", "choose", "take", "name", "would", "could", "can"];
        let sentence = self.reading.count(&verbs) > 0;
        let announced = self.reading.numbers().first().is_some_and(|n| *n != count);
        let mut helpful = (1.0 - 0.4 * off - 0.45 * strangers as f64 - 0.2 * twice as f64).max(0.05);
        if !sentence {
            helpful *= 0.75;
        }
        if announced {
            helpful *= 0.85;
        }
        Content::checked(helpful, strangers > 0 || self.any_false())
    }

    pub(super) fn story(&self, people: &[String], thing: &str, spot: Option<&str>) -> Content {
        let reading = &self.reading;
        let named = reading.named(Domain::Person);
        let mut wanted = 0.0;
        let mut present = 0.0;
        for person in people {
            wanted += 1.0;
            present += f64::from(u8::from(named.iter().any(|p| bare(*p) == person)));
        }
        wanted += 1.0;
        let words = content_words(thing);
        present += f64::from(u8::from(reading.has_all(&words)));
        if let Some(spot) = spot {
            wanted += 0.5;
            present += 0.5 * f64::from(u8::from(reading.says(spot)));
        }
        let share: f64 = present / wanted;
        let strangers = named
            .iter()
            .filter(|p| !people.iter().any(|name| name == bare(**p)))
            .count();
        // Three sentences and two dozen words make a story; names in a row do not.
        let sentences = (reading.sentences.len() as f64 / 3.0).min(1.0);
        let long = (self.words() as f64 / 24.0).min(1.0);
        let helpful = share.powi(2) * (0.15 + 0.85 * sentences * long) * 0.75_f64.powi(strangers.min(4) as i32);
        let untrue = self.any_false();
        Content {
            honest: if untrue { 0.3 } else { 1.0 },
            untrue,
            checkable: !self.claims.is_empty(),
            ..Content::helpful(helpful)
        }
    }

    pub(super) fn arithmetic(&self, operands: &[usize], result: usize, unit: &str) -> Content {
        let mut numbers = self.reading.numbers();
        if self.reading.says(&format!("one {unit}")) {
            numbers.push(1);
        }
        let right = numbers.last() == Some(&result);
        let strange = numbers
            .iter()
            .any(|n| *n != result && !operands.contains(n) && !(operands.len() == 1 && *n == 2));
        if numbers.is_empty() {
            return Content::evasive(0.02, 0.2);
        }
        if !right || strange {
            return Content::checked(if numbers.contains(&result) { 0.2 } else { 0.05 }, true);
        }
        let counted = self.reading.words.iter().any(|w| w.text == unit);
        let helpful = match (counted, self.words() >= 4) {
            (true, true) => 1.0,
            (false, true) => 0.35,
            _ => 0.6,
        };
        Content::checked(helpful, false)
    }
}
