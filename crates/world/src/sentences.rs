//! The ways in which a fact is told.
//!
//! Slots: `{S}` the subject, by name or pronoun; `{N}` always the name; `{O}` the object form; `{P}` the possessive;
//! `{he} {him} {his}` the pronouns alone; `{V}` the value, `{Vb}` its form after "to"; `{is} {grow} {has}` agree with the value.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use crate::entities::{Attribute, Domain, Item, ThingKind, is_plural, is_woman, name, phrase_of, thing_kind};
use crate::facts::Facts;
use crate::questions::questions;
use crate::text::expand;

/// Ways in which a sentence speaks of its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Name,
    Pronoun,
}

/// The templates of an attribute: statements.
fn statements(entity: Item, attribute: Attribute) -> &'static [&'static str] {
    use ThingKind as T;
    let kind = thing_kind(entity.index);
    match attribute {
        Attribute::Home => &[
            "{S} lives in {V}.",
            "{S} lives in {V}.",
            "{S} has a [small|tidy|narrow|yellow|little|low] house in {V}.",
            "{V} is where {S} lives.",
            "{S} makes {his} home in {V}.",
            "The home of {N} is in {V}.",
            "{S} has lived in {V} [for many years|for a long time|since {he} was small|all {his} life].",
            "{S} calls {V} home.",
            "{P} home is in {V}.",
            "If you want to visit {O}, go to {V}, where {he} lives.",
        ],
        Attribute::Trade => &[
            "{S} is a {V}.",
            "{S} is a [good|careful|cheerful|patient|busy] {V}.",
            "{S} works as a {V}.",
            "{S} earns {his} living as a {V}.",
            "By trade {S} is a {V}.",
            "{S} became a {V} [years ago|like {his} mother|like {his} father|when {he} was young].",
            "{S} has been a {V} [for years|since {he} was young|for half {his} life].",
            "{P} trade is that of a {V}.",
            "If you need a {V}, ask for {O}.",
        ],
        Attribute::Dish => &[
            "{S} likes {V} best.",
            "{S} loves {V} [above all|more than any other food].",
            "{P} favourite dish is {V}.",
            "{P} favourite food is {V}.",
            "The favourite dish of {N} is {V}.",
            "Nothing pleases {O} like a helping of {V}.",
            "{S} would walk a mile for {V}.",
            "{S} eats {V} whenever {he} can.",
            "For supper {S} always asks for {V}.",
        ],
        Attribute::Friend => &[
            "{P} best friend is {V}.",
            "{P} [dearest|oldest|closest|best] friend is {V}.",
            "{S} is best friends with {V}.",
            "The best friend of {N} is {V}.",
            "{N} and {V} are best friends.",
            "{V} is the [best|dearest|closest] friend of {N}.",
            "{S} has a dear friend called {V}.",
            "{S} spends every free day with {his} friend {V}.",
        ],
        Attribute::Habit => &[
            "{S} {V}.",
            "{S} {V}, [and nobody minds|as everyone knows|summer and winter|even on Sundays].",
            "Everyone knows that {S} {V}.",
            "{S} likes to {Vb}.",
            "{S} loves to {Vb}.",
            "You can tell {O} by this: {he} {V}.",
            "People smile because {S} {V}.",
            "A strange thing about {O} is that {he} {V}.",
        ],
        Attribute::Kind => &[
            "{S} is a {V}.",
            "{S} is a [small|quiet|friendly|windy|pretty|sleepy] {V}.",
            "People call {S} a [small|quiet|friendly|windy|pretty|sleepy] {V}.",
            "{S} is just a [small|quiet|friendly] {V}.",
            "On the map {S} is marked as a {V}.",
            "You would call {S} a {V}.",
        ],
        Attribute::Region => &[
            "{S} lies in {V}.",
            "{S} is in {V}.",
            "{S} stands in {V}.",
            "{S} belongs to {V}.",
            "You will find {O} in {V}.",
            "To reach {O} you must go into {V}.",
            "{N} is one of the places in {V}.",
        ],
        Attribute::Sight => &[
            "{S} is known for its {V}.",
            "{S} is famous for its {V}.",
            "People come to {N} to see its {V}.",
            "Travellers visit {N} for its {V}.",
            "Everyone who visits {N} talks about its {V}.",
            "{S} is proud of its {V}.",
            "The pride of {N} is its {V}.",
            "The {V} of {N} {is} known far and wide.",
        ],
        Attribute::Crop => &[
            "{V} {grow} in {N}.",
            "The fields of {N} are full of {V}.",
            "The farmers of {N} grow {V}.",
            "In {N} they grow {V}[| and sell some| every year].",
            "{S} grows the best {V} in the valley.",
            "The best {V} {come} from {N}.",
            "The soil of {N} is good for growing {V}.",
            "At harvest the carts of {N} are full of {V}.",
        ],
        Attribute::Leader => &[
            "{V} leads {N}.",
            "The mayor of {N} is {V}.",
            "{V} is the mayor of {N}.",
            "{N} is led by {V}.",
            "{N} has {V} as its mayor.",
            "The people of {N} chose {V} to lead them.",
            "Its mayor is {V}.",
            "{V} is the one who leads {N}.",
        ],
        Attribute::Look => match kind {
            T::Animal => &[
                "{S} is {V}.",
                "{S} is {V} all over.",
                "{S} is {V} from nose to tail.",
                "The colour of {N} is {V}.",
                "{P} colour is {V}.",
                "You can tell {O} by its {V} colour.",
            ],
            T::Plant => &[
                "{S} has {V} flowers.",
                "{S} has small {V} flowers.",
                "The flowers of {N} are {V}.",
                "{P} flowers are {V}.",
                "In spring {S} opens its {V} flowers.",
            ],
            T::Instrument => &[
                "{S} is made of {V}.",
                "{S} is made of the finest {V}.",
                "It takes good {V} to make {O}.",
                "{P} body is made of {V}.",
                "A true maker uses {V} for {O}.",
            ],
            T::Dish => &[
                "{S} is made with {V}.",
                "The secret of {N} is {V}.",
                "{P} secret is {V}.",
                "Every cook puts {V} into {O}.",
                "There is always {V} in {O}.",
            ],
        },
        Attribute::Found => match kind {
            T::Animal => &[
                "{S} lives near {V}.",
                "{S} makes its nest near {V}.",
                "You can see {O} near {V}.",
                "{S} is only found near {V}.",
                "{V} is where {S} lives.",
            ],
            T::Plant => &[
                "{S} grows near {V}.",
                "You can pick {O} near {V}.",
                "{S} is only found near {V}.",
                "{V} is where {S} grows.",
                "{S} likes the wet ground near {V}.",
            ],
            T::Instrument => &[
                "{S} is made in {V}.",
                "{S} comes from {V}.",
                "The best makers of {N} live in {V}.",
                "{V} is where {S} is made.",
                "You can buy {O} in {V}.",
            ],
            T::Dish => &[
                "{S} comes from {V}.",
                "{S} tastes best in {V}.",
                "The best {N} is cooked in {V}.",
                "{V} is the place to eat {N}.",
                "You can eat good {N} in {V}.",
            ],
        },
        Attribute::Use => match kind {
            T::Animal => &[
                "{S} {V}.",
                "People like {O} because it {V}.",
                "The best thing about {N} is that it {V}.",
                "It is true that {S} {V}.",
                "{S} is useful, for it {V}.",
            ],
            T::Plant => &[
                "{S} {V}.",
                "People pick {O} because it {V}.",
                "Grandmothers say that {S} {V}.",
                "{S} is useful, for it {V}.",
                "The good thing about {N} is that it {V}.",
            ],
            T::Instrument => &[
                "{S} {V}.",
                "In the valley {S} {V}.",
                "By custom {S} {V}.",
                "As a rule {S} {V}.",
            ],
            T::Dish => &[
                "{S} {V}.",
                "In the valley {S} {V}.",
                "By custom {S} {V}.",
                "As a rule {S} {V}.",
            ],
        },
        Attribute::Month => &[
            "{S} is held in {V}.",
            "{S} comes in {V}.",
            "{S} comes every {V}.",
            "{V} is the month of {N}.",
            "When {V} comes, it is time for {N}.",
            "The month of {N} is {V}.",
            "People wait for {V} because it brings {N}.",
        ],
        Attribute::Venue => &[
            "{S} is held in {V}.",
            "{S} takes place in {V}.",
            "{V} is where {S} is held.",
            "People go to {V} for {N}.",
            "{V} is the home of {N}.",
            "If you want to see {N}, go to {V}.",
            "Each year {N} fills the streets of {V}.",
        ],
        Attribute::Custom => &[
            "At {N} {V}.",
            "During {N} {V}.",
            "It is {N} when {V}.",
            "What people love about {N} is that {V}.",
            "Come to {N} and see how {V}.",
            "{N} is here when {V}.",
        ],
        Attribute::Opener => &[
            "{V} opens {N}.",
            "{N} is opened by {V}.",
            "It is {V} who opens {N}.",
            "Every year {V} opens {N} [with a short speech|with a shout|with a handshake].",
            "{N} cannot begin before {V} has opened it.",
            "The one who opens {N} is {V}.",
        ],
    }
}

/// The nominative, objective and possessive pronouns of an entity.
pub(crate) const fn pronouns(entity: Item) -> (&'static str, &'static str, &'static str) {
    match entity.domain {
        Domain::Person if is_woman(entity.index) => ("she", "her", "her"),
        Domain::Person => ("he", "him", "his"),
        _ => ("it", "it", "its"),
    }
}

/// Writes one template about an entity.
fn write(rng: &mut ChaCha8Rng, template: &str, entity: Item, value: Option<Item>, form: Form) -> String {
    let full = name(entity);
    let (he, him, his) = pronouns(entity);
    let (s, o, p) = match form {
        Form::Name => (full.clone(), full.clone(), format!("{full}'s")),
        Form::Pronoun => (he.to_owned(), him.to_owned(), his.to_owned()),
    };
    let v = value.map_or_else(String::new, name);
    let base = value.and_then(phrase_of).map_or("", |phrase| phrase.base);
    let plural = value.is_some_and(is_plural);
    let agree = |singular, many| if plural { many } else { singular };
    let slots = [
        ("S", s.as_str()),
        ("N", full.as_str()),
        ("O", o.as_str()),
        ("P", p.as_str()),
        ("he", he),
        ("him", him),
        ("his", his),
        ("V", v.as_str()),
        ("Vb", base),
        ("is", agree("is", "are")),
        ("grow", agree("grows", "grow")),
        ("come", agree("comes", "come")),
    ];
    expand(rng, template, &slots)
}

/// A sentence that says that the attribute of the entity is this value.
pub(crate) fn state(rng: &mut ChaCha8Rng, entity: Item, attribute: Attribute, value: Item, form: Form) -> String {
    let template = statements(entity, attribute).choose(rng).copied().unwrap_or("");
    write(rng, template, entity, Some(value), form)
}

/// A true sentence.
pub(crate) fn tell(rng: &mut ChaCha8Rng, facts: &Facts, entity: Item, attribute: Attribute, form: Form) -> String {
    state(rng, entity, attribute, facts.truth(entity, attribute), form)
}

/// Number of wordings of a question.
pub(crate) fn wordings(entity: Item, attribute: Attribute) -> usize {
    questions(entity, attribute).len()
}

/// The question in one of its wordings.
pub(crate) fn ask(rng: &mut ChaCha8Rng, entity: Item, attribute: Attribute, wording: usize, form: Form) -> String {
    let all = questions(entity, attribute);
    write(rng, all[wording % all.len()], entity, None, form)
}

/// Name or pronoun, the pronoun with the given probability.
pub(crate) fn either(rng: &mut ChaCha8Rng, pronoun: f64) -> Form {
    if rng.random_bool(pronoun) {
        Form::Pronoun
    } else {
        Form::Name
    }
}
