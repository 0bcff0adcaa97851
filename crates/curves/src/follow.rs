//! Files that grow, and sometimes shrink.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::METRICS_FILE;
use crate::error::{Error, Fault, Result};
use crate::row::parse;
use crate::series::{Curves, StageCurves};

/// Bytes before the place where reading goes on that are compared with what stood there: of a file that was rewritten they differ,
/// for a row has times in it.
const REMEMBERED: usize = 1024;

/// Reads a run as it is written.
#[derive(Debug)]
pub struct Follower {
    run: PathBuf,
    curves: Curves,
    places: BTreeMap<String, Place>,
}

/// How far a file was read.
#[derive(Clone, Debug, Default)]
struct Place {
    /// Bytes of whole lines that were read.
    offset: u64,
    /// Number of them.
    lines: usize,
    /// The last bytes before `offset`.
    before: Vec<u8>,
}

impl Follower {
    /// Follows a run's folder, which need not be there yet.
    pub fn new(run: impl Into<PathBuf>) -> Self {
        Self {
            run: run.into(),
            curves: Curves::default(),
            places: BTreeMap::new(),
        }
    }

    /// The folder.
    pub fn run(&self) -> &Path {
        &self.run
    }

    /// What was read so far.
    pub fn curves(&self) -> &Curves {
        &self.curves
    }

    /// What was read, without the means to read on.
    pub fn into_curves(self) -> Curves {
        self.curves
    }

    /// Reads what was added since; whether anything changed.
    ///
    /// A stage whose file was removed is forgotten. After an error the rest of what was read stands, and the next call tries again.
    ///
    /// # Errors
    /// If a folder or a file that is there cannot be read.
    pub fn poll(&mut self) -> Result<bool> {
        let names = stages_of(&self.run)?;
        let known = self.curves.stages.len();
        self.curves.stages.retain(|name, _| names.contains(name));
        self.places.retain(|name, _| names.contains(name));
        let mut changed = known != self.curves.stages.len();
        for name in names {
            let path = self.run.join(&name).join(METRICS_FILE);
            let place = self.places.entry(name.clone()).or_default();
            let stage = self.curves.stages.entry(name).or_default();
            changed |= match read_on(&path, place, stage) {
                Ok(changed) => changed,
                // Removed since the folder was listed: the next call forgets it.
                Err(source) if source.kind() == io::ErrorKind::NotFound => false,
                Err(source) => return Err(Error::Io { path, source }),
            };
        }
        Ok(changed)
    }
}

/// The folders of a run that have rows of metrics.
fn stages_of(run: &Path) -> Result<Vec<String>> {
    let failed = |source| Error::Io {
        path: run.to_owned(),
        source,
    };
    let entries = match fs::read_dir(run) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if entry.path().join(METRICS_FILE).is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Reads the whole lines behind a place; whether there were any, or the file had to be read anew.
fn read_on(path: &Path, place: &mut Place, stage: &mut StageCurves) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut anew = length < place.offset;
    if !anew && !place.before.is_empty() {
        file.seek(SeekFrom::Start(place.offset - place.before.len() as u64))?;
        let mut found = vec![0; place.before.len()];
        anew = match file.read_exact(&mut found) {
            Ok(()) => found != place.before,
            // Cut back since its length was asked for.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => true,
            Err(error) => return Err(error),
        };
    }
    if anew {
        let restarts = stage.restarts + 1;
        *stage = StageCurves {
            restarts,
            ..StageCurves::default()
        };
        *place = Place::default();
    }
    file.seek(SeekFrom::Start(place.offset))?;
    let mut added = Vec::new();
    file.read_to_end(&mut added)?;
    let whole = added.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    let added = &added[..whole];
    for line in added.split_inclusive(|&byte| byte == b'\n') {
        place.lines += 1;
        take_line(path, place.lines, line, stage);
    }
    place.offset += whole as u64;
    place.before.extend_from_slice(added);
    let surplus = place.before.len().saturating_sub(REMEMBERED);
    place.before.drain(..surplus);
    Ok(anew || whole > 0)
}

fn take_line(path: &Path, number: usize, line: &[u8], stage: &mut StageCurves) {
    let last = stage.last_step.unwrap_or(0);
    let message = match parse(line.trim_ascii_end()) {
        Ok(row) if row.step >= last => return stage.push(row),
        Ok(row) => format!(
            "expected a step of at least {last}, that of the row before, found {}",
            row.step
        ),
        Err(message) => message,
    };
    stage.fault(Fault {
        path: path.to_owned(),
        line: number,
        message,
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    struct Run {
        dir: tempfile::TempDir,
        follower: Follower,
    }

    impl Run {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let follower = Follower::new(dir.path());
            Self { dir, follower }
        }

        fn path(&self, stage: &str) -> PathBuf {
            let dir = self.dir.path().join(stage);
            fs::create_dir_all(&dir).unwrap();
            dir.join(METRICS_FILE)
        }

        fn append(&self, stage: &str, text: &str) {
            let mut file = File::options()
                .create(true)
                .append(true)
                .open(self.path(stage))
                .unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        fn points(&self, stage: &str) -> Vec<(u64, f64)> {
            match self.follower.curves().stages.get(stage) {
                Some(stage) => stage.series["loss"].finite().collect(),
                None => Vec::new(),
            }
        }
    }

    fn row(step: u64, loss: f64, seconds: f64) -> String {
        format!("{{\"step\":{step},\"loss\":{loss},\"time/s\":{seconds}}}\n")
    }

    #[test]
    fn a_run_that_has_not_begun_has_no_curves() {
        let mut follower = Follower::new("there/is/no/such/folder");
        assert!(!follower.poll().unwrap());
        assert!(follower.curves().is_empty());
        assert!(Curves::read("there/is/no/such/folder").unwrap().is_empty());
    }

    #[test]
    fn a_line_that_is_half_written_waits_for_its_rest() {
        let mut run = Run::new();
        let line = row(2, 0.25, 1.0);
        for cut in 1..line.len() {
            fs::write(run.path("sft"), row(1, 0.5, 1.0) + &line[..cut]).unwrap();
            let mut follower = Follower::new(run.dir.path());
            assert!(follower.poll().unwrap());
            run.append("sft", &line[cut..]);
            assert!(follower.poll().unwrap(), "cut at {cut}");
            run.follower = follower;
            assert_eq!(run.points("sft"), [(1, 0.5), (2, 0.25)], "cut at {cut}");
            assert_eq!(run.follower.curves().stages["sft"].n_faults, 0);
        }
    }

    #[test]
    fn each_call_takes_what_is_new_and_equals_reading_the_whole() {
        let mut run = Run::new();
        for step in 1..200 {
            run.append(
                if step % 3 == 0 { "ppo" } else { "sft" },
                &row(step, 1.0 / step as f64, 0.5),
            );
            assert!(run.follower.poll().unwrap());
            assert!(!run.follower.poll().unwrap());
        }
        assert_eq!(*run.follower.curves(), Curves::read(run.dir.path()).unwrap());
        assert_eq!(run.points("ppo").len() + run.points("sft").len(), 199);
    }

    #[test]
    fn a_file_that_was_begun_anew_is_read_anew() {
        let mut run = Run::new();
        run.append("sft", &(row(1, 0.5, 1.0) + &row(2, 0.25, 1.0)));
        run.follower.poll().unwrap();
        fs::write(run.path("sft"), row(1, 0.75, 1.0)).unwrap();
        assert!(run.follower.poll().unwrap());
        assert_eq!(run.points("sft"), [(1, 0.75)]);
        assert_eq!(run.follower.curves().stages["sft"].restarts, 1);
        fs::write(run.path("sft"), "").unwrap();
        assert!(run.follower.poll().unwrap());
        assert!(run.follower.curves().is_empty());
    }

    #[test]
    fn a_file_cut_back_to_a_checkpoint_and_longer_again_is_read_anew() {
        let mut run = Run::new();
        let kept: String = (1..=40).map(|step| row(step, 1.0, 1.0)).collect();
        let dropped: String = (41..=60).map(|step| row(step, 2.0, 1.5)).collect();
        run.append("ppo", &(kept.clone() + &dropped));
        run.follower.poll().unwrap();
        // All between two calls: the file is longer than before, and its first half is the same.
        let written: String = (41..=70).map(|step| row(step, 2.0, 3.5)).collect();
        fs::write(run.path("ppo"), kept + &written).unwrap();
        assert!(run.follower.poll().unwrap());
        let steps: Vec<u64> = run.points("ppo").iter().map(|point| point.0).collect();
        assert_eq!(steps, (1..=70).collect::<Vec<_>>());
        let times = &run.follower.curves().stages["ppo"].series["time/s"];
        assert_eq!(times.points[45].value, Some(3.5));
    }

    #[test]
    fn lines_that_are_no_rows_are_counted_and_named_and_the_rest_is_read() {
        let mut run = Run::new();
        run.append("sft", &row(1, 0.5, 1.0));
        run.append("sft", "{\"step\":2,\"loss\":\"much\"}\nnothing\n\u{0}\u{0}\n");
        run.append("sft", "{\"step\":0,\"loss\":1}\n");
        run.append("sft", "{\"step\":3,\"loss\":null}\r\n");
        run.append("sft", &row(4, 0.125, 1.0));
        run.follower.poll().unwrap();
        assert_eq!(run.points("sft"), [(1, 0.5), (4, 0.125)]);
        let stage = &run.follower.curves().stages["sft"];
        assert_eq!((stage.rows, stage.n_faults, stage.last_step), (3, 4, Some(4)));
        assert_eq!(stage.series["loss"].n_null(), 1);
        assert_eq!(stage.last("loss"), Some((4, 0.125)));
        let lines: Vec<usize> = stage.faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [2, 3, 4, 5]);
        let said = stage.faults[3].to_string();
        assert!(
            said.contains("metrics.jsonl:5: expected a step of at least 1"),
            "{said}"
        );
    }

    #[test]
    fn faults_beyond_the_first_are_counted_only() {
        let mut run = Run::new();
        run.append("sft", &"no\n".repeat(100));
        run.follower.poll().unwrap();
        let stage = &run.follower.curves().stages["sft"];
        assert_eq!((stage.n_faults, stage.faults.len()), (100, 20));
    }

    #[test]
    fn a_stage_that_was_removed_is_forgotten() {
        let mut run = Run::new();
        run.append("sft", &row(1, 0.5, 1.0));
        run.append("ppo", &row(1, 0.5, 1.0));
        run.follower.poll().unwrap();
        fs::remove_dir_all(run.dir.path().join("sft")).unwrap();
        assert!(run.follower.poll().unwrap());
        assert_eq!(run.follower.curves().stages.keys().collect::<Vec<_>>(), ["ppo"]);
    }
}
