//! What is true in the world: entities, their attributes and the values the seed dealt out.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::{
    ANIMAL_USES, ANIMALS, COLOURS, CROPS, DISH_USES, DISHES, EVENTS, HABITS, INGREDIENTS, INSTRUMENT_USES, INSTRUMENTS,
    KINDS, MATERIALS, MEN, MONTHS, PLACES, PLANT_USES, PLANTS, Phrase, REGIONS, SIGHTS, TRADES, WOMEN,
};
use crate::seed::stream;

/// What can be asked about somebody or something.
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
    /// What a person is known to do.
    Habit,
    /// Village, town, hamlet, farm or abbey.
    Kind,
    /// Part of the valley in which a place lies.
    Region,
    /// What a place is known for.
    Sight,
    /// What grows there.
    Crop,
    /// The person who leads a place.
    Leader,
    /// Colour of an animal or a flower, material of an instrument, the special ingredient of a dish.
    Look,
    /// Place where a thing lives, grows, is made or is cooked best.
    Found,
    /// What a thing does or is good for.
    Use,
    /// Month of an event.
    Month,
    /// Place of an event.
    Venue,
    /// What happens at an event.
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

#[derive(Clone, Debug)]
struct Person {
    home: usize,
    trade: usize,
    dish: usize,
    friend: usize,
    habit: usize,
}

#[derive(Clone, Debug)]
struct Place {
    kind: usize,
    region: usize,
    sight: usize,
    crop: usize,
    leader: usize,
}

#[derive(Clone, Debug)]
struct Thing {
    look: usize,
    found: usize,
    purpose: usize,
}

#[derive(Clone, Debug)]
struct Event {
    month: usize,
    venue: usize,
    opener: usize,
}

/// Everything that is true.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    people: Vec<Person>,
    places: Vec<Place>,
    things: Vec<Thing>,
    events: Vec<Event>,
}

const PEOPLE: usize = WOMEN.len() + MEN.len();
pub(crate) const N_THINGS: usize = ANIMALS.len() + PLANTS.len() + INSTRUMENTS.len() + DISHES.len();

/// `n` values out of `0..of`, each as often as the others, shuffled.
fn deal(rng: &mut ChaCha8Rng, n: usize, of: usize) -> Vec<usize> {
    let mut dealt: Vec<usize> = (0..n).map(|i| i % of).collect();
    dealt.shuffle(rng);
    dealt
}

impl Facts {
    pub(crate) fn generate(seed: u64) -> Self {
        let rng = &mut stream(seed, "facts", 0);
        let order = deal(rng, PEOPLE, PEOPLE);
        let spare_homes = deal(rng, PLACES.len(), PLACES.len());
        let trades = deal(rng, PEOPLE, TRADES.len());
        let habits = deal(rng, PEOPLE, HABITS.len());
        let dishes = deal(rng, PEOPLE, DISHES.len());
        let first_dish = N_THINGS - DISHES.len();
        // The first of the shuffled people lead one place each and live there, the others live anywhere.
        let mut homes = vec![0; PEOPLE];
        for (i, &person) in order.iter().enumerate() {
            homes[person] = if i < PLACES.len() {
                i
            } else {
                spare_homes[i - PLACES.len()]
            };
        }
        let partners = deal(rng, PEOPLE, PEOPLE);
        let mut friends = vec![0; PEOPLE];
        for pair in partners.chunks_exact(2) {
            friends[pair[0]] = pair[1];
            friends[pair[1]] = pair[0];
        }
        let people = (0..PEOPLE)
            .map(|i| Person {
                home: homes[i],
                trade: trades[i],
                dish: first_dish + dishes[i],
                friend: friends[i],
                habit: habits[i],
            })
            .collect();

        let kinds = deal(rng, PLACES.len(), KINDS.len());
        let regions = deal(rng, PLACES.len(), REGIONS.len());
        let sights = deal(rng, PLACES.len(), SIGHTS.len());
        let crops = deal(rng, PLACES.len(), CROPS.len());
        let places = (0..PLACES.len())
            .map(|i| Place {
                kind: kinds[i],
                region: regions[i],
                sight: sights[i],
                crop: crops[i],
                leader: order[i],
            })
            .collect();

        let found = deal(rng, N_THINGS, PLACES.len());
        let mut things = Vec::with_capacity(N_THINGS);
        for (n, looks) in [
            (ANIMALS.len(), COLOURS.len()),
            (PLANTS.len(), COLOURS.len()),
            (INSTRUMENTS.len(), MATERIALS.len()),
            (DISHES.len(), INGREDIENTS.len()),
        ] {
            let looks = deal(rng, looks, looks);
            let purposes = deal(rng, n, n);
            for i in 0..n {
                things.push(Thing {
                    look: looks[i],
                    found: found[things.len()],
                    purpose: purposes[i],
                });
            }
        }

        let months = deal(rng, EVENTS.len(), MONTHS.len());
        let venues = deal(rng, PLACES.len(), PLACES.len());
        let openers = deal(rng, PEOPLE, PEOPLE);
        let events = (0..EVENTS.len())
            .map(|i| Event {
                month: months[i],
                venue: venues[i],
                opener: openers[i],
            })
            .collect();
        Self {
            people,
            places,
            things,
            events,
        }
    }

    /// Every entity: people, places, things, events.
    pub(crate) fn entities() -> impl Iterator<Item = Item> {
        let all = |domain, n| (0..n).map(move |i| Item::new(domain, i));
        all(Domain::Person, PEOPLE)
            .chain(all(Domain::Place, PLACES.len()))
            .chain(all(Domain::Thing, N_THINGS))
            .chain(all(Domain::Event, EVENTS.len()))
    }

    /// Every fact, as entity and attribute.
    pub(crate) fn all() -> impl Iterator<Item = (Item, Attribute)> {
        Self::entities().flat_map(|entity| attributes(entity.domain).iter().map(move |a| (entity, *a)))
    }

    /// What is true; attributes that the entity does not have give nothing.
    pub(crate) fn value(&self, entity: Item, attribute: Attribute) -> Option<Item> {
        use Attribute as A;
        use Domain as D;
        let i = entity.index;
        let (domain, index) = match entity.domain {
            D::Person => {
                let p = self.people.get(i)?;
                match attribute {
                    A::Home => (D::Place, p.home),
                    A::Trade => (D::Trade, p.trade),
                    A::Dish => (D::Thing, p.dish),
                    A::Friend => (D::Person, p.friend),
                    A::Habit => (D::Habit, p.habit),
                    _ => return None,
                }
            }
            D::Place => {
                let p = self.places.get(i)?;
                match attribute {
                    A::Kind => (D::Kind, p.kind),
                    A::Region => (D::Region, p.region),
                    A::Sight => (D::Sight, p.sight),
                    A::Crop => (D::Crop, p.crop),
                    A::Leader => (D::Person, p.leader),
                    _ => return None,
                }
            }
            D::Thing => {
                let t = self.things.get(i)?;
                match attribute {
                    A::Look => (look_domain(thing_kind(i)), t.look),
                    A::Found => (D::Place, t.found),
                    A::Use => (D::Use, first_of(thing_kind(i)) + t.purpose),
                    _ => return None,
                }
            }
            D::Event => {
                let e = self.events.get(i)?;
                match attribute {
                    A::Month => (D::Month, e.month),
                    A::Venue => (D::Place, e.venue),
                    A::Custom => (D::Custom, i),
                    A::Opener => (D::Person, e.opener),
                    _ => return None,
                }
            }
            _ => return None,
        };
        Some(Item { domain, index })
    }

    /// The value of a fact that is known to exist.
    pub(crate) fn truth(&self, entity: Item, attribute: Attribute) -> Item {
        self.value(entity, attribute)
            .expect("attributes() lists what the entity has")
    }

    /// Values that could be mistaken for the true one: of the same list, and not true.
    pub(crate) fn wrong_values(&self, entity: Item, attribute: Attribute) -> Vec<Item> {
        let truth = self.truth(entity, attribute);
        let range = match (truth.domain, attribute) {
            (Domain::Thing, _) => N_THINGS - DISHES.len()..N_THINGS,
            (Domain::Use, _) => {
                let kind = thing_kind(entity.index);
                first_of(kind)..first_of(kind) + count_of(kind)
            }
            (domain, _) => 0..size(domain),
        };
        range
            .map(|index| Item { index, ..truth })
            .filter(|v| *v != truth && *v != entity)
            .collect()
    }
}

/// What an entity has.
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

/// How many things of a kind there are.
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

/// What the look of a kind of thing is chosen from.
pub(crate) const fn look_domain(kind: ThingKind) -> Domain {
    match kind {
        ThingKind::Animal | ThingKind::Plant => Domain::Colour,
        ThingKind::Instrument => Domain::Material,
        ThingKind::Dish => Domain::Ingredient,
    }
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

/// Whether a person is a woman.
pub(crate) const fn is_woman(person: usize) -> bool {
    person < WOMEN.len()
}

/// Whether the word of a sight or crop is a plural.
pub(crate) fn is_plural(item: Item) -> bool {
    let word = bare(item);
    word.ends_with('s') && !word.ends_with("ss")
}

/// The entity of this name, with or without its article.
pub(crate) fn find_entity(text: &str) -> Option<Item> {
    let text = text.strip_prefix("the ").unwrap_or(text);
    Facts::entities().find(|e| bare(*e).eq_ignore_ascii_case(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn friends_are_mutual_and_leaders_live_where_they_lead() {
        let facts = Facts::generate(3);
        for person in 0..PEOPLE {
            let me = Item::new(Domain::Person, person);
            let friend = facts.truth(me, Attribute::Friend);
            assert_ne!(friend, me);
            assert_eq!(facts.truth(friend, Attribute::Friend), me);
        }
        for place in 0..PLACES.len() {
            let place = Item::new(Domain::Place, place);
            let leader = facts.truth(place, Attribute::Leader);
            assert_eq!(facts.truth(leader, Attribute::Home), place);
        }
    }

    #[test]
    fn every_fact_has_a_value_and_wrong_ones_beside_it() {
        let facts = Facts::generate(1);
        for (entity, attribute) in Facts::all() {
            let truth = facts.truth(entity, attribute);
            let wrong = facts.wrong_values(entity, attribute);
            assert!(wrong.len() >= 4, "{entity:?} {attribute:?}");
            assert!(!wrong.contains(&truth));
        }
        assert_eq!(Facts::all().count(), 40 * 5 + 24 * 5 + 28 * 3 + 16 * 4);
    }

    #[test]
    fn seeds_make_different_worlds() {
        let differ = |a: u64, b: u64| {
            let (a, b) = (Facts::generate(a), Facts::generate(b));
            Facts::all()
                .filter(|(e, at)| a.value(*e, *at) != b.value(*e, *at))
                .count()
        };
        assert_eq!(differ(1, 1), 0);
        assert!(differ(1, 2) > 300);
    }
}
