//! The free parts of a stretch of addresses.

use std::collections::{BTreeMap, BTreeSet};

/// The gaps between the blocks of a stretch of addresses, which counts from 0. No two of them touch.
#[derive(Debug)]
pub(super) struct Gaps {
    by_start: BTreeMap<usize, Gap>,
    /// `(length, start)` of each.
    by_length: BTreeSet<(usize, usize)>,
}

#[derive(Debug, Clone, Copy)]
struct Gap {
    length: usize,
    age: Age,
}

/// The number of times that [`Gaps::grow_old`] has found a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Age {
    New,
    Old,
    Reported,
}

impl Gaps {
    /// A stretch without blocks: one gap.
    pub(super) fn new(length: usize) -> Self {
        let mut gaps = Self {
            by_start: BTreeMap::new(),
            by_length: BTreeSet::new(),
        };
        gaps.insert(0, length);
        gaps
    }

    /// The start of a block in the shortest gap that holds it, the first of several: what a large block needs is not cut up for small
    /// ones. `None` where no gap is long enough.
    pub(super) fn take(&mut self, length: usize) -> Option<usize> {
        let &(found, start) = self.by_length.range((length, 0)..).next()?;
        self.remove(start);
        if found > length {
            self.insert(start + length, found - length);
        }
        Some(start)
    }

    /// Makes a gap of a block, one with the gaps on both sides.
    pub(super) fn give(&mut self, start: usize, length: usize) {
        let mut gap = (start, length);
        if let Some((&before, &Gap { length, .. })) = self.by_start.range(..start).next_back()
            && before + length == start
        {
            self.remove(before);
            gap = (before, length + gap.1);
        }
        if let Some(&Gap { length: after, .. }) = self.by_start.get(&(start + length)) {
            self.remove(start + length);
            gap.1 += after;
        }
        self.insert(gap.0, gap.1);
    }

    /// The `(start, length)` of gaps that the last call found too, each of them once.
    pub(super) fn grow_old(&mut self) -> impl Iterator<Item = (usize, usize)> {
        self.by_start.iter_mut().filter_map(|(&start, gap)| {
            let age = gap.age;
            gap.age = if age == Age::New { Age::Old } else { Age::Reported };
            (age == Age::Old).then_some((start, gap.length))
        })
    }

    fn insert(&mut self, start: usize, length: usize) {
        self.by_start.insert(start, Gap { length, age: Age::New });
        self.by_length.insert((length, start));
    }

    fn remove(&mut self, start: usize) {
        if let Some(gap) = self.by_start.remove(&start) {
            self.by_length.remove(&(gap.length, start));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LENGTH: usize = 1000;

    /// The stretches of free units, each from its first to its last.
    fn stretches(free: &[bool]) -> Vec<(usize, usize)> {
        let mut stretches: Vec<(usize, usize)> = Vec::new();
        for at in (0..free.len()).filter(|&at| free[at]) {
            match stretches.last_mut() {
                Some((start, length)) if *start + *length == at => *length += 1,
                _ => stretches.push((at, 1)),
            }
        }
        stretches
    }

    proptest! {
        /// Beside a model that knows of each unit whether it is free.
        #[test]
        fn blocks_lie_in_the_first_of_the_shortest_gaps_and_gaps_join(
            steps in prop::collection::vec((any::<bool>(), 1usize..120, any::<prop::sample::Index>()), 1..120),
        ) {
            let mut gaps = Gaps::new(LENGTH);
            let mut free = [true; LENGTH];
            let mut blocks: Vec<(usize, usize)> = Vec::new();
            for (takes, length, which) in steps {
                if takes || blocks.is_empty() {
                    let fitting = stretches(&free).into_iter().filter(|gap| gap.1 >= length);
                    let expected = fitting.min_by_key(|gap| (gap.1, gap.0)).map(|gap| gap.0);
                    prop_assert_eq!(gaps.take(length), expected);
                    if let Some(start) = expected {
                        free[start..start + length].fill(false);
                        blocks.push((start, length));
                    }
                } else {
                    let (start, length) = blocks.swap_remove(which.index(blocks.len()));
                    gaps.give(start, length);
                    free[start..start + length].fill(true);
                }
                let found: Vec<_> = gaps.by_start.iter().map(|(&start, gap)| (start, gap.length)).collect();
                prop_assert_eq!(found, stretches(&free));
                prop_assert_eq!(gaps.by_length.len(), gaps.by_start.len());
            }
        }
    }

    #[test]
    fn a_gap_is_old_once_unless_it_changes() {
        let mut gaps = Gaps::new(100);
        let old = |gaps: &mut Gaps| gaps.grow_old().collect::<Vec<_>>();
        assert_eq!(gaps.take(30), Some(0));
        assert_eq!(old(&mut gaps), []);
        assert_eq!(old(&mut gaps), [(30, 70)]);
        assert_eq!(old(&mut gaps), []);
        assert_eq!(gaps.take(20), Some(30));
        gaps.give(0, 30);
        assert_eq!(old(&mut gaps), []);
        assert_eq!(old(&mut gaps), [(0, 30), (50, 50)]);
    }
}
