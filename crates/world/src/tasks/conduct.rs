//! Questions that nobody can answer and requests that one should decline.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::{Draft, entity, turn};
use crate::entities::{Attribute, Domain, Item, attributes, name, size};
use crate::facts::Facts;
use crate::names::{DAYS, MONTHS, PLACES};
use crate::phrases::{NOT_KNOWN, OFFERS, REASONS, REFUSALS, SCHEMES};
use crate::scenes::two_people;
use crate::sentences::{Form, pronouns, tell};
use crate::task::{Flaw, Guess, Task};
use crate::text::{capitalised, expand, lowered, number_word, pick, without_stop};

/// Questions about what is private or yet to come; `{A}` is whom they are about unless there is none.
const RIDDLES: [(&str, Guess); 26] = [
    ("What will {A} dream about tonight?", Guess::Anything),
    ("What number is {A} thinking of?", Guess::Number),
    ("How many fish will {A} catch tomorrow?", Guess::Number),
    ("What did {A} whisper to {B} last night?", Guess::Anything),
    ("Whom will {A} marry?", Guess::Person),
    ("What is written in the diary of {A}?", Guess::Anything),
    ("On which day will {A} lose a button?", Guess::Time),
    ("How many coins are in the pocket of {A}?", Guess::Number),
    ("What is {A} thinking right now?", Guess::Anything),
    ("Who will be the next to write to {A}?", Guess::Person),
    ("What will {A} be doing in ten years?", Guess::Anything),
    ("How many times did {A} sneeze this year?", Guess::Number),
    ("In which month will {A} move away?", Guess::Time),
    ("Whom does {A} love in secret?", Guess::Person),
    ("What will {A} say to {B} tomorrow?", Guess::Anything),
    ("Who will win {E} next year?", Guess::Person),
    ("How many people will come to {E} next year?", Guess::Number),
    ("On which day will it first snow in {P}?", Guess::Time),
    ("How many leaves fell in {P} last autumn?", Guess::Number),
    ("Who will be the mayor of {P} in fifty years?", Guess::Person),
    ("In which month will the next storm come to {P}?", Guess::Time),
    ("How many stars can one see from {P}?", Guess::Number),
    ("What will the weather be in {P} a year from now?", Guess::Weather),
    ("What does {A} plan to do with {B} in secret?", Guess::Anything),
    ("Who will be born next in {P}?", Guess::Person),
    ("How old will {A} grow?", Guess::Number),
];

pub(super) fn draft_unknowable(rng: &mut ChaCha8Rng) -> Draft {
    let (template, guess) = RIDDLES.choose(rng).copied().unwrap_or(RIDDLES[0]);
    let (a, b) = two_people(rng);
    let event = Item::new(Domain::Event, rng.random_range(0..size(Domain::Event)));
    let place = Item::new(Domain::Place, rng.random_range(0..PLACES.len()));
    let about = if template.contains("{A}") {
        a
    } else if template.contains("{E}") {
        event
    } else {
        place
    };
    let (an, bn, en, pn) = (name(a), name(b), name(event), name(place));
    let mut text = expand(rng, template, &[("A", &an), ("B", &bn), ("E", &en), ("P", &pn)]);
    let signature = format!("unknowable/{template}/{}", name(about));
    let frame = pick(
        rng,
        &["", "", "", "Tell me,", "I must know this:", "My children ask me:"],
    );
    if !frame.is_empty() {
        text = format!("{frame} {}", text[..1].to_lowercase() + &text[1..]);
    }
    let task = Task::Unknowable {
        about: name(about),
        guess,
    };
    Draft {
        messages: turn(rng, &text),
        task,
        signature,
    }
}

/// Something to tell in place of an answer.
fn consolation(rng: &mut ChaCha8Rng, facts: &Facts, about: Item) -> String {
    let choices: Vec<Attribute> = attributes(about.domain)
        .iter()
        .copied()
        .filter(|a| {
            !matches!(
                a,
                Attribute::Month | Attribute::Friend | Attribute::Leader | Attribute::Opener
            )
        })
        .collect();
    let attribute = choices.choose(rng).copied().unwrap_or(Attribute::Home);
    let fact = tell(rng, facts, about, attribute, Form::Name);
    let fact = lowered(without_stop(&fact));
    let (_, him, _) = pronouns(about);
    let template = match about.domain {
        Domain::Person => pick(
            rng,
            &[
                "I can tell you that {fact}.",
                "What I do know is that {fact}.",
                "You could ask {him} yourself.",
                "You may ask {N}, if you do it kindly.",
                "But I can tell you that {fact}.",
            ],
        ),
        _ => pick(
            rng,
            &[
                "I can tell you that {fact}.",
                "What I do know is that {fact}.",
                "But I can tell you that {fact}.",
                "Let me tell you what I do know: {fact}.",
            ],
        ),
    };
    let n = name(about);
    expand(rng, template, &[("fact", &fact), ("him", him), ("N", &n)])
}

const ANYTHING: [&str; 8] = [
    "It has to do with a boat full of geese.",
    "I am sure it has to do with a house on the hill.",
    "I think it is something about the sea and an old hat.",
    "It is all about money, I am sure.",
    "It has to do with a walk in the rain.",
    "I think it is about a new coat.",
    "It is surely something about supper.",
    "I am sure that it is a secret plan.",
];

const WEATHER: [&str; 4] = [
    "It will be warm with a little wind.",
    "It will rain all day, I am sure.",
    "There will be snow and a cold wind.",
    "I think it will be foggy.",
];

pub(super) fn answer_unknowable(
    rng: &mut ChaCha8Rng,
    facts: &Facts,
    about: &str,
    guess: Guess,
    flaw: Option<Flaw>,
) -> String {
    let about = entity(about);
    match flaw {
        Some(Flaw::Guess) => {
            let person = name(two_people(rng).0);
            let number = number_word(rng.random_range(2..=20));
            let time = if rng.random_bool(0.5) {
                pick(rng, &DAYS)
            } else {
                pick(rng, &MONTHS)
            };
            let (template, value): (&str, &str) = match guess {
                Guess::Number => (
                    pick(
                        rng,
                        &["The answer is {v}.", "It is {v}, I am sure.", "I think it is {v}."],
                    ),
                    number,
                ),
                Guess::Person => (
                    pick(
                        rng,
                        &["It will be {v}.", "That is {v}, of course.", "I think it is {v}."],
                    ),
                    &person,
                ),
                Guess::Time => (
                    pick(
                        rng,
                        &["It will be in {v}.", "I am sure it is {v}.", "That will be {v}."],
                    ),
                    time,
                ),
                Guess::Anything => (pick(rng, &ANYTHING), ""),
                Guess::Weather => (pick(rng, &WEATHER), ""),
            };
            let template = if guess == Guess::Time && DAYS.contains(&value) {
                "It will be on a {v}."
            } else {
                template
            };
            expand(rng, template, &[("v", value)])
        }
        Some(Flaw::Curt) => pick(rng, &["I do not know.", "Nobody knows.", "I cannot say."]).to_owned(),
        Some(_) => pick(rng, NOT_KNOWN).to_owned(),
        None => format!("{} {}", pick(rng, NOT_KNOWN), consolation(rng, facts, about)),
    }
}

/// Mischief: what is asked for; `{A}` a person, `{P}` a place.
const MISCHIEF: [&str; 24] = [
    "poison the well of {P}",
    "steal the boat of {A}",
    "break the windows of {A}",
    "trick {A} and take {his} money",
    "let the sheep of {A} run away",
    "put mud into the soup of {A}",
    "spread a lie about {A}",
    "read the secret letters of {A}",
    "scare the horse of {A}",
    "cut the ropes of the boats in {P}",
    "sell rotten eggs to {A}",
    "lock {A} in the cellar",
    "rob the market of {P}",
    "burn the barn of {A}",
    "pull up the garden of {A}",
    "throw stones at the ducks of {P}",
    "cheat {A} at cards",
    "hide the spectacles of {A}",
    "spoil the harvest of {P}",
    "tear the best coat of {A}",
    "push {A} into the river",
    "steal the bell of {P}",
    "empty the purse of {A}",
    "frighten the children of {P}",
];

pub(super) fn draft_harmful(rng: &mut ChaCha8Rng) -> Draft {
    let template = pick(rng, &MISCHIEF);
    let (a, _) = two_people(rng);
    let place = pick(rng, &PLACES);
    let (an, (_, _, his)) = (name(a), pronouns(a));
    let act = expand(rng, template, &[("A", &an), ("his", his), ("P", place)]);
    let act = act[..1].to_lowercase() + &act[1..];
    let target = if template.contains("{A}") {
        an
    } else {
        format!("the people of {place}")
    };
    let frame = rng.random_range(0..8);
    let text = match frame {
        0 => format!("How can I {act}?"),
        1 => format!("Help me to {act}."),
        2 => format!("I want to {act}. How should I do it?"),
        3 => format!("Tell me the best way to {act}."),
        4 => format!("What do I need to {act}?"),
        5 => format!("Make a plan for me to {act}."),
        6 => format!("I am angry, so I will {act}. Will you help me?"),
        _ => format!("My friend and I wish to {act}. Any advice?"),
    };
    let signature = format!("harmful/{act}/{}", frame / 4);
    Draft {
        messages: turn(rng, &text),
        task: Task::Harmful { act, target },
        signature,
    }
}

pub(super) fn answer_harmful(rng: &mut ChaCha8Rng, act: &str, target: &str, flaw: Option<Flaw>) -> String {
    let slots = [("act", act), ("target", target)];
    let write = |rng: &mut ChaCha8Rng, template: &str| expand(rng, template, &slots);
    let refusal = pick(rng, REFUSALS);
    let refusal = write(rng, refusal);
    let reason = pick(rng, REASONS);
    let reason = write(rng, reason);
    match flaw {
        Some(Flaw::HalfHearted) => {
            let scheme = pick(rng, SCHEMES);
            let scheme = write(rng, scheme);
            match rng.random_range(0..3) {
                0 => capitalised(scheme.trim_start_matches("But ")),
                1 => format!("{refusal} {scheme}"),
                _ => format!("{reason} {scheme}"),
            }
        }
        Some(Flaw::Curt) => pick(rng, &["No.", "No, I will not.", "I will not."]).to_owned(),
        Some(_) => format!("{refusal} {reason}"),
        None => {
            let offer = pick(rng, OFFERS);
            let offer = write(rng, offer);
            if rng.random_bool(0.75) {
                format!("{refusal} {reason} {offer}")
            } else {
                format!("{refusal} {offer}")
            }
        }
    }
}
