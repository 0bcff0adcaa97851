//! The word lists of the world: who and what there is, before the seed decides what is true of them.
//!
//! `keys` are the beginnings of the words by which the judge recognises a value; all of them must occur, in this order.

/// A value told by a phrase rather than a name: how it reads after "she" and after "to".
pub(crate) struct Phrase {
    pub(crate) third: &'static str,
    pub(crate) base: &'static str,
    pub(crate) keys: &'static [&'static str],
}

const fn phrase(third: &'static str, base: &'static str, keys: &'static [&'static str]) -> Phrase {
    Phrase { third, base, keys }
}

/// The valley.
pub(crate) const VALLEY: &str = "the Merrin valley";

pub(crate) const WOMEN: [&str; 10] = [
    "Tamsin", "Maud", "Nell", "Orla", "Tilda", "Fenna", "Ada", "Runa", "Lotta", "Wenna",
];

pub(crate) const MEN: [&str; 10] = [
    "Odo", "Bram", "Tobin", "Finn", "Percy", "Gil", "Barnaby", "Oswin", "Edric", "Rufus",
];

pub(crate) const PLACES: [&str; 12] = [
    "Hollin",
    "Saltby",
    "Mossford",
    "Fernley",
    "Oxbow",
    "Pendle",
    "Ashby",
    "Gullhaven",
    "Inkpen",
    "Netherby",
    "Swanmere",
    "Thornley",
];

pub(crate) const KINDS: [&str; 5] = ["village", "town", "hamlet", "farm", "abbey"];

pub(crate) const REGIONS: [&str; 6] = [
    "the North Hills",
    "the Green Marsh",
    "the Long Shore",
    "the Old Wood",
    "the River Meadows",
    "the High Moor",
];

/// Sights for which places are known.
pub(crate) const SIGHTS: [&str; 12] = [
    "blue pots",
    "crooked tower",
    "singing fountain",
    "stone bridge",
    "warm pools",
    "tall windmill",
    "old library",
    "glass lamps",
    "silver bell",
    "rope ferry",
    "paper kites",
    "red roofs",
];

pub(crate) const CROPS: [&str; 8] = [
    "barley", "plums", "pears", "beans", "turnips", "oats", "onions", "leeks",
];

/// A trade and what those who follow it do all day.
pub(crate) const TRADES: [(&str, &str); 10] = [
    ("baker", "bakes loaves before the sun is up"),
    ("miller", "grinds flour from morning to night"),
    ("potter", "shapes bowls out of river clay"),
    ("weaver", "makes cloth on a creaking loom"),
    ("smith", "hammers iron by a hot fire"),
    ("fisher", "brings in nets at first light"),
    ("beekeeper", "looks after forty hives"),
    ("teacher", "shows children how to read"),
    ("doctor", "visits the sick with a black bag"),
    ("cook", "stirs pots for hungry travellers"),
];

pub(crate) const HABITS: [Phrase; 10] = [
    phrase("collects buttons", "collect buttons", &["collect", "button"]),
    phrase("goes barefoot", "go barefoot", &["barefoot"]),
    phrase("talks to birds", "talk to birds", &["talk", "bird"]),
    phrase("counts every step", "count every step", &["count", "step"]),
    phrase("sleeps outdoors", "sleep outdoors", &["sleep", "outdoor"]),
    phrase("writes tiny poems", "write tiny poems", &["writ", "poem"]),
    phrase("keeps a pet snail", "keep a pet snail", &["keep", "snail"]),
    phrase("paints pebbles", "paint pebbles", &["paint", "pebble"]),
    phrase("draws maps", "draw maps", &["draw", "map"]),
    phrase("wears odd socks", "wear odd socks", &["wear", "odd"]),
];

pub(crate) const ANIMALS: [&str; 5] = ["lantern moth", "moon hare", "bell toad", "salt fox", "thimble owl"];
pub(crate) const PLANTS: [&str; 5] = ["star moss", "fever mint", "night rose", "ghost fern", "honey thistle"];
pub(crate) const INSTRUMENTS: [&str; 5] = ["reed pipe", "hill drum", "goose horn", "knee harp", "water flute"];
pub(crate) const DISHES: [&str; 5] = ["leek pie", "barley bread", "honey cake", "onion tart", "bean stew"];

pub(crate) const COLOURS: [&str; 6] = ["white", "grey", "blue", "green", "golden", "brown"];
pub(crate) const MATERIALS: [&str; 5] = ["elm", "clay", "brass", "bone", "copper"];
pub(crate) const INGREDIENTS: [&str; 5] = ["butter", "ginger", "cream", "mustard", "cheese"];

pub(crate) const ANIMAL_USES: [Phrase; 5] = [
    phrase("warns of rain", "warn of rain", &["warn", "rain"]),
    phrase("guards the hens", "guard the hens", &["guard", "hen"]),
    phrase("finds lost rings", "find lost rings", &["find", "ring"]),
    phrase("wakes the children", "wake the children", &["wak", "child"]),
    phrase("carries small letters", "carry small letters", &["carr", "letter"]),
];
pub(crate) const PLANT_USES: [Phrase; 5] = [
    phrase("cures coughs", "cure coughs", &["cur", "cough"]),
    phrase("makes green ink", "make green ink", &["mak", "ink"]),
    phrase("keeps spiders away", "keep spiders away", &["keep", "spider"]),
    phrase("brings sweet dreams", "bring sweet dreams", &["bring", "dream"]),
    phrase("sweetens tea", "sweeten tea", &["sweeten", "tea"]),
];
pub(crate) const INSTRUMENT_USES: [Phrase; 5] = [
    phrase("is played at weddings", "be played at weddings", &["play", "wedding"]),
    phrase(
        "is played to call the sheep",
        "be played to call the sheep",
        &["play", "call", "sheep"],
    ),
    phrase("is played at bedtime", "be played at bedtime", &["play", "bedtime"]),
    phrase(
        "is played on market day",
        "be played on market day",
        &["play", "market", "day"],
    ),
    phrase(
        "is played before a storm",
        "be played before a storm",
        &["play", "storm"],
    ),
];
pub(crate) const DISH_USES: [Phrase; 5] = [
    phrase("is eaten on rainy days", "be eaten on rainy days", &["eaten", "rainy"]),
    phrase(
        "is eaten at breakfast",
        "be eaten at breakfast",
        &["eaten", "breakfast"],
    ),
    phrase(
        "is eaten on cold nights",
        "be eaten on cold nights",
        &["eaten", "cold", "night"],
    ),
    phrase(
        "is eaten when guests come",
        "be eaten when guests come",
        &["eaten", "guest"],
    ),
    phrase(
        "is eaten after a long walk",
        "be eaten after a long walk",
        &["eaten", "walk"],
    ),
];

/// Events and what happens there; the custom goes with the name, everything else is the seed's.
pub(crate) const EVENTS: [(&str, Phrase); 8] = [
    (
        "Lantern Walk",
        custom("everyone carries a lantern round the pond", &["lantern", "pond"]),
    ),
    (
        "Plum Fair",
        custom("people sell plums from painted carts", &["sell", "plum"]),
    ),
    (
        "Goose Race",
        custom("geese run down the main street", &["geese", "street"]),
    ),
    (
        "Long Supper",
        custom("the whole valley eats at one table", &["valley", "table"]),
    ),
    (
        "Bell Night",
        custom("children ring bells until midnight", &["ring", "bell"]),
    ),
    ("Snow Ball", custom("the dancers wear white", &["dancers", "white"])),
    ("Hat Dance", custom("strangers swap hats and dance", &["swap", "hat"])),
    (
        "Quiet Hour",
        custom("all the bells and mouths are still", &["mouth", "still"]),
    ),
];

const fn custom(third: &'static str, keys: &'static [&'static str]) -> Phrase {
    phrase(third, third, keys)
}

/// Months in which events fall; May is left out, for "may" is another word.
pub(crate) const MONTHS: [&str; 11] = [
    "January",
    "February",
    "March",
    "April",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub(crate) const DAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// Things found, lost, sold and mended in little stories: one of them, and several.
pub(crate) const ITEMS: [(&str, &str); 12] = [
    ("a brass key", "brass keys"),
    ("a red scarf", "red scarves"),
    ("an old coin", "old coins"),
    ("a wicker basket", "wicker baskets"),
    ("a small mirror", "small mirrors"),
    ("a tin cup", "tin cups"),
    ("a feather pen", "feather pens"),
    ("a jar of jam", "jars of jam"),
    ("a striped egg", "striped eggs"),
    ("a sack of flour", "sacks of flour"),
    ("a pair of spectacles", "pairs of spectacles"),
    ("a copper kettle", "copper kettles"),
];

/// Spots at which little stories happen.
pub(crate) const SPOTS: [&str; 10] = [
    "by the mill",
    "under the bridge",
    "behind the barn",
    "near the pond",
    "in the orchard",
    "at the market",
    "by the old wall",
    "in the long grass",
    "outside the inn",
    "in the kitchen",
];
