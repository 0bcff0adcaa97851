//! `rlhf eval labels`.

use std::path::PathBuf;

use rlhf_core::atomic::write_file;
use rlhf_data::read_comparisons_from;
use rlhf_eval::{Ballots, LabelsSummary, merged};
use rlhf_pipeline::Locations;
use serde::Serialize;

use super::findings::{Findings, card, columns, json_lines, version};
use crate::error::Result;
use crate::progress::say;

/// A row for every vote.
const ROWS: &str = "votes.jsonl";

/// Options of the evaluation.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Comparisons in any form that stages read; may be given several times
    #[arg(long, value_name = "FILE", required = true)]
    comparisons: Vec<PathBuf>,
    /// The column that holds a field under another name, such as labeler=worker; may be given several times
    #[arg(long, value_name = "FIELD=COLUMN")]
    column: Vec<String>,
    /// Also write one row for each prompt, its answers ranked by ranked pairs over all who were asked
    #[arg(long, value_name = "FILE")]
    merge: Option<PathBuf>,
    /// Seed of the bootstrap
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder for summary.json, votes.jsonl and model_card.md
    #[arg(long, value_name = "DIR", default_value = "evals/labels")]
    out: PathBuf,
}

/// One of them.
#[derive(Serialize)]
struct VoteRow<'a> {
    prompt: usize,
    labeler: &'a str,
    /// Answers by their place in the order of their texts, and their ranks.
    ranks: &'a [(usize, u32)],
}

/// Evaluates.
pub(crate) fn run(args: &Args, locations: &Locations) -> Result<()> {
    let columns = columns(&args.column)?;
    let (mut rows, mut files) = (Vec::new(), Vec::new());
    for location in &args.comparisons {
        for file in locations.data(location)? {
            rows.extend(read_comparisons_from(&file, &columns)?.rows);
            let name = file.file_name().unwrap_or(file.as_os_str());
            files.push(name.display().to_string());
        }
    }
    let ballots = Ballots::new(&rows);
    let mut summary = LabelsSummary::new(&rows, &ballots, files, args.seed);
    summary.versions.extend([version()]);
    let votes = ballots.votes.iter().map(|vote| VoteRow {
        prompt: vote.prompt,
        labeler: &ballots.labelers[vote.labeler],
        ranks: &vote.ranks,
    });
    let findings = Findings {
        out: &args.out,
        rows: (ROWS, json_lines(ROWS, votes)?),
        card: card([("labels", summary.card_line())]),
    };
    findings.write(&summary)?;
    say(summary.to_string().trim_end())?;
    if let Some(path) = &args.merge {
        let merged = merged(&ballots);
        write_file(path, json_lines("merged rankings", &merged)?.as_bytes())?;
        say(&format!(
            "\n{} of {} prompts have an order of their answers: {}",
            merged.len(),
            summary.prompts,
            path.display()
        ))?;
    }
    say(&format!("\nfindings in {}", args.out.display()))
}
