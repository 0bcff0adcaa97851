//! What a stage took: `RUN/STAGE/cost.json`, kept over interruptions.
//!
//! Nothing asks it whether a stage is complete, and no digest holds it: two runs of the same results take different times.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rlhf_core::stage::Progress;
use rlhf_report::COST;
use serde::{Deserialize, Serialize};

use crate::files::{read_json, write_json};
use crate::listener::Bar;
use crate::memory::peak_memory;

/// Written this often while a stage is at work, so that a process that is killed loses no more.
const WRITE_EVERY: Duration = Duration::from_secs(10);

/// What all processes that worked on a stage took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cost {
    /// `rlhf-cost/1`.
    schema: String,
    /// Seconds of all of them.
    pub(crate) seconds: f64,
    /// Most bytes that one of them held, whatever it did before this stage included; nothing where the system does not say.
    pub(crate) peak_memory: Option<u64>,
    /// How many they were.
    pub(crate) processes: u64,
}

impl Default for Cost {
    fn default() -> Self {
        Self {
            schema: "rlhf-cost/1".to_owned(),
            seconds: 0.0,
            peak_memory: None,
            processes: 0,
        }
    }
}

/// Measures a stage at work. What it cannot write down is no reason to stop.
#[derive(Debug)]
pub(crate) struct Meter {
    path: PathBuf,
    /// What earlier processes took.
    earlier: Cost,
    started: Instant,
    written: Cell<Instant>,
    /// The stage has ended, and what the process does next is not its cost.
    is_over: Cell<bool>,
}

impl Meter {
    /// Goes on from what earlier processes took in the folder of a stage.
    pub(crate) fn begin(dir: &Path) -> Self {
        let path = dir.join(COST);
        let earlier = if path.exists() {
            read_json(&path).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), %error, "what the stage took so far cannot be read");
                Cost::default()
            })
        } else {
            Cost::default()
        };
        let now = Instant::now();
        let meter = Self {
            path,
            earlier,
            started: now,
            written: Cell::new(now),
            is_over: Cell::new(false),
        };
        meter.write();
        meter
    }

    /// What the stage took so far.
    fn cost(&self) -> Cost {
        Cost {
            schema: self.earlier.schema.clone(),
            seconds: self.earlier.seconds + self.started.elapsed().as_secs_f64(),
            peak_memory: self.earlier.peak_memory.max(peak_memory()),
            processes: self.earlier.processes + 1,
        }
    }

    /// Writes down what the stage took in all, for it has ended.
    pub(crate) fn finish(&self) -> Cost {
        self.is_over.set(true);
        self.write()
    }

    fn write(&self) -> Cost {
        let cost = self.cost();
        if let Err(error) = write_json(&self.path, &cost) {
            tracing::warn!(path = %self.path.display(), %error, "what the stage takes cannot be written");
        }
        self.written.set(Instant::now());
        cost
    }

    fn write_now_and_then(&self) {
        if self.written.get().elapsed() >= WRITE_EVERY {
            self.write();
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if !self.is_over.get() {
            self.write();
        }
    }
}

/// A bar that also keeps the meter running.
pub(crate) struct MeteredBar {
    pub(crate) bar: Box<dyn Bar>,
    pub(crate) meter: Option<std::rc::Rc<Meter>>,
}

impl Progress for MeteredBar {
    fn report(&self, done: u64, total: u64, message: &str) {
        self.bar.report(done, total, message);
        if let Some(meter) = &self.meter {
            meter.write_now_and_then();
        }
    }
}

impl Bar for MeteredBar {
    fn finish(&self) {
        self.bar.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(dir: &Path) -> Cost {
        read_json(&dir.join(COST)).expect("it is written at once")
    }

    #[test]
    fn processes_add_up_whatever_ended_them() {
        let dir = tempfile::tempdir().unwrap();
        let earlier = Cost {
            seconds: 100.0,
            peak_memory: Some(1 << 60),
            processes: 2,
            ..Cost::default()
        };
        write_json(&dir.path().join(COST), &earlier).unwrap();
        let meter = Meter::begin(dir.path());
        // Killed now, it has been here.
        assert_eq!(kept(dir.path()).processes, 3);
        drop(meter);
        let cost = kept(dir.path());
        assert!(cost.seconds > 100.0 && cost.seconds < 200.0, "{cost:?}");
        assert_eq!((cost.processes, cost.peak_memory), (3, Some(1 << 60)));
        assert_eq!(cost.schema, "rlhf-cost/1");
    }

    #[test]
    fn what_comes_after_the_end_is_no_cost() {
        let dir = tempfile::tempdir().unwrap();
        let meter = Meter::begin(dir.path());
        let cost = meter.finish();
        drop(meter);
        assert_eq!(kept(dir.path()), cost);
    }

    #[test]
    fn what_is_damaged_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(COST), "{").unwrap();
        drop(Meter::begin(dir.path()));
        assert_eq!(kept(dir.path()).processes, 1);
    }
}
