//! What the evaluations of checkpoints have in common: where and how a model runs, and the folder that is written.

use std::path::{Path, PathBuf};

use rlhf_core::atomic::{make_dir, write_file};
use rlhf_data::Columns;
use rlhf_inference::Sampling;
use rlhf_model::WeightPrecision;
use rlhf_pipeline::Locations;
use serde::Serialize;

use crate::commands::model::{ModelArgs, ModelFolder, weight_precision};
use crate::error::{Error, Result};

/// Options of every evaluation that loads checkpoints.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Running {
    /// Seed of sampling and of the bootstrap
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
    /// Device, as in other commands
    #[arg(long)]
    device: Option<String>,
    /// Storage type of weights: f32, or bf16 for half the memory
    #[arg(long, value_name = "TYPE", default_value = "f32", value_parser = weight_precision)]
    weights: WeightPrecision,
}

impl Running {
    /// The checkpoint at a place: its configuration and tokenizer, and the way to its weights.
    pub(super) fn open(&self, place: &Path, locations: &Locations) -> Result<ModelFolder> {
        let model = ModelArgs::new(place.to_owned(), self.device.clone(), self.weights);
        ModelFolder::open(&model, locations)
    }
}

/// The folder of an evaluation.
pub(super) struct Findings<'a> {
    pub(super) out: &'a Path,
    /// The file beside the summary, with a row for everything that was asked: name and text.
    pub(super) rows: (&'static str, String),
    /// The line of each model for its card.
    pub(super) card: String,
}

impl Findings<'_> {
    /// Writes rows and card, and the summary last: where it is, all is.
    pub(super) fn write(&self, summary: &impl Serialize) -> Result<()> {
        let path = self.out.join("summary.json");
        let text = serde_json::to_string_pretty(summary).map_err(|error| unwritten(&path, error))? + "\n";
        make_dir(self.out)?;
        write_file(self.out.join(self.rows.0), self.rows.1.as_bytes())?;
        write_file(self.out.join("model_card.md"), self.card.as_bytes())?;
        Ok(write_file(path, text.as_bytes())?)
    }
}

/// A model card of lines by name.
pub(super) fn card(lines: impl IntoIterator<Item = (impl std::fmt::Display, impl std::fmt::Display)>) -> String {
    lines
        .into_iter()
        .map(|(name, line)| format!("- {name}: {line}\n"))
        .collect()
}

/// JSON lines.
pub(super) fn json_lines(file: &str, rows: impl IntoIterator<Item = impl Serialize>) -> Result<String> {
    let mut text = String::new();
    for row in rows {
        text += &serde_json::to_string(&row).map_err(|error| unwritten(Path::new(file), error))?;
        text.push('\n');
    }
    Ok(text)
}

/// What made a summary.
pub(super) fn version() -> (String, String) {
    ("rlhf".to_owned(), env!("CARGO_PKG_VERSION").to_owned())
}

/// The sampling, unless an option of the command line made it one that cannot be.
pub(super) fn checked(sampling: Sampling) -> Result<Sampling> {
    match sampling.validate().iter().next() {
        None => Ok(sampling),
        Some(fault) => Err(Error::Usage(format!("--{}: {}", fault.path, fault.message))),
    }
}

/// `FIELD=COLUMN` of every option.
pub(super) fn columns(given: &[String]) -> Result<Columns> {
    let pairs = given.iter().map(|pair| match pair.split_once('=') {
        Some((field, column)) if !field.is_empty() && !column.is_empty() => Ok((field, column)),
        _ => Err(Error::Usage(format!("--column {pair}: expected FIELD=COLUMN"))),
    });
    Ok(Columns::new(pairs.collect::<Result<Vec<_>>>()?))
}

fn unwritten(path: &Path, error: serde_json::Error) -> Error {
    Error::Io {
        path: PathBuf::from(path),
        source: error.into(),
    }
}
