//! Whether two people or places have something in common.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::memory::wrong;
use super::{Draft, entity, turn};
use crate::entities::{Attribute, Domain, Item, bare, name, size};
use crate::facts::Facts;
use crate::sentences::{Form, state, state_alike};
use crate::task::{Flaw, Task};
use crate::text::{expand, lowered, pick, without_stop};

/// What is compared, between what, and how it is asked.
const COMPARED: [(Attribute, Domain, &[&str]); 6] = [
    (
        Attribute::Home,
        Domain::Person,
        &[
            "Do {A} and {B} live in the same place?",
            "Are {A} and {B} from the same place?",
            "Can I meet {A} and {B} in one place?",
        ],
    ),
    (
        Attribute::Trade,
        Domain::Person,
        &[
            "Do {A} and {B} have the same trade?",
            "Do {A} and {B} do the same work?",
            "Are the trades of {A} and {B} the same?",
        ],
    ),
    (
        Attribute::Dish,
        Domain::Person,
        &[
            "Do {A} and {B} like the same dish best?",
            "Can I cook one dish for both {A} and {B}?",
            "Is the favourite dish of {A} and {B} the same?",
        ],
    ),
    (
        Attribute::Region,
        Domain::Place,
        &[
            "Are {A} and {B} in the same part of the valley?",
            "Do {A} and {B} lie in the same part of the valley?",
            "Is {A} in the same part of the valley as {B}?",
        ],
    ),
    (
        Attribute::Crop,
        Domain::Place,
        &[
            "Do {A} and {B} grow the same crop?",
            "Do the same plants grow in {A} and {B}?",
            "Is the harvest of {A} and {B} the same?",
        ],
    ),
    (
        Attribute::Kind,
        Domain::Place,
        &[
            "Are {A} and {B} the same kind of place?",
            "Is {A} the same sort of place as {B}?",
            "Are {A} and {B} alike on the map?",
        ],
    ),
];

pub(super) fn draft_compare(rng: &mut ChaCha8Rng, facts: &Facts) -> Draft {
    let (attribute, domain, forms) = COMPARED.choose(rng).copied().unwrap_or(COMPARED[0]);
    let want_same = rng.random_bool(0.45);
    let (first, second) = loop {
        let a = Item::new(domain, rng.random_range(0..size(domain)));
        let others: Vec<Item> = (0..size(domain))
            .map(|i| Item::new(domain, i))
            .filter(|b| *b != a && (facts.value(a, attribute) == facts.value(*b, attribute)) == want_same)
            .collect();
        if let Some(b) = others.choose(rng) {
            break (a, *b);
        }
    };
    let wording = rng.random_range(0..forms.len());
    let (a, b) = (name(first), name(second));
    let text = expand(rng, forms[wording], &[("A", &a), ("B", &b)]);
    let mut pair = [bare(first), bare(second)];
    pair.sort_unstable();
    let signature = format!("compare/{attribute:?}/{}/{}", pair[0], pair[1]);
    let expected = [
        name(facts.truth(first, attribute)),
        name(facts.truth(second, attribute)),
    ];
    let same = expected[0] == expected[1];
    let task = Task::Compare {
        first: a,
        second: b,
        attribute,
        expected,
        same,
    };
    Draft {
        messages: turn(rng, &text),
        task,
        signature,
    }
}

/// "both" sentences.
const BOTH: [(Attribute, &[&str]); 6] = [
    (
        Attribute::Home,
        &[
            "Both {A} and {B} live in {V}.",
            "{A} and {B} both have their home in {V}.",
        ],
    ),
    (
        Attribute::Trade,
        &["Both {A} and {B} work as a {V}.", "{A} is a {V}, and so is {B}."],
    ),
    (
        Attribute::Dish,
        &[
            "Both {A} and {B} like {V} best.",
            "The favourite dish of {A} and {B} is {V}.",
        ],
    ),
    (
        Attribute::Region,
        &["Both {A} and {B} lie in {V}.", "{A} and {B} are both in {V}."],
    ),
    (
        Attribute::Crop,
        &[
            "Both {A} and {B} grow {V}.",
            "The fields of {A} and {B} are full of {V}.",
        ],
    ),
    (
        Attribute::Kind,
        &[
            "{A} is a {V}, and so is {B}.",
            "Both are alike, for {A} is a {V} and {B} is a {V}.",
        ],
    ),
];

/// A sentence that says of two entities that they share a value.
pub(crate) fn both(rng: &mut ChaCha8Rng, pair: [Item; 2], attribute: Attribute, value: Item) -> Option<String> {
    let forms = BOTH.iter().find(|(a, _)| *a == attribute)?.1;
    let (a, b, v) = (name(pair[0]), name(pair[1]), name(value));
    let template = pick(rng, forms);
    Some(expand(rng, template, &[("A", &a), ("B", &b), ("V", &v)]))
}

/// A sentence that sets two entities against each other.
pub(crate) fn apart(rng: &mut ChaCha8Rng, pair: [Item; 2], attribute: Attribute, values: [Item; 2]) -> String {
    let [first, second] = state_alike(rng, pair, attribute, values);
    match pick(rng, &["while", "but", "."]) {
        "." => format!("{first} {second}"),
        word => format!("{}, {word} {}", without_stop(&first), lowered(&second)),
    }
}

/// Conclusions. They follow the evidence, as in [`super::memory`].
const SAME: [&str; 4] = [
    "So yes, it is the same.",
    "So yes, they are alike in this.",
    "Yes, that is the same for both.",
    "So yes, indeed.",
];
const DIFFERENT: [&str; 4] = [
    "So no, they are not the same.",
    "So no, that is different.",
    "No, there they differ.",
    "So no, not at all.",
];

pub(super) fn answer_compare(
    rng: &mut ChaCha8Rng,
    facts: &Facts,
    names: [&str; 2],
    attribute: Attribute,
    flaw: Option<Flaw>,
) -> String {
    let pair = names.map(entity);
    let mut values = pair.map(|e| facts.truth(e, attribute));
    let truly = values[0] == values[1];
    if flaw == Some(Flaw::Curt) {
        return (if truly { "Yes." } else { "No." }).to_owned();
    }
    if flaw == Some(Flaw::Wrong) {
        values[1] = if truly {
            wrong(rng, facts, pair[1], attribute)
        } else {
            values[0]
        };
    }
    let conclusion = pick(rng, if values[0] == values[1] { &SAME } else { &DIFFERENT });
    if flaw == Some(Flaw::Missed) {
        let half = state(rng, pair[0], attribute, values[0], Form::Name);
        return format!("{half} {conclusion}");
    }
    let [first, second] = state_alike(rng, pair, attribute, values);
    format!("{first} {second} {conclusion}")
}
