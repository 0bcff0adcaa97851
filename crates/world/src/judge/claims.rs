//! Statements about the world, found in a text and compared with what is true.

use super::reading::{Mention, Reading, is_entity};
use crate::entities::{Attribute, Domain, Item, ThingKind, look_domain, thing_kind};
use crate::facts::Facts;

/// A statement that an attribute of an entity has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) entity: Item,
    pub(crate) attribute: Attribute,
    pub(crate) value: Item,
    /// Said with "not": the value is denied.
    pub(crate) denied: bool,
    pub(crate) holds: bool,
}

const LIVES: [&str; 9] = [
    "live", "lives", "lived", "living", "home", "house", "houses", "doors", "dwells",
];
const LEADS: [&str; 4] = ["lead", "leads", "led", "mayor"];
const FOUND: [&str; 21] = [
    "live", "lives", "nest", "see", "found", "grows", "grow", "pick", "ground", "made", "comes", "makers", "buy",
    "tastes", "taste", "cooked", "eat", "place", "where", "sold", "best",
];
const HELD: [&str; 11] = [
    "held", "takes", "take", "where", "go", "goes", "home", "see", "fills", "streets", "happens",
];
const GROWS: [&str; 12] = [
    "grow", "grows", "growing", "fields", "field", "full", "best", "carts", "harvest", "soil", "crop", "come",
];
const BEFORE_FRIEND: [&str; 7] = ["best", "dearest", "oldest", "closest", "dear", "his", "her"];
const NOT: [&str; 7] = ["not", "never", "neither", "isn't", "doesn't", "don't", "wrong"];

/// One sentence under examination.
struct Sentence<'a> {
    reading: &'a Reading,
    range: std::ops::Range<usize>,
    mentions: Vec<Mention>,
}

impl Sentence<'_> {
    fn word(&self, i: usize) -> &str {
        &self.reading.words[i].text
    }

    fn between(&self, a: &Mention, b: &Mention) -> std::ops::Range<usize> {
        if a.start <= b.start {
            a.end.min(b.start)..b.start
        } else {
            b.end.min(a.start)..a.start
        }
    }

    fn says_any(&self, range: std::ops::Range<usize>, words: &[&str]) -> bool {
        range.into_iter().any(|i| words.contains(&self.word(i)))
    }

    fn says(&self, words: &[&str]) -> bool {
        self.says_any(self.range.clone(), words)
    }

    /// The subject nearest before the value; if there is none, and the form allows it, nearest after.
    fn subject(&self, value: &Mention, fits: impl Fn(Item) -> bool, after: bool) -> Option<Mention> {
        let usable = |m: &&Mention| is_entity(m.item) && fits(m.item) && m.item != value.item;
        let before = self.mentions.iter().filter(usable).rfind(|m| m.end <= value.start);
        let following = || {
            self.mentions
                .iter()
                .filter(usable)
                .find(|m| after && m.start >= value.end)
        };
        before.or_else(following).copied()
    }

    /// Everyone named together with a subject: "Odo and Maud".
    fn group(&self, subject: &Mention) -> Vec<Mention> {
        let mut group = vec![*subject];
        let alike: Vec<&Mention> = self
            .mentions
            .iter()
            .filter(|m| m.item.domain == subject.item.domain && is_entity(m.item))
            .collect();
        let Some(at) = alike.iter().position(|m| **m == *subject) else {
            return group;
        };
        let joined = |a: &Mention, b: &Mention| (a.end..b.start).all(|i| self.word(i) == "and") && b.start - a.end <= 1;
        for i in (0..at).rev() {
            if !joined(alike[i], alike[i + 1]) {
                break;
            }
            group.push(*alike[i]);
        }
        for i in at + 1..alike.len() {
            if !joined(alike[i - 1], alike[i]) {
                break;
            }
            group.push(*alike[i]);
        }
        group
    }

    /// True if the statement is denied: "not" between subject and value, or shortly before both.
    fn denied(&self, subject: &Mention, value: &Mention) -> bool {
        let first = subject.start.min(value.start);
        let lead = first.saturating_sub(4).max(self.range.start)..first;
        let before = lead.clone().any(|i| {
            i + 1 < first && self.word(i) == "not" && matches!(self.word(i + 1), "true" | "right" | "so" | "correct")
        });
        let inside = self.between(subject, value).any(|i| {
            // "Do not miss the tower" denies nothing.
            NOT.contains(&self.word(i)) && !(i + 1 < self.range.end && self.word(i + 1) == "miss")
        });
        before || inside
    }
}

/// Finds the statements of a text and judges each.
pub(crate) fn claims(facts: &Facts, reading: &Reading) -> Vec<Claim> {
    let mut out: Vec<Claim> = Vec::new();
    for range in clauses(reading) {
        let mentions: Vec<Mention> = reading
            .mentions
            .iter()
            .filter(|m| range.contains(&m.start))
            .copied()
            .collect();
        let sentence = Sentence {
            reading,
            range,
            mentions,
        };
        for (subject, attribute, value) in statements(&sentence) {
            let Some(truth) = facts.value(subject.item, attribute) else {
                continue;
            };
            let denied = sentence.denied(&subject, &value);
            let garbled = value.garbled || subject.garbled;
            let holds = !garbled && ((truth == value.item) != denied);
            let claim = Claim {
                entity: subject.item,
                attribute,
                value: value.item,
                denied,
                holds,
            };
            if !out.contains(&claim) {
                out.push(claim);
            }
        }
    }
    out
}

/// The parts of statements that "while" and "but" hold against each other; questions state nothing.
fn clauses(reading: &Reading) -> Vec<std::ops::Range<usize>> {
    let mut out = Vec::new();
    for (range, question) in &reading.sentences {
        if *question {
            continue;
        }
        let mut start = range.start;
        for i in range.clone() {
            let turns = matches!(reading.words[i].text.as_str(), "while" | "but");
            if turns && i >= start + 3 && i + 4 <= range.end {
                out.push(start..i);
                start = i;
            }
        }
        out.push(start..range.end);
    }
    out
}

type Statement = (Mention, Attribute, Mention);

fn statements(s: &Sentence<'_>) -> Vec<Statement> {
    let mut out = Vec::new();
    for value in s
        .mentions
        .iter()
        .filter(|m| !m.pronoun || m.item.domain == Domain::Person)
    {
        match value.item.domain {
            Domain::Person => people(s, value, &mut out),
            Domain::Place if !value.pronoun => places(s, value, &mut out),
            Domain::Thing => dishes(s, value, &mut out),
            _ => words(s, value, &mut out),
        }
    }
    out
}

/// Leader and opener, where the value is a person; friends.
fn people(s: &Sentence<'_>, value: &Mention, out: &mut Vec<Statement>) {
    // A statement is found from its second half, or from its first: take the nearest cue.
    let distance = |i: usize| i.abs_diff(value.start);
    if s.says(&LEADS) {
        let place = s
            .mentions
            .iter()
            .filter(|m| m.item.domain == Domain::Place)
            .min_by_key(|m| distance(m.start));
        let cue = s
            .range
            .clone()
            .filter(|i| LEADS.contains(&s.word(*i)))
            .min_by_key(|i| distance(*i));
        if let (Some(place), Some(cue)) = (place, cue) {
            let nearest = s
                .mentions
                .iter()
                .filter(|m| m.item.domain == Domain::Person)
                .min_by_key(|m| m.start.abs_diff(cue));
            if nearest == Some(value) && place.start.abs_diff(cue) <= 7 {
                out.push((*place, Attribute::Leader, *value));
            }
        }
    }
    let opens = ["opens", "opened", "open", "begin", "begins"];
    if s.says(&opens) {
        let event = s
            .mentions
            .iter()
            .filter(|m| m.item.domain == Domain::Event)
            .min_by_key(|m| distance(m.start));
        let nearest = s
            .mentions
            .iter()
            .filter(|m| m.item.domain == Domain::Person)
            .min_by_key(|m| event.map_or(usize::MAX, |e| m.start.abs_diff(e.start)));
        if let (Some(event), true) = (event, nearest == Some(value)) {
            out.push((*event, Attribute::Opener, *value));
        }
    }
    let cue = s.range.clone().find(|i| {
        matches!(s.word(*i), "friend" | "friends") && *i > s.range.start && BEFORE_FRIEND.contains(&s.word(i - 1))
    });
    if let Some(cue) = cue {
        let mut near: Vec<&Mention> = s.mentions.iter().filter(|m| m.item.domain == Domain::Person).collect();
        near.sort_by_key(|m| m.start.abs_diff(cue));
        let first = near.first().copied();
        let second = near.iter().copied().find(|m| first.is_some_and(|f| f.item != m.item));
        if let (Some(first), Some(second)) = (first, second)
            && value == second
            && second.start.abs_diff(cue) <= 6
        {
            out.push((*first, Attribute::Friend, *second));
            out.push((*second, Attribute::Friend, *first));
        }
    }
}

/// Home, where a thing is found, where an event is held.
fn places(s: &Sentence<'_>, value: &Mention, out: &mut Vec<Statement>) {
    let Some(subject) = s.subject(value, |item| item.domain != Domain::Place, true) else {
        return;
    };
    // "Hollin or Pendle is where Odo lives": the nearer place is what is claimed; "in Hollin or Pendle" claims both.
    let gap = s.between(&subject, value);
    let other = |m: &Mention| m.item.domain == Domain::Place && m.item != value.item && gap.contains(&m.start);
    if subject.start > value.start && s.mentions.iter().any(other) {
        return;
    }
    match subject.item.domain {
        Domain::Person => {
            let of = gap.len() == 1 && subject.end <= value.start && matches!(s.word(gap.start), "of" | "from");
            let near =
                gap.start.saturating_sub(3).max(s.range.start)..(value.end.max(subject.end) + 5).min(s.range.end);
            let lives = s.says_any(near, &LIVES) && !s.says(&["makers"]);
            if of || lives {
                out.extend(s.group(&subject).into_iter().map(|m| (m, Attribute::Home, *value)));
            }
        }
        Domain::Thing if s.says(&FOUND) => {
            out.push((subject, Attribute::Found, *value));
        }
        Domain::Event => {
            let inside =
                gap.len() == 1 && subject.end <= value.start && matches!(s.word(gap.start), "in" | "at" | "of");
            if inside || s.says(&HELD) {
                out.push((subject, Attribute::Venue, *value));
            }
        }
        _ => {}
    }
}

/// Favourite dishes.
fn dishes(s: &Sentence<'_>, value: &Mention, out: &mut Vec<Statement>) {
    if value.pronoun || thing_kind(value.item.index) != ThingKind::Dish {
        return;
    }
    let likes = s.says(&["likes", "like"]) && s.says(&["best"]);
    let asks = s.says(&["supper"]) && s.says(&["asks"]);
    let eats = s.says(&["eats"]) && s.says(&["whenever"]);
    let told = likes || asks || eats || s.says(&["favourite", "loves", "pleases", "mile"]);
    if let (true, Some(subject)) = (told, s.subject(value, |item| item.domain == Domain::Person, true)) {
        out.extend(s.group(&subject).into_iter().map(|m| (m, Attribute::Dish, *value)));
    }
}

/// Values that are words rather than entities.
fn words(s: &Sentence<'_>, value: &Mention, out: &mut Vec<Statement>) {
    match value.item.domain {
        Domain::Trade => trade(s, value, out),
        Domain::Habit => {
            let subject = s.subject(value, of_domain(Domain::Person), false);
            let near = subject.filter(|m| value.start - m.end <= 6);
            push_group(s, near, Attribute::Habit, value, out);
        }
        Domain::Kind => kind_of_place(s, value, out),
        Domain::Region => {
            let subject = s.subject(value, of_domain(Domain::Place), true);
            push_group(s, subject, Attribute::Region, value, out);
        }
        Domain::Sight | Domain::Crop => sight_or_crop(s, value, out),
        Domain::Colour | Domain::Material | Domain::Ingredient => look(s, value, out),
        Domain::Use => {
            let kind = thing_kind(value.item.index);
            let fits = |item: Item| item.domain == Domain::Thing && thing_kind(item.index) == kind;
            out.extend(s.subject(value, fits, false).map(|m| (m, Attribute::Use, *value)));
        }
        Domain::Month => out.extend(
            s.subject(value, of_domain(Domain::Event), true)
                .map(|m| (m, Attribute::Month, *value)),
        ),
        Domain::Custom => out.extend(
            s.subject(value, of_domain(Domain::Event), true)
                .map(|m| (m, Attribute::Custom, *value)),
        ),
        _ => {}
    }
}

fn of_domain(domain: Domain) -> impl Fn(Item) -> bool {
    move |item| item.domain == domain
}

/// States a value of the subject, if there is one, and of those who are named together with it.
fn push_group(
    s: &Sentence<'_>,
    subject: Option<Mention>,
    attribute: Attribute,
    value: &Mention,
    out: &mut Vec<Statement>,
) {
    if let Some(subject) = subject {
        out.extend(s.group(&subject).into_iter().map(|m| (m, attribute, *value)));
    }
}

fn trade(s: &Sentence<'_>, value: &Mention, out: &mut Vec<Statement>) {
    let before = s.subject(value, of_domain(Domain::Person), false);
    if let Some(subject) = before {
        let gap = s.between(&subject, value);
        let beside = gap.len() == 1 && matches!(s.word(gap.start), "the" | "a" | "an");
        let told = gap.len() <= 8
            && s.says_any(gap.clone(), &["is", "as", "became", "been", "trade", "was"])
            && !s.says_any(gap, &["to", "with", "from", "by", "near", "for", "who"]);
        if beside || told {
            push_group(s, Some(subject), Attribute::Trade, value, out);
        }
    }
    so_is(s, value, Attribute::Trade, Domain::Person, out);
    if s.says(&["ask"]) && before.is_none() {
        let after = s.subject(value, of_domain(Domain::Person), true);
        push_group(s, after, Attribute::Trade, value, out);
    }
}

fn kind_of_place(s: &Sentence<'_>, value: &Mention, out: &mut Vec<Statement>) {
    let articles = ["a", "an"];
    if articles.contains(&word_before(s, value, 1)) || articles.contains(&word_before(s, value, 2)) {
        let subject = s.subject(value, of_domain(Domain::Place), false);
        let near = subject.filter(|m| value.start - m.end <= 8);
        push_group(s, near, Attribute::Kind, value, out);
        so_is(s, value, Attribute::Kind, Domain::Place, out);
    } else if word_after(s, value) == "of" {
        let subject = s
            .mentions
            .iter()
            .find(|m| m.start == value.end + 1 && m.item.domain == Domain::Place);
        push_group(s, subject.copied(), Attribute::Kind, value, out);
    }
}

/// The word so many words before a value in its sentence; empty before the beginning.
fn word_before<'a>(s: &'a Sentence<'_>, value: &Mention, words: usize) -> &'a str {
    if value.start >= s.range.start + words {
        s.word(value.start - words)
    } else {
        ""
    }
}

/// The word behind a value in its sentence; empty at the end.
fn word_after<'a>(s: &'a Sentence<'_>, value: &Mention) -> &'a str {
    if value.end < s.range.end { s.word(value.end) } else { "" }
}

fn sight_or_crop(s: &Sentence<'_>, value: &Mention, out: &mut Vec<Statement>) {
    let subject = s.subject(value, of_domain(Domain::Place), true);
    let blocked = subject.is_some_and(|m| {
        let gap = s.between(&m, value);
        let other = |x: &Mention| matches!(x.item.domain, Domain::Person | Domain::Event);
        s.mentions.iter().any(|x| other(x) && gap.contains(&x.start))
    });
    if value.item.domain == Domain::Sight && !blocked {
        push_group(s, subject, Attribute::Sight, value, out);
    } else if !blocked && s.says(&GROWS) {
        push_group(s, subject, Attribute::Crop, value, out);
    }
}

/// The colour, material or ingredient of a thing.
fn look(s: &Sentence<'_>, value: &Mention, out: &mut Vec<Statement>) {
    let told = match value.item.domain {
        Domain::Colour => {
            matches!(word_before(s, value, 1), "is" | "are")
                || matches!(word_after(s, value), "flowers" | "colour" | "all")
        }
        Domain::Material => s.says(&["made", "make", "maker", "uses"]),
        _ => s.says(&["made", "secret", "puts", "put", "always"]),
    };
    let fits = |item: Item| item.domain == Domain::Thing && look_domain(thing_kind(item.index)) == value.item.domain;
    if told {
        out.extend(s.subject(value, fits, true).map(|m| (m, Attribute::Look, *value)));
    }
}

/// "..., and so is Maud."
fn so_is(s: &Sentence<'_>, value: &Mention, attribute: Attribute, domain: Domain, out: &mut Vec<Statement>) {
    let also = s.mentions.iter().find(|m| {
        m.item.domain == domain
            && m.start >= value.end + 2
            && s.word(m.start - 1) == "is"
            && s.word(m.start - 2) == "so"
    });
    if let Some(also) = also {
        out.push((*also, attribute, *value));
    }
}
