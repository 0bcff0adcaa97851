//! The curves of a run: `RUN/STAGE/metrics.jsonl` as stage, name of the metric, points. It knows files, and neither models nor stages.
//!
//! [`Curves::read`] reads a run's folder once. A [`Follower`] goes on reading while the run is going on: each [`Follower::poll`] takes what
//! was added, waits for the rest of a line that is half written, and reads a file anew that was begun anew or cut back to a
//! checkpoint. Lines that are no rows of metrics are left out, and each [`Fault`] says which and why.
//!
//! ```
//! use rlhf_curves::{Curves, Follower};
//!
//! # let run = tempfile::tempdir()?;
//! # let stage = run.path().join("sft");
//! # std::fs::create_dir(&stage)?;
//! # let file = stage.join("metrics.jsonl");
//! std::fs::write(&file, "{\"step\":1,\"loss/train\":2.5}\n{\"step\":2,\"loss/train\":null}\n")?;
//! let curves = Curves::read(run.path())?;
//! let loss = &curves.stages["sft"].series["loss/train"];
//! assert_eq!(loss.finite().collect::<Vec<_>>(), [(1, 2.5)]);
//! assert_eq!(loss.points.len(), 2);
//!
//! let mut follower = Follower::new(run.path());
//! assert!(follower.poll()?);
//! assert!(!follower.poll()?, "nothing is new");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod follow;
mod row;
mod series;

pub use error::{Error, Fault, Result};
pub use follow::Follower;
pub use series::{Curves, Point, Series, StageCurves};

/// Name of the file of rows in a stage's folder.
pub const METRICS_FILE: &str = "metrics.jsonl";

/// True for a metric that depends on the wall clock.
pub fn is_time(metric: &str) -> bool {
    metric.starts_with("time/")
}
