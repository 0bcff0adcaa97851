//! The folder of a run, as far as it goes: whatever is missing or damaged is named and left out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rlhf_files::parse_json;
use serde_json::Value;

use crate::curves::{Curves, read_curves};
use crate::error::{Error, Result};
use crate::number::number;

/// The stages of the recipe, in order. Other folders of a run that hold curves follow them.
pub const STAGES: [&str; 8] = [
    "tokenizer",
    "pretrain",
    "sft",
    "sample",
    "label",
    "reward",
    "ppo",
    "eval",
];

/// Samples that are read at most; far more than a page shows.
const SAMPLES_READ: usize = 5000;

/// A file that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its place in the run.
    pub file: String,
    /// What is wrong with it.
    pub what: String,
}

/// A stage of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct StageRecord {
    pub(crate) name: String,
    pub(crate) is_complete: bool,
    pub(crate) seed: Option<u64>,
    pub(crate) versions: BTreeMap<String, String>,
    /// Files that it read, with their digests.
    pub(crate) inputs: BTreeMap<String, String>,
    pub(crate) seconds: Option<f64>,
    /// Most bytes that its process held.
    pub(crate) peak_memory: Option<f64>,
    /// Processes that worked on it.
    pub(crate) processes: Option<u64>,
}

/// What a report knows of a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunFolder {
    pub(crate) name: String,
    /// `config.toml` as it stands.
    pub(crate) config_text: Option<String>,
    pub(crate) config: toml::Table,
    /// Those that have begun, in order.
    pub(crate) stages: Vec<StageRecord>,
    pub(crate) curves: Curves,
    pub(crate) eval: Value,
    pub(crate) samples: Vec<Value>,
    pub(crate) reward: Value,
    pub(crate) labels: Value,
    pub(crate) overopt: Value,
    pub(crate) problems: Vec<Problem>,
}

impl RunFolder {
    /// Reads what there is.
    ///
    /// # Errors
    /// [`Error::NoRun`] if the folder itself is not there.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            return Err(Error::NoRun { path: path.to_owned() });
        }
        let name = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let mut run = Self {
            name: name
                .file_name()
                .map_or_else(String::new, |name| name.display().to_string()),
            ..Self::default()
        };
        let mut reader = Reader {
            path,
            problems: Vec::new(),
        };
        run.config_text = reader.text("config.toml");
        if let Some(text) = &run.config_text {
            match text.parse() {
                Ok(table) => run.config = table,
                Err(error) => reader.problem("config.toml", &format!("no TOML: {}", error_line(&error.to_string()))),
            }
        }
        run.stages = reader.stages();
        run.eval = reader.json("eval/summary.json");
        run.samples = reader.rows("eval/samples.jsonl");
        run.reward = reader.json("reward/report.json");
        run.labels = reader.json("label/report.json");
        run.overopt = reader.json("overopt/summary.json");
        run.curves = read_curves(path, &mut reader.problems);
        run.problems = reader.problems;
        Ok(run)
    }

    /// A setting by its dotted path.
    pub(crate) fn setting(&self, path: &str) -> Option<&toml::Value> {
        let mut parts = path.split('.');
        let first = self.config.get(parts.next()?)?;
        parts.try_fold(first, |value, part| value.get(part))
    }

    /// The seed that the run was made with.
    pub(crate) fn seed(&self) -> Option<u64> {
        let of_config = self.config.get("seed").and_then(toml::Value::as_integer);
        of_config
            .and_then(|seed| u64::try_from(seed).ok())
            .or_else(|| self.stages.iter().find_map(|stage| stage.seed))
    }
}

/// Reads files of a run, and notes what is wrong with them.
struct Reader<'a> {
    path: &'a Path,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn problem(&mut self, file: &str, what: &str) {
        self.problems.push(Problem {
            file: file.to_owned(),
            what: what.to_owned(),
        });
    }

    /// The text of a file, if it is there.
    fn text(&mut self, file: &str) -> Option<String> {
        match std::fs::read(self.path.join(file)) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Some(text),
                Err(error) => {
                    let at = error.utf8_error().valid_up_to();
                    self.problem(file, &format!("not UTF-8 from byte {at} on"));
                    None
                }
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                self.problem(file, &error.to_string());
                None
            }
        }
    }

    /// A JSON file; null where it is not there or damaged.
    fn json(&mut self, file: &str) -> Value {
        let Some(text) = self.text(file) else {
            return Value::Null;
        };
        match parse_json(text.as_bytes()) {
            Ok(value) => value,
            Err(error) => {
                self.problem(file, &format!("no JSON: {error}"));
                Value::Null
            }
        }
    }

    /// The rows of a file of JSON lines that can be read.
    fn rows(&mut self, file: &str) -> Vec<Value> {
        let Some(text) = self.text(file) else {
            return Vec::new();
        };
        let (mut rows, mut damaged) = (Vec::new(), Vec::new());
        for (number, line) in text.lines().enumerate().take(SAMPLES_READ) {
            match parse_json(line.as_bytes()) {
                Ok(row) => rows.push(row),
                Err(_) => damaged.push(number + 1),
            }
        }
        if let Some(first) = damaged.first() {
            let count = damaged.len();
            self.problem(
                file,
                &format!("{count} of its lines are no JSON, the first is line {first}"),
            );
        }
        rows
    }

    /// What the stages left, those of the recipe first.
    fn stages(&mut self) -> Vec<StageRecord> {
        let known = STAGES.into_iter().map(str::to_owned);
        let names: Vec<String> = known.chain(self.other_folders()).collect();
        names.iter().filter_map(|name| self.stage(name)).collect()
    }

    /// Folders of the run that are no stages and hold curves or a cost.
    fn other_folders(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path).into_iter().flatten().flatten();
        let holds = |path: &PathBuf| ["metrics.jsonl", COST].iter().any(|file| path.join(file).exists());
        let mut names: Vec<String> = entries
            .filter(|entry| holds(&entry.path()))
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| !STAGES.contains(&name.as_str()))
            .collect();
        names.sort();
        names
    }

    fn stage(&mut self, name: &str) -> Option<StageRecord> {
        if !self.path.join(name).is_dir() {
            return None;
        }
        let mark = self.json(&format!("{name}/complete.json"));
        let cost = self.json(&format!("{name}/{COST}"));
        let texts = |value: &Value| -> BTreeMap<String, String> {
            let entries = value.as_object().into_iter().flatten();
            entries
                .filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned())))
                .collect()
        };
        Some(StageRecord {
            name: name.to_owned(),
            is_complete: mark.is_object(),
            seed: mark["seed"].as_u64(),
            versions: texts(&mark["versions"]),
            inputs: texts(&mark["inputs"]),
            seconds: number(&cost["seconds"]).or_else(|| number(&mark["seconds"])),
            peak_memory: number(&cost["peak_memory"]),
            processes: cost["processes"].as_u64(),
        })
    }
}

/// The file in which a stage keeps what it took.
pub const COST: &str = "cost.json";

/// The first line that says something.
fn error_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
