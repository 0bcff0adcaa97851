//! The table on the terminal, and the lines for a model card.

use std::fmt::{self, Display, Formatter};

use rlhf_core::stats::Interval;
use rlhf_likelihood::{Mean, Task};

use crate::likelihood::report::{LikelihoodSummary, ModelLikelihoods, TaskReport};

/// What a table says of the figures of a text.
const TEXT_FIGURES: [&str; 3] = ["perplexity by token", "perplexity by word", "perplexity by byte"];

impl LikelihoodSummary {
    /// The models, in the order in which they were given.
    fn in_order(&self) -> impl Iterator<Item = (&String, &ModelLikelihoods)> {
        self.order.iter().filter_map(|name| self.models.get_key_value(name))
    }

    /// A line for the model card of each model that was asked, by name.
    pub fn card_lines(&self) -> Vec<(String, String)> {
        let line = |(name, model): (&String, &ModelLikelihoods)| {
            let texts = model.texts.iter().map(|text| {
                let figure = show(text.perplexity_per_token, Mean::Perplexity);
                format!("perplexity of {} {figure}", file_name(&text.file))
            });
            let tasks = model.tasks.iter().map(|report| {
                let figures = report.task.figures().iter().map(|figure| {
                    let value = show(report.figures[figure.name], figure.mean);
                    format!("{} {value}", figure.name)
                });
                let figures: Vec<String> = figures.collect();
                format!(
                    "{} ({} questions) {}",
                    report.task.name(),
                    report.questions,
                    figures.join(", ")
                )
            });
            let all: Vec<String> = texts.chain(tasks).collect();
            (
                name.clone(),
                format!("Likelihood evaluations (95 % intervals): {}.", all.join("; ")),
            )
        };
        self.in_order().map(line).collect()
    }
}

impl Display for LikelihoodSummary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "| evaluation | figure |")?;
        for name in &self.order {
            write!(f, " {name} |")?;
        }
        writeln!(f, "\n| --- | --- |{}", " ---: |".repeat(self.order.len()))?;
        let Some((_, first)) = self.in_order().next() else {
            return Ok(());
        };
        for (number, text) in first.texts.iter().enumerate() {
            for (figure, label) in TEXT_FIGURES.iter().enumerate() {
                write!(f, "| {} | {label} |", file_name(&text.file))?;
                for (_, model) in self.in_order() {
                    let text = &model.texts[number];
                    let of_text = [
                        text.perplexity_per_token,
                        text.perplexity_per_word,
                        text.perplexity_per_byte,
                    ];
                    write!(f, " {} |", show(of_text[figure], Mean::Perplexity))?;
                }
                writeln!(f)?;
            }
        }
        for (number, report) in first.tasks.iter().enumerate() {
            self.write_task(f, number, report)?;
        }
        self.write_notes(f)
    }
}

impl LikelihoodSummary {
    fn write_task(&self, f: &mut Formatter<'_>, number: usize, first: &TaskReport) -> fmt::Result {
        for figure in first.task.figures() {
            write!(
                f,
                "| {} ({}) | {} |",
                first.task.name(),
                file_name(&first.file),
                figure.name
            )?;
            for (_, model) in self.in_order() {
                let report = &model.tasks[number];
                write!(f, " {}", show(report.figures[figure.name], figure.mean))?;
                if let Some(beside) = &report.beside_first {
                    write!(f, ", {}", show_beside(beside[figure.name], figure.mean))?;
                }
                write!(f, " |")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    fn write_notes(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(first) = self.order.first().filter(|_| self.order.len() > 1) {
            writeln!(
                f,
                "in brackets 95 % intervals; after a comma the difference from {first} on the same questions, × the ratio"
            )?;
        }
        for (name, model) in self.in_order() {
            for report in model.tasks.iter().filter(|report| report.truncated > 0) {
                writeln!(
                    f,
                    "{name}, {}: {} contexts were longer than the model's {} tokens and lost their beginning",
                    report.task.name(),
                    report.truncated,
                    model.context
                )?;
            }
        }
        let asks_of_groups = |report: &TaskReport| matches!(report.task, Task::Winogender | Task::CrowsPairs);
        if self.models.values().flat_map(|model| &model.tasks).any(asks_of_groups) {
            writeln!(f, "by occupation, by kind of bias and the like: see summary.json")?;
        }
        Ok(())
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// A figure with its interval.
fn show(interval: Interval, mean: Mean) -> String {
    if interval.n == 0 {
        return "–".to_owned();
    }
    let Interval { value, low, high, .. } = interval;
    match mean {
        Mean::Share => format!("{:.1} % ({:.1} to {:.1})", 100.0 * value, 100.0 * low, 100.0 * high),
        _ if low.is_nan() => number(value),
        _ => format!("{} ({} to {})", number(value), number(low), number(high)),
    }
}

/// A difference with its interval.
fn show_beside(interval: Interval, mean: Mean) -> String {
    if interval.n == 0 {
        return "–".to_owned();
    }
    let Interval { value, low, high, .. } = interval;
    match mean {
        Mean::Share => format!("{:+.1} ({:+.1} to {:+.1})", 100.0 * value, 100.0 * low, 100.0 * high),
        Mean::Plain => format!("{value:+.3} ({low:+.3} to {high:+.3})"),
        Mean::Perplexity => format!("× {value:.3} ({low:.3} to {high:.3})"),
    }
}

/// Four digits or so.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1e6 => format!("{value:.3e}"),
        size if size >= 100.0 => format!("{value:.1}"),
        size if size >= 10.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_shown_with_their_interval_where_they_have_one() {
        let interval = |value, low, high, n| Interval { value, low, high, n };
        assert_eq!(
            show(interval(0.7034, 0.698, 0.708, 9), Mean::Share),
            "70.3 % (69.8 to 70.8)"
        );
        assert_eq!(show(interval(23.456, f64::NAN, f64::NAN, 9), Mean::Perplexity), "23.46");
        assert_eq!(
            show(interval(1.5, 1.25, 123.456, 9), Mean::Plain),
            "1.500 (1.250 to 123.5)"
        );
        assert_eq!(show(interval(f64::NAN, f64::NAN, f64::NAN, 0), Mean::Share), "–");
        assert_eq!(
            show_beside(interval(0.95, 0.9, 1.0, 3), Mean::Perplexity),
            "× 0.950 (0.900 to 1.000)"
        );
        assert_eq!(
            show_beside(interval(-0.02, -0.05, 0.01, 3), Mean::Share),
            "-2.0 (-5.0 to +1.0)"
        );
        assert_eq!(file_name("a/b/test.txt"), "test.txt");
    }
}
