//! Echoes: words that one has said and another says again.
//!
//! Nothing before the first voice foretells what it says; the second can only be followed by looking back. A model that has
//! to do so early learns early to copy from its context, which questions on a text, summaries and changes of tone ask of it.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use crate::entities::{Domain, Item, name, size};
use crate::names::{DAYS, ITEMS, SPOTS};
use crate::scenes::two_people;
use crate::text::{expand, list, pick};

const TWICE: [&str; 7] = [
    "The crier called: {said}. The children called after him: {said}.",
    "{A} had to fetch {said}. All the way [the words went round|it rang in the ears of {A}]: {said}.",
    "{A} wrote down: {said}. Then {B} read it aloud: {said}.",
    "In the old song come {said}. Sing it with us: {said}.",
    "\"Bring {said},\" said {A}. \"{said}?\" asked {B}. \"Yes, {said},\" said {A}.",
    "The first line of the page was: {said}. The last line was again: {said}.",
    "The bag of {A} was heavy: {said}. {B} looked into it and counted: {said}.",
];

/// Things, names, days and places that have nothing to do with each other.
fn jumble(rng: &mut ChaCha8Rng) -> Vec<String> {
    let domains = [Domain::Person, Domain::Place, Domain::Thing];
    let mut words = Vec::new();
    let count = rng.random_range(3..=7);
    while words.len() < count {
        let word = match rng.random_range(0..7) {
            0..3 => ITEMS.choose(rng).map_or("", |item| item.0).to_owned(),
            3 => pick(rng, &DAYS).to_owned(),
            4 => format!("something {}", pick(rng, &SPOTS)),
            _ => {
                let domain = *domains.choose(rng).unwrap_or(&Domain::Thing);
                name(Item::new(domain, rng.random_range(0..size(domain))))
            }
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

/// A jumble of words, said and said again.
pub(super) fn echo(rng: &mut ChaCha8Rng) -> String {
    let (a, b) = two_people(rng);
    let said = list(&jumble(rng));
    let slots = [("A", name(a)), ("B", name(b)), ("said", said)];
    let slots = slots.each_ref().map(|(slot, value)| (*slot, value.as_str()));
    let template = pick(rng, &TWICE);
    expand(rng, template, &slots)
}
