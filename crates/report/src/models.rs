//! The models of a run beside each other.

use serde::Serialize;
use serde_json::Value;

use crate::folder::RunFolder;
use crate::number::{Interval, fixed, number, percent};
use crate::plot::{Dot, Plot, Scale, Series};

/// The models in the order of the recipe, with what people call them.
pub(crate) const MODELS: [(&str, &str); 5] = [
    ("base", "base"),
    ("sft", "SFT"),
    ("best_of_n", "best of n"),
    ("ppo", "PPO"),
    ("ppo_ema", "PPO, averaged"),
];

/// Who says which of two answers is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Witness {
    /// The judge of the task.
    Judge,
    /// The reward model of the run.
    RewardModel,
}

impl Witness {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Judge => "the judge of the task",
            Self::RewardModel => "the run's own reward model",
        }
    }
}

/// A kind of figure.
#[derive(Debug, Clone, Copy)]
struct Column {
    head: &'static str,
    about: &'static str,
    key: &'static str,
    form: Form,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    /// An interval, or a plain number, with so many decimals.
    Number(usize),
    Percent,
}

const COLUMNS: [Column; 9] = [
    Column {
        head: "gold",
        about: "mean, by the judge of the task",
        key: "mean_gold",
        form: Form::Number(3),
    },
    Column {
        head: "wins against SFT",
        about: "share of prompts, ties one half",
        key: "win_rate_vs_sft",
        form: Form::Percent,
    },
    Column {
        head: "wins by reward model",
        about: "no witness if it was optimised",
        key: "win_rate_by_score",
        form: Form::Percent,
    },
    Column {
        head: "score",
        about: "mean, by the reward model",
        key: "mean_score",
        form: Form::Number(2),
    },
    Column {
        head: "KL to SFT",
        about: "nats per answer",
        key: "kl_to_sft",
        form: Form::Number(2),
    },
    Column {
        head: "untrue",
        about: "of those that can be checked",
        key: "untrue",
        form: Form::Percent,
    },
    Column {
        head: "ends",
        about: "before the limit of tokens",
        key: "eos_fraction",
        form: Form::Percent,
    },
    Column {
        head: "length",
        about: "tokens of an answer",
        key: "mean_length",
        form: Form::Number(1),
    },
    Column {
        head: "perplexity",
        about: "on held-out pretraining text",
        key: "pretrain_perplexity",
        form: Form::Number(2),
    },
];

/// A figure of a table.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Cell {
    pub(crate) value: String,
    /// The interval, if it has one.
    pub(crate) range: String,
}

impl Cell {
    fn new(value: &Value, form: Form) -> Self {
        let text = |number: f64| match form {
            Form::Number(decimals) => fixed(number, decimals),
            Form::Percent => percent(number),
        };
        if let Some(interval) = Interval::of(value) {
            return Self::of(interval, text);
        }
        Self {
            value: number(value).map(text).unwrap_or_default(),
            range: String::new(),
        }
    }

    /// An interval as a figure with its ends.
    pub(crate) fn of(interval: Interval, text: impl Fn(f64) -> String) -> Self {
        let low = text(interval.low);
        Self {
            value: text(interval.value),
            range: format!("{} to {}", low.trim_end_matches(" %"), text(interval.high)),
        }
    }
}

/// A row of a table.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) cells: Vec<Cell>,
}

/// The head of a column.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Head {
    pub(crate) name: String,
    pub(crate) about: String,
}

/// A table of figures, without columns that are empty.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Table {
    pub(crate) heads: Vec<Head>,
    pub(crate) rows: Vec<Row>,
}

/// Models of a summary with their names for people.
pub(crate) fn models(eval: &Value) -> Vec<(&'static str, String, &Value)> {
    let there = |(key, name): (&'static str, &'static str)| {
        let model = eval.get(key).filter(|model| model.is_object())?;
        let n = eval["best_of_n_samples"].as_u64().unwrap_or(0);
        let name = match key {
            "best_of_n" if n > 0 => format!("best of {n}"),
            _ => name.to_owned(),
        };
        Some((key, name, model))
    };
    MODELS.into_iter().filter_map(there).collect()
}

/// Whoever judged `win_rate_vs_sft`.
pub(crate) fn witness(eval: &Value) -> Witness {
    let is_judged = models(eval).iter().any(|(.., model)| model["mean_gold"].is_object());
    if is_judged {
        Witness::Judge
    } else {
        Witness::RewardModel
    }
}

/// The table of the models of the runs that are shown, model by model; names of runs stand beside those of models if there are
/// several runs.
pub(crate) fn table(runs: &[RunFolder]) -> Table {
    let rows: Vec<(String, &Value, bool)> = MODELS
        .iter()
        .flat_map(|(key, _)| {
            runs.iter().filter_map(move |run| {
                let (_, name, model) = models(&run.eval).into_iter().find(|model| model.0 == *key)?;
                let name = if runs.len() > 1 {
                    format!("{name} · {}", run.name)
                } else {
                    name
                };
                Some((name, model, *key == "sft"))
            })
        })
        .collect();
    let cell = |column: &Column, model: &Value, is_sft: bool| {
        // It wins against itself as often as a coin falls on one side.
        let of_itself = is_sft && column.key.starts_with("win_rate");
        if of_itself {
            Cell::default()
        } else {
            Cell::new(&model[column.key], column.form)
        }
    };
    let is_told = |column: &&Column| {
        rows.iter()
            .any(|(_, model, is_sft)| !cell(column, model, *is_sft).value.is_empty())
    };
    let columns: Vec<&Column> = COLUMNS.iter().filter(is_told).collect();
    Table {
        heads: columns
            .iter()
            .map(|column| Head {
                name: column.head.to_owned(),
                about: column.about.to_owned(),
            })
            .collect(),
        rows: rows
            .iter()
            .map(|(name, model, is_sft)| Row {
                name: name.clone(),
                cells: columns.iter().map(|column| cell(column, model, *is_sft)).collect(),
            })
            .collect(),
    }
}

/// Win rates against the SFT model as a plot, if there are any.
pub(crate) fn win_rate_plot(runs: &[RunFolder]) -> Option<String> {
    let mut rates: Vec<(String, Interval)> = Vec::new();
    for run in runs {
        for (key, name, model) in models(&run.eval) {
            let name = if runs.len() > 1 {
                format!("{name} · {}", run.name)
            } else {
                name
            };
            let rate = Interval::of(&model["win_rate_vs_sft"]).filter(|_| key != "sft");
            rates.extend(rate.map(|rate| (name, rate)));
        }
    }
    interval_plot(
        "wins",
        "Wins against the SFT model",
        "prompts won against SFT",
        &rates,
        Some(0.5),
        true,
    )
}

/// Named intervals under each other; nothing without one.
pub(crate) fn interval_plot(
    id: &str,
    title: &str,
    x_label: &str,
    rows: &[(String, Interval)],
    rule: Option<f64>,
    in_percent: bool,
) -> Option<String> {
    if rows.is_empty() {
        return None;
    }
    let text = |number: f64| if in_percent { percent(number) } else { fixed(number, 3) };
    let about: Vec<String> = rows
        .iter()
        .map(|(name, i)| format!("{name}: {}, {} to {}.", text(i.value), text(i.low), text(i.high)))
        .collect();
    let x = Scale::linear(rows.iter().flat_map(|(_, i)| [i.low, i.high]).chain(rule));
    let x = if in_percent { x.in_percent() } else { x };
    let dots = rows.iter().enumerate().map(|(number, (_, interval))| Dot {
        x: interval.value,
        y: Scale::place(number),
        range: Some((interval.low, interval.high)),
    });
    let y = Scale::names(rows.iter().map(|row| row.0.clone()).collect());
    let longest = rows.iter().map(|row| row.0.chars().count()).max().unwrap_or(0) as u32;
    let plot = Plot {
        title: title.to_owned(),
        about: about.join(" "),
        size: (440, 60 + 28 * rows.len() as u32),
        rules: rule
            .map(|at| vec![(at, y.ends().0), (at, y.ends().1)])
            .into_iter()
            .collect(),
        x,
        y,
        x_label: x_label.to_owned(),
        left: (longest * 6 + 16).clamp(60, 200),
        series: vec![Series {
            dots: dots.collect(),
            ..Series::default()
        }],
        flat: true,
    };
    Some(plot.draw(id))
}

/// Gold by kind of prompt, a column a model.
pub(crate) fn gold_by_kind(eval: &Value) -> Table {
    let models = models(eval);
    let mut kinds: Vec<&String> = (models.iter())
        .filter_map(|(.., model)| model["gold_by_kind"].as_object())
        .flat_map(|kinds| kinds.keys())
        .collect();
    kinds.sort();
    kinds.dedup();
    let row = |kind: &String| Row {
        name: kind.replace('_', " "),
        cells: models
            .iter()
            .map(|(.., model)| Cell::new(&model["gold_by_kind"][kind.as_str()], Form::Number(2)))
            .collect(),
    };
    Table {
        rows: kinds.into_iter().map(row).collect(),
        heads: (models.iter())
            .map(|(_, name, _)| Head {
                name: name.clone(),
                about: String::new(),
            })
            .collect(),
    }
}

/// What second judges say: for each of them a row a model.
pub(crate) fn opinions(eval: &Value) -> Table {
    let models = models(eval);
    let mut rows = Vec::new();
    let mut judges: Vec<&String> = (models.iter())
        .filter_map(|(.., model)| model["second"].as_object())
        .flat_map(|second| second.keys())
        .collect();
    judges.sort();
    judges.dedup();
    for judge in judges {
        for (key, name, model) in &models {
            let opinion = &model["second"][judge.as_str()];
            if !opinion.is_object() {
                continue;
            }
            let of_others = |key: &str, form| Cell::new(&opinion[key], form);
            let (over_sft, wins) = if *key == "sft" {
                (Cell::default(), Cell::default())
            } else {
                (
                    of_others("over_sft", Form::Number(3)),
                    of_others("win_rate_vs_sft", Form::Percent),
                )
            };
            rows.push(Row {
                name: format!("{judge}: {name}"),
                cells: vec![of_others("mean", Form::Number(3)), over_sft, wins],
            });
        }
    }
    let head = |name: &str, about: &str| Head {
        name: name.into(),
        about: about.into(),
    };
    Table {
        heads: vec![
            head("mean", "of its scores"),
            head("over SFT", "mean difference on the same prompts"),
            head("wins against SFT", "ties one half"),
        ],
        rows,
    }
}

/// A preference matrix of a judge: how often the model of a row wins against that of a column.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Matrix {
    pub(crate) judge: String,
    pub(crate) table: Table,
    /// Ratings as a plot.
    pub(crate) ratings: Option<String>,
}

/// The preference matrices of a summary; `id` begins the names of their plots.
pub(crate) fn matrices(id: &str, eval: &Value) -> Vec<Matrix> {
    let all = eval["matrices"].as_array().map(Vec::as_slice).unwrap_or_default();
    let numbered = all.iter().enumerate();
    numbered
        .filter_map(|(number, value)| matrix(&format!("{id}-rating-{number}"), value))
        .collect()
}

fn matrix(id: &str, value: &Value) -> Option<Matrix> {
    let names: Vec<&str> = value["models"].as_array()?.iter().filter_map(Value::as_str).collect();
    let pairs = value["pairs"].as_array()?;
    let rate = |a: &str, b: &str| {
        pairs.iter().find_map(|pair| {
            let (first, second) = (pair["a"].as_str()?, pair["b"].as_str()?);
            let rate = Interval::of(&pair["win_rate"])?;
            let turned = Interval {
                value: 1.0 - rate.value,
                low: 1.0 - rate.high,
                high: 1.0 - rate.low,
                n: rate.n,
            };
            match (first == a && second == b, first == b && second == a) {
                (true, _) => Some(rate),
                (_, true) => Some(turned),
                _ => None,
            }
        })
    };
    let row = |a: &&str| Row {
        name: called(a),
        cells: (names.iter())
            .map(|b| rate(a, b).map_or_else(Cell::default, |rate| Cell::of(rate, percent)))
            .collect(),
    };
    let ratings: Vec<(String, Interval)> = (value["ratings"].as_array().into_iter().flatten())
        .filter_map(|rating| Some((called(rating["model"].as_str()?), Interval::of(&rating["rating"])?)))
        .collect();
    Some(Matrix {
        judge: value["judge"].as_str().unwrap_or("an unnamed judge").to_owned(),
        ratings: interval_plot(id, "Ratings", "Bradley–Terry rating", &ratings, None, false),
        table: Table {
            heads: (names.iter())
                .map(|name| Head {
                    name: called(name),
                    about: String::new(),
                })
                .collect(),
            rows: names.iter().map(row).collect(),
        },
    })
}

/// What people call a model.
pub(crate) fn called(key: &str) -> String {
    let known = MODELS.iter().find(|model| model.0 == key);
    known.map_or_else(|| key.to_owned(), |model| model.1.to_owned())
}

#[cfg(test)]
#[path = "models_tests.rs"]
mod tests;
