//! Things to make: lists, stories, sums.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::{Draft, entity, turn};
use crate::entities::{Attribute, Domain, Item, ThingKind, bare, count_of, first_of, is_woman, name, size};
use crate::facts::Facts;
use crate::names::{ITEMS, REGIONS, SPOTS};
use crate::scenes::two_people;
use crate::tales;
use crate::task::{Category, Flaw, Task};
use crate::text::{capitalised, expand, list, number_word, pick};

/// The name of a category in a sentence.
pub(crate) fn plural(category: &Category) -> String {
    match category {
        Category::Animals => "animals of the valley".to_owned(),
        Category::Plants => "plants of the valley".to_owned(),
        Category::Instruments => "instruments of the valley".to_owned(),
        Category::Dishes => "dishes of the valley".to_owned(),
        Category::Events => "events of the year".to_owned(),
        Category::Places => "places in the valley".to_owned(),
        Category::PlacesIn(region) => format!("places in {region}"),
        Category::Crops => "crops of the valley".to_owned(),
        Category::Trades => "trades".to_owned(),
        Category::People => "people of the valley".to_owned(),
    }
}

/// Everything that belongs to a category.
pub(crate) fn members(facts: &Facts, category: &Category) -> Vec<Item> {
    let all = |domain: Domain| (0..size(domain)).map(move |i| Item::new(domain, i));
    let things = |kind: ThingKind| {
        (first_of(kind)..first_of(kind) + count_of(kind))
            .map(|i| Item::new(Domain::Thing, i))
            .collect()
    };
    match category {
        Category::Animals => things(ThingKind::Animal),
        Category::Plants => things(ThingKind::Plant),
        Category::Instruments => things(ThingKind::Instrument),
        Category::Dishes => things(ThingKind::Dish),
        Category::Events => all(Domain::Event).collect(),
        Category::Places => all(Domain::Place).collect(),
        Category::PlacesIn(region) => all(Domain::Place)
            .filter(|p| facts.value(*p, Attribute::Region).is_some_and(|r| bare(r) == region))
            .collect(),
        Category::Crops => all(Domain::Crop).collect(),
        Category::Trades => all(Domain::Trade).collect(),
        Category::People => all(Domain::Person).collect(),
    }
}

/// A category by chance, and how many are asked for.
pub(crate) fn any_category(rng: &mut ChaCha8Rng) -> (Category, usize) {
    let category = match rng.random_range(0..12) {
        0 | 1 => Category::Animals,
        2 => Category::Plants,
        3 => Category::Instruments,
        4 => Category::Dishes,
        5 => Category::Events,
        6 => Category::Places,
        7 => Category::Crops,
        8 => Category::Trades,
        9 => Category::People,
        _ => Category::PlacesIn(pick(rng, &REGIONS).to_owned()),
    };
    // Each region has two places, each kind of thing five members.
    let most = if matches!(category, Category::PlacesIn(_)) {
        2
    } else {
        4
    };
    (category, rng.random_range(2..=most))
}

pub(super) fn draft_list(rng: &mut ChaCha8Rng) -> Draft {
    let (category, count) = any_category(rng);
    let (n, c) = (number_word(count), plural(&category));
    let purpose = pick(
        rng,
        &[
            "for a poem",
            "for a picture book",
            "for a letter",
            "for a game",
            "for a song",
            "for my little sister",
            "for the school",
            "for a play",
            "for my diary",
            "for a riddle",
        ],
    );
    let frame = rng.random_range(0..7);
    let text = match frame {
        0 => format!("Name {n} {c}."),
        1 => format!("List {n} {c} {purpose}."),
        2 => format!("Please give me {n} {c}."),
        3 => format!("I need {n} {c} {purpose}."),
        4 => format!("Can you name {n} {c}?"),
        5 => format!("Which {n} {c} would you choose {purpose}?"),
        _ => format!("Tell me {n} {c}, no more and no less."),
    };
    let shown = if matches!(frame, 1 | 3 | 5) { purpose } else { "" };
    let signature = format!("list/{c}/{n}/{frame}/{shown}");
    Draft {
        messages: turn(rng, &text),
        task: Task::List { category, count },
        signature,
    }
}

pub(super) fn answer_list(
    rng: &mut ChaCha8Rng,
    facts: &Facts,
    category: &Category,
    count: usize,
    flaw: Option<Flaw>,
) -> String {
    let mut all = members(facts, category);
    all.shuffle(rng);
    let mut taken: Vec<Item> = all.iter().copied().take(count).collect();
    if flaw == Some(Flaw::Missed) {
        if rng.random_bool(0.5) && all.len() > count {
            taken.push(all[count]);
        } else {
            taken.pop();
        }
    }
    if flaw == Some(Flaw::Wrong) {
        let stranger = loop {
            let (other, _) = any_category(rng);
            let others = members(facts, &other);
            if let Some(item) = others
                .choose(rng)
                .filter(|item| !members(facts, category).contains(item))
            {
                break *item;
            }
        };
        if let Some(last) = taken.last_mut() {
            *last = stranger;
        }
        taken.shuffle(rng);
    }
    let names: Vec<String> = taken.iter().map(|item| name(*item)).collect();
    let items = list(&names);
    if flaw == Some(Flaw::Curt) {
        return capitalised(&format!("{items}."));
    }
    let (n, c) = (number_word(taken.len()), plural(category));
    let template = pick(
        rng,
        &[
            "{n} {c} are {items}.",
            "Here are {n} {c}: {items}.",
            "I would choose {items}.",
            "You could take {items}.",
            "I can name {items}.",
            "Let me name {n} {c}: {items}.",
        ],
    );
    expand(rng, template, &[("n", n), ("c", &c), ("items", &items)])
}

pub(super) fn draft_story(rng: &mut ChaCha8Rng) -> Draft {
    let cast = tales::cast(rng);
    let (a, b) = (name(cast.first), name(cast.second));
    let spot = rng.random_bool(0.3).then(|| pick(rng, &SPOTS).to_owned());
    let elements = match &spot {
        Some(_) => format!("{a}, {b} and {}", cast.thing),
        None => list(&[a.clone(), b.clone(), cast.thing.clone()]),
    };
    let template = pick(
        rng,
        &[
            "Write a short story about {elements}.",
            "Tell me a little tale with {elements} in it.",
            "Make up a story with {elements}.",
            "I would like a short story about {elements}.",
            "Please tell a story of {elements}.",
            "Can you write a tiny tale about {elements}?",
        ],
    );
    let mut text = expand(rng, template, &[("elements", &elements)]);
    if let Some(spot) = &spot {
        text = format!("{text} It should happen {spot}.");
    }
    let signature = format!("story/{a}/{b}/{}", cast.thing);
    let task = Task::Story {
        people: vec![a, b],
        thing: cast.thing,
        spot,
    };
    Draft {
        messages: turn(rng, &text),
        task,
        signature,
    }
}

pub(super) fn answer_story(
    rng: &mut ChaCha8Rng,
    (people, thing, spot): (&[String], &str, Option<&str>),
    flaw: Option<Flaw>,
) -> String {
    let first = entity(people.first().map_or("", String::as_str));
    let second = entity(people.get(1).map_or("", String::as_str));
    let mut cast = tales::cast_of(rng, first, second, thing, spot);
    match flaw {
        Some(Flaw::Missed) => {
            if rng.random_bool(0.5) {
                let other = ITEMS.choose(rng).map_or("", |i| i.0);
                cast = tales::cast_of(rng, first, second, other, spot);
            } else {
                cast.second = two_people(rng).1;
            }
            tales::short(rng, &cast).join(" ")
        }
        Some(Flaw::Curt) => tales::short(rng, &cast).swap_remove(0),
        _ => tales::short(rng, &cast).join(" "),
    }
}

/// Countable things.
const UNITS: [&str; 12] = [
    "plums", "pears", "eggs", "buttons", "apples", "candles", "geese", "coins", "loaves", "hens", "onions", "shells",
];

/// The wording of a sum: what happens, then the question, then answers.
struct Sum {
    told: &'static [&'static str],
    answers: &'static [&'static str],
    /// True if the second person has the result, not the first.
    second: bool,
}

const ADD: Sum = Sum {
    told: &[
        "{A} has {n} {u}. {B} gives {him} {m} more. How many {u} does {A} have now?",
        "{A} found {n} {u} in the morning and {m} in the evening. How many {u} is that?",
        "{A} has {n} {u} and {B} has {m}. How many {u} do they have together?",
        "In one basket are {n} {u}, in another are {m}. {A} counts them all. How many are there?",
    ],
    answers: &[
        "{n} and {m} make {r}, so there are {r} {u}.",
        "That makes {r} {u}, for {n} and {m} are {r}.",
        "If you count {n} and {m} together, you get {r} {u}.",
        "The answer is {r} {u}, because {n} and {m} make {r}.",
        "There are {r} {u} in all.",
    ],
    second: false,
};

const TAKE: Sum = Sum {
    told: &[
        "{A} has {n} {u} and gives {m} to {B}. How many {u} does {A} have left?",
        "{A} had {n} {u}, but {m} were lost. How many {u} are left?",
        "There were {n} {u} on the table. {A} took {m} of them. How many stayed there?",
        "{A} has {n} {u}. {B} takes away {m}. How many {u} remain?",
    ],
    answers: &[
        "{n} less {m} is {r}, so {r} {u} are left.",
        "That leaves {r} {u}, for {n} less {m} is {r}.",
        "If you take {m} from {n}, you have {r} {u} left.",
        "The answer is {r} {u}, because {n} less {m} is {r}.",
        "There are {r} {u} left.",
    ],
    second: false,
};

const TWICE: Sum = Sum {
    told: &[
        "{A} has {n} {u} and {B} has twice as many. How many {u} does {B} have?",
        "{A} sells {n} {u} a day. How many {u} does {A} sell in two days?",
    ],
    answers: &[
        "Twice {n} is {r}, so the answer is {r} {u}.",
        "That makes {r} {u}, for twice {n} is {r}.",
        "The answer is {r} {u}, because {n} and {n} make {r}.",
    ],
    second: true,
};

fn sum(operands: &[usize], result: usize) -> &'static Sum {
    match operands {
        [n, m] if n + m == result => &ADD,
        [_, _] => &TAKE,
        _ => &TWICE,
    }
}

pub(super) fn draft_arithmetic(rng: &mut ChaCha8Rng) -> Draft {
    let (operands, result) = match rng.random_range(0..7) {
        0..=2 => {
            let (n, m) = (rng.random_range(2..=6), rng.random_range(2..=6));
            (vec![n, m], n + m)
        }
        3..=5 => {
            let m = rng.random_range(2..=6);
            let r = rng.random_range(2..=6);
            (vec![m + r, m], r)
        }
        _ => {
            let n = rng.random_range(2..=6);
            (vec![n], 2 * n)
        }
    };
    let unit = pick(rng, &UNITS);
    let (a, b) = two_people(rng);
    let sum = sum(&operands, result);
    let wording = rng.random_range(0..sum.told.len());
    let who = if sum.second && wording == 0 { b } else { a };
    let (an, bn) = (name(a), name(b));
    let him = if is_woman(a.index) { "her" } else { "him" };
    let words: Vec<&str> = operands.iter().map(|n| number_word(*n)).collect();
    let slots = [
        ("A", an.as_str()),
        ("B", bn.as_str()),
        ("him", him),
        ("n", words[0]),
        ("m", words.get(1).copied().unwrap_or("")),
        ("u", unit),
    ];
    let text = expand(rng, sum.told[wording], &slots);
    let signature = format!("arithmetic/{operands:?}/{result}/{unit}");
    let task = Task::Arithmetic {
        operands,
        result,
        unit: unit.to_owned(),
        who: name(who),
    };
    Draft {
        messages: turn(rng, &text),
        task,
        signature,
    }
}

pub(super) fn answer_arithmetic(
    rng: &mut ChaCha8Rng,
    (operands, result): (&[usize], usize),
    (unit, _who): (&str, &str),
    flaw: Option<Flaw>,
) -> String {
    let sum = sum(operands, result);
    let mut said = result;
    if flaw == Some(Flaw::Wrong) {
        while said == result {
            let low = result.saturating_sub(3).max(2);
            said = rng.random_range(low..=result + 3);
        }
    }
    if flaw == Some(Flaw::Curt) {
        return capitalised(&format!("{}.", number_word(said)));
    }
    let words: Vec<&str> = operands.iter().map(|n| number_word(*n)).collect();
    let slots = [
        ("n", words.first().copied().unwrap_or("")),
        ("m", words.get(1).copied().unwrap_or("")),
        ("r", number_word(said)),
        ("u", unit),
    ];
    let template = pick(rng, sum.answers);
    expand(rng, template, &slots)
}
