//! Work on a text in the prompt: questions, summaries, changes of tone.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use rlhf_data::Message;

use super::{Draft, turn};
use crate::entities::{Domain, Item, name, size};
use crate::names::{DISHES, ITEMS, PLACES, SPOTS};
use crate::scenes::{self, two_people};
use crate::task::{Asked, Flaw, Scene, Task, Tone};
use crate::text::{capitalised, expand, lowered, pick, without_stop};

/// The signatures of a scene, for the split: when it is asked about, and when it is summarised.
pub(crate) fn scene_signatures(scene: &Scene) -> [String; 2] {
    ["passage", "summary"].map(|kind| format!("{kind}/{}/{}/{}/{}", scene.who, scene.did, scene.what, scene.helper))
}

pub(super) fn draft_passage(rng: &mut ChaCha8Rng) -> Draft {
    let scene = scenes::scene(rng);
    let asked = Asked::ALL.choose(rng).copied().unwrap_or(Asked::Who);
    let passage = scenes::passage(rng, &scene, 0.6);
    let question = scenes::question(rng, &scene, asked);
    let text = match rng.random_range(0..4) {
        0 => format!("{passage} {question}"),
        1 => format!("Read this: {passage} {question}"),
        2 => format!("Here is a story. {passage} {question}"),
        _ => format!("{question} The text says: {passage}"),
    };
    let [signature, _] = scene_signatures(&scene);
    Draft {
        messages: vec![Message::user(text)],
        task: Task::Passage { scene, asked },
        signature,
    }
}

pub(super) fn answer_passage(rng: &mut ChaCha8Rng, scene: &Scene, asked: Asked, flaw: Option<Flaw>) -> String {
    match flaw {
        Some(Flaw::Curt) => capitalised(&format!("{}.", scenes::bare_answer(scene, asked))),
        Some(Flaw::Wrong) => {
            let wrong = scenes::misread(rng, scene, asked);
            scenes::answer(rng, &wrong, asked)
        }
        _ => scenes::answer(rng, scene, asked),
    }
}

pub(super) fn draft_summary(rng: &mut ChaCha8Rng) -> Draft {
    let scene = scenes::scene(rng);
    let passage = scenes::passage(rng, &scene, 1.0);
    let text = match rng.random_range(0..6) {
        0 => format!("Say this in one sentence: {passage}"),
        1 => format!("Make this shorter: {passage}"),
        2 => format!("{passage} Please sum this up."),
        3 => format!("What is this about? {passage}"),
        4 => format!("Give me the short version of this: {passage}"),
        _ => format!("{passage} Tell me the main point in a few words."),
    };
    let words = passage.split_whitespace().count();
    let [_, signature] = scene_signatures(&scene);
    Draft {
        messages: vec![Message::user(text)],
        task: Task::Summary { scene, words },
        signature,
    }
}

pub(super) fn answer_summary(rng: &mut ChaCha8Rng, scene: &Scene, flaw: Option<Flaw>) -> String {
    match flaw {
        Some(Flaw::Missed) => {
            let template = pick(
                rng,
                &[
                    "It is about {A}.",
                    "{A} did something {spot}.",
                    "{B} {helped}.",
                    "It is about {the}.",
                    "{A} was {spot}.",
                ],
            );
            scenes::write(rng, scene, template)
        }
        Some(Flaw::Wrong) => {
            let asked = *[Asked::Who, Asked::What, Asked::Helper]
                .choose(rng)
                .unwrap_or(&Asked::What);
            let wrong = scenes::misread(rng, scene, asked);
            scenes::summary(rng, &wrong)
        }
        Some(Flaw::Rambling) => scenes::passage(rng, scene, 1.0),
        _ => scenes::summary(rng, scene),
    }
}

/// Orders, with the words that must survive.
const ORDERS: [(&str, &[&str]); 16] = [
    ("Close the gate {spot}.", &["gate"]),
    ("Bring me {T}.", &["bring", "{T}"]),
    ("Carry this basket to {A}.", &["carry", "basket", "{A}"]),
    ("Tell {A} to come home.", &["tell", "{A}", "home"]),
    ("Give the bread to {A}.", &["give", "bread", "{A}"]),
    ("Wait for {A} {spot}.", &["wait", "{A}"]),
    ("Lend {T} to {A}.", &["lend", "{T}", "{A}"]),
    ("Help {A} with the hay.", &["help", "{A}", "hay"]),
    ("Take {T} to {P}.", &["take", "{T}", "{P}"]),
    ("Look after the geese of {A}.", &["look", "geese", "{A}"]),
    ("Be quiet, for {A} is asleep.", &["quiet", "{A}", "asleep"]),
    ("Cook {D} for {A}.", &["cook", "{D}", "{A}"]),
    ("Show {A} the way to {P}.", &["show", "{A}", "{P}"]),
    ("Play a song for {A}.", &["play", "song", "{A}"]),
    ("Return {T} to {A}.", &["return", "{T}", "{A}"]),
    ("Write a letter to {A}.", &["write", "letter", "{A}"]),
];

/// News, with the words that must survive.
const NEWS: [(&str, &[&str]); 14] = [
    ("{A} has {did} {T}.", &["{A}", "{T}"]),
    ("{A} is coming to {P}.", &["{A}", "coming", "{P}"]),
    ("{A} made {D} for {B}.", &["{A}", "{D}", "{B}"]),
    ("{A} has left {P}.", &["{A}", "left", "{P}"]),
    ("{E} is over.", &["{E}", "over"]),
    ("There is no more {D} in {P}.", &["more", "{D}", "{P}"]),
    ("{A} and {B} will dance at {E}.", &["{A}", "{B}", "{E}"]),
    ("Snow fell {spot}.", &["snow", "fell"]),
    ("The ferry to {P} is late.", &["ferry", "{P}", "late"]),
    ("{B} gave {T} to {A}.", &["{B}", "gave", "{T}", "{A}"]),
    ("{A} will sing at {E}.", &["{A}", "sing", "{E}"]),
    ("The geese of {A} have gone to {P}.", &["geese", "{A}", "{P}"]),
    ("{A} has a new hat.", &["{A}", "hat"]),
    ("A letter for {B} came from {P}.", &["letter", "{B}", "{P}"]),
];

/// The words that ask for a sentence in this tone.
fn rewrite_order(rng: &mut ChaCha8Rng, tone: Tone) -> &'static str {
    match tone {
        Tone::Polite => pick(
            rng,
            &[
                "Say this politely:",
                "Make this sound polite:",
                "How would a polite person say this?",
            ],
        ),
        Tone::Excited => pick(
            rng,
            &[
                "Say this with joy:",
                "Make this sound excited:",
                "How would an excited child say this?",
            ],
        ),
        Tone::Sad => pick(
            rng,
            &[
                "Say this sadly:",
                "Make this sound sad:",
                "How would a sad person say this?",
            ],
        ),
        Tone::Formal => pick(
            rng,
            &[
                "Say this like a clerk:",
                "Make this sound formal:",
                "How would a mayor say this in a speech?",
            ],
        ),
    }
}

pub(super) fn draft_rewrite(rng: &mut ChaCha8Rng) -> Draft {
    let tone = *[Tone::Polite, Tone::Excited, Tone::Sad, Tone::Formal]
        .choose(rng)
        .unwrap_or(&Tone::Polite);
    let sources: &[(&str, &[&str])] = if tone == Tone::Polite { &ORDERS } else { &NEWS };
    let (template, keep) = sources.choose(rng).copied().unwrap_or(ORDERS[0]);
    let (a, b) = two_people(rng);
    let (a, b) = (name(a), name(b));
    let did = pick(rng, &["found", "lost", "bought", "sold", "hidden", "dropped"]);
    let event = name(Item::new(Domain::Event, rng.random_range(0..size(Domain::Event))));
    let item = ITEMS.choose(rng).map_or("", |i| i.0);
    let slots = [
        ("A", a.as_str()),
        ("B", b.as_str()),
        ("T", item),
        ("D", pick(rng, &DISHES)),
        ("E", event.as_str()),
        ("P", pick(rng, &PLACES)),
        ("spot", pick(rng, &SPOTS)),
        ("did", did),
    ];
    let source = expand(rng, template, &slots);
    let keep = keep
        .iter()
        .flat_map(|word| {
            let word = slots.iter().fold((*word).to_owned(), |w, (slot, value)| {
                w.replace(&format!("{{{slot}}}"), value)
            });
            content_words(&word)
        })
        .collect();
    let order = rewrite_order(rng, tone);
    let signature = format!("rewrite/{tone:?}/{source}");
    let task = Task::Rewrite {
        source: source.clone(),
        tone,
        keep,
    };
    Draft {
        messages: turn(rng, &format!("{order} {source}")),
        task,
        signature,
    }
}

/// The words of a phrase that carry its meaning, in lower case.
pub(crate) fn content_words(phrase: &str) -> Vec<String> {
    phrase
        .split_whitespace()
        .map(|w| w.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase())
        .filter(|w| !matches!(w.as_str(), "a" | "an" | "the" | "of" | ""))
        .collect()
}

/// Forms of a tone: `{c}` the order without its stop in lower case, `{s}` the news so, `{S}` the news as it stands.
fn forms(tone: Tone) -> &'static [&'static str] {
    match tone {
        Tone::Polite => &[
            "Would you please {c}? Thank you very much.",
            "Could you please {c}? That would be very kind.",
            "Please be so kind as to {c}. I would be grateful.",
            "May I ask you to {c}? Thank you kindly.",
            "If it is no trouble, please {c}. I thank you with all my heart.",
            "I would be so grateful if you would {c}. Thank you!",
        ],
        Tone::Excited => &[
            "What wonderful news! {S}! I cannot sit still!",
            "Oh, have you heard? {S}! How exciting!",
            "Hurrah! {S}! I could dance for joy!",
            "Can you believe it? {S}! My heart is jumping!",
            "Oh my, {s}! This is the best news of the year!",
            "Come quick, everyone! {S}! How wonderful!",
        ],
        Tone::Sad => &[
            "Alas, {s}. My heart is heavy.",
            "Oh dear, {s}. I could weep.",
            "It is a sad thing, but {s}. I will cry all night.",
            "With tears I must say that {s}. How sad it is.",
            "Alas, {s}, and nothing can comfort me.",
            "My heart is heavy, for {s}. What a sorrow.",
        ],
        Tone::Formal => &[
            "It is hereby made known that {s}.",
            "Let it be known to all that {s}.",
            "We have the honour to report that {s}.",
            "It is my duty to inform you that {s}.",
            "Ladies and gentlemen, I must report that {s}.",
            "By order of the mayor it is made known that {s}.",
        ],
    }
}

pub(super) fn answer_rewrite(rng: &mut ChaCha8Rng, source: &str, tone: Tone, flaw: Option<Flaw>) -> String {
    let plain = without_stop(source);
    let first_is_name = crate::entities::find_entity(plain.split_whitespace().next().unwrap_or("")).is_some();
    let inner = if first_is_name {
        plain.to_owned()
    } else {
        plain[..1].to_lowercase() + &plain[1..]
    };
    match flaw {
        Some(Flaw::Curt) => {
            // Half of the sentence is gone.
            let words: Vec<&str> = plain.split_whitespace().collect();
            format!(
                "{}, {}.",
                pick(rng, &["Well", "So", "Yes"]),
                lowered(&words[..words.len().div_ceil(2)].join(" "))
            )
        }
        Some(Flaw::Missed) => {
            if rng.random_bool(0.4) {
                return source.to_owned();
            }
            let other = *[Tone::Polite, Tone::Excited, Tone::Sad, Tone::Formal]
                .iter()
                .filter(|t| **t != tone && (**t == Tone::Polite) == (tone == Tone::Polite))
                .collect::<Vec<_>>()
                .choose(rng)
                .unwrap_or(&&tone);
            if *other == tone {
                return format!("{plain} now.");
            }
            let template = pick(rng, forms(*other));
            expand(rng, template, &[("c", &inner), ("s", &inner), ("S", plain)])
        }
        _ => {
            let template = pick(rng, forms(tone));
            expand(rng, template, &[("c", &inner), ("s", &inner), ("S", plain)])
        }
    }
}
