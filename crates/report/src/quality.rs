//! What was measured of a reward model, and of optimising it too far.

use serde::Serialize;
use serde_json::Value;

use crate::models::{Cell, interval_plot};
use crate::number::{Interval, fixed, number, percent, tick};
use crate::plot::{Dot, Plot, Scale, Series};
use crate::warnings::calibration_bins;

/// A figure with its name.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) cell: Cell,
}

/// A reward model.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct RewardModel {
    pub(crate) accuracies: Vec<Named>,
    pub(crate) calibration: Option<String>,
    pub(crate) calibration_error: Option<String>,
    pub(crate) by_labeler: Option<String>,
}

/// Accuracies of a report, with what they are measured against.
const ACCURACIES: [(&str, &str); 8] = [
    ("/pair_accuracy", "held-out prompts, labelers it learnt from"),
    ("/pair_accuracy_held_out_labelers", "held-out prompts, other labelers"),
    ("/length/on_longer_better", "where the longer answer is better"),
    ("/length/on_shorter_better", "where the shorter answer is better"),
    ("/length/on_like_length", "where both are about as long"),
    ("/length/longer", "instead of it: the longer answer wins"),
    ("/length/shorter", "instead of it: the shorter answer wins"),
    ("/base_logprob", "instead of it: what the model before preferred"),
];

/// What a report says of a reward model, beside what is known of the labelers; `id` begins the names of its plots.
pub(crate) fn reward_model(id: &str, reward: &Value, labels: &Value) -> Option<RewardModel> {
    if !reward.is_object() {
        return None;
    }
    let figure = |source: &Value, path: &str, name: &str| {
        let interval = Interval::of(source.pointer(path)?)?;
        Some(Named {
            name: name.to_owned(),
            cell: Cell::of(interval, percent),
        })
    };
    let mut accuracies: Vec<Named> = ACCURACIES
        .iter()
        .filter_map(|(path, name)| figure(reward, path, name))
        .collect();
    for (path, name) in [
        ("/labeler_agreement", "two labelers with each other"),
        (
            "/gold_accuracy",
            "the judge of the task with a labeler: no reward model can do better",
        ),
    ] {
        accuracies.extend(figure(labels, path, name));
    }
    let labelers: Vec<(String, Interval)> = (reward["by_labeler"].as_object().into_iter().flatten())
        .filter_map(|(name, value)| Some((name.clone(), Interval::of(value)?)))
        .take(40)
        .collect();
    let error = number(&reward["calibration_error"]).or_else(|| number(&reward["calibration"]["error"]));
    Some(RewardModel {
        accuracies,
        calibration: calibration(id, reward),
        calibration_error: error.map(|error| fixed(100.0 * error, 1)),
        by_labeler: interval_plot(
            &format!("{id}-labelers"),
            "Accuracy by labeler",
            "pairs ordered as the labeler did",
            &labelers,
            Some(0.5),
            true,
        ),
    })
}

/// The calibration curve; nothing without a bin.
fn calibration(id: &str, reward: &Value) -> Option<String> {
    let bins = calibration_bins(reward);
    if bins.is_empty() {
        return None;
    }
    let about: Vec<String> = (bins.iter())
        .map(|(predicted, observed)| {
            format!(
                "Where it says {}, labelers agree on {}.",
                percent(*predicted),
                percent(observed.value)
            )
        })
        .collect();
    let lowest = bins.iter().map(|(_, observed)| observed.low).fold(0.5, f64::min);
    let axis = |low| Scale::exactly(low, 1.0).in_percent();
    let plot = Plot {
        title: "Calibration of the reward model".into(),
        about: about.join(" "),
        size: (420, 320),
        x: axis(0.5),
        y: axis(lowest),
        x_label: "probability that the model gives the answer it prefers".into(),
        left: 48,
        rules: vec![vec![(0.5, 0.5), (1.0, 1.0)]],
        series: vec![Series {
            line: bins
                .iter()
                .map(|(predicted, observed)| (*predicted, observed.value))
                .collect(),
            dots: (bins.iter())
                .map(|(predicted, observed)| Dot {
                    x: *predicted,
                    y: observed.value,
                    range: Some((observed.low, observed.high)),
                })
                .collect(),
            ..Series::default()
        }],
        flat: false,
    };
    Some(plot.draw(&format!("{id}-calibration")))
}

/// A reward model optimised ever further.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct OverOptimisation {
    pub(crate) proxy: String,
    pub(crate) gold: String,
    pub(crate) gold_plot: String,
    pub(crate) proxy_plot: String,
    /// Names of the series, by look.
    pub(crate) key: Vec<String>,
    /// Where gold peaked and what was kept.
    pub(crate) verdict: String,
    pub(crate) fits: Vec<Fit>,
}

/// A fit of a curve, as words.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Fit {
    pub(crate) of: String,
    pub(crate) form: &'static str,
    pub(crate) alpha: String,
    pub(crate) beta: String,
}

const METHODS: [(&str, &str); 2] = [("best_of_n", "best of n"), ("ppo", "PPO")];

/// The plots of `overopt/summary.json`; nothing without a point.
pub(crate) fn over_optimisation(id: &str, overopt: &Value) -> Option<OverOptimisation> {
    let plot = |score: &str, title: &str| {
        let series: Vec<Series> = METHODS
            .iter()
            .map(|(method, name)| distances(overopt, method, name, score))
            .collect();
        let series: Vec<Series> = series.into_iter().filter(|series| !series.dots.is_empty()).collect();
        let dots = || series.iter().flat_map(|series| &series.dots);
        if dots().next().is_none() {
            return None;
        }
        let furthest = dots().map(|dot| dot.x).fold(1.0, f64::max);
        let ends = dots().flat_map(|dot| dot.range.map_or([dot.y; 2], |(low, high)| [low, high]));
        let about: Vec<String> = series.iter().map(described).collect();
        let plot = Plot {
            title: title.to_owned(),
            about: about.join(" "),
            size: (480, 300),
            x: Scale::exactly(0.0, 1.03 * furthest),
            y: Scale::linear(ends),
            x_label: "distance from the SFT model, √KL".into(),
            left: 48,
            rules: fitted(overopt, score, furthest),
            series,
            flat: false,
        };
        Some((plot.draw(&format!("{id}-{score}")), plot.series))
    };
    let (gold_plot, series) = plot("gold", "Gold score by distance")?;
    let (proxy_plot, _) = plot("proxy", "Proxy score by distance")?;
    let text = |key: &str, otherwise: &str| overopt[key].as_str().unwrap_or(otherwise).to_owned();
    Some(OverOptimisation {
        proxy: text("proxy", "the reward model"),
        gold: text("gold", "the judge"),
        gold_plot,
        proxy_plot,
        key: series.into_iter().map(|series| series.name).collect(),
        verdict: verdict(overopt),
        fits: (overopt["fits"].as_array().into_iter().flatten())
            .filter_map(fit)
            .collect(),
    })
}

/// The scores of a method by distance, in order of distance.
fn distances(overopt: &Value, method: &str, name: &str, score: &str) -> Series {
    let point = |row: &Value| {
        let kl = number(&row["kl"])?;
        let interval = Interval::of(&row[score])?;
        Some(Dot {
            // Sampled, a KL near 0 may come out below it.
            x: kl.max(0.0).sqrt(),
            y: interval.value,
            range: Some((interval.low, interval.high)),
        })
    };
    let mut dots: Vec<Dot> = (overopt[method].as_array().into_iter().flatten())
        .filter_map(point)
        .collect();
    dots.sort_by(|a, b| a.x.total_cmp(&b.x));
    Series {
        name: name.to_owned(),
        line: dots.iter().map(|dot| (dot.x, dot.y)).collect(),
        band: Vec::new(),
        dots,
    }
}

/// The fitted curves of a score, as gains over the first point of their method.
fn fitted(overopt: &Value, score: &str, furthest: f64) -> Vec<Vec<(f64, f64)>> {
    let curve = |fit: &Value| {
        let method = fit["method"].as_str().filter(|_| fit["score"] == score)?;
        let (alpha, beta) = (number(&fit["alpha"])?, number(&fit["beta"])?);
        let start = distances(overopt, method, "", score).dots.first()?.y;
        let gain = |d: f64| match method {
            "best_of_n" => d * (alpha - beta * d),
            _ => d * (alpha - beta * d.ln()),
        };
        // Not from 0, which has no logarithm.
        let places = (1..=60).map(|place| furthest * f64::from(place) / 60.0);
        Some(places.map(|d| (d, start + gain(d))).collect())
    };
    (overopt["fits"].as_array().into_iter().flatten())
        .filter_map(curve)
        .collect()
}

fn described(series: &Series) -> String {
    let best = series.dots.iter().max_by(|a, b| a.y.total_cmp(&b.y));
    match (best, series.dots.last()) {
        (Some(best), Some(last)) => format!(
            "{}: highest at a distance of {} with {}, and {} at {}, the furthest.",
            series.name,
            fixed(best.x, 2),
            fixed(best.y, 3),
            fixed(last.y, 3),
            fixed(last.x, 2)
        ),
        _ => String::new(),
    }
}

fn verdict(overopt: &Value) -> String {
    let peak = number(&overopt["peak"]["update"]).map(|update| format!("Gold peaked at update {}.", tick(update)));
    let kept = number(&overopt["kept"]).map(|update| format!("The rule kept the model of update {}.", tick(update)));
    [peak, kept].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn fit(fit: &Value) -> Option<Fit> {
    let with_error = |name: &str| {
        let value = number(&fit[name])?;
        let error = number(&fit[&format!("{name}_error")]);
        Some(match error {
            Some(error) => format!("{} ± {}", fixed(value, 3), fixed(error, 3)),
            None => fixed(value, 3),
        })
    };
    let method = fit["method"].as_str()?;
    let name = METHODS.iter().find(|known| known.0 == method)?.1;
    Some(Fit {
        of: format!("{} of {name}", fit["score"].as_str()?),
        form: if method == "best_of_n" {
            "d (α − β d)"
        } else {
            "d (α − β ln d)"
        },
        alpha: with_error("alpha")?,
        beta: with_error("beta")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn interval(value: f64) -> Value {
        json!({ "value": value, "low": value - 0.02, "high": value + 0.02, "n": 100 })
    }

    #[test]
    fn accuracies_stand_beside_what_they_are_measured_against() {
        let reward = json!({
            "pair_accuracy": interval(0.73),
            "pair_accuracy_held_out_labelers": null,
            "length": { "longer": interval(0.6) },
            "calibration_error": 0.019,
            "calibration": [
                { "predicted": 0.6, "observed": interval(0.62) },
                { "predicted": null, "observed": interval(0.0) },
            ],
        });
        let found = reward_model("a", &reward, &json!({ "gold_accuracy": interval(0.82) })).expect("there is a report");
        let names: Vec<&str> = found.accuracies.iter().map(|named| named.name.as_str()).collect();
        assert_eq!(names.len(), 3);
        assert!(names[1].contains("longer") && names[2].contains("no reward model can do better"));
        assert_eq!(found.accuracies[0].cell.value, "73.0 %");
        assert_eq!(found.calibration_error.as_deref(), Some("1.9"));
        let plot = found.calibration.expect("one bin has pairs");
        assert!(
            plot.contains("Where it says 60.0 %, labelers agree on 62.0 %."),
            "{plot}"
        );
        assert!(found.by_labeler.is_none());
        assert!(reward_model("a", &Value::Null, &Value::Null).is_none());
    }

    #[test]
    fn over_optimisation_is_plotted_by_the_root_of_kl() {
        let row = |kl: f64, gold: f64| json!({ "kl": kl, "proxy": interval(kl), "gold": interval(gold) });
        let overopt = json!({
            "schema": "rlhf-overopt/1",
            "best_of_n": [row(0.0, 0.5), row(4.0, 0.6)],
            "ppo": [row(9.0, 0.4), row(-0.01, 0.5), { "kl": null }],
            "fits": [{ "method": "ppo", "score": "gold", "alpha": 0.2, "alpha_error": 0.01, "beta": 0.1, "beta_error": null }],
            "peak": { "update": 12 },
            "kept": 12,
        });
        let found = over_optimisation("o", &overopt).expect("there are points");
        assert_eq!(found.key, ["best of n", "PPO"]);
        assert_eq!(
            found.verdict,
            "Gold peaked at update 12. The rule kept the model of update 12."
        );
        for said in [
            "best of n: highest at a distance of 2.00 with 0.600, and 0.600 at 2.00",
            "PPO: highest at a distance of 0.00 with 0.500, and 0.400 at 3.00",
        ] {
            assert!(found.gold_plot.contains(said), "{said}: {}", found.gold_plot);
        }
        assert_eq!(
            (found.fits[0].alpha.as_str(), found.fits[0].beta.as_str()),
            ("0.200 ± 0.010", "0.100")
        );
        assert!(over_optimisation("o", &Value::Null).is_none());
    }
}
