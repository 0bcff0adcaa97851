//! The allocator of programs that train: one that keeps the memory of large temporaries instead of mapping and clearing it anew at
//! every step. A library chooses none; a binary does.
//!
//! ```
//! #[global_allocator]
//! static ALLOCATOR: rlhf_kernels::allocator::Allocator = rlhf_kernels::allocator::Allocator;
//!
//! rlhf_kernels::allocator::keep_freed_memory();
//! ```
#![allow(
    unsafe_code,
    reason = "allocators are unsafe, and their options are set through C functions"
)]

use std::alloc::{GlobalAlloc, Layout, System};

use mimalloc::MiMalloc;

/// Blocks from this size on are large.
const LARGE: usize = 1 << 20;

/// Mimalloc, fast with small blocks on many threads; but on Linux with glibc, its heap takes the large ones. Activations that a backward
/// pass frees and gradients that it makes are of different sizes. Glibc joins neighbours that are free and takes the place that fits
/// best, so most gradients find room where activations were; mimalloc 3 looks for room in stretches of 32 MiB, and takes a fifth more
/// memory to train a model of 124 million parameters.
#[derive(Debug, Clone, Copy)]
pub struct Allocator;

/// Whether a block of this size is for the system's allocator.
fn is_for_system(size: usize) -> bool {
    cfg!(all(target_os = "linux", target_env = "gnu")) && size >= LARGE
}

// SAFETY: every block is the business of one of two sound allocators, and its size, which is the same whenever it is mentioned, says
// which. Only `realloc` can change it, and moves the block where the new size belongs to the other one.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller has promised to us.
        unsafe {
            match is_for_system(layout.size()) {
                true => System.alloc(layout),
                false => MiMalloc.alloc(layout),
            }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller has promised to us.
        unsafe {
            match is_for_system(layout.size()) {
                true => System.alloc_zeroed(layout),
                false => MiMalloc.alloc_zeroed(layout),
            }
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as the caller has promised to us; the size says whose block it is.
        unsafe {
            match is_for_system(layout.size()) {
                true => System.dealloc(block, layout),
                false => MiMalloc.dealloc(block, layout),
            }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as the caller has promised to us; the size says whose block it is. A block that moves is as long as the shorter of
        // both sizes at least on either side, and the two cannot overlap.
        unsafe {
            match (is_for_system(layout.size()), is_for_system(new_size)) {
                (true, true) => System.realloc(block, layout, new_size),
                (false, false) => MiMalloc.realloc(block, layout, new_size),
                _ => {
                    let moved = self.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
                    if !moved.is_null() {
                        std::ptr::copy_nonoverlapping(block, moved, layout.size().min(new_size));
                        self.dealloc(block, layout);
                    }
                    moved
                }
            }
        }
    }
}

/// Keeps the memory of freed blocks: for the large ones, one heap for all threads that never shrinks; for the small ones a minute instead
/// of a second, unless the environment variable `MIMALLOC_PURGE_DELAY` (in milliseconds) says otherwise. To be called before other
/// threads are there.
pub fn keep_freed_memory() {
    /// `mi_option_purge_delay` of mimalloc's `mi_option_t`, whose numbers stay.
    const PURGE_DELAY: std::ffi::c_int = 15;
    const MILLISECONDS: std::ffi::c_long = 60_000;
    // SAFETY: the function takes any numbers, ignores unknown options, and may be called at any time.
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, MILLISECONDS) }

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    for (option, value) in [
        (libc::M_MMAP_MAX, 0),
        (libc::M_TRIM_THRESHOLD, -1),
        (libc::M_TOP_PAD, 1 << 24),
        (libc::M_ARENA_MAX, 1),
    ] {
        // SAFETY: the function takes any numbers, and says by its result what it did not take, which only costs memory or time.
        unsafe { libc::mallopt(option, value) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks that grow and shrink across the size that divides them keep what is in them.
    #[test]
    fn small_and_large_blocks_keep_their_bytes_when_they_are_resized() {
        let sizes = [24, LARGE - 1, LARGE, 3 * LARGE, LARGE + 8, 100, LARGE];
        for align in [8, 64] {
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
                Allocator.dealloc(block, layout(LARGE));
            }
        }
    }

    #[test]
    fn large_blocks_of_zeros_are_zero_where_others_were() {
        keep_freed_memory();
        let layout = Layout::from_size_align(2 * LARGE, 64).unwrap();
        for _ in 0..3 {
            // SAFETY: the block has the length of its layout.
            unsafe {
                let block = Allocator.alloc_zeroed(layout);
                let bytes = std::slice::from_raw_parts_mut(block, layout.size());
                assert!(bytes.iter().all(|&byte| byte == 0));
                bytes.fill(255);
                Allocator.dealloc(block, layout);
            }
        }
    }
}
