//! Questions about the world, answered from memory.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use rlhf_data::Message;

use super::{Draft, Manner, entity, turn};
use crate::entities::{Attribute, Item, any_entity, attributes, bare, name};
use crate::facts::Facts;
use crate::questions::follow_ups;
use crate::sentences::{Form, ask, either, pronouns, state, tell, wordings};
use crate::task::{Flaw, Task};
use crate::text::{capitalised, expand, pick};

/// A fact by chance.
fn any_fact(rng: &mut ChaCha8Rng) -> (Item, Attribute) {
    let entity = any_entity(rng);
    let attribute = attributes(entity.domain).choose(rng).copied();
    (entity, attribute.unwrap_or(Attribute::Home))
}

/// The signature of a question from memory, for the split.
pub(crate) fn fact_signature(entity: Item, attribute: Attribute, wording: usize) -> String {
    format!("fact/{}/{attribute:?}/{wording}", bare(entity))
}

pub(super) fn draft_fact(rng: &mut ChaCha8Rng, facts: &Facts) -> Draft {
    let (entity, attribute) = any_fact(rng);
    let wording = rng.random_range(0..wordings(entity, attribute));
    let text = ask(rng, entity, attribute, wording, Form::Name);
    let signature = fact_signature(entity, attribute, wording);
    let task = Task::Fact {
        entity: name(entity),
        attribute,
        expected: name(facts.truth(entity, attribute)),
    };
    Draft {
        messages: turn(rng, &text),
        task,
        signature,
    }
}

pub(super) fn draft_follow_up(rng: &mut ChaCha8Rng, facts: &Facts) -> Draft {
    let (entity, attribute) = any_fact(rng);
    let others: Vec<Attribute> = attributes(entity.domain)
        .iter()
        .copied()
        .filter(|a| *a != attribute)
        .collect();
    let before = others.choose(rng).copied().unwrap_or(attribute);
    let wording = rng.random_range(0..wordings(entity, before));
    let first = ask(rng, entity, before, wording, Form::Name);
    let task = Task::Fact {
        entity: name(entity),
        attribute: before,
        expected: String::new(),
    };
    // The answer in between stays in the open, so that the pronoun of the next turn has one meaning.
    let reply = super::answer(
        rng,
        facts,
        &task,
        &Manner {
            opener: 0.3,
            closing: 0.3,
        },
        None,
    );
    let all = follow_ups(entity, attribute);
    let again = rng.random_range(0..all.len());
    let (he, him, his) = pronouns(entity);
    let second = expand(rng, all[again], &[("he", he), ("him", him), ("his", his)]);
    let signature = format!("follow_up/{}/{before:?}/{attribute:?}/{again}", bare(entity));
    let task = Task::FollowUp {
        entity: name(entity),
        attribute,
        expected: name(facts.truth(entity, attribute)),
    };
    let messages = vec![Message::user(first), Message::assistant(reply), Message::user(second)];
    Draft {
        messages,
        task,
        signature,
    }
}

/// One wrong value.
pub(super) fn wrong(rng: &mut ChaCha8Rng, facts: &Facts, entity: Item, attribute: Attribute) -> Item {
    facts
        .wrong_values(entity, attribute)
        .choose(rng)
        .copied()
        .unwrap_or(entity)
}

/// Another true thing to add, with the value kept out of the way of pronouns.
fn extra(rng: &mut ChaCha8Rng, facts: &Facts, entity: Item, but: Attribute) -> Option<String> {
    let choices: Vec<Attribute> = attributes(entity.domain)
        .iter()
        .copied()
        .filter(|a| *a != but && !matches!(a, Attribute::Friend | Attribute::Leader | Attribute::Opener))
        .collect();
    let attribute = choices.choose(rng)?;
    Some(tell(rng, facts, entity, *attribute, Form::Name))
}

pub(super) fn answer_fact(
    rng: &mut ChaCha8Rng,
    facts: &Facts,
    entity_name: &str,
    attribute: Attribute,
    flaw: Option<Flaw>,
) -> String {
    let entity = entity(entity_name);
    let truth = facts.truth(entity, attribute);
    match flaw {
        Some(Flaw::Curt) => capitalised(&format!("{}.", name(truth))),
        Some(Flaw::Shrug) => pick(rng, &["I do not know.", "I do not know that.", "I cannot say."]).to_owned(),
        Some(Flaw::Wrong) => {
            let value = wrong(rng, facts, entity, attribute);
            let form = either(rng, 0.3);
            state(rng, entity, attribute, value, form)
        }
        _ => {
            let form = either(rng, 0.25);
            let mut text = tell(rng, facts, entity, attribute, form);
            if flaw.is_none()
                && rng.random_bool(0.25)
                && let Some(more) = extra(rng, facts, entity, attribute)
            {
                text = format!("{text} {more}");
            }
            text
        }
    }
}
