//! Whom a run tells what it does.

use rlhf_core::stage::{Progress, Quiet};

/// Somebody who is told what a run does; the command line prints lines and draws bars.
pub trait Listener {
    /// A line for people about `subject`, which is a stage or `fetch`.
    fn note(&self, subject: &str, line: &str);

    /// A bar for the work on `subject`, which begins.
    fn begin(&self, subject: &'static str) -> Box<dyn Bar>;
}

/// A bar of progress.
pub trait Bar: Progress {
    /// The work is done: the bar goes, and notes may follow.
    fn finish(&self);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Listener for Silent {
    fn note(&self, _: &str, _: &str) {}

    fn begin(&self, _: &'static str) -> Box<dyn Bar> {
        Box::new(Quiet)
    }
}

impl Bar for Quiet {
    fn finish(&self) {}
}
