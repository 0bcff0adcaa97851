//! Questions about the world, answered from memory.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;
use rlhf_data::Message;

use super::{Draft, Manner, entity, turn};
use crate::facts::{Attribute, Domain, Facts, Item, ThingKind, attributes, bare, name, size, thing_kind};
use crate::names::PLACES;
use crate::sentences::{Form, ask, either, pronouns, state, state_alike, tell, wordings};
use crate::task::{Flaw, Task};
use crate::text::{capitalised, expand, lowered, pick, tidy, without_stop};

/// A fact by chance, each sort of entity a quarter of the time.
fn any_fact(rng: &mut ChaCha8Rng) -> (Item, Attribute) {
    let domain = *[
        Domain::Person,
        Domain::Person,
        Domain::Place,
        Domain::Thing,
        Domain::Event,
    ]
    .choose(rng)
    .unwrap_or(&Domain::Person);
    let entity = Item::new(domain, rng.random_range(0..size(domain)));
    (
        entity,
        attributes(domain).choose(rng).copied().unwrap_or(Attribute::Home),
    )
}

/// What a question from memory counts as in the split.
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

/// Questions that lean on the turn before.
fn follow_ups(entity: Item, attribute: Attribute) -> &'static [&'static str] {
    use Attribute as A;
    let kind = thing_kind(entity.index);
    match attribute {
        A::Home => &[
            "And where does {he} live?",
            "Where is {his} home?",
            "Thank you! Where can I find {him}?",
        ],
        A::Trade => &[
            "What is {his} trade?",
            "And what work does {he} do?",
            "Thank you. How does {he} earn {his} living?",
        ],
        A::Dish => &[
            "What does {he} like to eat best?",
            "And what is {his} favourite dish?",
            "What should I cook for {him}?",
        ],
        A::Friend => &[
            "Who is {his} best friend?",
            "And who is {his} dearest friend?",
            "Does {he} have a best friend?",
        ],
        A::Habit => &[
            "Does {he} have a funny habit?",
            "And what is strange about {him}?",
            "How can I tell {him} in a crowd?",
        ],
        A::Kind => &[
            "What kind of place is it?",
            "Is it a town or a village?",
            "And what sort of place is it?",
        ],
        A::Region => &[
            "In which part of the valley is it?",
            "And where is it?",
            "Where does it lie?",
        ],
        A::Sight => &[
            "What is it known for?",
            "And what is it famous for?",
            "Why do people go there?",
        ],
        A::Crop => &[
            "What grows there?",
            "And what do the farmers grow there?",
            "What is in the fields there?",
        ],
        A::Leader => &["Who is the mayor there?", "And who leads it?", "Who is its mayor?"],
        A::Look => match kind {
            ThingKind::Animal => &[
                "What colour is it?",
                "And which colour does it have?",
                "Which colour do I need to paint it?",
            ],
            ThingKind::Plant => &[
                "What colour are its flowers?",
                "And which colour does it have?",
                "What colour is it?",
            ],
            ThingKind::Instrument => &[
                "What is it made of?",
                "And what do I need to make it?",
                "Which material is used for it?",
            ],
            ThingKind::Dish => &[
                "What is it made with?",
                "And what must go into it?",
                "What is its secret?",
            ],
        },
        A::Found => match kind {
            ThingKind::Animal => &["Where does it live?", "And where can I see it?", "Where is it found?"],
            ThingKind::Plant => &["Where does it grow?", "And where can I pick it?", "Where is it found?"],
            ThingKind::Instrument => &[
                "Where is it made?",
                "And where does it come from?",
                "Where can I buy it?",
            ],
            ThingKind::Dish => &[
                "Where does it come from?",
                "And where does it taste best?",
                "Where can I eat it?",
            ],
        },
        A::Use => match kind {
            ThingKind::Animal => &["What does it do?", "And what is it good for?", "Why do people like it?"],
            ThingKind::Plant => &["What is it good for?", "And why do people pick it?", "What does it do?"],
            ThingKind::Instrument => &[
                "When is it played?",
                "And when will I hear it?",
                "When do people play it?",
            ],
            ThingKind::Dish => &["When is it eaten?", "And when do people eat it?", "When is it served?"],
        },
        A::Month => &["In which month is it?", "And when is it?", "When does it take place?"],
        A::Venue => &[
            "Where is it held?",
            "And where does it take place?",
            "Where must I go for it?",
        ],
        A::Custom => &[
            "What happens there?",
            "And what do people do there?",
            "What can I see there?",
        ],
        A::Opener => &["Who opens it?", "And who opens it?", "By whom is it opened?"],
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
fn wrong(rng: &mut ChaCha8Rng, facts: &Facts, entity: Item, attribute: Attribute) -> Item {
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
            if flaw.is_none() && rng.random_bool(0.25) {
                if let Some(more) = extra(rng, facts, entity, attribute) {
                    text = format!("{text} {more}");
                }
            }
            text
        }
    }
}

pub(super) fn draft_check(rng: &mut ChaCha8Rng, facts: &Facts) -> Draft {
    let (entity, attribute) = any_fact(rng);
    let truth = rng.random_bool(0.5);
    let value = if truth {
        facts.truth(entity, attribute)
    } else {
        wrong(rng, facts, entity, attribute)
    };
    // Orders and conditions cannot be true or false.
    let mut statement = state(rng, entity, attribute, value, Form::Name);
    while statement.starts_with("Come ") || statement.starts_with("If ") {
        statement = state(rng, entity, attribute, value, Form::Name);
    }
    let inner = lowered(without_stop(&statement));
    let frame = rng.random_range(0..6);
    let text = match frame {
        0 => format!("Is it true that {inner}?"),
        1 => format!("{statement} Is that right?"),
        2 => format!("Somebody told me this: {inner}. Is it true?"),
        3 => format!("I have read that {inner}. Is that so?"),
        4 => format!("My uncle says that {inner}. Is he right?"),
        _ => format!("{statement} True or false?"),
    };
    let signature = format!("check/{}/{attribute:?}/{}/{}", bare(entity), value.index, frame / 2);
    let expected = name(facts.truth(entity, attribute));
    let task = Task::Check {
        entity: name(entity),
        attribute,
        claimed: name(value),
        expected,
        truth,
    };
    Draft {
        messages: vec![Message::user(text)],
        task,
        signature,
    }
}

const YES: [&str; 8] = [
    "Yes, that is true.",
    "Yes, that is right.",
    "Yes, you are right.",
    "Yes, indeed.",
    "That is true.",
    "Yes, that is so.",
    "Quite right.",
    "Yes, it is.",
];
const NO: [&str; 8] = [
    "No, that is not true.",
    "No, that is not right.",
    "No, that is a mistake.",
    "Not quite.",
    "That is false.",
    "No, somebody was wrong there.",
    "No, it is not so.",
    "That is not right.",
];

pub(super) fn answer_check(
    rng: &mut ChaCha8Rng,
    facts: &Facts,
    (entity_name, attribute): (&str, Attribute),
    (claimed, truth): (&str, bool),
    flaw: Option<Flaw>,
) -> String {
    let entity = entity(entity_name);
    let form = either(rng, 0.25);
    match flaw {
        Some(Flaw::Curt) => (if truth { "Yes." } else { "No." }).to_owned(),
        Some(Flaw::Wrong) => {
            let value = if truth {
                wrong(rng, facts, entity, attribute)
            } else {
                let all = facts.wrong_values(entity, attribute);
                all.iter().copied().find(|v| name(*v) == claimed).unwrap_or(all[0])
            };
            let word = pick(rng, if truth { &NO } else { &YES });
            format!("{word} {}", state(rng, entity, attribute, value, form))
        }
        _ => {
            let word = pick(rng, if truth { &YES } else { &NO });
            format!("{word} {}", tell(rng, facts, entity, attribute, form))
        }
    }
}

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

pub(super) fn answer_compare(
    rng: &mut ChaCha8Rng,
    facts: &Facts,
    names: [&str; 2],
    attribute: Attribute,
    flaw: Option<Flaw>,
) -> String {
    let pair = names.map(entity);
    let values = pair.map(|e| facts.truth(e, attribute));
    let same = values[0] == values[1];
    let yes = [
        "Yes, they are alike in this.",
        "Yes, it is the same.",
        "Yes, that is the same for both.",
        "Yes, indeed.",
    ];
    let no = [
        "No, they are not the same.",
        "No, that is different.",
        "No, there they differ.",
        "No, not at all.",
    ];
    match flaw {
        Some(Flaw::Curt) => (if same { "Yes." } else { "No." }).to_owned(),
        Some(Flaw::Missed) => {
            let word = pick(rng, if same { &yes } else { &no });
            format!("{word} {}", state(rng, pair[0], attribute, values[0], Form::Name))
        }
        Some(Flaw::Wrong) => {
            let other = wrong(rng, facts, pair[1], attribute);
            if same {
                format!("{} {}", pick(rng, &no), apart(rng, pair, attribute, [values[0], other]))
            } else {
                let both = both(rng, pair, attribute, values[0]).unwrap_or_default();
                format!("{} {both}", pick(rng, &yes))
            }
        }
        _ if same => {
            let both = both(rng, pair, attribute, values[0]).unwrap_or_default();
            format!("{} {both}", pick(rng, &yes))
        }
        _ => format!("{} {}", pick(rng, &no), apart(rng, pair, attribute, values)),
    }
}

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
    let mut others = vec![Attribute::Crop, Attribute::Region, Attribute::Kind, Attribute::Leader];
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
