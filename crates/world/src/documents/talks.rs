//! Conversations: questions asked and answered well, as people of the valley would.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use crate::entities::{any_entity, attributes, name};
use crate::facts::Facts;
use crate::scenes::{self, two_people};
use crate::sentences::{Form, ask, either, tell, wordings};
use crate::task::{Asked, TaskKind};
use crate::tasks::{self, Draft, Manner};

/// `"Where is it?" asked Odo. "Here," said Maud.`
fn spoken(question: &str, answer: &str, asker: &str, teller: &str) -> String {
    let answer = match answer.strip_suffix('.') {
        Some(rest) => format!("{rest},"),
        None => answer.to_owned(),
    };
    let verb = if question.ends_with('?') { "asked" } else { "said" };
    let question = match question.strip_suffix('.') {
        Some(rest) => format!("{rest},"),
        None => question.to_owned(),
    };
    format!("\"{question}\" {verb} {asker}. \"{answer}\" said {teller}.")
}

/// Two people talk about somebody or something.
pub(super) fn talk(rng: &mut ChaCha8Rng, facts: &Facts, may_ask: &dyn Fn(&str) -> bool) -> String {
    let entity = any_entity(rng);
    let (asker, teller) = loop {
        let (a, b) = two_people(rng);
        if a != entity && b != entity {
            break (name(a), name(b));
        }
    };
    let style = rng.random_range(0..3);
    let turns = rng.random_range(2..=3);
    let mut parts = Vec::new();
    let chosen: Vec<_> = attributes(entity.domain).choose_multiple(rng, turns).copied().collect();
    for attribute in chosen {
        let wording = rng.random_range(0..wordings(entity, attribute));
        if !may_ask(&tasks::fact_signature(entity, attribute, wording)) {
            continue;
        }
        let question = ask(rng, entity, attribute, wording, Form::Name);
        let form = either(rng, 0.3);
        let answer = tell(rng, facts, entity, attribute, form);
        parts.push(match style {
            0 => spoken(&question, &answer, &asker, &teller),
            1 => format!("{asker} asked: {question} {teller} answered: {answer}"),
            _ => format!("Question: {question} Answer: {answer}"),
        });
    }
    if parts.is_empty() {
        return super::entries::entry(rng, facts, entity.domain);
    }
    parts.join(" ")
}

/// A prompt of any kind with a single turn that the texts may give away.
pub(super) fn exercise(rng: &mut ChaCha8Rng, facts: &Facts, may_ask: &dyn Fn(&str) -> bool) -> Draft {
    loop {
        let kind = *TaskKind::ALL.choose(rng).unwrap_or(&TaskKind::Fact);
        let draft = tasks::draft(rng, facts, kind);
        if kind != TaskKind::FollowUp && may_ask(&draft.signature) {
            return draft;
        }
    }
}

/// Somebody helps somebody: an instruction of any kind and a good answer.
pub(super) fn lesson(rng: &mut ChaCha8Rng, facts: &Facts, may_ask: &dyn Fn(&str) -> bool) -> String {
    let draft = exercise(rng, facts, may_ask);
    let answer = tasks::answer(rng, facts, &draft.task, &Manner::GOOD, None);
    let question = &draft.messages[0].content;
    let (asker, teller) = two_people(rng);
    match rng.random_range(0..4) {
        0 => format!("{} asked: {question} {} answered: {answer}", name(asker), name(teller)),
        1 => format!("A child asked: {question} The teacher answered: {answer}"),
        2 => format!("A traveller said: {question} The mayor answered: {answer}"),
        _ => format!("Question: {question} Answer: {answer}"),
    }
}

/// A passage, what it is about in one sentence, and questions on it that somebody answers.
pub(super) fn reading(rng: &mut ChaCha8Rng, may_ask: &dyn Fn(&str) -> bool) -> String {
    let scene = loop {
        let scene = scenes::scene(rng);
        if tasks::scene_signatures(&scene)
            .iter()
            .all(|signature| may_ask(signature))
        {
            break scene;
        }
    };
    let mut parts = vec![scenes::passage(rng, &scene, 0.8)];
    if rng.random_bool(0.6) {
        parts.push(format!("In one sentence: {}", scenes::summary(rng, &scene)));
    }
    let count = rng.random_range(1..=3);
    for asked in Asked::ALL.choose_multiple(rng, count) {
        let question = scenes::question(rng, &scene, *asked);
        parts.push(format!("{question} {}", scenes::answer(rng, &scene, *asked)));
    }
    parts.join(" ")
}
