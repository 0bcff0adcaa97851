//! Curves: `metrics.jsonl`, one JSON object a line, and TensorBoard event files with the same numbers.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};

use crate::{
    atomic,
    error::{Error, Result},
    tensorboard::{EventFile, event_files},
};

/// Name of the file of rows in a stage's folder.
pub const METRICS_FILE: &str = "metrics.jsonl";

/// Begins the name of everything that depends on the wall clock. All other values of an interrupted and resumed run
/// equal those of an uninterrupted one.
const TIME_PREFIX: &str = "time/";

const STEP: &str = "step";

/// The one writer of a stage's curves.
///
/// Each row reaches the operating system at once, so that a killed process loses none.
#[derive(Debug)]
pub struct MetricWriter {
    path: PathBuf,
    file: File,
    events: EventFile,
    last_step: Option<u64>,
}

impl MetricWriter {
    /// Starts afresh: removes the metrics of an earlier attempt in `dir`.
    pub fn create(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref();
        atomic::make_dir(dir)?;
        for old in event_files(dir)? {
            fs::remove_file(&old).map_err(|e| Error::io("remove", &old, e))?;
        }
        let path = dir.join(METRICS_FILE);
        let file = File::create(&path).map_err(|e| Error::io("create", &path, e))?;
        Ok(Self {
            path,
            file,
            events: EventFile::create(dir, None)?,
            last_step: None,
        })
    }

    /// Goes on after `step`, the step of the checkpoint a run resumes from: later rows are dropped, since the run is
    /// about to write them again.
    pub fn resume(dir: impl AsRef<Path>, step: u64) -> Result<Self> {
        let dir = dir.as_ref();
        atomic::make_dir(dir)?;
        let path = dir.join(METRICS_FILE);
        let text = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(Error::io("read", &path, e)),
        };
        let (length, last_step) = rows_until(&text, step);
        let opened = File::options().create(true).append(true).open(&path).and_then(|file| {
            file.set_len(length as u64)?;
            Ok(file)
        });
        let file = opened.map_err(|e| Error::io("write", &path, e))?;
        Ok(Self {
            path,
            file,
            events: EventFile::create(dir, Some(step + 1))?,
            last_step,
        })
    }

    /// Appends the row of `step`. Values that are not finite become `null`.
    ///
    /// # Errors
    /// [`Error::MetricOrder`] if `step` lies before the last row's; [`Error::BadName`] if a value is called `step` or
    /// stands twice.
    pub fn log(&mut self, step: u64, values: &[(&str, f64)]) -> Result<()> {
        if let Some(expected) = self.last_step.filter(|&last| step < last) {
            return Err(Error::MetricOrder { expected, found: step });
        }
        let mut row = Map::new();
        row.insert(STEP.into(), step.into());
        for (name, value) in values {
            // `Value::from` turns what is not finite into null.
            if row.insert((*name).into(), Value::from(*value)).is_some() {
                return Err(Error::BadName {
                    name: (*name).into(),
                    reason: "the row has such a value already",
                });
            }
        }
        let line = format!("{}\n", Value::Object(row));
        self.file
            .write_all(line.as_bytes())
            .map_err(|e| Error::io("write", &self.path, e))?;
        self.events.scalars(step, values)?;
        self.last_step = Some(step);
        Ok(())
    }

    /// Makes all rows survive a power cut; to be called before a checkpoint is written.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(|e| Error::io("sync", &self.path, e))?;
        self.events.sync()
    }
}

/// The length in bytes of the whole rows of steps up to `step`, and the last of their steps.
fn rows_until(text: &[u8], step: u64) -> (usize, Option<u64>) {
    let (mut length, mut last_step) = (0, None);
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let whole = line
            .ends_with(b"\n")
            .then(|| serde_json::from_slice::<Value>(line).ok())
            .flatten();
        match whole.and_then(|row| row[STEP].as_u64()) {
            Some(found) if found <= step => last_step = Some(found),
            _ => break,
        }
        length += line.len();
    }
    (length, last_step)
}

/// A row of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricRow {
    /// The step it belongs to.
    pub step: u64,
    /// Its values by name; `None` for one that was not finite.
    pub values: BTreeMap<String, Option<f64>>,
}

impl MetricRow {
    /// The row without what depends on the wall clock.
    pub fn without_times(mut self) -> Self {
        self.values.retain(|name, _| !name.starts_with(TIME_PREFIX));
        self
    }
}

/// Reads the rows of a `metrics.jsonl`.
pub fn read_metrics(path: impl AsRef<Path>) -> Result<Vec<MetricRow>> {
    let path = path.as_ref();
    let text = fs::read_to_string(path).map_err(|e| Error::io("read", path, e))?;
    let row = |(index, line): (usize, &str)| {
        let malformed = |message: String| Error::Malformed {
            path: path.to_path_buf(),
            line: Some(index + 1),
            expected: "an object of numbers with a whole `step`",
            message,
        };
        let mut values: BTreeMap<String, Option<f64>> =
            serde_json::from_str(line).map_err(|e| malformed(e.to_string()))?;
        let step = values
            .remove(STEP)
            .flatten()
            .filter(|step| *step >= 0.0 && step.fract() == 0.0);
        let step = step.ok_or_else(|| malformed(format!("found {line}")))? as u64;
        Ok(MetricRow { step, values })
    };
    text.lines().enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(dir: &Path) -> String {
        fs::read_to_string(dir.join(METRICS_FILE)).unwrap()
    }

    #[test]
    fn a_row_is_an_object_a_line_and_what_is_not_finite_is_null() {
        let dir = tempfile::tempdir().unwrap();
        let mut metrics = MetricWriter::create(dir.path()).unwrap();
        metrics.log(1, &[("loss/policy", 0.1), ("lr", 3e-6)]).unwrap();
        metrics
            .log(2, &[("loss/policy", f64::NAN), ("lr", f64::INFINITY)])
            .unwrap();
        metrics.sync().unwrap();
        assert_eq!(
            text(dir.path()),
            "{\"step\":1,\"loss/policy\":0.1,\"lr\":3e-6}\n{\"step\":2,\"loss/policy\":null,\"lr\":null}\n"
        );
        let rows = read_metrics(dir.path().join(METRICS_FILE)).unwrap();
        assert_eq!((rows[0].step, rows[0].values["lr"]), (1, Some(3e-6)));
        assert_eq!((rows[1].step, rows[1].values["lr"]), (2, None));
    }

    #[test]
    fn a_resumed_run_writes_the_same_file_as_an_uninterrupted_one() {
        let run = |metrics: &mut MetricWriter, steps: std::ops::RangeInclusive<u64>| {
            for step in steps {
                metrics.log(step, &[("loss", 1.0 / step as f64)]).unwrap();
                metrics.log(step, &[("eval/loss", 2.0)]).unwrap();
            }
        };
        let whole = tempfile::tempdir().unwrap();
        run(&mut MetricWriter::create(whole.path()).unwrap(), 1..=6);
        for killed_after in [3, 4, 5] {
            let dir = tempfile::tempdir().unwrap();
            run(&mut MetricWriter::create(dir.path()).unwrap(), 1..=killed_after);
            // Killed in the middle of a row; the checkpoint is of step 3.
            let path = dir.path().join(METRICS_FILE);
            File::options()
                .append(true)
                .open(&path)
                .unwrap()
                .write_all(b"{\"step\":6,\"lo")
                .unwrap();
            run(&mut MetricWriter::resume(dir.path(), 3).unwrap(), 4..=6);
            assert_eq!(text(dir.path()), text(whole.path()));
            let mut events = event_files(dir.path()).unwrap();
            events.sort();
            assert_eq!(events.len(), 2);
            // step 4, session_log { status: START }: TensorBoard forgets from the first dropped row on.
            let restart = [0x10, 4, 0x3a, 2, 0x08, 1];
            assert!(fs::read(&events[1]).unwrap().windows(6).any(|bytes| bytes == restart));
        }
    }

    #[test]
    fn starting_afresh_forgets_an_earlier_attempt() {
        let dir = tempfile::tempdir().unwrap();
        MetricWriter::create(dir.path()).unwrap().log(9, &[("a", 1.0)]).unwrap();
        MetricWriter::create(dir.path()).unwrap().log(1, &[("a", 2.0)]).unwrap();
        assert_eq!(text(dir.path()), "{\"step\":1,\"a\":2.0}\n");
        assert_eq!(event_files(dir.path()).unwrap().len(), 1);
    }

    #[test]
    fn resuming_without_a_file_starts_one() {
        let dir = tempfile::tempdir().unwrap();
        MetricWriter::resume(dir.path(), 3)
            .unwrap()
            .log(4, &[("a", 1.0)])
            .unwrap();
        assert_eq!(read_metrics(dir.path().join(METRICS_FILE)).unwrap().len(), 1);
    }

    #[test]
    fn rows_that_go_back_and_names_that_are_taken_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut metrics = MetricWriter::create(dir.path()).unwrap();
        metrics.log(2, &[]).unwrap();
        assert!(matches!(
            metrics.log(1, &[]),
            Err(Error::MetricOrder { expected: 2, found: 1 })
        ));
        assert!(matches!(metrics.log(3, &[("step", 1.0)]), Err(Error::BadName { .. })));
        assert!(matches!(
            metrics.log(3, &[("a", 1.0), ("a", 2.0)]),
            Err(Error::BadName { .. })
        ));
        let mut resumed = MetricWriter::resume(dir.path(), 2).unwrap();
        assert!(matches!(resumed.log(1, &[]), Err(Error::MetricOrder { .. })));
    }

    #[test]
    fn times_are_set_aside_when_runs_are_compared() {
        let values = [("time/seconds".to_owned(), Some(3.0)), ("loss".to_owned(), Some(1.0))];
        let row = MetricRow {
            step: 1,
            values: values.into(),
        }
        .without_times();
        assert_eq!(row.values.keys().collect::<Vec<_>>(), ["loss"]);
    }

    #[test]
    fn a_malformed_row_is_named_by_file_and_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.jsonl");
        fs::write(&path, "{\"step\":1}\n{\"loss\":1}\n").unwrap();
        let error = read_metrics(&path).unwrap_err().to_string();
        assert!(error.contains("m.jsonl:2: expected an object of numbers"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_reported_as_such() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", dir.path().join(METRICS_FILE)).unwrap();
        let mut metrics = MetricWriter::create(dir.path()).unwrap();
        assert!(matches!(metrics.log(1, &[("a", 1.0)]), Err(Error::NoSpace { .. })));
    }
}
