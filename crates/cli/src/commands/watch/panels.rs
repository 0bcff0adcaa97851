//! Which metrics are shown together, and which first.

use rlhf_curves::{StageCurves, is_time};

/// Metrics in one chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) metrics: Vec<String>,
}

/// The charts that say how a run goes, in the order of importance; `docs/metrics.md` defines each name.
const MAIN: [(&str, &[&str]); 20] = [
    ("objective/scores", &["objective/scores", "evaluation/scores"]),
    ("loss", &["loss/train", "loss/validation"]),
    ("accuracy", &["accuracy/train", "accuracy/validation"]),
    ("objective/kl", &["objective/kl", "evaluation/kl"]),
    ("evaluation/judge", &["evaluation/judge"]),
    ("policy/entropy", &["policy/entropy"]),
    ("policy/clipfrac", &["policy/clipfrac"]),
    ("value/explained_variance", &["value/explained_variance"]),
    ("response_len", &["rollout/response_len", "evaluation/response_len"]),
    ("eos_fraction", &["rollout/eos_fraction", "evaluation/eos_fraction"]),
    (
        "objective/rlhf_reward",
        &["objective/rlhf_reward", "evaluation/rlhf_reward"],
    ),
    ("loss/policy", &["loss/policy"]),
    ("loss/value", &["loss/value"]),
    ("loss/ptx", &["loss/ptx"]),
    ("policy/approx_kl", &["policy/approx_kl"]),
    ("perplexity/validation", &["perplexity/validation"]),
    ("grad_norm", &["grad_norm"]),
    ("grad_norm", &["policy/grad_norm", "value/grad_norm"]),
    ("lr", &["lr"]),
    ("time/tokens_per_s", &["time/tokens_per_s"]),
];

/// The charts of a stage: the main ones that it has, or with `all` each of its metrics alone, those of the wall clock last.
pub(super) fn panels(stage: &StageCurves, all: bool) -> Vec<Panel> {
    let has = |metric: &&&str| stage.series.contains_key(**metric);
    let main = MAIN.iter().filter_map(|(title, metrics)| {
        let metrics: Vec<String> = metrics.iter().filter(has).map(|&metric| metric.to_owned()).collect();
        let title = match metrics.as_slice() {
            [] => return None,
            [one] => one.clone(),
            _ => (*title).to_owned(),
        };
        Some(Panel { title, metrics })
    });
    let single = |metric: &String| Panel {
        title: metric.clone(),
        metrics: vec![metric.clone()],
    };
    let every = || {
        let (times, others): (Vec<&String>, Vec<&String>) = stage.series.keys().partition(|metric| is_time(metric));
        others.into_iter().chain(times).map(single).collect::<Vec<_>>()
    };
    let main: Vec<Panel> = main.collect();
    // A stage of other metrics than these would have nothing to show.
    if all || main.is_empty() { every() } else { main }
}

/// The last part of a metric's name, by which it is told from others of its chart.
pub(super) fn short(metric: &str) -> &str {
    match metric.split_once('/') {
        Some((group @ ("objective" | "rollout" | "evaluation" | "policy" | "value"), _)) => group,
        Some((_, rest)) => rest,
        None => metric,
    }
}

/// A number in few characters.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        "0".to_owned()
    } else if !(1e-3..1e6).contains(&size) {
        format!("{value:.2e}")
    } else if size >= 1000.0 {
        format!("{value:.0}")
    } else if size >= 100.0 {
        format!("{value:.1}")
    } else if size >= 10.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.4}")
    }
}

/// A time in the two largest units.
pub(super) fn duration(seconds: f64) -> String {
    let seconds = seconds.max(0.0).round() as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3600..86400 => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {:02} h", seconds / 86400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rlhf_curves::{Point, Series};

    fn stage(metrics: &[&str]) -> StageCurves {
        let point = Point {
            step: 1,
            value: Some(1.0),
        };
        let series = |metric: &&str| ((*metric).to_owned(), Series { points: vec![point] });
        StageCurves {
            series: metrics.iter().map(series).collect(),
            ..StageCurves::default()
        }
    }

    #[test]
    fn what_matters_comes_first_and_everything_can_be_reached() {
        let stage = stage(&["time/step_s", "loss/train", "lr", "loss/validation", "policy/ratio"]);
        let titles = |all| -> Vec<String> { panels(&stage, all).into_iter().map(|panel| panel.title).collect() };
        assert_eq!(titles(false), ["loss", "lr"]);
        assert_eq!(
            titles(true),
            ["loss/train", "loss/validation", "lr", "policy/ratio", "time/step_s"]
        );
        assert_eq!(panels(&stage, false)[0].metrics, ["loss/train", "loss/validation"]);
    }

    #[test]
    fn a_stage_of_unknown_metrics_shows_all_of_them() {
        let titles: Vec<String> = panels(&stage(&["b", "a"]), false)
            .into_iter()
            .map(|panel| panel.title)
            .collect();
        assert_eq!(titles, ["a", "b"]);
    }

    #[test]
    fn numbers_and_times_are_short() {
        for (value, expected) in [
            (0.0, "0"),
            (0.12345, "0.1235"),
            (-12.345, "-12.35"),
            (123.45, "123.5"),
            (12345.6, "12346"),
            (3e-6, "3.00e-6"),
            (2.5e7, "2.50e7"),
        ] {
            assert_eq!(number(value), expected);
        }
        for (seconds, expected) in [
            (4.2, "4 s"),
            (65.0, "1 min 05 s"),
            (7260.0, "2 h 01 min"),
            (90000.0, "1 d 01 h"),
        ] {
            assert_eq!(duration(seconds), expected);
        }
    }
}
