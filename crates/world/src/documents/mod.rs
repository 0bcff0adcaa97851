//! The texts of the world: what the language model reads before it learns to answer.

mod echoes;
mod entries;
mod letters;
mod pages;
mod talks;

use std::collections::BTreeSet;

use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use rlhf_tasks::{stable_hash, stream};

use crate::entities::Domain;
use crate::facts::Facts;
use crate::tales;

/// Sorts of document and how common they are.
#[derive(Clone, Copy)]
enum Sort {
    Person,
    Place,
    Thing,
    Event,
    Talk,
    Lesson,
    Tale,
    Letter,
    Page,
    Scene,
    Echo,
    Sums,
}

const WEIGHTS: [(Sort, u32); 12] = [
    (Sort::Person, 14),
    (Sort::Place, 9),
    (Sort::Thing, 7),
    (Sort::Event, 6),
    (Sort::Talk, 14),
    (Sort::Lesson, 30),
    (Sort::Tale, 8),
    (Sort::Letter, 6),
    (Sort::Page, 5),
    (Sort::Scene, 10),
    (Sort::Echo, 14),
    (Sort::Sums, 4),
];

fn document(rng: &mut ChaCha8Rng, facts: &Facts, may_ask: &dyn Fn(&str) -> bool) -> String {
    let sort = WEIGHTS.choose_weighted(rng, |w| w.1).map_or(Sort::Tale, |w| w.0);
    match sort {
        Sort::Person => entries::entry(rng, facts, Domain::Person),
        Sort::Place => entries::entry(rng, facts, Domain::Place),
        Sort::Thing => entries::entry(rng, facts, Domain::Thing),
        Sort::Event => entries::entry(rng, facts, Domain::Event),
        Sort::Talk => talks::talk(rng, facts, may_ask),
        Sort::Lesson => talks::lesson(rng, facts, may_ask),
        Sort::Tale => {
            let cast = tales::cast(rng);
            let opening = entries::aside(rng, facts, cast.first);
            tales::long(rng, &cast, &opening)
        }
        Sort::Letter => letters::letter(rng, facts),
        Sort::Page => pages::page(rng, facts),
        Sort::Scene => talks::reading(rng, may_ask),
        Sort::Echo => echoes::echo(rng),
        Sort::Sums => pages::sums(rng),
    }
}

/// Writes documents until `bytes` are reached, none twice and none of those in `seen`.
pub(crate) fn write(
    seed: u64,
    purpose: &str,
    facts: &Facts,
    bytes: usize,
    seen: &mut BTreeSet<u64>,
    may_ask: &dyn Fn(&str) -> bool,
) -> Vec<String> {
    let mut documents = Vec::new();
    let mut total = 0;
    let mut counter = 0;
    while total < bytes {
        let mut rng = stream(seed, purpose, counter);
        counter += 1;
        let text = document(&mut rng, facts, may_ask);
        if seen.insert(stable_hash(&[&text])) {
            total += text.len() + 1;
            documents.push(text);
        }
    }
    documents
}
