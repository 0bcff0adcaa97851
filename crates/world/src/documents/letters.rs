//! Letters between friends.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::entities::{Attribute, Domain, Item, attributes, name, size};
use crate::facts::Facts;
use crate::scenes::person;
use crate::sentences::{Form, tell};
use crate::text::{expand, pick};

const GREETINGS: [&str; 8] = [
    "I hope you are well.",
    "I write to you from the kitchen table.",
    "It has rained all week here.",
    "Thank you for your last letter.",
    "How are you and the geese?",
    "I have so much to tell you.",
    "At last I have time to write.",
    "The post goes soon, so I will be short.",
];

const BRIDGES: [&str; 10] = [
    "You asked me about {N}.",
    "Have you ever been to {N}?",
    "Yesterday I was in {N}.",
    "I have learned something about {N}.",
    "Let me tell you about {N}.",
    "Next week I will go to {N}.",
    "Do you remember {N}?",
    "We talked about {N} at supper.",
    "The children asked me about {N}.",
    "I must tell you about {N}.",
];

const FAREWELLS: [&str; 8] = [
    "I wish you a good day!",
    "Write soon.",
    "Have a lovely day!",
    "I hope that helps!",
    "Let me know if you need more!",
    "Come and see me.",
    "Give my love to everyone.",
    "Take care of your old coat.",
];

pub(super) fn letter(rng: &mut ChaCha8Rng, facts: &Facts) -> String {
    let from = person(rng);
    let to = facts.truth(from, Attribute::Friend);
    let domain = [Domain::Person, Domain::Place, Domain::Thing, Domain::Event][rng.random_range(0..4)];
    let about = loop {
        let item = Item::new(domain, rng.random_range(0..size(domain)));
        if item != from && item != to {
            break item;
        }
    };
    let n = name(about);
    let bridge = match domain {
        Domain::Place => pick(rng, &BRIDGES),
        _ => pick(
            rng,
            &[
                BRIDGES[0], BRIDGES[3], BRIDGES[4], BRIDGES[6], BRIDGES[7], BRIDGES[8], BRIDGES[9],
            ],
        ),
    };
    let mut parts = vec![format!("Dear {},", name(to)), pick(rng, &GREETINGS).to_owned()];
    parts.push(expand(rng, bridge, &[("N", &n)]));
    let all = attributes(domain);
    let first = rng.random_range(0..all.len());
    for i in 0..3 {
        parts.push(tell(rng, facts, about, all[(first + i) % all.len()], Form::Name));
    }
    parts.push(pick(rng, &FAREWELLS).to_owned());
    let sign = pick(rng, &["Your friend", "Your old friend", "With love", "Yours"]);
    parts.push(format!("{sign}, {}.", name(from)));
    parts.join(" ")
}
