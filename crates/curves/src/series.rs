//! Stages, their metrics, and the points of each.

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Fault, Result};
use crate::follow::Follower;
use crate::row::Row;

/// Faults of a stage that are kept; more are counted.
const FAULTS_KEPT: usize = 20;

/// The curves of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curves {
    /// The stages that have written rows, by the name of their folder.
    pub stages: BTreeMap<String, StageCurves>,
}

impl Curves {
    /// Reads the rows of every stage of a run's folder; of a folder that is not there, nothing. A last line that is not ended is left out:
    /// it is being written, or was when its process died.
    ///
    /// # Errors
    /// If a folder or a file that is there cannot be read.
    pub fn read(run: impl AsRef<Path>) -> Result<Self> {
        let mut follower = Follower::new(run.as_ref());
        follower.poll()?;
        Ok(follower.into_curves())
    }

    /// True if no stage has any points.
    pub fn is_empty(&self) -> bool {
        self.stages.values().all(|stage| stage.series.is_empty())
    }
}

/// The curves of a stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StageCurves {
    /// Its metrics by name.
    pub series: BTreeMap<String, Series>,
    /// Rows that were read.
    pub rows: usize,
    /// The step of the last row.
    pub last_step: Option<u64>,
    /// The first lines that are no rows.
    pub faults: Vec<Fault>,
    /// Number of all lines that are no rows.
    pub n_faults: usize,
    /// How often the file was found begun anew or cut back while it was followed.
    pub restarts: usize,
}

impl StageCurves {
    pub(crate) fn push(&mut self, row: Row) {
        self.rows += 1;
        self.last_step = Some(row.step);
        for (name, value) in row.values {
            let point = Point { step: row.step, value };
            self.series.entry(name).or_default().points.push(point);
        }
    }

    pub(crate) fn fault(&mut self, fault: Fault) {
        self.n_faults += 1;
        if self.faults.len() < FAULTS_KEPT {
            self.faults.push(fault);
        }
    }

    /// The last row's value of a metric that is a number, with its step.
    pub fn last(&self, metric: &str) -> Option<(u64, f64)> {
        self.series.get(metric)?.last()
    }
}

/// The points of a metric, in the order of the file: steps never go back.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// All of them.
    pub points: Vec<Point>,
}

impl Series {
    /// Steps and values of the points that are numbers.
    pub fn finite(&self) -> impl DoubleEndedIterator<Item = (u64, f64)> + '_ {
        self.points.iter().filter_map(|point| Some((point.step, point.value?)))
    }

    /// The last point that is a number.
    pub fn last(&self) -> Option<(u64, f64)> {
        self.finite().next_back()
    }

    /// The number of points that are none: their values were not finite.
    pub fn n_null(&self) -> usize {
        self.points.iter().filter(|point| point.value.is_none()).count()
    }
}

/// A value at a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The step.
    pub step: u64,
    /// The value; `None` for one that was not finite.
    pub value: Option<f64>,
}
