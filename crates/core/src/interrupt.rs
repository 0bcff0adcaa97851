//! A flag that tells a loop to stop; the loop looks at it between steps.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

/// A flag that a signal handler raises and that training loops look at after each step.
///
/// Clones share the flag. A loop that finds it raised writes its checkpoint and returns; whoever installs the signal
/// handler (the binary, never a library) raises [`StopFlag::process`].
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// A flag of its own, not raised: for tests and for callers that stop a loop themselves.
    pub fn new() -> Self {
        Self::default()
    }

    /// The one flag of this process.
    pub fn process() -> Self {
        static PROCESS: OnceLock<StopFlag> = OnceLock::new();
        PROCESS.get_or_init(Self::default).clone()
    }

    /// Asks every loop that holds this flag to stop. Returns whether it had been asked before.
    pub fn request(&self) -> bool {
        self.0.swap(true, Ordering::SeqCst)
    }

    /// True if somebody asked to stop.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_flag_and_others_do_not() {
        let flag = StopFlag::new();
        let seen_by_loop = flag.clone();
        assert!(!seen_by_loop.requested());
        assert!(!flag.request());
        assert!(seen_by_loop.requested());
        assert!(flag.request(), "a second request says that there was a first");
        assert!(!StopFlag::new().requested());
    }
}
