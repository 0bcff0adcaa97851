//! The allocator of programs that train: one that keeps the pages of large temporaries instead of mapping and clearing them anew
//! at every step, and finds room for gradients where activations were. A library chooses none; a binary does.
//!
//! ```
//! #[global_allocator]
//! static ALLOCATOR: rlhf_kernels::allocator::Allocator = rlhf_kernels::allocator::Allocator;
//!
//! rlhf_kernels::allocator::keep_freed_pages();
//! ```
#![allow(
    unsafe_code,
    reason = "allocators are unsafe, and options of mimalloc are set through its C functions"
)]

use std::ffi::{c_int, c_long};

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod gaps;
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod mixed;
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod region;

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
pub use mixed::Allocator;

/// Mimalloc: the region that large blocks have on Linux is not known to work well here.
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
pub use mimalloc::MiMalloc as Allocator;

/// `mi_option_purge_delay` of mimalloc's `mi_option_t`, whose numbers stay.
const PURGE_DELAY: c_int = 15;
/// Milliseconds. A step of a large model takes seconds, and needs again what the last one freed.
const DELAY: u16 = 60_000;

/// Keeps freed pages for a minute instead of a second; those of small blocks unless the environment variable `MIMALLOC_PURGE_DELAY` (in
/// milliseconds) says otherwise.
pub fn keep_freed_pages() {
    #[cfg(all(target_os = "linux", target_pointer_width = "64"))]
    mixed::PATIENCE.store(DELAY, std::sync::atomic::Ordering::Relaxed);
    // SAFETY: the function takes any numbers, ignores unknown options, and may be called at any time.
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, c_long::from(DELAY)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_the_delay_until_pages_are_given_back() {
        // SAFETY: the function takes any number.
        let delay = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        let by_default = delay();
        assert!(
            [10, 1000].contains(&by_default),
            "mimalloc 2 and 3 wait 10 and 1000 ms, this one {by_default}"
        );
        keep_freed_pages();
        assert_eq!(delay(), c_long::from(DELAY));
    }
}
