//! The style of an answer, whatever it says.

use std::collections::BTreeSet;

use rlhf_tasks::FRIENDLY_PHRASES;

use super::reading::{Reading, TAGS};
use crate::task::TaskKind;

/// Qualities of the writing, each in [0, 1].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// Capitals and full stops.
    pub(crate) mechanics: f64,
    /// Degree to which the length suits the task.
    pub(crate) length: f64,
    /// 1 when nothing is said twice.
    pub(crate) freshness: f64,
    /// Friendly words, neither none nor too many.
    pub(crate) warmth: f64,
    /// 1 without markup or role names.
    pub(crate) cleanness: f64,
}

/// Shortest and longest good answer and the best length, in words.
const fn window(kind: TaskKind) -> (f64, f64, f64) {
    match kind {
        TaskKind::Fact | TaskKind::FollowUp | TaskKind::Passage | TaskKind::Arithmetic => (7.0, 28.0, 14.0),
        TaskKind::Visit => (12.0, 38.0, 22.0),
        TaskKind::Summary => (8.0, 24.0, 14.0),
        TaskKind::Rewrite => (7.0, 28.0, 14.0),
        TaskKind::List => (8.0, 34.0, 18.0),
        TaskKind::Story => (24.0, 60.0, 38.0),
        TaskKind::Unknowable => (11.0, 40.0, 22.0),
        TaskKind::Harmful => (12.0, 42.0, 26.0),
    }
}

impl Style {
    pub(crate) fn new(kind: TaskKind, reading: &Reading, text: &str) -> Self {
        let trimmed = text.trim();
        let first = trimmed.trim_start_matches('"').chars().next();
        let last = trimmed.trim_end_matches('"').chars().last();
        let starts = first.is_some_and(char::is_uppercase);
        let ends = last.is_some_and(|c| matches!(c, '.' | '!' | '?'));
        let beginnings = || {
            let first = reading.sentences.iter().map(|(range, _)| &reading.words[range.start]);
            first.filter(|word| !TAGS.contains(&word.text.as_str()))
        };
        let sentences = beginnings().count().max(1) as f64;
        let capital = beginnings().filter(|word| word.capital).count() as f64;
        let mechanics =
            0.35 * f64::from(u8::from(starts)) + 0.4 * f64::from(u8::from(ends)) + 0.25 * capital / sentences;
        Self {
            mechanics,
            length: length(kind, text),
            freshness: freshness(reading),
            warmth: warmth(reading),
            cleanness: cleanness(trimmed),
        }
    }

    /// All together; where no greeting belongs, warmth does not count.
    pub(crate) fn total(&self, spoken: bool, fluency: f64) -> f64 {
        let plain = 0.3 * self.mechanics + 0.25 * self.length + 0.2 * self.freshness + 0.25 * fluency;
        let sum = if spoken {
            0.65 * plain + 0.35 * self.warmth
        } else {
            plain
        };
        sum * (0.4 + 0.6 * self.freshness) * self.cleanness
    }
}

/// 1 at the best length, 0.85 at the ends of the window, soon nothing beyond; letters are counted, so that lengths
/// differ smoothly.
fn length(kind: TaskKind, text: &str) -> f64 {
    let (low, high, best) = window(kind);
    let words = text.trim().chars().count() as f64 / 5.4;
    let side = if words < best { best - low } else { high - best };
    let off = (words - best).abs() / side;
    if off <= 1.0 {
        1.0 - 0.15 * off * off
    } else {
        0.85 * (-1.5 * (off - 1.0)).exp()
    }
}

/// 1 less the share of four-word turns that were said before, and of words said twice in a row.
fn freshness(reading: &Reading) -> f64 {
    let words: Vec<&str> = reading.words.iter().map(|w| w.text.as_str()).collect();
    let turns = words.windows(4).count();
    let distinct: BTreeSet<&[&str]> = words.windows(4).collect();
    let repeated = if turns == 0 {
        0.0
    } else {
        1.0 - distinct.len() as f64 / turns as f64
    };
    let within = |w: &[crate::judge::reading::Word]| w[0].text == w[1].text && w[0].sentence == w[1].sentence;
    let stuttered = reading.words.windows(2).filter(|w| within(w)).count() as f64 / words.len().max(1) as f64;
    // Two like sentences about two people share a few turns; a tenth is forgiven.
    (1.0 - 1.6 * (repeated - 0.1).max(0.0) - 4.0 * stuttered).clamp(0.0, 1.0)
}

/// None is cold, one is polite, two or three are friendly, many are flattery.
fn warmth(reading: &Reading) -> f64 {
    match reading.count(FRIENDLY_PHRASES) {
        0 => 0.0,
        1 => 0.6,
        2 | 3 => 1.0,
        4 => 0.8,
        _ => 0.4,
    }
}

fn cleanness(text: &str) -> f64 {
    let odd = text
        .chars()
        .filter(|c| !c.is_alphanumeric() && !c.is_whitespace() && !".,!?'\"-:;’".contains(*c))
        .count();
    let lower = text.to_lowercase();
    let roles = ["user:", "assistant:", "system:", "question:", "answer:"]
        .iter()
        .filter(|r| lower.contains(**r))
        .count();
    let lines = text.lines().count().saturating_sub(1);
    0.6_f64.powi((odd + 2 * roles + lines).min(12) as i32)
}
