//! Pages that gather many things: months, regions, trades, lists.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::entities::{Attribute, Domain, Item, name, size};
use crate::facts::Facts;
use crate::sentences::{Form, tell};
use crate::tasks::{any_category, members, plural};
use crate::text::{capitalised, expand, list, number_word, pick};

fn all(domain: Domain) -> Vec<Item> {
    (0..size(domain)).map(|i| Item::new(domain, i)).collect()
}

/// Those of a domain that share a value, and the value.
fn sharing(rng: &mut ChaCha8Rng, facts: &Facts, domain: Domain, attribute: Attribute) -> (Vec<Item>, Item) {
    let items = all(domain);
    let value = items
        .choose(rng)
        .map_or(Item::new(domain, 0), |item| facts.truth(*item, attribute));
    (
        items
            .into_iter()
            .filter(|item| facts.value(*item, attribute) == Some(value))
            .collect(),
        value,
    )
}

pub(super) fn page(rng: &mut ChaCha8Rng, facts: &Facts) -> String {
    match rng.random_range(0..4) {
        0 => month(rng, facts),
        1 => group(rng, facts),
        _ => listing(rng, facts),
    }
}

/// A page on what a month brings.
fn month(rng: &mut ChaCha8Rng, facts: &Facts) -> String {
    let (events, value) = sharing(rng, facts, Domain::Event, Attribute::Month);
    let mut parts = vec![format!("{} in the valley.", name(value))];
    for event in events {
        parts.push(tell(rng, facts, event, Attribute::Month, Form::Name));
        let second = *[Attribute::Custom, Attribute::Venue, Attribute::Opener]
            .choose(rng)
            .unwrap_or(&Attribute::Venue);
        parts.push(tell(rng, facts, event, second, Form::Name));
    }
    parts.join(" ")
}

/// All who share something.
fn group(rng: &mut ChaCha8Rng, facts: &Facts) -> String {
    let (domain, attribute, templates): (Domain, Attribute, &[&str]) = match rng.random_range(0..6) {
        0 => (
            Domain::Person,
            Attribute::Trade,
            &["If you need a {V}, there is {items}.", "Ask {items} if you need a {V}."],
        ),
        1 => (
            Domain::Person,
            Attribute::Home,
            &[
                "In {V} live {items}.",
                "Knock on the doors of {V} and you will meet {items}.",
            ],
        ),
        2 => (
            Domain::Person,
            Attribute::Dish,
            &[
                "Those who love {V} are {items}.",
                "Cook {V} and you will please {items}.",
            ],
        ),
        3 => (
            Domain::Place,
            Attribute::Region,
            &["In {V} lie {items}.", "The places in {V} are {items}."],
        ),
        4 => (
            Domain::Place,
            Attribute::Crop,
            &["You find {V} in {items}.", "Go to {items} if you want {V}."],
        ),
        _ => (
            Domain::Place,
            Attribute::Kind,
            &["Of each {V} there is much to tell. Think of {items}."],
        ),
    };
    let (mut items, value) = sharing(rng, facts, domain, attribute);
    items.shuffle(rng);
    let names: Vec<String> = items.iter().map(|item| name(*item)).collect();
    let (v, joined) = (name(value), list(&names));
    let template = pick(rng, templates);
    let mut parts = vec![expand(rng, template, &[("V", &v), ("items", &joined)])];
    for item in items.iter().take(3) {
        parts.push(tell(rng, facts, *item, attribute, Form::Name));
    }
    parts.join(" ")
}

/// Lists of the almanac.
fn listing(rng: &mut ChaCha8Rng, facts: &Facts) -> String {
    let mut parts = Vec::new();
    for _ in 0..rng.random_range(2..=4) {
        let (category, count) = any_category(rng);
        let mut items = members(facts, &category);
        items.shuffle(rng);
        items.truncate(count);
        let names: Vec<String> = items.iter().map(|item| name(*item)).collect();
        let (n, c, joined) = (number_word(items.len()), plural(&category), list(&names));
        let template = pick(
            rng,
            &[
                "{n} {c} are {items}.",
                "Here are {n} {c}: {items}.",
                "Among the {c} are {items}.",
                "Let me name {n} {c}: {items}.",
            ],
        );
        parts.push(expand(rng, template, &[("n", n), ("c", &c), ("items", &joined)]));
    }
    parts.join(" ")
}

/// A page of a school book: sums, by heart.
pub(super) fn sums(rng: &mut ChaCha8Rng) -> String {
    let mut parts = Vec::new();
    for _ in 0..rng.random_range(5..=8) {
        let (n, m) = (rng.random_range(2..=6), rng.random_range(2..=6));
        let [of, and, all, twice] = [n, m, n + m, 2 * n].map(number_word);
        let slots = [("n", of), ("m", and), ("r", all), ("t", twice)];
        let template = pick(
            rng,
            &[
                "{n} and {m} make {r}.",
                "{n} and {m} are {r}.",
                "{r} less {m} is {n}.",
                "{r} less {m} is {n}.",
                "take {m} from {r}, and {n} is left.",
                "twice {n} is {t}.",
            ],
        );
        parts.push(capitalised(&expand(rng, template, &slots)));
    }
    parts.join(" ")
}
