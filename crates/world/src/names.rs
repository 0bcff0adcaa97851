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

pub(crate) const WOMEN: [&str; 20] = [
    "Tamsin", "Maud", "Nell", "Pia", "Orla", "Tilda", "Fenna", "Greta", "Mabel", "Ottie", "Isa", "Junia", "Elsie",
    "Dilly", "Bess", "Cora", "Ada", "Runa", "Lotta", "Wenna",
];

pub(crate) const MEN: [&str; 20] = [
    "Odo", "Bram", "Tobin", "Jory", "Finn", "Hob", "Percy", "Wilf", "Gil", "Corin", "Silas", "Barnaby", "Linus", "Ned",
    "Oswin", "Edric", "Rufus", "Anselm", "Cuddy", "Magnus",
];

pub(crate) const PLACES: [&str; 24] = [
    "Hollin",
    "Saltby",
    "Mossford",
    "Dunmere",
    "Kettleby",
    "Fernley",
    "Oxbow",
    "Pendle",
    "Rushey",
    "Windle",
    "Ashby",
    "Brindle",
    "Cobham",
    "Elmet",
    "Foxley",
    "Gullhaven",
    "Harrowby",
    "Inkpen",
    "Lowick",
    "Millbeck",
    "Netherby",
    "Otterton",
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

/// What a place is known for.
pub(crate) const SIGHTS: [&str; 24] = [
    "blue pots",
    "crooked tower",
    "singing fountain",
    "stone bridge",
    "warm pools",
    "tall windmill",
    "wooden spoons",
    "old library",
    "glass lamps",
    "stone lion",
    "wool blankets",
    "painted doors",
    "silver bell",
    "floating garden",
    "slow clock",
    "rope ferry",
    "giant chair",
    "paper kites",
    "straw hats",
    "deep cave",
    "red roofs",
    "cheese cellar",
    "white ponies",
    "toy boats",
];

pub(crate) const CROPS: [&str; 12] = [
    "barley", "plums", "pears", "beans", "turnips", "cherries", "oats", "pumpkins", "onions", "leeks", "walnuts",
    "peas",
];

/// A trade and what those who follow it do all day.
pub(crate) const TRADES: [(&str, &str); 20] = [
    ("baker", "bakes loaves before the sun is up"),
    ("miller", "grinds flour from morning to night"),
    ("potter", "shapes bowls out of river clay"),
    ("weaver", "makes cloth on a creaking loom"),
    ("smith", "hammers iron by a hot fire"),
    ("fisher", "brings in nets at first light"),
    ("beekeeper", "looks after forty hives"),
    ("shepherd", "follows sheep over the hills"),
    ("carpenter", "builds tables and stairs"),
    ("gardener", "digs and plants in all weathers"),
    ("sailor", "takes cargo up and down the river"),
    ("clockmaker", "mends clocks with tiny tools"),
    ("painter", "puts bright colours on walls"),
    ("tailor", "sews coats for the whole street"),
    ("teacher", "shows children how to read"),
    ("doctor", "visits the sick with a black bag"),
    ("printer", "prints books and almanacs"),
    ("thatcher", "covers roofs with dry reeds"),
    ("candlemaker", "pours wax into long moulds"),
    ("cook", "stirs pots for hungry travellers"),
];

pub(crate) const HABITS: [Phrase; 20] = [
    phrase("collects buttons", "collect buttons", &["collect", "button"]),
    phrase("goes barefoot", "go barefoot", &["barefoot"]),
    phrase("talks to birds", "talk to birds", &["talk", "bird"]),
    phrase("counts every step", "count every step", &["count", "step"]),
    phrase("sleeps outdoors", "sleep outdoors", &["sleep", "outdoor"]),
    phrase("writes tiny poems", "write tiny poems", &["writ", "poem"]),
    phrase("whistles in the rain", "whistle in the rain", &["whistl", "rain"]),
    phrase("keeps a pet snail", "keep a pet snail", &["keep", "snail"]),
    phrase("laughs very loudly", "laugh very loudly", &["laugh", "loud"]),
    phrase("hums all day", "hum all day", &["hum", "day"]),
    phrase("paints pebbles", "paint pebbles", &["paint", "pebble"]),
    phrase("rises before dawn", "rise before dawn", &["ris", "dawn"]),
    phrase("saves old string", "save old string", &["sav", "string"]),
    phrase("carries an umbrella", "carry an umbrella", &["carr", "umbrella"]),
    phrase("draws maps", "draw maps", &["draw", "map"]),
    phrase("drinks cold tea", "drink cold tea", &["drink", "cold", "tea"]),
    phrase("dances alone", "dance alone", &["danc", "alone"]),
    phrase("tells riddles", "tell riddles", &["tell", "riddle"]),
    phrase("wears odd socks", "wear odd socks", &["wear", "odd"]),
    phrase("feeds stray cats", "feed stray cats", &["feed", "cat"]),
];

pub(crate) const ANIMALS: [&str; 8] = [
    "lantern moth",
    "moon hare",
    "bell toad",
    "salt fox",
    "thimble owl",
    "ribbon eel",
    "button mouse",
    "clover goat",
];
pub(crate) const PLANTS: [&str; 7] = [
    "star moss",
    "fever mint",
    "night rose",
    "ghost fern",
    "honey thistle",
    "bog lily",
    "kissing ivy",
];
pub(crate) const INSTRUMENTS: [&str; 6] = [
    "reed pipe",
    "hill drum",
    "goose horn",
    "knee harp",
    "water flute",
    "box fiddle",
];
pub(crate) const DISHES: [&str; 7] = [
    "leek pie",
    "barley bread",
    "honey cake",
    "onion tart",
    "bean stew",
    "pear pudding",
    "walnut soup",
];

pub(crate) const COLOURS: [&str; 8] = ["white", "grey", "blue", "green", "golden", "brown", "black", "purple"];
pub(crate) const MATERIALS: [&str; 6] = ["elm", "clay", "brass", "bone", "willow", "copper"];
pub(crate) const INGREDIENTS: [&str; 7] = ["butter", "ginger", "cream", "mustard", "cheese", "nutmeg", "parsley"];

pub(crate) const ANIMAL_USES: [Phrase; 8] = [
    phrase("warns of rain", "warn of rain", &["warn", "rain"]),
    phrase("guards the hens", "guard the hens", &["guard", "hen"]),
    phrase("finds lost rings", "find lost rings", &["find", "ring"]),
    phrase("wakes the children", "wake the children", &["wak", "child"]),
    phrase("carries small letters", "carry small letters", &["carr", "letter"]),
    phrase("sings at noon", "sing at noon", &["sing", "noon"]),
    phrase("sleeps in boots", "sleep in boots", &["sleep", "boot"]),
    phrase("counts the sheep", "count the sheep", &["count", "sheep"]),
];
pub(crate) const PLANT_USES: [Phrase; 7] = [
    phrase("cures coughs", "cure coughs", &["cur", "cough"]),
    phrase("makes green ink", "make green ink", &["mak", "ink"]),
    phrase("keeps spiders away", "keep spiders away", &["keep", "spider"]),
    phrase("brings sweet dreams", "bring sweet dreams", &["bring", "dream"]),
    phrase("sweetens tea", "sweeten tea", &["sweeten", "tea"]),
    phrase("dyes wool", "dye wool", &["dye", "wool"]),
    phrase("feeds the bees", "feed the bees", &["feed", "bee"]),
];
pub(crate) const INSTRUMENT_USES: [Phrase; 6] = [
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
    phrase(
        "is played when a child is born",
        "be played when a child is born",
        &["play", "child"],
    ),
];
pub(crate) const DISH_USES: [Phrase; 7] = [
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
    phrase(
        "is eaten at the end of harvest",
        "be eaten at the end of harvest",
        &["eaten", "harvest"],
    ),
    phrase("is eaten on birthdays", "be eaten on birthdays", &["eaten", "birthday"]),
];

/// Events and what happens there; the custom goes with the name, everything else is the seed's.
pub(crate) const EVENTS: [(&str, Phrase); 16] = [
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
    (
        "Pancake Day",
        custom("cooks throw pancakes over a rope", &["pancake", "rope"]),
    ),
    (
        "Boat Parade",
        custom("paper boats float down the river", &["boat", "river"]),
    ),
    (
        "Honey Feast",
        custom("the bees are thanked with a song", &["bees", "song"]),
    ),
    ("Hat Dance", custom("strangers swap hats and dance", &["swap", "hat"])),
    (
        "Mud Morning",
        custom("grown people jump into puddles", &["jump", "puddle"]),
    ),
    (
        "Quiet Hour",
        custom("all the bells and mouths are still", &["mouth", "still"]),
    ),
    (
        "Candle Swim",
        custom("swimmers carry candles across the lake", &["swimmer", "candle"]),
    ),
    (
        "Apple Roll",
        custom("apples roll down the green hill", &["roll", "hill"]),
    ),
    (
        "Story Week",
        custom("old people tell one story each night", &["tell", "story"]),
    ),
    (
        "Button Hunt",
        custom("children look for a golden button", &["look", "button"]),
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
pub(crate) const ITEMS: [(&str, &str); 22] = [
    ("a brass key", "brass keys"),
    ("a red scarf", "red scarves"),
    ("an old coin", "old coins"),
    ("a wicker basket", "wicker baskets"),
    ("a small mirror", "small mirrors"),
    ("a tin cup", "tin cups"),
    ("a torn sail", "torn sails"),
    ("a feather pen", "feather pens"),
    ("a wooden doll", "wooden dolls"),
    ("a jar of jam", "jars of jam"),
    ("a leather glove", "leather gloves"),
    ("a round stone", "round stones"),
    ("a broken wheel", "broken wheels"),
    ("a striped egg", "striped eggs"),
    ("a sack of flour", "sacks of flour"),
    ("a yellow ribbon", "yellow ribbons"),
    ("a pair of spectacles", "pairs of spectacles"),
    ("a walking stick", "walking sticks"),
    ("a bunch of daisies", "bunches of daisies"),
    ("a ball of yarn", "balls of yarn"),
    ("a copper kettle", "copper kettles"),
    ("a wooden shoe", "wooden shoes"),
];

/// Where little stories happen.
pub(crate) const SPOTS: [&str; 18] = [
    "by the mill",
    "under the bridge",
    "behind the barn",
    "near the pond",
    "in the orchard",
    "at the market",
    "beside the river",
    "by the old wall",
    "in the hay loft",
    "on the ferry",
    "at the school",
    "in the churchyard",
    "by the well",
    "in the long grass",
    "outside the inn",
    "at the crossroads",
    "in the kitchen",
    "on the hill path",
];
