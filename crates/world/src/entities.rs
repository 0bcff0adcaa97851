//! Entities, attributes and values: what there is to be said, whatever the seed makes true.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::facts::Facts;
use crate::names::{
    ANIMAL_USES, ANIMALS, COLOURS, CROPS, DISH_USES, DISHES, EVENTS, HABITS, INGREDIENTS, INSTRUMENT_USES, INSTRUMENTS,
    KINDS, MATERIALS, MEN, MONTHS, PLACES, PLANT_USES, PLANTS, Phrase, REGIONS, SIGHTS, TRADES, WOMEN,
};

/// Number of people.
pub(crate) const PEOPLE: usize = WOMEN.len() + MEN.len();

/// Number of things of all four kinds.
pub(crate) const N_THINGS: usize = ANIMALS.len() + PLANTS.len() + INSTRUMENTS.len() + DISHES.len();

/// A question that can be asked about somebody or something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Attribute {
    /// Place where a person lives.
    Home,
    /// A person's work.
    Trade,
    /// The dish a person likes best.
    Dish,
    /// A person's best friend; it is mutual.
    Friend,
    /// Habit for which a person is known.
    Habit,
    /// Village, town, hamlet, farm or abbey.
    Kind,
    /// Part of the valley in which a place lies.
    Region,
    /// Sight for which a place is known.
    Sight,
    /// Crop that grows in a place.
    Crop,
    /// The person who leads a place.
    Leader,
    /// Colour of an animal or a flower, material of an instrument, the special ingredient of a dish.
    Look,
    /// Place where a thing lives, grows, is made or is cooked best.
    Found,
    /// Deed or use of a thing.
    Use,
    /// Month of an event.
    Month,
    /// Place of an event.
    Venue,
    /// Custom of an event.
    Custom,
    /// The person who opens an event.
    Opener,
}

/// A kind of value; each has its own list of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Domain {
    Person,
    Place,
    Thing,
    Event,
    Trade,
    Habit,
    Kind,
    Region,
    Sight,
    Crop,
    Colour,
    Material,
    Ingredient,
    Use,
    Month,
    Custom,
}

/// A value, or an entity: one entry of a domain's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Item {
    pub(crate) domain: Domain,
    pub(crate) index: usize,
}

impl Item {
    pub(crate) const fn new(domain: Domain, index: usize) -> Self {
        Self { domain, index }
    }
}

/// The four sorts of thing that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ThingKind {
    Animal,
    Plant,
    Instrument,
    Dish,
}
/// The attributes of an entity.
pub(crate) const fn attributes(domain: Domain) -> &'static [Attribute] {
    use Attribute as A;
    match domain {
        Domain::Person => &[A::Home, A::Trade, A::Dish, A::Friend, A::Habit],
        Domain::Place => &[A::Kind, A::Region, A::Sight, A::Crop, A::Leader],
        Domain::Thing => &[A::Look, A::Found, A::Use],
        Domain::Event => &[A::Month, A::Venue, A::Custom, A::Opener],
        _ => &[],
    }
}

/// Index of the first thing of a kind.
pub(crate) const fn first_of(kind: ThingKind) -> usize {
    match kind {
        ThingKind::Animal => 0,
        ThingKind::Plant => ANIMALS.len(),
        ThingKind::Instrument => ANIMALS.len() + PLANTS.len(),
        ThingKind::Dish => ANIMALS.len() + PLANTS.len() + INSTRUMENTS.len(),
    }
}

/// Number of things of a kind.
pub(crate) const fn count_of(kind: ThingKind) -> usize {
    match kind {
        ThingKind::Animal => ANIMALS.len(),
        ThingKind::Plant => PLANTS.len(),
        ThingKind::Instrument => INSTRUMENTS.len(),
        ThingKind::Dish => DISHES.len(),
    }
}

/// Kind of the thing with this index.
pub(crate) const fn thing_kind(index: usize) -> ThingKind {
    if index < first_of(ThingKind::Plant) {
        ThingKind::Animal
    } else if index < first_of(ThingKind::Instrument) {
        ThingKind::Plant
    } else if index < first_of(ThingKind::Dish) {
        ThingKind::Instrument
    } else {
        ThingKind::Dish
    }
}

/// The domain from which the look of a kind of thing is chosen.
pub(crate) const fn look_domain(kind: ThingKind) -> Domain {
    match kind {
        ThingKind::Animal | ThingKind::Plant => Domain::Colour,
        ThingKind::Instrument => Domain::Material,
        ThingKind::Dish => Domain::Ingredient,
    }
}

/// An entity by chance: people come up twice as often as places, things and events.
pub(crate) fn any_entity(rng: &mut ChaCha8Rng) -> Item {
    let domain = *[
        Domain::Person,
        Domain::Person,
        Domain::Place,
        Domain::Thing,
        Domain::Event,
    ]
    .choose(rng)
    .unwrap_or(&Domain::Person);
    Item::new(domain, rng.random_range(0..size(domain)))
}

/// Length of a domain's list.
pub(crate) const fn size(domain: Domain) -> usize {
    match domain {
        Domain::Person => PEOPLE,
        Domain::Place => PLACES.len(),
        Domain::Thing | Domain::Use => N_THINGS,
        Domain::Event | Domain::Custom => EVENTS.len(),
        Domain::Trade => TRADES.len(),
        Domain::Habit => HABITS.len(),
        Domain::Kind => KINDS.len(),
        Domain::Region => REGIONS.len(),
        Domain::Sight => SIGHTS.len(),
        Domain::Crop => CROPS.len(),
        Domain::Colour => COLOURS.len(),
        Domain::Material => MATERIALS.len(),
        Domain::Ingredient => INGREDIENTS.len(),
        Domain::Month => MONTHS.len(),
    }
}

/// The phrase of a use, habit or custom.
pub(crate) fn phrase_of(item: Item) -> Option<&'static Phrase> {
    match item.domain {
        Domain::Habit => HABITS.get(item.index),
        Domain::Custom => EVENTS.get(item.index).map(|(_, custom)| custom),
        Domain::Use => {
            let kind = thing_kind(item.index);
            let i = item.index - first_of(kind);
            match kind {
                ThingKind::Animal => ANIMAL_USES.get(i),
                ThingKind::Plant => PLANT_USES.get(i),
                ThingKind::Instrument => INSTRUMENT_USES.get(i),
                ThingKind::Dish => DISH_USES.get(i),
            }
        }
        _ => None,
    }
}

/// The name of an entity or value without an article.
pub(crate) fn bare(item: Item) -> &'static str {
    let i = item.index;
    match item.domain {
        Domain::Person => {
            if i < WOMEN.len() {
                WOMEN[i]
            } else {
                MEN[i - WOMEN.len()]
            }
        }
        Domain::Place => PLACES[i],
        Domain::Thing => {
            let kind = thing_kind(i);
            let i = i - first_of(kind);
            match kind {
                ThingKind::Animal => ANIMALS[i],
                ThingKind::Plant => PLANTS[i],
                ThingKind::Instrument => INSTRUMENTS[i],
                ThingKind::Dish => DISHES[i],
            }
        }
        Domain::Event => EVENTS[i].0,
        Domain::Trade => TRADES[i].0,
        Domain::Kind => KINDS[i],
        Domain::Region => REGIONS[i],
        Domain::Sight => SIGHTS[i],
        Domain::Crop => CROPS[i],
        Domain::Colour => COLOURS[i],
        Domain::Material => MATERIALS[i],
        Domain::Ingredient => INGREDIENTS[i],
        Domain::Month => MONTHS[i],
        Domain::Habit | Domain::Use | Domain::Custom => phrase_of(item).map_or("", |p| p.third),
    }
}

/// The name as it stands in a sentence: with an article where one belongs.
pub(crate) fn name(item: Item) -> String {
    match item.domain {
        Domain::Event => format!("the {}", bare(item)),
        Domain::Thing if thing_kind(item.index) != ThingKind::Dish => format!("the {}", bare(item)),
        _ => bare(item).to_owned(),
    }
}

/// True if a person is a woman.
pub(crate) const fn is_woman(person: usize) -> bool {
    person < WOMEN.len()
}

/// True if the word of a sight or crop is a plural.
pub(crate) fn is_plural(item: Item) -> bool {
    let word = bare(item);
    word.ends_with('s') && !word.ends_with("ss")
}

/// The entity of this name, with or without its article.
pub(crate) fn find_entity(text: &str) -> Option<Item> {
    let text = text.strip_prefix("the ").unwrap_or(text);
    Facts::entities().find(|e| bare(*e).eq_ignore_ascii_case(text))
}
