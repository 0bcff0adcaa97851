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
    first: Cell<Option<u64>>,
    said: Cell<Instant>,
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
            first: Cell::new(None),
            said: Cell::new(Instant::now()),
        }
    }

    fn line(&self, done: u64, total: u64, message: &str) {
        let first = self.first.get().unwrap_or(done);
        if self.said.get().elapsed() < LINE_EVERY {
            return;
        }
        self.said.set(Instant::now());
        let elapsed = self.started.elapsed().as_secs_f64();
        let left = match done - first {
            0 => 0.0,
            steps => elapsed / steps as f64 * (total - done) as f64,
        };
        note(&format!(
            "{:>9} {done}/{total}  {message}  {elapsed:.0}s + {left:.0}s",
            self.name
        ));
    }
}

impl Progress for Bar {
    fn report(&self, done: u64, total: u64, message: &str) {
        if self.first.get().is_none() {
            self.first.set(Some(done.saturating_sub(1)));
        }
        if self.terminal {
            self.bar.set_length(total);
            self.bar.set_position(done);
            self.bar.set_message(message.to_owned());
        } else {
            self.line(done, total, message);
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
