//! Sights to see in a place.

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::memory::wrong;
use super::{Draft, entity, turn};
use crate::entities::{Attribute, bare, name};
use crate::facts::Facts;
use crate::names::PLACES;
use crate::sentences::{Form, state, tell};
use crate::task::{Flaw, Task};
use crate::text::{capitalised, expand, pick, tidy};

pub(super) fn draft_visit(rng: &mut ChaCha8Rng) -> Draft {
    let place = pick(rng, &PLACES);
    let company = pick(
        rng,
        &[
            "",
            "tomorrow",
            "with my children",
            "for a day",
            "on Saturday",
            "with my grandmother",
            "next week",
            "with a friend",
            "for the first time",
            "in summer",
        ],
    );
    let frame = rng.random_range(0..5);
    let text = match frame {
        0 => format!("I am going to {place} {company}. What should I see?"),
        1 => format!("We will visit {place} {company}. What is worth a look?"),
        2 => format!("I want to walk to {place} {company}. What is there?"),
        3 => format!("I will be in {place} {company}. Any advice?"),
        _ => format!("Tell me about {place}. I will be there soon {company}."),
    };
    let signature = format!("visit/{place}/{company}/{frame}");
    let task = Task::Visit {
        place: place.to_owned(),
    };
    Draft {
        messages: turn(rng, &tidy(&text)),
        task,
        signature,
    }
}

const SEE: [&str; 7] = [
    "Be sure to see {P} {V}.",
    "You should look at the {V} of {N}.",
    "{N} is famous for its {V}, so begin there.",
    "Start with the {V}, for {N} is known for its {V}.",
    "Do not miss the {V} of {N}.",
    "First of all, {N} is known for its {V}.",
    "Everyone in {N} will show you its {V}.",
];

pub(super) fn answer_visit(rng: &mut ChaCha8Rng, facts: &Facts, place: &str, flaw: Option<Flaw>) -> String {
    let place = entity(place);
    let (n, p) = (name(place), format!("{}'s", name(place)));
    let mut sight = facts.truth(place, Attribute::Sight);
    if flaw == Some(Flaw::Curt) {
        return capitalised(&format!("the {}.", bare(sight)));
    }
    let mut others = [Attribute::Crop, Attribute::Region, Attribute::Kind, Attribute::Leader];
    others.shuffle(rng);
    let mut second = tell(rng, facts, place, others[0], Form::Name);
    if flaw == Some(Flaw::Wrong) {
        if rng.random_bool(0.6) {
            sight = wrong(rng, facts, place, Attribute::Sight);
        } else {
            let value = wrong(rng, facts, place, others[0]);
            second = state(rng, place, others[0], value, Form::Name);
        }
    }
    let v = name(sight);
    let template = pick(rng, &SEE);
    let first = expand(rng, template, &[("N", &n), ("P", &p), ("V", &v)]);
    format!("{first} {second}")
}
