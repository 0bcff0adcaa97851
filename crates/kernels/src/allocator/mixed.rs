//! Mimalloc for small blocks, a region for large ones.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use mimalloc::MiMalloc;

use super::region::{self, Block, Region};

/// Blocks from this size on are large.
const LARGE: usize = 128 << 10;
/// Milliseconds that the pages of large blocks are kept for after they were freed: as long as mimalloc keeps those of small ones.
pub(super) static PATIENCE: AtomicU16 = AtomicU16::new(1000);

/// Mimalloc for blocks of less than 128 KiB. The larger ones, which are matrices, lie in one stretch of addresses: each in the shortest
/// gap that holds it, and gaps that touch are one.
///
/// A backward pass frees activations of one size and makes gradients of another. An allocator that looks for the first place in one of
/// many stretches, as mimalloc 3 does, leaves a fifth of the memory of a model of 124 million parameters in gaps too short for what
/// comes next.
#[derive(Debug, Clone, Copy, Default)]
pub struct Allocator;

/// The region of large blocks, unless the system refuses it.
fn region() -> Option<&'static Region> {
    static REGION: OnceLock<Option<Region>> = OnceLock::new();
    REGION.get_or_init(Region::map).as_ref()
}

/// The region in which `block` lies, if it is not mimalloc's.
fn region_of(block: *mut u8) -> Option<&'static Region> {
    region().filter(|region| region.contains(block))
}

/// A block for `layout`, if it is not for mimalloc.
fn large(layout: Layout) -> Option<Block> {
    let is_large = layout.size() >= LARGE && layout.align() <= region::UNIT;
    is_large.then(region)??.take(layout.size())
}

// SAFETY: a block lies in one of two places, and by its address it is known in which: in mimalloc's hands, which is sound, or in the
// region, from which nobody else has had any of its bytes since it was taken, as long as its layout says at least and aligned to it.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match large(layout) {
            Some(block) => block.start,
            // SAFETY: as the caller has promised to us.
            None => unsafe { MiMalloc.alloc(layout) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match large(layout) {
            Some(block) if block.is_zero => block.start,
            Some(block) => {
                // SAFETY: a block is as long as its layout.
                unsafe { block.start.write_bytes(0, layout.size()) };
                block.start
            }
            // SAFETY: as the caller has promised to us.
            None => unsafe { MiMalloc.alloc_zeroed(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match region_of(block) {
            Some(region) => {
                let patience = Duration::from_millis(PATIENCE.load(Ordering::Relaxed).into());
                region.give(block, layout.size(), patience);
            }
            // SAFETY: as the caller has promised to us, and the block is mimalloc's.
            None => unsafe { MiMalloc.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if region_of(block).is_none() && new_size < LARGE {
            // SAFETY: as the caller has promised to us, and the block is mimalloc's.
            return unsafe { MiMalloc.realloc(block, layout, new_size) };
        }
        // SAFETY: the caller promises that the new layout is one. The blocks are as long as the shorter of both sizes at least, and a new
        // one overlaps nothing.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(block, layout.size().min(new_size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks that grow and shrink across the size that divides them keep what is in them.
    #[test]
    fn blocks_keep_their_bytes_when_they_are_resized() {
        let sizes = [24, LARGE - 1, LARGE, 3 * LARGE, 3 * LARGE + 8, 100, LARGE, 24];
        // Behind it no page begins.
        let odd = Layout::from_size_align(LARGE + 8, 8).unwrap();
        // SAFETY: the layout is not empty.
        let in_the_way = unsafe { Allocator.alloc(odd) };
        for align in [8, 64, 4096] {
            let layout = |size| Layout::from_size_align(size, align).unwrap();
            // SAFETY: the layouts are those that the blocks were asked for with, and only bytes inside both are read.
            unsafe {
                let mut block = Allocator.alloc_zeroed(layout(sizes[0]));
                *block.add(20) = 7;
                for pair in sizes.windows(2) {
                    block = Allocator.realloc(block, layout(pair[0]), pair[1]);
                    assert!(!block.is_null() && block.addr().is_multiple_of(align));
                    assert_eq!((*block.add(19), *block.add(20), *block.add(21)), (0, 7, 0), "{pair:?}");
                    block.add(pair[1] - 1).write(1);
                }
                Allocator.dealloc(block, layout(24));
            }
        }
        // SAFETY: it was asked for with this layout.
        unsafe { Allocator.dealloc(in_the_way, odd) };
    }

    #[test]
    fn large_blocks_of_zeros_are_zero_where_others_were() {
        let layout = Layout::from_size_align(2 * LARGE, 64).unwrap();
        for _ in 0..3 {
            // SAFETY: the block has the length of its layout.
            unsafe {
                let block = Allocator.alloc_zeroed(layout);
                assert!(region_of(block).is_some());
                let bytes = std::slice::from_raw_parts_mut(block, layout.size());
                assert!(bytes.iter().all(|&byte| byte == 0));
                bytes.fill(255);
                Allocator.dealloc(block, layout);
            }
        }
    }

    /// Every thread fills its blocks with a number of its own, and finds it there before it frees them.
    #[test]
    fn threads_have_blocks_to_themselves() {
        std::thread::scope(|scope| {
            for thread in 1..=4u8 {
                scope.spawn(move || {
                    let mut blocks = Vec::new();
                    for round in 0..200_usize {
                        let size = LARGE / 2 + (round * 7919 * usize::from(thread)) % (2 * LARGE);
                        let layout = Layout::from_size_align(size, 64).unwrap();
                        // SAFETY: each block is as long as its layout, and freed with it once.
                        unsafe {
                            let block = Allocator.alloc(layout);
                            block.write_bytes(thread, size);
                            blocks.push((block, layout));
                            if round % 3 > 0 {
                                let (block, layout) = blocks.swap_remove(round % blocks.len());
                                let bytes = std::slice::from_raw_parts(block, layout.size());
                                assert!(bytes.iter().all(|&byte| byte == thread));
                                Allocator.dealloc(block, layout);
                            }
                        }
                    }
                    for (block, layout) in blocks {
                        // SAFETY: as above.
                        unsafe { Allocator.dealloc(block, layout) }
                    }
                });
            }
        });
    }
}
