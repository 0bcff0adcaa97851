//! Several files with weights.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::columns::Columns;
use crate::error::{Error, Result};
use crate::kind::files_in;
use crate::lines::{self, Format};
use crate::order::shuffled_order;
use crate::read::{
    LoadReport, Loaded, read_comparisons_from, read_demonstrations_from, read_prompts_from, read_text_from,
};
use crate::text::Documents;
use crate::types::{Comparison, Demonstration, Prompt};

/// One file of a data set and how often its rows are taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The file: `.jsonl`, `.json` or `.txt`, or one of these and `.gz`, or `.parquet`. A relative path starts at the data root.
    /// A folder stands for its text files, in order of their names. In a configuration also
    /// `hf://datasets/org/name[@revision][/path]`, with a file, a folder or a pattern for the path, or none for the training split.
    pub path: PathBuf,
    /// Times that each row is taken in an epoch: 2 is twice, 0.25 a seeded quarter of the rows, 2.25 both.
    #[serde(default = "one")]
    pub weight: f64,
    /// The way in which a plain text file is cut into documents.
    #[serde(default)]
    pub documents: Documents,
    /// Columns of the file that go by another name, such as `{ prompt = ["instruction", "input"], completion = "output" }`;
    /// several are joined by an empty line.
    #[serde(default)]
    pub columns: Columns,
}

fn one() -> f64 {
    1.0
}

impl Source {
    /// All rows of `path`, once.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            weight: one(),
            documents: Documents::default(),
            columns: Columns::default(),
        }
    }

    /// The same file with another weight.
    pub fn with_weight(self, weight: f64) -> Self {
        Self { weight, ..self }
    }
}

/// Loads demonstrations from several files; relative paths start at `root`, and `seed` chooses the rows of fractional
/// weights.
///
/// # Errors
/// As [`crate::read_demonstrations`]; also if there is no source or a weight is negative or not finite.
pub fn load_demonstrations(sources: &[Source], root: &Path, seed: u64) -> Result<Loaded<Demonstration>> {
    load(sources, root, seed, |path, source| {
        read_demonstrations_from(path, &source.columns)
    })
}

/// Loads comparisons from several files; see [`load_demonstrations`].
///
/// # Errors
/// As [`crate::read_comparisons`]; also if there is no source or a weight is negative or not finite.
pub fn load_comparisons(sources: &[Source], root: &Path, seed: u64) -> Result<Loaded<Comparison>> {
    load(sources, root, seed, |path, source| {
        read_comparisons_from(path, &source.columns)
    })
}

/// Loads prompts from several files; see [`load_demonstrations`].
///
/// # Errors
/// As [`crate::read_prompts`]; also if there is no source or a weight is negative or not finite.
pub fn load_prompts(sources: &[Source], root: &Path, seed: u64) -> Result<Loaded<Prompt>> {
    load(sources, root, seed, |path, source| {
        read_prompts_from(path, &source.columns)
    })
}

/// Loads documents from several files; see [`load_demonstrations`].
///
/// # Errors
/// As [`crate::read_text`]; also if there is no source or a weight is negative or not finite.
pub fn load_text(sources: &[Source], root: &Path, seed: u64) -> Result<Loaded<String>> {
    load(sources, root, seed, read_folder)
}

/// A text file, or the text files of a folder as if they were one.
fn read_folder(path: &Path, source: &Source) -> Result<Loaded<String>> {
    if !path.is_dir() {
        return read_text_from(path, source.documents, &source.columns);
    }
    let files = files_in(path, |file| {
        lines::format_of(file).is_ok_and(|format| format == Format::Text)
    })?;
    if files.is_empty() {
        return Err(Error::EmptyFile {
            path: path.to_owned(),
            expected: "a folder with .txt files",
        });
    }
    let mut all = Loaded {
        rows: Vec::new(),
        report: LoadReport::default(),
    };
    for file in files {
        let loaded = read_text_from(file, source.documents, &source.columns)?;
        all.rows.extend(loaded.rows);
        all.report.files.extend(loaded.report.files);
    }
    Ok(all)
}

fn load<T: Clone>(
    sources: &[Source],
    root: &Path,
    seed: u64,
    read: impl Fn(&Path, &Source) -> Result<Loaded<T>>,
) -> Result<Loaded<T>> {
    if sources.is_empty() {
        return Err(Error::Config {
            field: "sources".into(),
            expected: "at least one file".into(),
            found: "none".into(),
        });
    }
    let mut all = Loaded {
        rows: Vec::new(),
        report: LoadReport::default(),
    };
    for (index, source) in sources.iter().enumerate() {
        if !(source.weight.is_finite() && source.weight >= 0.0) {
            return Err(Error::Config {
                field: format!("sources[{index}].weight"),
                expected: "a number of at least 0".into(),
                found: source.weight.to_string(),
            });
        }
        let loaded = read(&root.join(&source.path), source)?;
        all.rows
            .extend(weighted(loaded.rows, source.weight, seed, index as u64));
        all.report.files.extend(loaded.report.files);
    }
    Ok(all)
}

/// All rows `floor(weight)` times and a seeded choice of the rest, each round in the order of the file.
fn weighted<T: Clone>(rows: Vec<T>, weight: f64, seed: u64, source: u64) -> Vec<T> {
    let extra = (weight.fract() * rows.len() as f64).round() as usize;
    let mut chosen = shuffled_order(rows.len(), "data.weight", &[seed, source]);
    chosen.truncate(extra);
    chosen.sort_unstable();
    let fraction: Vec<T> = chosen.into_iter().map(|index| rows[index].clone()).collect();
    match weight as usize {
        0 => fraction,
        1 => rows.into_iter().chain(fraction).collect(),
        times => rows
            .iter()
            .cloned()
            .cycle()
            .take(times * rows.len())
            .chain(fraction)
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_take_whole_rounds_and_a_seeded_part() {
        let rows: Vec<usize> = (0..10).collect();
        let counts = |weight, seed| {
            let mut counts = [0; 10];
            weighted(rows.clone(), weight, seed, 0)
                .into_iter()
                .for_each(|row| counts[row] += 1);
            counts
        };
        assert_eq!(counts(0.0, 1), [0; 10]);
        assert_eq!(counts(1.0, 1), [1; 10]);
        assert_eq!(counts(3.0, 1), [3; 10]);
        // 2.3 of 10 rows: each twice, and 3 of them once more.
        let taken = counts(2.3, 1);
        assert_eq!(taken.iter().sum::<usize>(), 23);
        assert!(taken.iter().all(|&count| count == 2 || count == 3));
        assert_eq!(taken, counts(2.3, 1));
        assert_ne!(taken, counts(2.3, 2));
    }

    #[test]
    fn unknown_fields_of_a_source_are_refused() {
        let error = serde_json::from_str::<Source>(r#"{"path":"a.jsonl","wieght":2}"#).unwrap_err();
        assert!(error.to_string().contains("unknown field `wieght`"), "{error}");
        let source: Source = serde_json::from_str(r#"{"path":"a.txt","documents":"blank_line"}"#).unwrap();
        assert_eq!(
            source,
            Source {
                documents: Documents::BlankLine,
                ..Source::new("a.txt")
            }
        );
    }
}
