//! `cargo run -p rlhf-report --example report -- PAGE RUN [RUN …]`: a run as a page, or several beside each other.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let paths: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let (page, runs) = paths
        .split_first()
        .ok_or("expected the page to write, then the folders of runs")?;
    let report = rlhf_report::write(runs, page)?;
    for finding in report.findings.iter().flatten() {
        eprintln!("{:?}: {}", finding.urgency, finding.title);
    }
    Ok(())
}
