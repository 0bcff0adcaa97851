//! Short tales of two people and a thing.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use crate::entities::{Domain, Item, N_THINGS, ThingKind, name, thing_kind};
use crate::names::{ITEMS, SPOTS};
use crate::scenes::{definite, two_people};
use crate::sentences::pronouns;
use crate::text::{expand, pick};

/// The people and things that a tale is about.
#[derive(Clone, Debug)]
pub(crate) struct Cast {
    pub(crate) first: Item,
    pub(crate) second: Item,
    /// A thing of the world with its article, or an item such as "a brass key".
    pub(crate) thing: String,
    pub(crate) kind: Option<ThingKind>,
    pub(crate) spot: String,
    /// The spot must be named.
    pub(crate) spot_wanted: bool,
}

/// A cast by chance.
pub(crate) fn cast(rng: &mut ChaCha8Rng) -> Cast {
    let (first, second) = two_people(rng);
    let (thing, kind) = if rng.random_bool(0.65) {
        let index = rng.random_range(0..N_THINGS);
        (name(Item::new(Domain::Thing, index)), Some(thing_kind(index)))
    } else {
        (ITEMS.choose(rng).map_or("", |item| item.0).to_owned(), None)
    };
    Cast {
        first,
        second,
        thing,
        kind,
        spot: pick(rng, &SPOTS).to_owned(),
        spot_wanted: false,
    }
}

/// A cast with these people and this thing.
pub(crate) fn cast_of(rng: &mut ChaCha8Rng, first: Item, second: Item, thing: &str, spot: Option<&str>) -> Cast {
    let kind = crate::entities::find_entity(thing).map(|item| thing_kind(item.index));
    let spot_wanted = spot.is_some();
    let spot = spot.unwrap_or_else(|| pick(rng, &SPOTS)).to_owned();
    Cast {
        first,
        second,
        thing: thing.to_owned(),
        kind,
        spot,
        spot_wanted,
    }
}

/// Times at which a tale begins.
const WHEN: &str = "[One morning|One evening|Late one night|On a windy day|One day in spring|On the first day of summer|\
After a long winter|Just before sunrise|On a grey afternoon|One bright day]";

/// Beginning, middle and end of each plot.
type Plot = [&'static str; 3];

const ANIMAL_PLOTS: [Plot; 5] = [
    [
        "{W} {A} saw {the} {spot}.",
        "It was [wet|hungry|lost|cold] and looked at {Ahim} with [big|sad|bright] eyes. {A} ran to fetch {B}.",
        "[Together they|The two friends] [made it a bed of straw|gave it milk and bread|kept it warm all night], and \
         [in the morning it was well|soon it slept|it never left them again].",
    ],
    [
        "{W} {the} came to the door of {A}.",
        "It [brought a note|had a button in its mouth|would not go away]. {A} knew that it belonged to {B}, who lived alone.",
        "So {A} [put on {Ahis} coat|took a lantern] and went to see {B}, and they [talked until midnight|were never \
         lonely again|laughed about it for years].",
    ],
    [
        "{W} {A} and {B} heard a noise {spot}.",
        "[They were afraid|They held hands|They tiptoed closer], but it was only {the}, [stuck in a bucket|asleep in a \
         hat|looking at the moon].",
        "{B} [set it free|gave it a crumb|whispered to it], and {A} [said nothing|smiled|made a song of it].",
    ],
    [
        "{A} did not believe in {the}.",
        "[Then|But] {W2} it sat {spot} and [looked straight at {Ahim}|sang|yawned]. {B} saw it too.",
        "\"Now do you believe?\" asked {B}. \"[I do|Yes|A little],\" said {A}, and they both laughed.",
    ],
    [
        "{A} and {B} wanted to catch {the}.",
        "They [waited {spot} all night|put out cheese|hung a net {spot}], but {the} was too clever.",
        "In the end it [ate their bread|slept in their net|led them home], and they [gave up|let it be|clapped].",
    ],
];

const PLANT_PLOTS: [Plot; 4] = [
    [
        "{W} {B} was ill, and {A} went to look for {the}.",
        "{A} looked [high and low|for hours|in the rain], until {Ahe} found it {spot}.",
        "{A} made tea from it, and [by evening {B} could laugh again|{B} slept well|{B} was soon on {Bhis} feet].",
    ],
    [
        "{A} planted {the} {spot}, and nothing grew.",
        "Every day {B} [came with water|sang to it|kept the geese away].",
        "Then, {W2}, there was [one green leaf|a flower|a small bud], and [both of them danced|{A} called everyone|they \
         sat beside it until dark].",
    ],
    [
        "{W} {A} picked {the} {spot} for {B}.",
        "\"What is it for?\" asked {B}. \"[For you|For your table|For luck],\" said {A}.",
        "{B} put it in a [blue cup|tin cup|glass], and it [stayed fresh all week|made the whole room bright|smelled of \
         rain].",
    ],
    [
        "Nobody knew why {the} would not grow {spot}.",
        "{A} [asked the bees|read every book|dug a hole] and {B} [carried water|carried stones|moved the fence].",
        "[At last it grew|In spring it came up], taller than {B}, and {A} [wept for joy|took off {Ahis} hat].",
    ],
];

const INSTRUMENT_PLOTS: [Plot; 4] = [
    [
        "{W} {A} found {the} {spot}.",
        "{A} could not play a note, [so|and so] {B} showed {Ahim} how.",
        "By [autumn|evening|the next market] they played together, and [even the geese listened|people stopped to \
         dance|nobody could sit still].",
    ],
    [
        "{W} {B} was sad and sat {spot}.",
        "{A} took {the} and played [a slow song|the song of the river|an old tune] very softly.",
        "[When it was over|Before it was over] {B} [was smiling|began to sing|dried {Bhis} eyes], and they went home arm \
         in arm.",
    ],
    [
        "{A} played {the} every night, and {B} could not sleep.",
        "\"Must you?\" asked {B}. \"[Play with me|Come and try|Sit down],\" said {A}.",
        "{B} tried, {spot}, and liked it, and now [nobody else can sleep|they play until dawn|the whole street hums].",
    ],
    [
        "{W} {the} was broken, and {A} wept.",
        "{B} took it {spot}, where it was quiet, and worked on it [for three days|with glue and thread|until dark].",
        "It [sounded better than before|had a new voice, deep and warm], and {A} [played for {B} first|gave {B} a kiss].",
    ],
];

const DISH_PLOTS: [Plot; 4] = [
    [
        "{W} {A} made {the} for everyone.",
        "{A} set it down {spot} to cool, but when {Ahe} came back, it was gone.",
        "There sat {B} with [a full mouth|crumbs on {Bhis} coat|a red face]. \"It was so good,\" said {B}, and {A} [had to \
         laugh|made another].",
    ],
    [
        "{A} and {B} had not spoken for a year.",
        "{W} {A} left {the} {spot}, where {B} would find it.",
        "{B} [ate every bit|smelled it and smiled] and came to the door. \"[Let us be friends|I am sorry],\" said {B}, and \
         so they were.",
    ],
    [
        "{W} a stranger stood {spot}, cold and hungry.",
        "{A} brought {the} and {B} brought a blanket.",
        "The stranger [ate and wept|told them tales of the sea|sang for them], and [they never forgot it|in the morning \
         only a coin was left].",
    ],
    [
        "{A} said that nobody could cook {the} like {Ahim}.",
        "{B} said the same, so they cooked side by side {spot}.",
        "The whole street tasted, [and nobody could choose|but it was all gone too soon], so they [shook hands|must do it \
         again next year].",
    ],
];

const ITEM_PLOTS: [Plot; 5] = [
    [
        "{W} {A} found {T} {spot}.",
        "{A} asked [at every door|everyone in the street] whose it was, until {B} cried, \"[It is mine|That is mine]!\"",
        "{B} [hugged {Ahim}|gave {Ahim} an apple|had looked for it for years], and from that day they were friends.",
    ],
    [
        "{W} {B} lost {T} and searched everywhere.",
        "{A} helped, and they looked {spot} and [under every stone|in every pocket|behind every door].",
        "In the end it was [in the hat of {B}|in the pocket of {A}], and they [laughed until it hurt|told nobody].",
    ],
    [
        "{A} had {T} and wished to give it away.",
        "[{W} {Ahe}|So {Ahe}] left it {spot} with a note: for the one who needs it.",
        "{B} found it, [needed it badly|kept it for life], and never knew whom to thank. {A} only smiled.",
    ],
    [
        "{W} {A} and {B} saw {T} {spot} at the same time.",
        "\"Mine,\" said {A}. \"Mine,\" said {B}. They [pulled and pulled|shouted for an hour|would not let go].",
        "Then it [began to rain|grew dark], and they [shared it|went home as friends|gave it to a child].",
    ],
    [
        "{A} bought {T} from a man {spot}.",
        "The man said it was magic. {B} [laughed|shook {Bhis} head], but {W2} it [shone in the dark|was warm|hummed].",
        "Now {B} asks every day if {Bhe} may [hold it|see it], and {A} always says yes.",
    ],
];

/// Sentences that may stand between in a longer telling.
const ASIDES: [&str; 14] = [
    "The wind had gone to sleep.",
    "Far away a bell rang.",
    "{A} thought about it for a long time.",
    "{B} said nothing at first.",
    "You must know that {A} is not a patient person.",
    "{B} had seen stranger things.",
    "It smelled of rain.",
    "An old dog watched them.",
    "{A} and {B} had known each other since school.",
    "Nobody else was awake.",
    "The moon came up over the roofs.",
    "Even the river seemed to listen.",
    "{B} had brought bread and cheese.",
    "{A} counted to ten.",
];

const MORALS: [&str; 14] = [
    "And that is all.",
    "So it was told to me, and so I tell it.",
    "They still talk about it today.",
    "A kind deed is never lost.",
    "If you do not believe it, ask {B}.",
    "What is shared is doubled.",
    "That is how friends are made.",
    "It is good to ask before you are angry.",
    "Small things matter.",
    "Since then {A} always looks twice.",
    "The children love to hear this tale.",
    "Patience is a good teacher.",
    "Nobody is too old to learn.",
    "The end.",
];

fn plot(rng: &mut ChaCha8Rng, cast: &Cast) -> Plot {
    let plots: &[Plot] = match cast.kind {
        Some(ThingKind::Animal) => &ANIMAL_PLOTS,
        Some(ThingKind::Plant) => &PLANT_PLOTS,
        Some(ThingKind::Instrument) => &INSTRUMENT_PLOTS,
        Some(ThingKind::Dish) => &DISH_PLOTS,
        None => &ITEM_PLOTS,
    };
    let has_spot =
        |plot: &Plot| plot[0].contains("{spot}") || plot[1].split('[').next().is_some_and(|p| p.contains("{spot}"));
    let fitting: Vec<Plot> = plots
        .iter()
        .copied()
        .filter(|p| !cast.spot_wanted || has_spot(p))
        .collect();
    fitting.choose(rng).copied().unwrap_or(plots[0])
}

fn write(rng: &mut ChaCha8Rng, cast: &Cast, template: &str) -> String {
    let (a, b) = (name(cast.first), name(cast.second));
    let (first_he, first_him, first_his) = pronouns(cast.first);
    let (second_he, _, second_his) = pronouns(cast.second);
    let the = if cast.kind.is_some() {
        cast.thing.clone()
    } else {
        definite(&cast.thing)
    };
    let when = expand(rng, WHEN, &[]);
    let when_inside = pick(
        rng,
        &[
            "one night",
            "one morning",
            "after a week",
            "on a Sunday",
            "one cold evening",
        ],
    );
    let slots = [
        ("A", a.as_str()),
        ("B", b.as_str()),
        ("Ahe", first_he),
        ("Ahim", first_him),
        ("Ahis", first_his),
        ("Bhe", second_he),
        ("Bhis", second_his),
        ("T", cast.thing.as_str()),
        ("the", the.as_str()),
        ("spot", cast.spot.as_str()),
        ("W", when.as_str()),
        ("W2", when_inside),
    ];
    expand(rng, template, &slots)
}

/// A tale of some thirty-five words.
pub(crate) fn short(rng: &mut ChaCha8Rng, cast: &Cast) -> Vec<String> {
    let plot = plot(rng, cast);
    plot.iter().map(|part| write(rng, cast, part)).collect()
}

/// The tale told slowly: with asides and a last word; `opening` comes after the first sentence.
pub(crate) fn long(rng: &mut ChaCha8Rng, cast: &Cast, opening: &str) -> String {
    let mut parts = short(rng, cast);
    let aside = pick(rng, &ASIDES);
    parts.insert(1, write(rng, cast, aside));
    if !opening.is_empty() {
        parts.insert(if rng.random_bool(0.5) { 0 } else { 1 }, opening.to_owned());
    }
    if rng.random_bool(0.8) {
        let moral = pick(rng, &MORALS);
        parts.push(write(rng, cast, moral));
    }
    parts.join(" ")
}
