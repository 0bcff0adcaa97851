//! What there is: the model, the data, and how long its rows are.

use std::path::{Path, PathBuf};

use rlhf_data::{
    DataKind, Error as DataError, Lengths, Source, Tokenizer, comparison_lengths, demonstration_lengths, files_of,
    kind_of_file, load_comparisons, load_demonstrations, load_prompts, prompt_lengths,
};
use rlhf_model::ModelConfig;

use super::parameters_of;
use crate::error::Result;

/// Rows of a file that are measured: enough for a percentile.
const MEASURED: usize = 500;

/// A model as its folder describes it.
#[derive(Debug)]
pub(super) struct ModelSeen {
    pub(super) config: ModelConfig,
    pub(super) parameters: usize,
    pub(super) tokenizer: Tokenizer,
}

impl ModelSeen {
    pub(super) fn look(folder: &Path) -> Result<Self> {
        Ok(Self {
            config: rlhf_model::load_config(folder)?,
            parameters: parameters_of(folder)?,
            tokenizer: Tokenizer::load(folder)?,
        })
    }
}

/// A file of the data folder.
#[derive(Debug)]
pub(super) struct FileSeen {
    /// Its place below the folder.
    pub(super) path: PathBuf,
    pub(super) kind: DataKind,
    pub(super) rows: usize,
}

/// The data folder.
#[derive(Debug, Default)]
pub(super) struct DataSeen {
    pub(super) files: Vec<FileSeen>,
    /// Files that are no data, or that cannot be read, with the reason.
    pub(super) left_out: Vec<(PathBuf, String)>,
    /// Tokens of prompts, of whole conversations, and of answers.
    pub(super) prompts: Option<Lengths>,
    pub(super) conversations: Option<Lengths>,
    pub(super) answers: Option<Lengths>,
}

/// Token counts of one file.
#[derive(Default)]
struct Measured {
    rows: usize,
    prompts: Option<Lengths>,
    conversations: Option<Lengths>,
    answers: Option<Lengths>,
}

impl DataSeen {
    /// Reads the files of a folder; lengths are those of the file with the longest rows of each kind of text.
    pub(super) fn look(folder: &Path, tokenizer: &Tokenizer) -> Result<Self> {
        let mut seen = Self::default();
        for path in files_of(folder)? {
            let name = path.strip_prefix(folder).unwrap_or(&path).to_owned();
            let found = kind_of_file(&path).and_then(|kind| Ok((kind, measured(&path, kind, tokenizer)?)));
            let (kind, measured) = match found {
                Ok(found) => found,
                Err(error) => {
                    seen.left_out.push((name, error.to_string()));
                    continue;
                }
            };
            let rows = measured.rows;
            seen.files.push(FileSeen { path: name, kind, rows });
            for (longest, found) in [
                (&mut seen.prompts, measured.prompts),
                (&mut seen.conversations, measured.conversations),
                (&mut seen.answers, measured.answers),
            ] {
                let is_longer = |found: &Lengths| longest.as_ref().is_none_or(|before| found.p95 > before.p95);
                if let Some(found) = found.filter(is_longer) {
                    *longest = Some(found);
                }
            }
        }
        Ok(seen)
    }

    /// The files of a kind.
    pub(super) fn of(&self, kind: DataKind) -> Vec<&FileSeen> {
        self.files.iter().filter(|file| file.kind == kind).collect()
    }
}

fn measured(path: &Path, kind: DataKind, tokenizer: &Tokenizer) -> Result<Measured, DataError> {
    let (sources, root) = ([Source::new(path.to_owned())], Path::new("."));
    match kind {
        DataKind::Text => Ok(Measured::default()),
        DataKind::Prompts => {
            let rows = load_prompts(&sources, root, 1)?.rows;
            Ok(Measured {
                rows: rows.len(),
                prompts: prompt_lengths(tokenizer, first(&rows))?,
                ..Measured::default()
            })
        }
        DataKind::Demonstrations => {
            let rows = load_demonstrations(&sources, root, 1)?.rows;
            let found = demonstration_lengths(tokenizer, first(&rows))?;
            let (conversations, answers) = found.map(|found| (found.conversations, found.answers)).unzip();
            Ok(Measured {
                rows: rows.len(),
                prompts: None,
                conversations,
                answers,
            })
        }
        DataKind::Comparisons => {
            let rows = load_comparisons(&sources, root, 1)?.rows;
            let found = comparison_lengths(tokenizer, first(&rows))?;
            let (prompts, answers) = found.map(|found| (found.prompts, found.completions)).unzip();
            Ok(Measured {
                rows: rows.len(),
                prompts,
                conversations: None,
                answers,
            })
        }
    }
}

fn first<T>(rows: &[T]) -> &[T] {
    &rows[..rows.len().min(MEASURED)]
}
