//! The judge reads everything the world writes: what is true must be found true, what is false must be found out.

use super::*;
use crate::config::WorldConfig;
use crate::entities::{Attribute, Domain, name};
use crate::sentences::{Form, state, tell};
use rand::seq::IndexedRandom;
use rlhf_tasks::JudgedTask as _;

fn facts_and_lexicon() -> (Facts, Lexicon) {
    (Facts::generate(1), Lexicon::new())
}

/// No text was misread.
fn assert_none(mut misread: Vec<String>) {
    misread.sort();
    misread.dedup();
    assert!(
        misread.is_empty(),
        "{} such as {:#?}",
        misread.len(),
        &misread[..misread.len().min(25)]
    );
}

#[test]
fn every_way_of_telling_a_fact_is_understood() {
    let (facts, lexicon) = facts_and_lexicon();
    let mut rng = stream(1, "audit", 0);
    let mut missed = Vec::new();
    for (entity, attribute) in Facts::all() {
        for round in 0..40 {
            let form = if round % 2 == 0 { Form::Name } else { Form::Pronoun };
            let text = tell(&mut rng, &facts, entity, attribute, form);
            let found = claims(&facts, &Reading::new(&lexicon, &text, Some(entity)));
            let right = found
                .iter()
                .any(|c| c.entity == entity && c.attribute == attribute && c.holds);
            if !right || found.iter().any(|c| !c.holds) {
                missed.push(format!("{text} -> {found:?}"));
            }
        }
    }
    assert_none(missed);
}

#[test]
fn every_false_fact_is_found_out() {
    let (facts, lexicon) = facts_and_lexicon();
    let mut rng = stream(2, "audit", 0);
    let mut missed = Vec::new();
    for (entity, attribute) in Facts::all() {
        for round in 0..40 {
            let form = if round % 2 == 0 { Form::Name } else { Form::Pronoun };
            let wrong = facts.wrong_values(entity, attribute);
            let value = *wrong.choose(&mut rng).unwrap();
            let text = state(&mut rng, entity, attribute, value, form);
            let found = claims(&facts, &Reading::new(&lexicon, &text, Some(entity)));
            if !found.iter().any(|c| !c.holds) {
                missed.push(format!("{text} (not {}) -> {found:?}", name(value)));
            }
        }
    }
    assert_none(missed);
}

/// A document, unless it holds news that somebody wants in other words, which do not speak for the world.
fn without_hearsay(text: &str) -> &str {
    if text.contains("here is no more") {
        return "";
    }
    text
}

#[test]
fn the_texts_of_the_world_say_nothing_untrue() {
    let config = WorldConfig {
        document_bytes: 1_500_000,
        ..WorldConfig::tiny()
    };
    let lexicon = Lexicon::new();
    let mut false_ones = Vec::new();
    let mut count = 0;
    let worlds = [1, 2, 3].map(|seed| World::generate(seed, &config));
    for (world, text) in worlds
        .iter()
        .flat_map(|world| world.documents().iter().map(move |text| (world, text)))
    {
        for claim in claims(world.facts(), &Reading::new(&lexicon, without_hearsay(text), None)) {
            count += 1;
            if !claim.holds {
                false_ones.push(format!(
                    "{} {:?} {}: {text}",
                    name(claim.entity),
                    claim.attribute,
                    name(claim.value)
                ));
            }
        }
    }
    assert!(count > 10_000, "{count}");
    assert_none(false_ones);
}

#[test]
fn a_denied_falsehood_is_true_and_a_denied_truth_is_false() {
    let (facts, lexicon) = facts_and_lexicon();
    let odo = find_entity("Odo").unwrap();
    let home = facts.truth(odo, Attribute::Home);
    let elsewhere = facts.wrong_values(odo, Attribute::Home)[0];
    let check = |text: String| {
        let found = claims(&facts, &Reading::new(&lexicon, &text, None));
        assert_eq!(found.len(), 1, "{text} {found:?}");
        found[0].holds
    };
    assert!(check(format!("Odo does not live in {}.", name(elsewhere))));
    assert!(!check(format!("Odo does not live in {}.", name(home))));
    assert!(check(format!("It is not true that Odo lives in {}.", name(elsewhere))));
    assert_eq!(home.domain, Domain::Place);
}

#[test]
fn every_fact_is_told_dozens_of_times() {
    let world = World::generate(
        1,
        &WorldConfig {
            // As much as the built-in run reads.
            document_bytes: 8_000_000,
            demonstrations: 0,
            reward_prompts: 0,
            ppo_prompts: 0,
            ..WorldConfig::default()
        },
    );
    let lexicon = Lexicon::new();
    let mut told: std::collections::BTreeMap<_, usize> = Facts::all().map(|fact| (fact, 0)).collect();
    for text in world.documents() {
        for claim in claims(world.facts(), &Reading::new(&lexicon, text, None)) {
            if claim.holds && !claim.denied {
                *told.entry((claim.entity, claim.attribute)).or_default() += 1;
            }
        }
    }
    let mut counts: Vec<usize> = told.values().copied().collect();
    counts.sort_unstable();
    assert!(counts[0] >= 50, "{:?}", told.iter().min_by_key(|(_, n)| **n));
    assert!(counts[counts.len() / 2] >= 100);
}
