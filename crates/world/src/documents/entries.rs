//! Entries of the almanac: a few sentences about one person, place, thing or event.

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::entities::{Attribute, Domain, Item, attributes, bare, name, size};
use crate::facts::Facts;
use crate::names::{TRADES, VALLEY};
use crate::sentences::{Form, either, pronouns, tell};
use crate::text::{capitalised, expand};

/// After a sentence that puts another name first, a pronoun could be misread; the next sentence uses the name.
fn blurs(attribute: Attribute) -> bool {
    matches!(
        attribute,
        Attribute::Friend
            | Attribute::Leader
            | Attribute::Opener
            | Attribute::Found
            | Attribute::Venue
            | Attribute::Home
    )
}

/// A sentence that tells two or three things at once.
fn fused(rng: &mut ChaCha8Rng, facts: &Facts, entity: Item) -> (String, Vec<Attribute>) {
    use Attribute as A;
    let n = name(entity);
    let v = |attribute| facts.value(entity, attribute).map_or_else(String::new, name);
    let (template, told): (&str, &[Attribute]) = match entity.domain {
        Domain::Person => match rng.random_range(0..6) {
            0 => ("{N} is a {trade} who lives in {home}.", &[A::Trade, A::Home]),
            1 => (
                "{N} the {trade} lives in {home} and {habit}.",
                &[A::Trade, A::Home, A::Habit],
            ),
            2 => (
                "In {home} lives {N}, a {trade} who {habit}.",
                &[A::Trade, A::Home, A::Habit],
            ),
            3 => (
                "{N} of {home} is a {trade} and likes {dish} best.",
                &[A::Trade, A::Home, A::Dish],
            ),
            4 => ("{N} is a {trade}, so {he} {works}.", &[A::Trade]),
            _ => ("{N}, the {trade} of {home}, {habit}.", &[A::Trade, A::Home, A::Habit]),
        },
        Domain::Place => match rng.random_range(0..5) {
            0 => ("{N} is a {kind} in {region}.", &[A::Kind, A::Region]),
            1 => (
                "{N} is a {kind} in {region}, known for its {sight}.",
                &[A::Kind, A::Region, A::Sight],
            ),
            2 => ("The {kind} of {N} lies in {region}.", &[A::Kind, A::Region]),
            3 => ("{N} is known for its {sight} and grows {crop}.", &[A::Sight, A::Crop]),
            _ => (
                "In {region} lies {N}, a {kind} full of {crop}.",
                &[A::Region, A::Kind, A::Crop],
            ),
        },
        Domain::Event => match rng.random_range(0..4) {
            0 => ("{N} is held in {venue} in {month}.", &[A::Venue, A::Month]),
            1 => ("In {month} comes {N}, when {custom}.", &[A::Month, A::Custom]),
            2 => (
                "Every {month} {N} is held in {venue}, and {opener} opens it.",
                &[A::Month, A::Venue, A::Opener],
            ),
            _ => (
                "{opener} opens {N} in {venue} each {month}.",
                &[A::Month, A::Venue, A::Opener],
            ),
        },
        _ => return (tell(rng, facts, entity, A::Look, Form::Name), vec![A::Look]),
    };
    let (trade, home, habit, dish) = (v(A::Trade), v(A::Home), v(A::Habit), v(A::Dish));
    let (kind, region, sight, crop) = (v(A::Kind), v(A::Region), v(A::Sight), v(A::Crop));
    let (venue, month, custom, opener) = (v(A::Venue), v(A::Month), v(A::Custom), v(A::Opener));
    let works = TRADES.iter().find(|t| t.0 == trade).map_or("", |t| t.1);
    let slots = [
        ("N", n.as_str()),
        ("he", pronouns(entity).0),
        ("trade", &trade),
        ("home", &home),
        ("habit", &habit),
        ("dish", &dish),
        ("works", works),
        ("kind", &kind),
        ("region", &region),
        ("sight", &sight),
        ("crop", &crop),
        ("venue", &venue),
        ("month", &month),
        ("custom", &custom),
        ("opener", &opener),
    ];
    (expand(rng, template, &slots), told.to_vec())
}

/// An entry about an entity by chance.
pub(super) fn entry(rng: &mut ChaCha8Rng, facts: &Facts, domain: Domain) -> String {
    let entity = Item::new(domain, rng.random_range(0..size(domain)));
    let mut order = attributes(domain).to_vec();
    order.shuffle(rng);
    let keep = rng.random_range(3.min(order.len())..=order.len());
    let mut parts = Vec::new();
    let title = capitalised(bare(entity));
    match rng.random_range(0..8) {
        0 => parts.push(format!("About {}.", name(entity))),
        1 => parts.push(format!("{title}.")),
        2 => parts.push(format!("From the almanac of {VALLEY}: {title}.")),
        _ => {}
    }
    let mut blurred = true;
    if rng.random_bool(0.5) {
        let (text, told) = fused(rng, facts, entity);
        parts.push(text);
        order.retain(|a| !told.contains(a));
        blurred = told.iter().any(|a| blurs(*a)) && domain != Domain::Person;
    } else {
        order.truncate(keep);
    }
    for attribute in order {
        let form = if blurred { Form::Name } else { either(rng, 0.65) };
        parts.push(tell(rng, facts, entity, attribute, form));
        blurred = blurs(attribute) && (domain != Domain::Person || attribute == Attribute::Friend);
    }
    parts.join(" ")
}

/// A sentence or two about a person, to open a tale with.
pub(super) fn aside(rng: &mut ChaCha8Rng, facts: &Facts, person: Item) -> String {
    if rng.random_bool(0.5) {
        fused(rng, facts, person).0
    } else {
        String::new()
    }
}
