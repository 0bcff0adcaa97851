//! The curves as lines of text.

use std::fmt::Write;
use std::path::Path;

use rlhf_curves::{Curves, Series, StageCurves};

use super::facts::{Facts, StageFacts, in_order};
use super::panels::{duration, number};

/// Characters of a curve.
const WIDTH: usize = 32;
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// All stages, a line a metric.
pub(super) fn text(run: &Path, curves: &Curves, facts: &Facts) -> String {
    if curves.stages.is_empty() {
        return format!("{}: no stage has written metrics yet\n", run.display());
    }
    let mut text = String::new();
    for name in in_order(curves) {
        let stage = &curves.stages[&name];
        let unknown = StageFacts::default();
        let facts = facts.stages.get(&name).unwrap_or(&unknown);
        let _ = writeln!(text, "{name}: {}", status(stage, facts));
        let width = stage.series.keys().map(String::len).max().unwrap_or(0);
        let _ = writeln!(
            text,
            "  {:<width$} {:>10} {:>10} {:>10} {:>10}  curve",
            "metric", "first", "last", "lowest", "highest"
        );
        for (metric, series) in &stage.series {
            let _ = writeln!(text, "  {metric:<width$} {}", line(series));
        }
        for fault in &stage.faults {
            let _ = writeln!(text, "  left out: {fault}");
        }
        text.push('\n');
    }
    text
}

/// How far a stage is, in words.
pub(super) fn status(stage: &StageCurves, facts: &StageFacts) -> String {
    let mut said = match (stage.last_step, facts.total) {
        (None, _) => "no rows yet".to_owned(),
        (Some(step), Some(total)) => format!("step {step} of {total}"),
        (Some(step), None) => format!("step {step}"),
    };
    if let Some(seconds) = facts.step_s {
        let _ = write!(said, ", {} s a step", number(seconds));
    }
    if facts.is_done {
        said.push_str(", done");
    } else {
        if let Some(left) = stage.last_step.and_then(|step| facts.left_s(step)) {
            let _ = write!(said, ", {} left", duration(left));
        }
        if let Some(silent) = facts.silent_s {
            let _ = write!(said, ", last row {} ago", duration(silent));
        }
    }
    if stage.n_faults > 0 {
        let _ = write!(said, ", {} lines left out", stage.n_faults);
    }
    said
}

fn line(series: &Series) -> String {
    let values: Vec<f64> = series.finite().map(|point| point.1).collect();
    let (Some(first), Some(last)) = (values.first(), values.last()) else {
        return format!("{:>10}", "no number");
    };
    let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let [first, last, low, high] = [*first, *last, lowest, highest].map(number);
    let nulls = match series.n_null() {
        0 => String::new(),
        n => format!("  ({n} not finite)"),
    };
    format!("{first:>10} {last:>10} {low:>10} {high:>10}  {}{nulls}", curve(&values))
}

/// A curve in one line: means of equal parts, between the lowest and the highest of them.
fn curve(values: &[f64]) -> String {
    let n = values.len().min(WIDTH);
    let part = |i: usize| {
        let part = &values[i * values.len() / n..(i + 1) * values.len() / n];
        part.iter().sum::<f64>() / part.len() as f64
    };
    let means: Vec<f64> = (0..n).map(part).collect();
    let lowest = means.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let level = |mean: &f64| match highest - lowest {
        // Means of equal values differ by rounding.
        range if range > 1e-9 * lowest.abs().max(highest.abs()) => {
            LEVELS[((mean - lowest) / range * 7.0).round() as usize]
        }
        _ => LEVELS[0],
    };
    means.iter().map(level).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_rises_where_its_values_do() {
        assert_eq!(curve(&[0.0, 7.0]), "▁█");
        assert_eq!(curve(&[1.0, 1.0, 1.0]), "▁▁▁");
        assert_eq!(curve(&[]), "");
        // 0.2 added up three times and parted by three is no longer 0.2.
        assert_eq!(curve(&[0.2; 88]), "▁".repeat(WIDTH));
        let long: Vec<f64> = (0..1000).map(f64::from).collect();
        let shown: Vec<char> = curve(&long).chars().collect();
        assert_eq!((shown.len(), shown[0], shown[31]), (WIDTH, '▁', '█'));
        assert!(shown.is_sorted());
    }

    #[test]
    fn names_values_and_faults_are_printed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("sft")).unwrap();
        let rows = "{\"step\":1,\"loss/train\":2.5,\"x\":null}\nno\n{\"step\":7,\"loss/train\":1.25,\"x\":null}\n";
        std::fs::write(dir.path().join("sft/metrics.jsonl"), rows).unwrap();
        let curves = Curves::read(dir.path()).unwrap();
        let text = text(dir.path(), &curves, &Facts::read(dir.path(), &curves));
        for said in [
            "sft: step 7",
            "loss/train",
            "2.5000",
            "1.2500",
            "█▁",
            "metrics.jsonl:2: ",
            "1 lines left out",
        ] {
            assert!(text.contains(said), "{said} in:\n{text}");
        }
        assert!(
            text.lines()
                .any(|line| line.contains(" x ") && line.contains("no number")),
            "{text}"
        );
    }

    #[test]
    fn a_run_without_rows_says_so() {
        let said = text(Path::new("runs/a"), &Curves::default(), &Facts::default());
        assert_eq!(said, "runs/a: no stage has written metrics yet\n");
    }
}
