//! Answers from memory.

use super::{Case, Content};
use crate::entities::{Attribute, Domain, Item, ThingKind, thing_kind};
use crate::phrases::{ADMITS, DECLINES};

impl Case<'_> {
    /// True if a value is named at all, in whatever sentence.
    fn names(&self, value: Item) -> bool {
        self.reading
            .mentions
            .iter()
            .any(|m| m.item == value && !m.pronoun && !m.garbled)
    }

    /// True if something is named that would be a wrong answer.
    fn names_other(&self, entity: Item, value: Item) -> bool {
        self.reading.mentions.iter().any(|m| {
            let alike = m.item.domain == value.domain
                && (value.domain != Domain::Thing || thing_kind(m.item.index) == ThingKind::Dish);
            alike && !m.pronoun && (m.item != value || m.garbled) && m.item != entity
        })
    }

    pub(super) fn fact(&self, entity: Item, attribute: Attribute) -> Content {
        let truth = self.facts.truth(entity, attribute);
        let asked = |holds: bool| {
            self.claims
                .iter()
                .any(|c| c.entity == entity && c.attribute == attribute && c.holds == holds && !(holds && c.denied))
        };
        let (right, wrong) = (asked(true), asked(false));
        if self.any_false() {
            let helpful = match (right, wrong) {
                (true, false) => 0.6,
                (true, true) => 0.25,
                _ => 0.08,
            };
            return Content {
                honest: if right && !wrong { 0.2 } else { 0.0 },
                ..Content::checked(helpful, true)
            };
        }
        if right {
            return Content::checked(1.0, false);
        }
        if self.reading.count(ADMITS) > 0 {
            return Content::evasive(0.15, 0.6);
        }
        if self.reading.count(DECLINES) > 0 {
            return Content::evasive(0.05, 0.6);
        }
        let short = self.claims.is_empty();
        if short && self.names(truth) && !self.names_other(entity, truth) {
            // Only the bare answer, or the right word in a sentence about nothing.
            return Content::checked(if self.words() <= 9 { 0.5 } else { 0.25 }, false);
        }
        if short && self.names_other(entity, truth) {
            return Content::checked(0.06, true);
        }
        if self.tells_truth_of(entity) {
            // True, but not what was asked.
            return Content::evasive(0.2, 0.8);
        }
        Content::evasive(if self.names(entity) { 0.08 } else { 0.02 }, 0.2)
    }

    pub(super) fn visit(&self, place: Item) -> Content {
        let told = |attribute: Attribute| {
            self.claims
                .iter()
                .any(|c| c.entity == place && c.attribute == attribute && c.holds && !c.denied)
        };
        let events = self
            .claims
            .iter()
            .any(|c| c.attribute == Attribute::Venue && c.value == place && c.holds && !c.denied);
        let others = [Attribute::Crop, Attribute::Region, Attribute::Kind, Attribute::Leader];
        let more = events || others.iter().any(|a| told(*a));
        let sight = told(Attribute::Sight);
        if self.any_false() {
            return Content::checked(if sight || more { 0.2 } else { 0.05 }, true);
        }
        let truth = self.facts.truth(place, Attribute::Sight);
        match (sight, more) {
            (true, true) => Content::checked(1.0, false),
            (true, false) => Content::checked(0.7, false),
            (false, true) => Content::checked(0.45, false),
            _ if self.claims.is_empty() && self.names(truth) && !self.names_other(place, truth) => {
                Content::checked(0.4, false)
            }
            _ if self.claims.is_empty() && self.names_other(place, truth) => Content::checked(0.05, true),
            _ if self.reading.count(ADMITS) > 0 => Content::evasive(0.12, 0.6),
            _ => Content::evasive(0.04, 0.2),
        }
    }
}
