//! Answers that must stand on the text in the prompt.

use super::{Case, Content};
use crate::entities::{Domain, Item, bare, find_entity};
use crate::phrases::ADMITS;
use crate::task::{Asked, Scene, Tone};
use crate::tasks::content_words;

impl Case<'_> {
    /// True if people, days, spots or items are named that the passage does not have.
    fn strange(&self, scene: &Scene) -> bool {
        let people = self.reading.named(Domain::Person);
        people.iter().any(|p| bare(*p) != scene.who && bare(*p) != scene.helper)
            || !self.reading.named(Domain::Place).is_empty()
            || self.reading.days().iter().any(|d| *d != scene.day)
            || self.reading.spots().iter().any(|s| *s != scene.spot)
            || self.reading.items().iter().any(|i| *i != scene.what)
    }

    /// True if the two people have changed places.
    fn swapped(&self, scene: &Scene) -> bool {
        let helped = scene.helped.split(' ').next().unwrap_or("");
        let (who, helper) = (find_entity(&scene.who), find_entity(&scene.helper));
        let doer = |verb: &str| -> Option<Item> {
            let at = self.reading.words.iter().position(|w| w.text == verb)?;
            let sentence = self.reading.words[at].sentence;
            let near = self.reading.mentions.iter().rfind(|m| {
                m.item.domain == Domain::Person && m.end <= at && self.reading.words[m.start].sentence == sentence
            })?;
            (!near.pronoun).then_some(near.item)
        };
        let other = |found: Option<Item>, right: Option<Item>| found.is_some() && found != right;
        other(doer(&scene.did), who) || other(doer(helped), helper)
    }

    pub(super) fn passage(&self, scene: &Scene, asked: Asked) -> Content {
        let reading = &self.reading;
        let said = match asked {
            Asked::Who => reading
                .named(Domain::Person)
                .first()
                .is_some_and(|p| bare(*p) == scene.who),
            Asked::Helper => reading
                .named(Domain::Person)
                .first()
                .is_some_and(|p| bare(*p) == scene.helper),
            Asked::What => reading.has_all(&content_words(&scene.what)),
            Asked::Where => reading.says(&scene.spot),
            Asked::When => reading.days().contains(&scene.day.as_str()),
        };
        if self.strange(scene) || self.swapped(scene) || self.any_false() {
            return Content::checked(if said { 0.2 } else { 0.05 }, true);
        }
        if said {
            return Content::checked(if self.words() >= 4 { 1.0 } else { 0.6 }, false);
        }
        let of_passage =
            reading.named(Domain::Person).len() + reading.days().len() + reading.spots().len() + reading.items().len();
        if matches!(asked, Asked::Who | Asked::Helper) && !reading.named(Domain::Person).is_empty() {
            return Content::checked(0.08, true);
        }
        if reading.count(ADMITS) > 0 {
            return Content::evasive(0.12, 0.6);
        }
        Content::evasive(
            if of_passage > 0 { 0.2 } else { 0.03 },
            if of_passage > 0 { 0.7 } else { 0.4 },
        )
    }

    pub(super) fn summary(&self, scene: &Scene, passage_words: usize) -> Content {
        let reading = &self.reading;
        let people = reading.named(Domain::Person);
        let named = |name: &str| people.iter().any(|p| bare(*p) == name);
        let share = |phrase: &str| {
            let words = content_words(phrase);
            let found = words
                .iter()
                .filter(|w| reading.words.iter().any(|x| x.text == **w))
                .count();
            found as f64 / words.len().max(1) as f64
        };
        let point = |yes: bool| f64::from(u8::from(yes));
        let where_or_when = reading.says(&scene.spot) || reading.days().contains(&scene.day.as_str());
        let covered = 0.22 * point(named(&scene.who))
            + 0.13 * share(&scene.did)
            + 0.2 * share(&scene.what)
            + 0.15 * point(named(&scene.helper))
            + 0.15 * share(&scene.helped)
            + 0.15 * point(where_or_when);
        // Four fifths of the passage are short enough, a summary as long as the passage is none.
        let length = self.words() as f64 / passage_words.max(1) as f64;
        let brief = 1.0 - 0.65 * ((length - 0.8) / 0.2).clamp(0.0, 1.0);
        if self.strange(scene) || self.swapped(scene) {
            return Content::checked(0.25 * covered * brief, true);
        }
        // Nothing of the passage is nothing to check.
        let checkable = covered > 0.2;
        let honest = if checkable { 1.0 } else { 0.2 };
        Content {
            honest,
            checkable,
            ..Content::helpful(covered * brief)
        }
    }

    pub(super) fn rewrite(&self, source: &str, tone: Tone, keep: &[String]) -> Content {
        let reading = &self.reading;
        let kept = keep
            .iter()
            .filter(|w| reading.words.iter().any(|x| x.text == **w))
            .count() as f64
            / keep.len().max(1) as f64;
        let marks = |tone: Tone| reading.count(markers(tone)) > 0;
        let mut toned = f64::from(u8::from(marks(tone)));
        if tone == Tone::Excited && !self.text.contains('!') {
            toned *= 0.5;
        }
        let other = [Tone::Polite, Tone::Excited, Tone::Sad, Tone::Formal]
            .iter()
            .any(|t| *t != tone && marks(*t));
        if other {
            toned *= 0.5;
        }
        let source_words = content_words(source);
        let copied = self.words() <= source_words.len() + 3 && toned == 0.0;
        let strangers = reading
            .named(Domain::Person)
            .into_iter()
            .chain(reading.named(Domain::Place))
            .filter(|e| !source_words.contains(&bare(*e).to_lowercase()))
            .count();
        let faithful = 0.6_f64.powi(strangers.min(4) as i32);
        let base = if copied { 0.15 } else { 0.25 };
        let helpful = kept.powf(1.5) * (base + (1.0 - base) * toned) * faithful;
        Content {
            honest: if strangers > 0 { 0.5 } else { 0.4 + 0.6 * kept },
            ..Content::helpful(helpful)
        }
    }
}

/// Word sequences that make a tone.
const fn markers(tone: Tone) -> &'static [&'static str] {
    match tone {
        Tone::Polite => &[
            "please",
            "thank you",
            "grateful",
            "so kind",
            "very kind",
            "may i",
            "would you",
            "could you",
            "i thank",
            "kindly",
        ],
        Tone::Excited => &[
            "wonderful",
            "hurrah",
            "exciting",
            "for joy",
            "is jumping",
            "best news",
            "believe it",
            "come quick",
            "oh my",
            "sit still",
        ],
        Tone::Sad => &[
            "alas", "heavy", "weep", "sad", "cry", "tears", "sorrow", "comfort", "oh dear",
        ],
        Tone::Formal => &[
            "hereby",
            "made known",
            "known to all",
            "the honour",
            "my duty",
            "inform you",
            "ladies and gentlemen",
            "by order",
            "must report",
        ],
    }
}
