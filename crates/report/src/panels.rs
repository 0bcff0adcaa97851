//! The curves that a page shows, by the names of their metrics.

use crate::curves::{Metrics, Points, thinned};
use crate::number::{percent, short};
use crate::plot::{LOOKS, Plot, Scale, Series};

/// Some metrics that belong in one plot.
struct Panel {
    title: &'static str,
    /// What it means, in one sentence.
    about: &'static str,
    /// Names of metrics, with what the key calls them.
    metrics: &'static [(&'static str, &'static str)],
    is_share: bool,
}

const fn panel(title: &'static str, about: &'static str, metrics: &'static [(&'static str, &'static str)]) -> Panel {
    Panel {
        title,
        about,
        metrics,
        is_share: false,
    }
}

const fn share(title: &'static str, about: &'static str, metrics: &'static [(&'static str, &'static str)]) -> Panel {
    Panel {
        is_share: true,
        ..panel(title, about, metrics)
    }
}

/// Curves that everybody looks at, in the order in which they are looked at.
const PANELS: [Panel; 16] = [
    panel(
        "Loss",
        "nats per token of text; nats per ranked prompt for a reward model",
        &[("loss/train", "training"), ("loss/validation", "held out")],
    ),
    share(
        "Accuracy",
        "pairs ordered as the labeler did",
        &[("accuracy/train", "training"), ("accuracy/validation", "held out")],
    ),
    panel(
        "Score",
        "by the reward model; of a whole answer, without the penalty",
        &[
            ("objective/scores", "while training"),
            ("evaluation/scores", "held-out prompts"),
        ],
    ),
    panel(
        "Reward",
        "score less the penalty on KL: what PPO climbs",
        &[
            ("objective/rlhf_reward", "while training"),
            ("evaluation/rlhf_reward", "held-out prompts"),
        ],
    ),
    panel(
        "Judge",
        "what the judge of the task says of answers to held-out prompts; nobody optimises it",
        &[("evaluation/judge", "held-out prompts")],
    ),
    panel(
        "KL",
        "distance from the SFT model, nats per answer",
        &[
            ("objective/kl", "while training"),
            ("evaluation/kl", "held-out prompts"),
        ],
    ),
    panel(
        "Entropy",
        "of the next token, nats: how undecided the policy is",
        &[("policy/entropy", "policy")],
    ),
    share(
        "Clip fraction",
        "tokens, or steps for the value function, that have moved as far as they may in one update",
        &[("policy/clipfrac", "policy"), ("value/clipfrac", "value function")],
    ),
    panel(
        "Explained variance",
        "1 if the value function foresees every return, 0 if a constant would do as well",
        &[("value/explained_variance", "value function")],
    ),
    panel(
        "Length",
        "tokens of an answer",
        &[
            ("rollout/response_len", "while training"),
            ("evaluation/response_len", "held-out prompts"),
        ],
    ),
    share(
        "Answers that end",
        "with the end-of-text token, before the limit",
        &[
            ("rollout/eos_fraction", "while training"),
            ("evaluation/eos_fraction", "held-out prompts"),
        ],
    ),
    panel(
        "Size of an update",
        "KL between the policies before and after, nats per token, estimated as ½ (Δ ln π)²",
        &[("policy/approx_kl", "policy")],
    ),
    panel(
        "Policy loss",
        "clipped objective, mean over an update",
        &[("loss/policy", "policy")],
    ),
    panel(
        "Value loss",
        "clipped squared error of the returns",
        &[("loss/value", "value function")],
    ),
    panel(
        "Pretraining loss",
        "on text that PPO mixes in, nats per token",
        &[("loss/ptx", "text")],
    ),
    panel(
        "KL coefficient",
        "reward per nat that the penalty takes",
        &[("objective/kl_coef", "β")],
    ),
];

/// Further curves with a name of their own; others are called by the name of their metric.
const FURTHER: [Panel; 6] = [
    panel("Learning rate", "", &[("lr", "learning rate")]),
    panel("Gradient norm", "before clipping", &[("grad_norm", "norm")]),
    panel(
        "Gradient norms",
        "before clipping",
        &[("policy/grad_norm", "policy"), ("value/grad_norm", "value function")],
    ),
    panel(
        "Perplexity",
        "e to the held-out loss",
        &[("perplexity/validation", "held out")],
    ),
    panel(
        "Speed",
        "tokens per second",
        &[("time/tokens_per_s", "tokens per second")],
    ),
    panel(
        "Value and returns",
        "means over the steps of an update",
        &[("value/mean", "value"), ("value/returns", "returns")],
    ),
];

/// Metrics that say nothing as a curve.
const SILENT: [&str; 2] = ["episode", "step"];

/// A plot with its heading and its key.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Figure {
    pub(crate) title: String,
    pub(crate) about: String,
    pub(crate) svg: String,
    /// Series by look: name and last value.
    pub(crate) key: Vec<Key>,
    /// The vertical axis is logarithmic.
    pub(crate) is_logarithmic: bool,
    pub(crate) has_band: bool,
}

/// A series in the key of a plot.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Key {
    pub(crate) look: usize,
    pub(crate) name: String,
    pub(crate) last: String,
}

/// The plots of one stage.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub(crate) struct StageFigures {
    pub(crate) stage: String,
    pub(crate) figures: Vec<Figure>,
    /// Those that few look at.
    pub(crate) further: Vec<Figure>,
}

/// A curve of a named run, or of one metric.
type Named<'a> = (String, &'a Points);

/// The plots of a stage's metrics. `runs` are the metrics of each run that is shown, by its name: of one, each plot shows all metrics
/// of its panel; of several, each plot shows one metric of all runs.
pub(crate) fn figures(stage: &str, runs: &[(&str, &Metrics)]) -> StageFigures {
    let mut taken: Vec<&str> = SILENT.to_vec();
    let mut made = StageFigures {
        stage: stage.to_owned(),
        ..StageFigures::default()
    };
    for (panels, is_main) in [(&PANELS[..], true), (&FURTHER[..], false)] {
        for panel in panels {
            taken.extend(panel.metrics.iter().map(|metric| metric.0));
            let found = of_panel(stage, panel, runs, made.figures.len() + made.further.len());
            if is_main {
                made.figures.extend(found);
            } else {
                made.further.extend(found);
            }
        }
    }
    let others = runs.iter().flat_map(|(_, metrics)| metrics.keys());
    let mut others: Vec<&String> = others.filter(|name| !taken.contains(&name.as_str())).collect();
    others.sort();
    others.dedup();
    for name in others {
        let curves: Vec<Named<'_>> = runs
            .iter()
            .filter_map(|(run, metrics)| Some(((*run).to_owned(), metrics.get(name)?)))
            .collect();
        let id = format!("{}-{}", slug(stage), made.figures.len() + made.further.len());
        made.further.extend(figure(&id, stage, name, "", false, &curves));
    }
    made
}

fn of_panel(stage: &str, panel: &Panel, runs: &[(&str, &Metrics)], before: usize) -> Vec<Figure> {
    let id = |number: usize| format!("{}-{}", slug(stage), before + number);
    if let [(_, metrics)] = runs {
        let curves: Vec<Named<'_>> = (panel.metrics.iter())
            .filter_map(|(metric, name)| Some(((*name).to_owned(), metrics.get(*metric)?)))
            .collect();
        let made = figure(&id(0), stage, panel.title, panel.about, panel.is_share, &curves);
        return made.into_iter().collect();
    }
    let mut figures = Vec::new();
    for (metric, name) in panel.metrics {
        let curves: Vec<Named<'_>> = runs
            .iter()
            .filter_map(|(run, metrics)| Some(((*run).to_owned(), metrics.get(*metric)?)))
            .collect();
        let title = if panel.metrics.len() > 1 {
            format!("{}, {name}", panel.title)
        } else {
            panel.title.to_owned()
        };
        figures.extend(figure(
            &id(figures.len()),
            stage,
            &title,
            panel.about,
            panel.is_share,
            &curves,
        ));
    }
    figures
}

/// A name that may be a part of another.
fn slug(name: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    name.chars().map(fits).collect()
}

/// Nothing without a point.
fn figure(id: &str, stage: &str, title: &str, about: &str, is_share: bool, curves: &[Named<'_>]) -> Option<Figure> {
    let drawn: Vec<Series> = curves
        .iter()
        .map(|(name, points)| {
            let curve = thinned(points);
            Series {
                name: name.clone(),
                // A single evaluation is a mark, for it makes no line.
                dots: match curve.line[..] {
                    [(x, y)] => vec![crate::plot::Dot { x, y, range: None }],
                    _ => Vec::new(),
                },
                line: curve.line,
                band: curve.band,
            }
        })
        .filter(|series| !series.line.is_empty())
        .take(LOOKS)
        .collect();
    if drawn.is_empty() {
        return None;
    }
    let xs = drawn.iter().flat_map(|series| series.line.iter().map(|point| point.0));
    let first = xs.clone().fold(f64::INFINITY, f64::min);
    let last = xs.fold(f64::NEG_INFINITY, f64::max);
    let ys = drawn.iter().flat_map(|series| {
        let band = series.band.iter().flat_map(|&(_, low, high)| [low, high]);
        series.line.iter().map(|point| point.1).chain(band)
    });
    let logarithmic = if is_share { None } else { Scale::logarithmic(ys.clone()) };
    let y = logarithmic.unwrap_or_else(|| Scale::linear(ys));
    let number = if is_share { percent } else { short };
    let ends: Vec<String> = drawn.iter().map(|series| described(series, number)).collect();
    let plot = Plot {
        title: format!("{title} by step of {stage}"),
        about: ends.join(" "),
        size: (360, 190),
        x: if last > first {
            Scale::exactly(first, last)
        } else {
            Scale::linear([first])
        },
        y: if is_share { y.in_percent() } else { y },
        x_label: String::new(),
        left: 48,
        rules: Vec::new(),
        series: drawn,
        flat: false,
    };
    Some(Figure {
        title: title.to_owned(),
        about: about.to_owned(),
        svg: plot.draw(&format!("c-{id}")),
        key: plot
            .series
            .iter()
            .enumerate()
            .map(|(look, series)| Key {
                look,
                name: series.name.clone(),
                last: series.line.last().map_or_else(String::new, |point| number(point.1)),
            })
            .collect(),
        is_logarithmic: plot.y.is_logarithmic(),
        has_band: plot.series.iter().any(|series| !series.band.is_empty()),
    })
}

/// A curve in words.
fn described(series: &Series, number: fn(f64) -> String) -> String {
    let ys = series.line.iter().map(|point| point.1);
    let low = ys.clone().fold(f64::INFINITY, f64::min);
    let high = ys.fold(f64::NEG_INFINITY, f64::max);
    let (first, last) = (series.line.first(), series.line.last());
    let at = |point: Option<&(f64, f64)>| point.map_or_else(String::new, |point| number(point.1));
    format!(
        "{}: from {} to {}, between {} and {}.",
        series.name,
        at(first),
        at(last),
        number(low),
        number(high)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(names: &[&str]) -> Metrics {
        let line = |name: &&str| ((*name).to_owned(), vec![(1.0, 0.5), (2.0, 0.25)]);
        names.iter().map(line).collect()
    }

    #[test]
    fn curves_of_one_run_share_the_plot_of_their_panel() {
        let metrics = metrics(&["loss/train", "loss/validation", "lr", "made/up", "episode"]);
        let made = figures("sft", &[("mine", &metrics)]);
        assert_eq!(made.figures.len(), 1);
        let loss = &made.figures[0];
        assert_eq!(
            loss.key.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(),
            ["training", "held out"]
        );
        assert_eq!(loss.key[0].last, "0.250");
        assert!(
            loss.svg
                .contains("training: from 0.500 to 0.250, between 0.250 and 0.500."),
            "{}",
            loss.svg
        );
        let further: Vec<&str> = made.further.iter().map(|figure| figure.title.as_str()).collect();
        assert_eq!(further, ["Learning rate", "made/up"]);
    }

    #[test]
    fn curves_of_several_runs_lie_over_each_other_a_metric_a_plot() {
        let (a, b) = (metrics(&["loss/train", "loss/validation"]), metrics(&["loss/train"]));
        let made = figures("sft", &[("a", &a), ("b", &b)]);
        let shown: Vec<(String, usize)> = (made.figures.iter()).map(|f| (f.title.clone(), f.key.len())).collect();
        assert_eq!(
            shown,
            [("Loss, training".to_owned(), 2), ("Loss, held out".to_owned(), 1)]
        );
    }

    #[test]
    fn every_plot_of_a_page_has_a_name_of_its_own() {
        let all: Vec<&str> = PANELS
            .iter()
            .chain(&FURTHER)
            .flat_map(|panel| panel.metrics)
            .map(|m| m.0)
            .collect();
        let metrics = metrics(&all);
        for runs in [vec![("a", &metrics)], vec![("a", &metrics), ("b", &metrics)]] {
            let made = figures("ppo", &runs);
            let id = |figure: &Figure| {
                figure
                    .svg
                    .split("aria-labelledby=\"")
                    .nth(1)
                    .map(|rest| rest[..12].to_owned())
            };
            let mut ids: Vec<_> = made.figures.iter().chain(&made.further).map(id).collect();
            let count = ids.len();
            ids.sort();
            ids.dedup();
            assert_eq!(ids.len(), count);
        }
    }

    #[test]
    fn no_metric_stands_in_two_panels() {
        let mut all: Vec<&str> = PANELS
            .iter()
            .chain(&FURTHER)
            .flat_map(|panel| panel.metrics)
            .map(|m| m.0)
            .collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
