//! A teacher marks a pupil's answer. Who has read what people say of good and of bad answers has something to build on when
//! it comes to tell them apart.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::talks::exercise;
use crate::entities::name;
use crate::facts::Facts;
use crate::scenes::person;
use crate::task::Flaw;
use crate::tasks::{self, Manner};
use crate::text::pick;

/// What stands before the teacher's own answer: from here on everything is true.
pub(crate) const BETTER: &str = "Better say:";

/// What the teacher says of a good answer.
pub(crate) const PRAISE: [&str; 3] = ["That is right.", "Well said.", "That is a good answer."];

/// What the teacher says of an untrue one.
pub(crate) const UNTRUE: [&str; 3] = ["That is not true.", "That is wrong.", "You made a mistake."];

/// What the teacher says of an answer.
fn remark(rng: &mut ChaCha8Rng, flaw: Option<Flaw>) -> &'static str {
    let remarks: &[&str] = match flaw {
        None => &PRAISE,
        Some(Flaw::Wrong) => &UNTRUE,
        Some(Flaw::Guess) => &["You are guessing.", "You cannot know that."],
        Some(Flaw::Shrug) => &["But you could know that.", "Think again."],
        Some(Flaw::Curt) => &["That is too short.", "Say a little more."],
        Some(Flaw::Careless) => &["Write with more care.", "Be more polite and careful."],
        Some(Flaw::Rambling) => &["That is too long.", "Say it once."],
        Some(Flaw::Missed) => &["That is not all.", "You forgot a part."],
        Some(Flaw::HalfHearted) => &["You should not help with that.", "That would do harm."],
    };
    pick(rng, remarks)
}

/// A question, an answer with or without a flaw, and the teacher's remark, sometimes with a better answer.
pub(super) fn mark(rng: &mut ChaCha8Rng, facts: &Facts, may_ask: &dyn Fn(&str) -> bool) -> String {
    let draft = exercise(rng, facts, may_ask);
    let flaws = tasks::flaws(draft.task.kind());
    let flaw = match rng.random_bool(0.5) {
        true => flaws.choose_weighted(rng, |flaw| flaw.1).ok().map(|flaw| flaw.0),
        false => None,
    };
    let answer = tasks::answer(rng, facts, &draft.task, &Manner::GOOD, flaw);
    let pupil = name(person(rng));
    let question = &draft.messages[0].content;
    let mut text = format!(
        "The teacher asked: {question} {pupil} tried: {answer} The teacher said: {}",
        remark(rng, flaw)
    );
    if flaw.is_some() && rng.random_bool(0.5) {
        let better = tasks::answer(rng, facts, &draft.task, &Manner::GOOD, None);
        text = format!("{text} {BETTER} {better}");
    }
    text
}
