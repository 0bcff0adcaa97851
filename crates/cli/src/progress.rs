//! Standard error, for people: a bar with the time that is left, and lines.

use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use rlhf_core::stage::Progress;
use rlhf_pipeline::Listener;

use crate::error::{Error, Result};

/// Without a terminal, a line this often takes the place of the bar.
const LINE_EVERY: Duration = Duration::from_secs(15);

/// Shows what a run does.
pub(crate) struct Terminal;

impl Listener for Terminal {
    fn note(&self, subject: &str, line: &str) {
        note(&format!("{subject:>9} {line}"));
    }

    fn begin(&self, subject: &'static str) -> Box<dyn rlhf_pipeline::Bar> {
        Box::new(Bar::new(subject))
    }
}

/// Progress of a stage: a bar on a terminal, a line now and then elsewhere.
struct Bar {
    name: &'static str,
    bar: ProgressBar,
    terminal: bool,
    started: Instant,
    part: Cell<Option<Part>>,
    /// When a line was last written.
    said: Cell<Instant>,
    /// When there was last anything to report.
    told: Cell<Instant>,
}

/// What is counted at present: a stage counts steps, and then perhaps prompts.
#[derive(Clone, Copy)]
struct Part {
    started: Instant,
    /// What was done when it was first heard of, a run that goes on included.
    first: u64,
    total: u64,
}

impl Part {
    /// The part that counts up to `total`: `current` if it does, else a new one, which began at the report `before`. Only the first part
    /// of a stage may go on from what was done in another process.
    fn of(current: Option<Self>, done: u64, total: u64, before: Instant) -> Self {
        match current {
            Some(part) if part.total == total && part.first <= done => part,
            _ => Self {
                started: before,
                first: current.map_or(done.saturating_sub(1), |_| 0),
                total,
            },
        }
    }

    /// Seconds that are left after `elapsed` of them.
    fn left(self, done: u64, elapsed: f64) -> f64 {
        match done.saturating_sub(self.first) {
            0 => 0.0,
            steps => elapsed / steps as f64 * self.total.saturating_sub(done) as f64,
        }
    }
}

impl Bar {
    fn new(name: &'static str) -> Self {
        let bar = ProgressBar::new(0);
        let template = "{prefix:>9} [{bar:32}] {pos}/{len}  {msg}  {elapsed} + {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(name);
        Self {
            name,
            bar,
            terminal: std::io::stderr().is_terminal(),
            started: Instant::now(),
            part: Cell::new(None),
            said: Cell::new(Instant::now()),
            told: Cell::new(Instant::now()),
        }
    }

    fn line(&self, part: Part, done: u64, message: &str) {
        if self.said.get().elapsed() < LINE_EVERY {
            return;
        }
        self.said.set(Instant::now());
        let elapsed = self.started.elapsed().as_secs_f64();
        let left = part.left(done, part.started.elapsed().as_secs_f64());
        note(&format!(
            "{:>9} {done}/{}  {message}  {elapsed:.0}s + {left:.0}s",
            self.name, part.total
        ));
    }
}

impl Progress for Bar {
    fn report(&self, done: u64, total: u64, message: &str) {
        let before = self.told.replace(Instant::now());
        let part = Part::of(self.part.get(), done, total, before);
        self.part.set(Some(part));
        if self.terminal {
            if self.bar.length() != Some(total) {
                self.bar.reset_eta();
            }
            self.bar.set_length(total);
            self.bar.set_position(done);
            self.bar.set_message(message.to_owned());
        } else {
            self.line(part, done, message);
        }
    }
}

impl rlhf_pipeline::Bar for Bar {
    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// A line on standard error.
pub(crate) fn note(line: &str) {
    // A closed standard error leaves nobody to tell.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A line on standard output: what a command was asked for.
pub(crate) fn say(line: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{line}").map_err(|source| Error::Io {
        path: "standard output".into(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_is_left_is_that_of_what_is_counted_at_present() {
        let begin = Instant::now();
        let steps = Part::of(None, 31, 55, begin);
        assert_eq!((steps.first, steps.total), (30, 55));
        let steps = Part::of(Some(steps), 40, 55, begin);
        assert_eq!(steps.left(40, 100.0), 150.0);
        // Sixteen of other things, though thirty of the first were done before.
        let prompts = Part::of(Some(steps), 16, 211, begin);
        assert_eq!((prompts.first, prompts.total), (0, 211));
        assert_eq!(prompts.left(16, 2.0), 2.0 / 16.0 * 195.0);
        assert_eq!(steps.left(16, 2.0), 0.0);
    }
}
