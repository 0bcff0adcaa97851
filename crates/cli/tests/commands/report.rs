//! Pages of runs.

use std::path::Path;

use crate::support::{argument, folder, rlhf};

/// A run that has only begun, and whose KL is far away.
fn begun(name: &str, seed: u64) -> String {
    let run = folder(name);
    let rows = (0..20).map(|step| format!("{{\"step\":{step},\"objective/kl\":{}}}\n", 2 * step));
    std::fs::create_dir_all(run.join("ppo")).expect("a folder");
    std::fs::write(run.join("ppo/metrics.jsonl"), rows.collect::<String>()).expect("a file");
    std::fs::write(run.join("config.toml"), format!("seed = {seed}\n")).expect("a file");
    argument(&run)
}

#[test]
fn a_run_becomes_a_page_and_what_was_found_is_printed() {
    let run = begun("report_one", 1);
    let printed = rlhf(&["report", "--run", &run]).printed();
    let page = format!("{run}/report.html");
    assert_eq!(printed, format!("{run}: warning: KL is running away\n{page}\n"));
    assert!(Path::new(&page).exists());
}

#[test]
fn several_runs_become_a_comparison_wherever_it_is_wanted() {
    let (a, b) = (begun("report_a", 1), begun("report_b", 2));
    let printed = rlhf(&["report", "--run", &a, "--run", &b]).printed();
    assert!(printed.ends_with(&format!("{a}/comparison.html\n")), "{printed}");
    let out = format!("{b}/both.html");
    rlhf(&["report", "--run", &a, "--run", &b, "--out", &out]).printed();
    let page = std::fs::read_to_string(out).expect("a page");
    assert!(page.contains("report_a and report_b") && page.contains("What differs"));
}

#[test]
fn a_run_that_is_not_there_is_named() {
    rlhf(&["report", "--run", "no/such/run"]).refused(1, &["no/such/run", "expected the folder of a run"]);
}
