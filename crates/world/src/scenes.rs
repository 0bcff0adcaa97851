//! Little happenings: the passages that are asked about and summarised.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use crate::entities::{Domain, Item, bare, is_woman, size};
use crate::names::{DAYS, ITEMS, SPOTS};
use crate::task::{Asked, Scene};
use crate::text::{expand, pick};

/// Deeds of people with things, in past and base form.
pub(crate) const DEEDS: [(&str, &str); 10] = [
    ("found", "find"),
    ("lost", "lose"),
    ("hid", "hide"),
    ("forgot", "forget"),
    ("dropped", "drop"),
    ("bought", "buy"),
    ("sold", "sell"),
    ("cleaned", "clean"),
    ("drew", "draw"),
    ("buried", "bury"),
];

/// Deeds of the other person.
pub(crate) const HELPS: [&str; 18] = [
    "brought a lamp",
    "laughed and clapped",
    "came to help",
    "brought a mug of warm milk",
    "told the whole street",
    "rang a little bell",
    "gave away an apple",
    "held the ladder",
    "wrote it all down",
    "sang an old song",
    "lit a small fire",
    "made a wish",
    "called the neighbours",
    "sat down to watch",
    "offered a slice of bread",
    "ran for a spade",
    "shook a wise head",
    "asked many questions",
];

const WEATHER: [&str; 14] = [
    "The sun was low and red.",
    "It rained all afternoon.",
    "A cold wind blew.",
    "Snow lay on the roofs.",
    "The air smelled of hay.",
    "Fog hung over the fields.",
    "It was a warm and lazy day.",
    "The birds were loud that day.",
    "Clouds hurried over the hills.",
    "Somewhere a dog barked.",
    "The market was full of people.",
    "All was quiet.",
    "The first stars were out.",
    "There was thunder far away.",
];

const ENDINGS: [&str; 12] = [
    "Then they walked home together.",
    "After that they shared some bread.",
    "In the evening they sat by the fire.",
    "They talked about it for a long time.",
    "By nightfall everyone had heard of it.",
    "They were both very tired.",
    "It was a good day after all.",
    "They promised to meet again.",
    "Then the rain came and they ran.",
    "They laughed all the way home.",
    "Nobody wanted to go to bed that night.",
    "So the day came to an end.",
];

/// A random person.
pub(crate) fn person(rng: &mut ChaCha8Rng) -> Item {
    Item::new(Domain::Person, rng.random_range(0..size(Domain::Person)))
}

/// Two different people.
pub(crate) fn two_people(rng: &mut ChaCha8Rng) -> (Item, Item) {
    let first = person(rng);
    loop {
        let second = person(rng);
        if second != first {
            return (first, second);
        }
    }
}

/// A random scene.
pub(crate) fn scene(rng: &mut ChaCha8Rng) -> Scene {
    let (who, helper) = two_people(rng);
    Scene {
        who: bare(who).to_owned(),
        did: DEEDS.choose(rng).map_or("", |d| d.0).to_owned(),
        what: ITEMS.choose(rng).map_or("", |i| i.0).to_owned(),
        spot: pick(rng, &SPOTS).to_owned(),
        day: pick(rng, &DAYS).to_owned(),
        helper: bare(helper).to_owned(),
        helped: pick(rng, &HELPS).to_owned(),
    }
}

/// "the brass key" for "a brass key".
pub(crate) fn definite(what: &str) -> String {
    let bare = what
        .strip_prefix("a ")
        .or_else(|| what.strip_prefix("an "))
        .unwrap_or(what);
    format!("the {bare}")
}

/// Writes a template about a scene: `{A} {did} {do} {T} {the} {spot} {day} {B} {helped}` and `{he}` for the one who acts.
pub(crate) fn write(rng: &mut ChaCha8Rng, scene: &Scene, template: &str) -> String {
    let woman = crate::entities::find_entity(&scene.who).is_some_and(|p| is_woman(p.index));
    let the = definite(&scene.what);
    let base = DEEDS.iter().find(|d| d.0 == scene.did).map_or("", |d| d.1);
    let slots = [
        ("A", scene.who.as_str()),
        ("did", scene.did.as_str()),
        ("do", base),
        ("T", scene.what.as_str()),
        ("the", the.as_str()),
        ("spot", scene.spot.as_str()),
        ("day", scene.day.as_str()),
        ("B", scene.helper.as_str()),
        ("helped", scene.helped.as_str()),
        ("he", if woman { "she" } else { "he" }),
    ];
    expand(rng, template, &slots)
}

/// The passage: the deed, the other person, and sentences around them, each with the given chance.
pub(crate) fn passage(rng: &mut ChaCha8Rng, scene: &Scene, around: f64) -> String {
    let deed = pick(
        rng,
        &[
            "On {day} {A} {did} {T} {spot}.",
            "{A} {did} {T} {spot} on {day}.",
            "It was {day} when {A} {did} {T} {spot}.",
            "Last {day} {A} {did} {T} {spot}.",
        ],
    );
    let help = pick(
        rng,
        &[
            "{B} {helped}.",
            "{B} saw it and {helped}.",
            "Then {B} {helped}.",
            "At once {B} {helped}.",
        ],
    );
    let mut parts = vec![deed.to_owned(), help.to_owned()];
    if rng.random_bool(around) {
        parts.insert(1, pick(rng, &WEATHER).to_owned());
    }
    if rng.random_bool(around) {
        parts.push(pick(rng, &ENDINGS).to_owned());
    }
    write(rng, scene, &parts.join(" "))
}

/// A question on a part of the scene, in one of its wordings.
pub(crate) fn question(rng: &mut ChaCha8Rng, scene: &Scene, asked: Asked) -> String {
    let template = match asked {
        Asked::Who => pick(
            rng,
            &[
                "Who {did} {the}?",
                "Who was it that {did} {the}?",
                "Tell me who {did} {the}.",
            ],
        ),
        Asked::What => pick(
            rng,
            &[
                "What did {A} {do}?",
                "What was it that {A} {did}?",
                "What did {A} {do} {spot}?",
            ],
        ),
        Asked::Where => pick(
            rng,
            &[
                "Where did {A} {do} {the}?",
                "Where was {A} on {day}?",
                "In which spot did {A} {do} {the}?",
            ],
        ),
        Asked::When => pick(
            rng,
            &[
                "When did {A} {do} {the}?",
                "On which day did {A} {do} {the}?",
                "On what day did this happen?",
            ],
        ),
        Asked::Helper => pick(
            rng,
            &["Who {helped}?", "Tell me who {helped}.", "Who was it that {helped}?"],
        ),
    };
    write(rng, scene, template)
}

/// A full answer to the question.
pub(crate) fn answer(rng: &mut ChaCha8Rng, scene: &Scene, asked: Asked) -> String {
    let template = match asked {
        Asked::Who => pick(
            rng,
            &[
                "It was {A} who {did} {the}.",
                "{A} {did} {the} {spot}.",
                "The passage says that {A} {did} {the}.",
                "{A} {did} it[| on {day}], and {B} {helped}.",
            ],
        ),
        Asked::What => pick(
            rng,
            &[
                "{A} {did} {T} {spot}.",
                "It was {T} that {A} {did}[| {spot}].",
                "The passage says that {A} {did} {T}.",
                "On {day} {A} {did} {T}.",
            ],
        ),
        Asked::Where => pick(
            rng,
            &[
                "{A} {did} {the} {spot}.",
                "It was {spot} that {A} {did} {the}.",
                "The passage says that it was {spot}.",
                "It happened {spot} on {day}.",
            ],
        ),
        Asked::When => pick(
            rng,
            &[
                "{A} {did} {the} on {day}.",
                "It was on {day} that {A} {did} {the}.",
                "It happened on {day}.",
                "The passage says that it was {day}.",
            ],
        ),
        Asked::Helper => pick(
            rng,
            &[
                "It was {B} who {helped}.",
                "{B} {helped}.",
                "The passage says that {B} {helped}.",
                "{B} {helped} when {A} {did} {the}.",
            ],
        ),
    };
    write(rng, scene, template)
}

/// The bare words that answer the question.
pub(crate) fn bare_answer(scene: &Scene, asked: Asked) -> String {
    match asked {
        Asked::Who => scene.who.clone(),
        Asked::What => scene.what.clone(),
        Asked::Where => scene.spot.clone(),
        Asked::When => scene.day.clone(),
        Asked::Helper => scene.helper.clone(),
    }
}

/// The passage in one sentence.
pub(crate) fn summary(rng: &mut ChaCha8Rng, scene: &Scene) -> String {
    let template = pick(
        rng,
        &[
            "{A} {did} {T} {spot}, and {B} {helped}.",
            "In short, {A} {did} {T} {spot} and {B} {helped}.",
            "{B} {helped} when {A} {did} {T} {spot}.",
            "On {day} {A} {did} {T}, and {B} {helped}.",
            "When {A} {did} {T} {spot}, {B} {helped}.",
            "It is about {A}, who {did} {T} {spot}, and about {B}, who {helped}.",
        ],
    );
    write(rng, scene, template)
}

/// The same scene with one part changed, as by a careless reader.
pub(crate) fn misread(rng: &mut ChaCha8Rng, scene: &Scene, asked: Asked) -> Scene {
    let mut wrong = scene.clone();
    let mut guard = 0;
    while wrong == *scene && guard < 50 {
        let other = self::scene(rng);
        match asked {
            Asked::Who if rng.random_bool(0.5) => wrong.who.clone_from(&scene.helper),
            Asked::Helper if rng.random_bool(0.5) => wrong.helper.clone_from(&scene.who),
            Asked::Who if other.who != scene.helper => wrong.who = other.who,
            Asked::What => wrong.what = other.what,
            Asked::Where => wrong.spot = other.spot,
            Asked::When => wrong.day = other.day,
            Asked::Helper if other.helper != scene.who => wrong.helper = other.helper,
            _ => {}
        }
        guard += 1;
    }
    wrong
}
