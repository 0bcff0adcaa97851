//! Accuracy of a reward model by what is known of a comparison, always beside what length alone would say.

use std::collections::BTreeMap;

use rlhf_core::stats::Interval;
use serde::{Deserialize, Serialize};

use super::ScoredComparison;
use crate::metrics::{ScoredPair, pair_accuracy};

/// More names than these are told together.
const MOST_NAMES: usize = 32;
/// So many different numbers have a slice each; of more, quarters are made.
const MOST_NUMBERS: usize = 9;
/// The slice of the names that are too many.
const OTHERS: &str = "others";

/// Pairs of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// The kind.
    pub name: String,
    /// Prompts that have such pairs.
    pub prompts: usize,
    /// Accuracy of the model on them, with the interval of a bootstrap over prompts; its `n` are pairs.
    pub accuracy: Interval,
    /// Accuracy of "the longer one is better".
    pub longer: Interval,
    /// Accuracy of "the shorter one is better".
    pub shorter: Interval,
}

impl Slice {
    pub(super) fn new(name: String, pairs: &[ScoredPair]) -> Self {
        let by_length = |sign: f64| {
            let pairs: Vec<ScoredPair> = pairs
                .iter()
                .map(|pair| ScoredPair {
                    gap: sign * pair.length_difference() as f64,
                    ..pair.clone()
                })
                .collect();
            pair_accuracy(&pairs)
        };
        let mut prompts: Vec<usize> = pairs.iter().map(|pair| pair.prompt).collect();
        prompts.sort_unstable();
        prompts.dedup();
        Self {
            name,
            prompts: prompts.len(),
            accuracy: pair_accuracy(pairs),
            longer: by_length(1.0),
            shorter: by_length(-1.0),
        }
    }
}

/// Every kind of slice that rows tell of, each with two slices or more.
pub(super) fn slices(rows: &[ScoredComparison]) -> BTreeMap<String, Vec<Slice>> {
    let kinds = [
        ("length", by_length(rows)),
        ("margin", by_number(rows, |row| row.margin)),
        ("confidence", by_number(rows, |row| row.confidence)),
        ("labeler", by_name(rows, |row| row.labeler.clone())),
        ("answers", by_number(rows, |row| Some(row.scores.len() as f64))),
        ("source", by_name(rows, |row| row.source.clone())),
    ];
    kinds
        .into_iter()
        .filter(|(_, slices)| slices.len() > 1)
        .map(|(kind, slices)| (kind.to_owned(), slices))
        .collect()
}

/// By how much the better answer is longer, as a share of the longer one.
fn by_length(rows: &[ScoredComparison]) -> Vec<Slice> {
    const NAMES: [&str; 5] = [
        "the better one is shorter by more than half",
        "shorter by a tenth to a half",
        "of like length, within a tenth",
        "longer by a tenth to a half",
        "longer by more than half",
    ];
    let place = |pair: &ScoredPair| {
        let longer = pair.chosen_len.max(pair.rejected_len).max(1) as f64;
        match pair.length_difference() as f64 / longer {
            d if d < -0.5 => 0,
            d if d < -0.1 => 1,
            d if d <= 0.1 => 2,
            d if d <= 0.5 => 3,
            _ => 4,
        }
    };
    let mut groups: [Vec<ScoredPair>; 5] = Default::default();
    for pair in rows.iter().flat_map(ScoredComparison::scored_pairs) {
        groups[place(&pair)].push(pair);
    }
    let filled = NAMES.into_iter().zip(&groups).filter(|(_, pairs)| !pairs.is_empty());
    filled.map(|(name, pairs)| Slice::new(name.to_owned(), pairs)).collect()
}

/// By name; the rarer ones of very many together.
fn by_name(rows: &[ScoredComparison], name: impl Fn(&ScoredComparison) -> Option<String>) -> Vec<Slice> {
    let mut groups: BTreeMap<String, Vec<ScoredPair>> = BTreeMap::new();
    for row in rows {
        if let Some(name) = name(row) {
            groups.entry(name).or_default().extend(row.scored_pairs());
        }
    }
    let mut groups: Vec<(String, Vec<ScoredPair>)> = groups.into_iter().filter(|group| !group.1.is_empty()).collect();
    // Stable: names of as many pairs stay in their order.
    groups.sort_by_key(|group| std::cmp::Reverse(group.1.len()));
    if groups.len() > MOST_NAMES {
        let rest = groups.split_off(MOST_NAMES - 1);
        groups.push((OTHERS.to_owned(), rest.into_iter().flat_map(|group| group.1).collect()));
    }
    groups
        .into_iter()
        .map(|(name, pairs)| Slice::new(name, &pairs))
        .collect()
}

/// By number: one slice for each where there are few, else by quarters of the pairs.
fn by_number(rows: &[ScoredComparison], number: impl Fn(&ScoredComparison) -> Option<f64>) -> Vec<Slice> {
    let mut pairs: Vec<(f64, ScoredPair)> = Vec::new();
    for row in rows {
        if let Some(number) = number(row).filter(|number| number.is_finite()) {
            pairs.extend(row.scored_pairs().map(|pair| (number, pair)));
        }
    }
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let starts: Vec<usize> = (0..pairs.len())
        .filter(|&at| at == 0 || pairs[at - 1].0 != pairs[at].0)
        .collect();
    let quarters: Vec<usize> = if starts.len() > MOST_NUMBERS {
        // Equal numbers are never parted: a quarter begins where the next number does.
        let begin = |quarter: usize| starts.iter().copied().find(|&at| at >= quarter * pairs.len() / 4);
        (0..4).filter_map(begin).collect()
    } else {
        starts
    };
    let mut slices = Vec::new();
    for (place, &start) in quarters.iter().enumerate() {
        let end = quarters.get(place + 1).copied().unwrap_or(pairs.len());
        if start >= end {
            continue;
        }
        let (low, high) = (pairs[start].0, pairs[end - 1].0);
        let name = if low == high {
            format!("{low}")
        } else {
            let short = |number: f64| (number * 1e3).round() / 1e3;
            format!("{} to {}", short(low), short(high))
        };
        let own: Vec<ScoredPair> = pairs[start..end].iter().map(|(_, pair)| pair.clone()).collect();
        slices.push(Slice::new(name, &own));
    }
    slices
}
