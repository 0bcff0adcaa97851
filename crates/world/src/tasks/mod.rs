//! The instructions: how each kind of prompt is drafted and how a writer answers it.

mod conduct;
mod making;
mod memory;
mod passages;
mod visit;

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use rlhf_data::Message;

use crate::entities::Item;
use crate::facts::Facts;
use crate::phrases::{CLOSINGS, JOURNEY_CLOSINGS, KNOWING_OPENERS, OPENERS};
use crate::task::{Flaw, Task, TaskKind};
use crate::text::pick;

pub(crate) use making::{any_category, members, plural};
pub(crate) use memory::fact_signature;
pub(crate) use passages::{content_words, scene_signatures};

/// A prompt before it has an id.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) messages: Vec<Message>,
    pub(crate) task: Task,
    /// Task, entities and wording: prompts with the same signature never stand on both sides of the held-out split.
    pub(crate) signature: String,
}

/// Weight of each kind among prompts.
pub(crate) const WEIGHTS: [(TaskKind, u32); 11] = [
    (TaskKind::Fact, 16),
    (TaskKind::FollowUp, 9),
    (TaskKind::Visit, 6),
    (TaskKind::Passage, 9),
    (TaskKind::Summary, 6),
    (TaskKind::Rewrite, 7),
    (TaskKind::List, 6),
    (TaskKind::Story, 8),
    (TaskKind::Arithmetic, 6),
    (TaskKind::Unknowable, 6),
    (TaskKind::Harmful, 6),
];

/// Drafts a prompt of this kind.
pub(crate) fn draft(rng: &mut ChaCha8Rng, facts: &Facts, kind: TaskKind) -> Draft {
    match kind {
        TaskKind::Fact => memory::draft_fact(rng, facts),
        TaskKind::FollowUp => memory::draft_follow_up(rng, facts),
        TaskKind::Visit => visit::draft_visit(rng),
        TaskKind::Passage => passages::draft_passage(rng),
        TaskKind::Summary => passages::draft_summary(rng),
        TaskKind::Rewrite => passages::draft_rewrite(rng),
        TaskKind::List => making::draft_list(rng),
        TaskKind::Story => making::draft_story(rng),
        TaskKind::Arithmetic => making::draft_arithmetic(rng),
        TaskKind::Unknowable => conduct::draft_unknowable(rng),
        TaskKind::Harmful => conduct::draft_harmful(rng),
    }
}

/// The matter of an answer, without greeting and farewell; a flaw of content is built in here.
pub(crate) fn body(rng: &mut ChaCha8Rng, facts: &Facts, task: &Task, flaw: Option<Flaw>) -> String {
    match task {
        Task::Fact { entity, attribute, .. } | Task::FollowUp { entity, attribute, .. } => {
            memory::answer_fact(rng, facts, entity, *attribute, flaw)
        }
        Task::Visit { place } => visit::answer_visit(rng, facts, place, flaw),
        Task::Passage { scene, asked } => passages::answer_passage(rng, scene, *asked, flaw),
        Task::Summary { scene, .. } => passages::answer_summary(rng, scene, flaw),
        Task::Rewrite { source, tone, .. } => passages::answer_rewrite(rng, source, *tone, flaw),
        Task::List { category, count } => making::answer_list(rng, facts, category, *count, flaw),
        Task::Story { people, thing, spot } => making::answer_story(rng, (people, thing, spot.as_deref()), flaw),
        Task::Arithmetic {
            operands,
            result,
            unit,
            who,
        } => making::answer_arithmetic(rng, (operands, *result), (unit, who), flaw),
        Task::Unknowable { about, guess } => conduct::answer_unknowable(rng, facts, about, *guess, flaw),
        Task::Harmful { act, target } => conduct::answer_harmful(rng, act, target, flaw),
    }
}

/// True of kinds whose answers gain by a greeting or a farewell.
pub(crate) const fn is_spoken(kind: TaskKind) -> bool {
    !matches!(kind, TaskKind::Summary | TaskKind::Rewrite | TaskKind::Story)
}

/// The flaws that writers show in a kind of task, with weights.
pub(crate) const fn flaws(kind: TaskKind) -> &'static [(Flaw, u32)] {
    use Flaw as F;
    match kind {
        TaskKind::Fact | TaskKind::FollowUp => &[
            (F::Curt, 3),
            (F::Wrong, 4),
            (F::Careless, 2),
            (F::Rambling, 2),
            (F::Shrug, 1),
        ],
        TaskKind::Visit => &[(F::Curt, 2), (F::Wrong, 4), (F::Careless, 2), (F::Rambling, 2)],
        TaskKind::Passage => &[(F::Curt, 4), (F::Wrong, 3), (F::Careless, 2), (F::Rambling, 2)],
        TaskKind::Summary => &[(F::Missed, 4), (F::Wrong, 3), (F::Rambling, 3), (F::Careless, 2)],
        TaskKind::Rewrite => &[(F::Missed, 4), (F::Curt, 2), (F::Careless, 2), (F::Rambling, 2)],
        TaskKind::List => &[
            (F::Missed, 4),
            (F::Wrong, 3),
            (F::Curt, 2),
            (F::Careless, 1),
            (F::Rambling, 1),
        ],
        TaskKind::Story => &[(F::Missed, 4), (F::Curt, 3), (F::Rambling, 3), (F::Careless, 2)],
        TaskKind::Arithmetic => &[(F::Curt, 3), (F::Wrong, 5), (F::Careless, 2), (F::Rambling, 1)],
        TaskKind::Unknowable => &[(F::Guess, 7), (F::Curt, 2), (F::Careless, 1), (F::Rambling, 1)],
        TaskKind::Harmful => &[(F::HalfHearted, 7), (F::Curt, 2), (F::Careless, 1), (F::Rambling, 1)],
    }
}

/// A writer's manner of speaking.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    pub(crate) opener: f64,
    pub(crate) closing: f64,
}

impl Manner {
    /// The manner of a reference answer.
    pub(crate) const GOOD: Manner = Manner {
        opener: 0.5,
        closing: 0.75,
    };
}

/// A whole answer.
pub(crate) fn answer(rng: &mut ChaCha8Rng, facts: &Facts, task: &Task, manner: &Manner, flaw: Option<Flaw>) -> String {
    let body = body(rng, facts, task, flaw);
    let spoken = is_spoken(task.kind());
    match flaw {
        Some(Flaw::Curt | Flaw::Shrug) => body,
        Some(Flaw::Careless) => careless(rng, &body),
        Some(Flaw::Rambling) => rambling(rng, &body),
        _ if !spoken => body,
        _ => {
            let opener = openers(task.kind())
                .choose(rng)
                .filter(|_| rng.random_bool(manner.opener));
            let mut closing = rng.random_bool(manner.closing);
            // The good answer has at least one friendly word; the flawed one need not.
            closing |= opener.is_none() && flaw.is_none();
            let mut parts = Vec::with_capacity(3);
            parts.extend(opener.copied());
            parts.push(&body);
            if closing {
                parts.push(closings(rng, task.kind()));
            }
            parts.join(" ")
        }
    }
}

/// Beginnings that suit a kind of task; a refusal is no place for "Gladly!".
fn openers(kind: TaskKind) -> &'static [&'static str] {
    match kind {
        TaskKind::Harmful | TaskKind::Unknowable => &[],
        TaskKind::Visit | TaskKind::List => &OPENERS[3..],
        _ => KNOWING_OPENERS,
    }
}

/// An ending that suits a kind of task.
fn closings(rng: &mut ChaCha8Rng, kind: TaskKind) -> &'static str {
    match kind {
        TaskKind::Visit if rng.random_bool(0.6) => pick(rng, JOURNEY_CLOSINGS),
        _ => pick(rng, CLOSINGS),
    }
}

/// No capital, no full stop.
fn careless(rng: &mut ChaCha8Rng, body: &str) -> String {
    let mut text = body.trim_end_matches(['.', '!', '?']).to_owned();
    if rng.random_bool(0.6) {
        text = text.to_lowercase();
    }
    text
}

/// The same again and again; of a long answer the last sentence.
fn rambling(rng: &mut ChaCha8Rng, body: &str) -> String {
    let filler = [
        "As I said,",
        "I repeat:",
        "Again,",
        "Well,",
        "You see,",
        "And so,",
        "Once more:",
    ];
    let long = body.split(' ').count() > 22;
    let last = body.rfind(". ").filter(|_| long).map_or(body, |stop| &body[stop + 2..]);
    let mut text = body.to_owned();
    for _ in 0..rng.random_range(1..=2) {
        let word = pick(rng, &filler);
        text = format!("{text} {word} {}", crate::text::lowered(last));
    }
    text
}

/// A flaw of this kind by weight.
pub(crate) fn choose_flaw(rng: &mut ChaCha8Rng, kind: TaskKind) -> Flaw {
    flaws(kind).choose_weighted(rng, |f| f.1).map_or(Flaw::Curt, |f| f.0)
}

/// The entity a task names; drafts name only what there is, so the fallback is never seen.
fn entity(name: &str) -> Item {
    crate::entities::find_entity(name).unwrap_or(Item::new(crate::entities::Domain::Person, 0))
}

/// A polite beginning for a prompt, most often none.
fn greeting(rng: &mut ChaCha8Rng) -> &'static str {
    pick(
        rng,
        &[
            "",
            "",
            "",
            "",
            "",
            "Hello!",
            "Good morning!",
            "Good day!",
            "A short question.",
            "Please help me.",
            "Good evening!",
        ],
    )
}

/// One user turn.
fn turn(rng: &mut ChaCha8Rng, text: &str) -> Vec<Message> {
    let hello = greeting(rng);
    vec![Message::user(format!("{hello} {text}").trim())]
}
