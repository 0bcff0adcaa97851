//! The facts of the world: the values that the seed dealt out.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rlhf_tasks::stream;

use crate::entities::{
    Attribute, Domain, Item, N_THINGS, PEOPLE, attributes, count_of, first_of, look_domain, size, thing_kind,
};
use crate::names::{
    ANIMALS, COLOURS, CROPS, DISHES, EVENTS, HABITS, INGREDIENTS, INSTRUMENTS, KINDS, MATERIALS, MONTHS, PLACES,
    PLANTS, REGIONS, SIGHTS, TRADES,
};

#[derive(Clone, Debug)]
struct PersonFacts {
    home: usize,
    trade: usize,
    dish: usize,
    friend: usize,
    habit: usize,
}

#[derive(Clone, Debug)]
struct PlaceFacts {
    kind: usize,
    region: usize,
    sight: usize,
    crop: usize,
    leader: usize,
}

#[derive(Clone, Debug)]
struct ThingFacts {
    look: usize,
    found: usize,
    purpose: usize,
}

#[derive(Clone, Debug)]
struct EventFacts {
    month: usize,
    venue: usize,
    opener: usize,
}

/// Everything that is true.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    people: Vec<PersonFacts>,
    places: Vec<PlaceFacts>,
    things: Vec<ThingFacts>,
    events: Vec<EventFacts>,
}

/// `n` values out of `0..of`, each as often as the others, shuffled.
fn deal(rng: &mut ChaCha8Rng, n: usize, of: usize) -> Vec<usize> {
    let mut dealt: Vec<usize> = (0..n).map(|i| i % of).collect();
    dealt.shuffle(rng);
    dealt
}

/// The people. The first of `order` live in one place each, which they lead; the others live anywhere.
fn people(rng: &mut ChaCha8Rng, order: &[usize]) -> Vec<PersonFacts> {
    let spare_homes = deal(rng, PLACES.len(), PLACES.len());
    let trades = deal(rng, PEOPLE, TRADES.len());
    let habits = deal(rng, PEOPLE, HABITS.len());
    let dishes = deal(rng, PEOPLE, DISHES.len());
    let first_dish = N_THINGS - DISHES.len();
    let mut homes = [0; PEOPLE];
    for (i, &person) in order.iter().enumerate() {
        homes[person] = if i < PLACES.len() {
            i
        } else {
            spare_homes[i - PLACES.len()]
        };
    }
    let partners = deal(rng, PEOPLE, PEOPLE);
    let mut friends = [0; PEOPLE];
    for pair in partners.chunks_exact(2) {
        friends[pair[0]] = pair[1];
        friends[pair[1]] = pair[0];
    }
    (0..PEOPLE)
        .map(|i| PersonFacts {
            home: homes[i],
            trade: trades[i],
            dish: first_dish + dishes[i],
            friend: friends[i],
            habit: habits[i],
        })
        .collect()
}

/// The places, which the first of `order` lead.
fn places(rng: &mut ChaCha8Rng, order: &[usize]) -> Vec<PlaceFacts> {
    let kinds = deal(rng, PLACES.len(), KINDS.len());
    let regions = deal(rng, PLACES.len(), REGIONS.len());
    let sights = deal(rng, PLACES.len(), SIGHTS.len());
    let crops = deal(rng, PLACES.len(), CROPS.len());
    (0..PLACES.len())
        .map(|i| PlaceFacts {
            kind: kinds[i],
            region: regions[i],
            sight: sights[i],
            crop: crops[i],
            leader: order[i],
        })
        .collect()
}

/// The things, kind after kind.
fn things(rng: &mut ChaCha8Rng) -> Vec<ThingFacts> {
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
            things.push(ThingFacts {
                look: looks[i],
                found: found[things.len()],
                purpose: purposes[i],
            });
        }
    }
    things
}

/// The events of the year.
fn events(rng: &mut ChaCha8Rng) -> Vec<EventFacts> {
    let months = deal(rng, EVENTS.len(), MONTHS.len());
    let venues = deal(rng, PLACES.len(), PLACES.len());
    let openers = deal(rng, PEOPLE, PEOPLE);
    (0..EVENTS.len())
        .map(|i| EventFacts {
            month: months[i],
            venue: venues[i],
            opener: openers[i],
        })
        .collect()
}

impl Facts {
    pub(crate) fn generate(seed: u64) -> Self {
        let rng = &mut stream(seed, "facts", 0);
        let order = deal(rng, PEOPLE, PEOPLE);
        Self {
            people: people(rng, &order),
            places: places(rng, &order),
            things: things(rng),
            events: events(rng),
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

    /// The true value of an attribute; nothing for attributes that the entity does not have.
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
        assert_eq!(Facts::all().count(), 20 * 5 + 12 * 5 + 20 * 3 + 8 * 4);
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
        assert!(differ(1, 2) > 150);
    }
}
