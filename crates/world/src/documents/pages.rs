//! Pages that gather many things: months, regions, trades, lists, likenesses.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::entities::{Attribute, Domain, Item, name, size};
use crate::facts::Facts;
use crate::sentences::{Form, tell};
use crate::tasks::{any_category, apart, both, members, plural};
use crate::text::{expand, list, number_word, pick};

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
    match rng.random_range(0..10) {
        0 | 1 => month(rng, facts),
        2 | 3 => group(rng, facts),
        4 | 5 => pair(rng, facts),
        _ => listing(rng, facts),
    }
}

/// What a month brings.
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

/// Two that are alike, or not.
fn pair(rng: &mut ChaCha8Rng, facts: &Facts) -> String {
    let mut parts = Vec::new();
    for _ in 0..rng.random_range(2..=3) {
        let domain = if rng.random_bool(0.6) {
            Domain::Person
        } else {
            Domain::Place
        };
        let attribute = match domain {
            Domain::Person => [Attribute::Home, Attribute::Trade, Attribute::Dish][rng.random_range(0..3)],
            _ => [Attribute::Region, Attribute::Crop, Attribute::Kind][rng.random_range(0..3)],
        };
        let (same, value) = sharing(rng, facts, domain, attribute);
        let two: Vec<Item> = same.choose_multiple(rng, 2).copied().collect();
        if let (true, [a, b]) = (rng.random_bool(0.6), two.as_slice()) {
            parts.extend(both(rng, [*a, *b], attribute, value));
        } else {
            let items = all(domain);
            let mixed: Vec<Item> = items.choose_multiple(rng, 2).copied().collect();
            let values = [0, 1].map(|i| facts.truth(mixed[i], attribute));
            if values[0] != values[1] {
                parts.push(apart(rng, [mixed[0], mixed[1]], attribute, values));
            }
        }
    }
    if parts.is_empty() {
        listing(rng, facts)
    } else {
        parts.join(" ")
    }
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
