//! Dealing kinds out to rows.

use std::collections::BTreeSet;

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Rows looked at, at most, for each one that is wanted.
const ROWS_PER_ITEM: usize = 10;

/// Rows that take constraints of every kind in turn, each row as seldom as possible and none twice in the same way.
pub(crate) struct Dealer<'a, R> {
    rows: Vec<&'a R>,
    /// The number of times that each row has been used.
    uses: Vec<usize>,
    /// What has been made.
    seen: BTreeSet<String>,
    rng: ChaCha8Rng,
}

/// The place of a kind among the rows.
struct Pile {
    kind: &'static str,
    offset: usize,
    steps: usize,
}

impl<'a, R> Dealer<'a, R> {
    /// Rows in an order of the stream, no more than can be of use for so many items.
    pub(crate) fn new(rows: impl Iterator<Item = &'a R>, wanted: usize, mut rng: ChaCha8Rng) -> Self {
        let mut rows: Vec<&R> = rows.collect();
        rows.shuffle(&mut rng);
        rows.truncate(wanted.saturating_mul(ROWS_PER_ITEM));
        Self {
            uses: vec![0; rows.len()],
            rows,
            seen: BTreeSet::new(),
            rng,
        }
    }

    /// True if there is no row.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Deals the kinds in rounds until there are `wanted` items, or no kind finds a row any more. `make` gives an item
    /// with a text that is the same for two items that ask the same, or nothing for a row that does not take the kind.
    pub(crate) fn deal<T>(
        &mut self,
        kinds: &[&'static str],
        wanted: usize,
        mut make: impl FnMut(&'static str, &R, &mut ChaCha8Rng) -> Option<(String, T)>,
    ) -> Vec<T> {
        let mut made = Vec::new();
        let mut piles: Vec<Pile> = kinds
            .iter()
            .enumerate()
            .map(|(i, kind)| Pile {
                kind,
                offset: i * self.rows.len() / kinds.len(),
                steps: 0,
            })
            .collect();
        while made.len() < wanted && !piles.is_empty() {
            piles.shuffle(&mut self.rng);
            piles.retain_mut(|pile| {
                if made.len() == wanted {
                    return true;
                }
                let item = self.next(pile, wanted, &mut make);
                let found = item.is_some();
                made.extend(item);
                found
            });
        }
        made
    }

    /// The next row that takes the pile's kind; on each way through the rows those that were used once more often.
    fn next<T>(
        &mut self,
        pile: &mut Pile,
        wanted: usize,
        make: &mut impl FnMut(&'static str, &R, &mut ChaCha8Rng) -> Option<(String, T)>,
    ) -> Option<T> {
        let count = self.rows.len();
        let ways = wanted.div_ceil(count.max(1)) + 1;
        while pile.steps < ways * count {
            let (way, row) = (pile.steps / count, (pile.offset + pile.steps) % count);
            pile.steps += 1;
            if self.uses[row] > way {
                continue;
            }
            if let Some((text, item)) = make(pile.kind, self.rows[row], &mut self.rng)
                && self.seen.insert(text)
            {
                self.uses[row] += 1;
                return Some(item);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [&str; 3] = ["a", "b", "c"];

    fn deal(rows: &[usize], wanted: usize) -> Vec<(&'static str, usize)> {
        let mut dealer = Dealer::new(rows.iter(), wanted, rlhf_tasks::stream(1, "test", 0));
        dealer.deal(&KINDS, wanted, |kind, row, _| {
            let takes = kind != "c" || row.is_multiple_of(5);
            takes.then(|| (format!("{kind} {row}"), (kind, *row)))
        })
    }

    #[test]
    fn kinds_are_dealt_in_equal_numbers_and_rows_used_once() {
        let rows: Vec<usize> = (0..60).collect();
        let dealt = deal(&rows, 30);
        assert_eq!(dealt.len(), 30);
        for kind in KINDS {
            assert_eq!(dealt.iter().filter(|(k, _)| *k == kind).count(), 10, "{kind}");
        }
        assert_eq!(dealt.iter().map(|(_, row)| row).collect::<BTreeSet<_>>().len(), 30);
    }

    #[test]
    fn rows_are_used_again_but_never_in_the_same_way() {
        // Kinds a and b take each of 5 rows once, c takes one of them.
        let dealt = deal(&[1, 2, 3, 4, 5], 100);
        assert_eq!(dealt.len(), 11);
        assert_eq!(dealt.iter().collect::<BTreeSet<_>>().len(), 11);
        assert!(deal(&[], 10).is_empty());
    }
}
