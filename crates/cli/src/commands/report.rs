//! `rlhf report`.

use std::path::PathBuf;

use rlhf_report::{REPORT, Urgency};

use super::output::Output;
use crate::error::Result;

/// Name of the page of several runs, in the folder of the first.
const COMPARISON: &str = "comparison.html";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of a run; given several times, the runs are compared
    #[arg(long, value_name = "DIR", default_value = "runs/default")]
    run: Vec<PathBuf>,
    /// The page [default: report.html or comparison.html in the folder of the first run]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let name = if args.run.len() > 1 { COMPARISON } else { REPORT };
    let page = args.out.clone().unwrap_or_else(|| args.run[0].join(name));
    let report = rlhf_report::write(&args.run, &page)?;
    let mut output = Output::open();
    for ((run, findings), problems) in args.run.iter().zip(&report.findings).zip(&report.problems) {
        let run = run.display();
        for problem in problems {
            output.text(&format!("{run}: {}: {}\n", problem.file, problem.what))?;
        }
        for finding in findings {
            let urgency = match finding.urgency {
                Urgency::Warning => "warning",
                Urgency::Note => "note",
            };
            output.text(&format!("{run}: {urgency}: {}\n", finding.title))?;
        }
    }
    output.text(&format!("{}\n", report.path.display()))?;
    output.flush()
}
