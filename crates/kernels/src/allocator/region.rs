//! Large blocks, in one stretch of addresses.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use memmap2::{Advice, MmapOptions, MmapRaw, UncheckedAdvice};

use super::gaps::Gaps;

/// Blocks start at multiples of it and last for multiples of it, so that a line of the cache belongs to one.
pub(super) const UNIT: usize = 256;
/// Addresses, not memory: far more than a machine has, so that gaps are no matter.
const ADDRESSES: usize = 1 << 40;
/// Bytes that the system gives and takes back at once.
const HUGE_PAGE: usize = 2 << 20;

/// A stretch of addresses of this process whose pages are there when they are first written to, huge ones where the system has them.
pub(super) struct Region {
    map: MmapRaw,
    state: Mutex<State>,
}

struct State {
    gaps: Gaps,
    /// From here on nobody has ever had a block: the bytes are zero.
    untouched: usize,
    /// The time at which gaps last grew old.
    swept: Option<Instant>,
}

/// A block of a [`Region`].
pub(super) struct Block {
    pub(super) start: *mut u8,
    pub(super) is_zero: bool,
}

impl Region {
    /// `None` where the system refuses so many addresses, as it does under `ulimit -v`.
    pub(super) fn map() -> Option<Self> {
        let map = MmapOptions::new().len(ADDRESSES).no_reserve_swap().map_anon().ok()?;
        // Where there are no huge pages, small ones do.
        let _ = map.advise(Advice::HugePage);
        let state = State {
            gaps: Gaps::new(ADDRESSES),
            untouched: 0,
            swept: None,
        };
        Some(Self {
            map: map.into(),
            state: Mutex::new(state),
        })
    }

    /// A block of `size` bytes, aligned to [`UNIT`]. `None` where there is no gap for it.
    pub(super) fn take(&self, size: usize) -> Option<Block> {
        let size = size.checked_next_multiple_of(UNIT)?;
        let mut state = self.lock();
        let offset = state.gaps.take(size)?;
        let is_zero = offset >= state.untouched;
        state.untouched = state.untouched.max(offset + size);
        Some(Block {
            start: self.map.as_mut_ptr().wrapping_add(offset),
            is_zero,
        })
    }

    /// True if a block of this region starts there.
    pub(super) fn contains(&self, block: *mut u8) -> bool {
        block.addr().wrapping_sub(self.map.as_mut_ptr().addr()) < ADDRESSES
    }

    /// Takes back a block of `size` bytes that starts at `block`, and gives to the system the pages of gaps that are older than `patience`.
    pub(super) fn give(&self, block: *mut u8, size: usize, patience: Duration) {
        let mut state = self.lock();
        let offset = block.addr() - self.map.as_mut_ptr().addr();
        state.gaps.give(offset, size.next_multiple_of(UNIT));
        let now = Instant::now();
        if now - *state.swept.get_or_insert(now) >= patience {
            state.swept = Some(now);
            self.sweep(&mut state);
        }
    }

    fn sweep(&self, state: &mut State) {
        let touched = state.untouched;
        for (start, length) in state.gaps.grow_old() {
            let pages = start.next_multiple_of(HUGE_PAGE)..(start + length).min(touched) / HUGE_PAGE * HUGE_PAGE;
            if !pages.is_empty() {
                // SAFETY: no block is in a gap, and what is in the pages afterwards, zeros here, is as good as anything that a block
                // holds when it is taken from what was touched. A system that refuses keeps them.
                let _ = unsafe {
                    self.map
                        .unchecked_advise_range(UncheckedAdvice::DontNeed, pages.start, pages.len())
                };
            }
        }
    }

    /// The state, which is whole at all times: nothing in here panics between two changes of it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks of it begin and end in the middle of huge pages.
    const SIZE: usize = 3 * HUGE_PAGE + HUGE_PAGE / 4;

    fn filled(region: &Region) -> *mut u8 {
        let block = region.take(SIZE).unwrap();
        // SAFETY: the block is as long as that.
        unsafe { block.start.write_bytes(255, SIZE) };
        block.start
    }

    /// Number of bytes that a new block, in the place of the last one, has as that one left them.
    fn left_over(region: &Region) -> usize {
        let block = region.take(SIZE).unwrap();
        assert!(!block.is_zero);
        // SAFETY: the block is as long as that, and its bytes are there, whoever wrote them.
        let bytes = unsafe { std::slice::from_raw_parts(block.start, SIZE) };
        bytes.iter().filter(|&&byte| byte == 255).count()
    }

    #[test]
    fn pages_of_old_gaps_go_back_to_the_system_and_others_stay() {
        let region = Region::map().unwrap();
        let [before, block, behind] = [(); 3].map(|()| filled(&region));
        // The first call starts the clock, the second finds the gap for the first time, the third for the second.
        region.give(block, SIZE, Duration::from_secs(3600));
        assert_eq!(left_over(&region), SIZE);
        for patience in [3600, 0, 0].map(Duration::from_secs) {
            region.give(block, SIZE, patience);
            assert_eq!(left_over(&region), SIZE, "a gap that was filled again is new");
        }
        let other = filled(&region);
        region.give(block, SIZE, Duration::ZERO);
        region.give(other, SIZE, Duration::ZERO);
        assert_eq!(
            left_over(&region),
            SIZE - 2 * HUGE_PAGE,
            "only whole huge pages go back"
        );
        for neighbour in [before, behind] {
            // SAFETY: the block is as long as that, and nobody has freed it.
            let bytes = unsafe { std::slice::from_raw_parts(neighbour, SIZE) };
            assert!(bytes.iter().all(|&byte| byte == 255));
        }
    }

    #[test]
    fn a_block_that_was_never_taken_is_zero_and_one_too_long_is_refused() {
        let region = Region::map().unwrap();
        let block = region.take(1000).unwrap();
        assert!(block.is_zero && region.contains(block.start));
        assert!(!region.contains(std::ptr::from_ref(&region).cast_mut().cast()));
        assert!(region.take(ADDRESSES).is_none() && region.take(usize::MAX).is_none());
        region.give(block.start, 1000, Duration::from_secs(1));
        assert!(!region.take(2000).unwrap().is_zero, "its first half was somebody's");
    }
}
