//! A run as one page.
//!
//! [`write`] reads the folder of a run, as far as the run has come, and writes `report.html`: one file without anything from
//! elsewhere, with the table of models, curves of all stages, what is known of the reward model, answers side by side, settings, cost,
//! and [findings](Finding) in plain words. Of several runs it writes a comparison. What is missing is left out; what is damaged is
//! named on the page.
//!
//! The page is told of a run by its files alone, so this crate knows none of those that wrote them.
//!
//! ```
//! let run = tempfile::tempdir()?;
//! std::fs::write(run.path().join("config.toml"), "seed = 7\n")?;
//! let page = run.path().join(rlhf_report::REPORT);
//! rlhf_report::write(&[run.path()], &page)?;
//! assert!(std::fs::read_to_string(&page)?.contains("seed 7"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod curves;
mod error;
mod folder;
mod models;
mod number;
mod page;
mod panels;
mod plot;
mod quality;
mod samples;
mod settings;
mod warnings;

use std::fs;
use std::path::{Path, PathBuf};

pub use error::{Error, Result};
pub use folder::{COST, Problem, STAGES};
pub use warnings::{Finding, Urgency};

use folder::RunFolder;

/// Name of the page in the folder of a run.
pub const REPORT: &str = "report.html";

/// Runs that can be told apart in one plot.
pub const MOST_RUNS: usize = plot::LOOKS;

/// What a page says that whoever made it may want to repeat.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The page.
    pub path: PathBuf,
    /// What was found in each of the runs, in their order.
    pub findings: Vec<Vec<Finding>>,
    /// Files of each of the runs that are not what they should be.
    pub problems: Vec<Vec<Problem>>,
}

/// Writes the page of a run, or of several beside each other, to `out`, whole or not at all.
///
/// # Errors
/// No run or more than [`MOST_RUNS`], a folder that is not there, or a page that cannot be written.
pub fn write(runs: &[impl AsRef<Path>], out: &Path) -> Result<Report> {
    let paths = || runs.iter().map(|run| run.as_ref().display().to_string());
    if runs.is_empty() {
        return Err(Error::NoRuns);
    }
    if runs.len() > MOST_RUNS {
        return Err(Error::TooManyRuns {
            runs: paths().collect(),
            most: MOST_RUNS,
        });
    }
    let mut folders = runs
        .iter()
        .map(|run| RunFolder::read(run.as_ref()))
        .collect::<Result<Vec<RunFolder>>>()?;
    // Runs in different places may have one name.
    let names: Vec<String> = folders.iter().map(|run| run.name.clone()).collect();
    for ((run, path), name) in folders.iter_mut().zip(paths()).zip(&names) {
        if names.iter().filter(|other| *other == name).count() > 1 {
            run.name = path;
        }
    }
    write_whole(out, &page::page(&folders))?;
    Ok(Report {
        path: out.to_owned(),
        findings: folders.iter().map(warnings::findings).collect(),
        problems: folders.into_iter().map(|run| run.problems).collect(),
    })
}

/// Under another name first, so that a browser never sees half a page.
fn write_whole(path: &Path, text: &str) -> Result<()> {
    let failed = |source| Error::Write {
        path: path.to_owned(),
        source,
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // The first error is the one to report.
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(failed)
}
