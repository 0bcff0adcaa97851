//! The tables that are printed, and the line for a model card.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use rlhf_core::stats::Interval;

use super::report::SummariesSummary;

/// A column: name of the figure, what the table calls it, factor, decimals.
type Column = (&'static str, &'static str, f64, usize);

const OF_ROUGE: [Column; 4] = [
    ("rouge1", "ROUGE-1", 100.0, 1),
    ("rouge2", "ROUGE-2", 100.0, 1),
    ("rougeL", "ROUGE-L", 100.0, 1),
    ("rougeLsum", "ROUGE-Lsum", 100.0, 1),
];
const OF_LENGTH: [Column; 4] = [
    ("words", "words", 1.0, 1),
    ("words_minus_reference", "beside the reference", 1.0, 1),
    ("tokens", "tokens", 1.0, 1),
    ("tokens_minus_reference", "beside the reference", 1.0, 1),
];
const OF_COPYING: [Column; 7] = [
    ("copied_1", "words copied %", 100.0, 1),
    ("copied_2", "pairs", 100.0, 1),
    ("copied_3", "triples", 100.0, 1),
    ("copied_4", "fours", 100.0, 1),
    ("longest_copied_run", "longest run", 1.0, 1),
    ("coverage", "coverage", 1.0, 3),
    ("density", "density", 1.0, 2),
];
/// What two systems are compared in.
const OF_PAIRS: [Column; 6] = [
    OF_ROUGE[0],
    OF_ROUGE[1],
    OF_ROUGE[2],
    OF_LENGTH[0],
    OF_COPYING[1],
    OF_COPYING[6],
];
const REFERENCES: &str = "references";

impl Display for SummariesSummary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut rows: Vec<(&str, &BTreeMap<String, Interval>)> = self
            .order
            .iter()
            .map(|name| (name.as_str(), &self.models[name].figures))
            .collect();
        table(f, &OF_ROUGE, &rows, false)?;
        if !self.references.is_empty() {
            rows.push((REFERENCES, &self.references));
        }
        table(f, &OF_LENGTH, &rows, false)?;
        table(f, &OF_COPYING, &rows, false)?;
        let names: Vec<String> = self
            .pairs
            .iter()
            .map(|pair| format!("{} minus {}", pair.a, pair.b))
            .collect();
        let rows: Vec<_> = (names.iter().zip(&self.pairs))
            .map(|(name, pair)| (name.as_str(), &pair.differences))
            .collect();
        table(f, &OF_PAIRS, &rows, true)?;
        for name in &self.order {
            let system = &self.models[name];
            let ended = system
                .eos_fraction
                .map_or(String::new(), |share| format!(", {:.0} % ended", 100.0 * share));
            writeln!(
                f,
                "{name}: {} summaries of {} articles{ended}",
                system.summaries, system.articles
            )?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        Ok(())
    }
}

/// A table of the columns that any row has; none if there are none.
fn table(
    f: &mut Formatter<'_>,
    columns: &[Column],
    rows: &[(&str, &BTreeMap<String, Interval>)],
    signed: bool,
) -> fmt::Result {
    let columns: Vec<&Column> = columns
        .iter()
        .filter(|column| rows.iter().any(|(_, figures)| figures.contains_key(column.0)))
        .collect();
    if columns.is_empty() {
        return Ok(());
    }
    let titles: Vec<&str> = columns.iter().map(|column| column.1).collect();
    writeln!(f, "| model | {} |", titles.join(" | "))?;
    writeln!(f, "| --- |{}", " ---: |".repeat(columns.len()))?;
    for (name, figures) in rows {
        let cells: Vec<String> = (columns.iter())
            .map(|column| {
                figures
                    .get(column.0)
                    .map_or("–".to_owned(), |figure| cell(figure, column, signed))
            })
            .collect();
        writeln!(f, "| {name} | {} |", cells.join(" | "))?;
    }
    writeln!(f)
}

fn cell(figure: &Interval, (name, _, factor, decimals): &Column, signed: bool) -> String {
    let signed = signed || name.ends_with("_minus_reference");
    let number = |value: f64| {
        let scaled = value * factor;
        if signed {
            format!("{scaled:+.decimals$}")
        } else {
            format!("{scaled:.decimals$}")
        }
    };
    format!(
        "{} ({} to {})",
        number(figure.value),
        number(figure.low),
        number(figure.high)
    )
}

impl SummariesSummary {
    /// A line for the model card of each system.
    pub fn card_lines(&self) -> Vec<(&str, String)> {
        let line = |name: &String| {
            let system = &self.models[name];
            let said: Vec<String> = (OF_ROUGE
                .iter()
                .take(3)
                .chain([&OF_LENGTH[0], &OF_COPYING[1], &OF_COPYING[6]]))
            .filter_map(|column| {
                Some(format!(
                    "{} {}",
                    column.1,
                    cell(system.figures.get(column.0)?, column, false)
                ))
            })
            .collect();
            let stemmed = if self.settings.stemmed {
                "stemmed"
            } else {
                "not stemmed"
            };
            let line = format!(
                "{}; {} articles, {stemmed}, 95 % intervals",
                said.join(", "),
                system.articles
            );
            (name.as_str(), line)
        };
        self.order.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        SummariesSettings, SummarisedArticle, SummaryInput, SummaryOptions, WrittenSummary, evaluate_summaries,
    };
    use rlhf_rouge::Stemming;

    #[test]
    fn tables_have_a_row_a_system_and_a_row_a_pair() {
        let articles = [SummarisedArticle {
            text: "a b c d".to_owned(),
            references: vec!["a b".to_owned()],
        }];
        let system = |name: &str, text: &str| SummaryInput {
            name: name.to_owned(),
            source: String::new(),
            summaries: vec![WrittenSummary {
                text: text.to_owned(),
                ..WrittenSummary::default()
            }],
        };
        let options = SummaryOptions {
            stemming: Stemming::None,
            tokens: None,
            seed: 0,
        };
        let systems = [system("whole", "a b"), system("half", "a x y")];
        let found = evaluate_summaries(&articles, &systems, SummariesSettings::default(), options);
        let shown = found.to_string();
        for line in [
            "| model | ROUGE-1 | ROUGE-2 | ROUGE-L | ROUGE-Lsum |",
            "| whole | 100.0 (100.0 to 100.0) |",
            "| half | 40.0 (",
            "| references | 2.0 (2.0 to 2.0) | – |",
            "| whole minus half | +60.0 (+60.0 to +60.0) |",
            "whole: 1 summaries of 1 articles",
        ] {
            assert!(shown.contains(line), "{line} in\n{shown}");
        }
        assert!(!shown.contains("tokens"), "{shown}");
        let [(name, line), _] = found.card_lines().try_into().unwrap();
        assert_eq!(name, "whole");
        assert!(
            line.starts_with("ROUGE-1 100.0 (") && line.contains("; 1 articles, not stemmed"),
            "{line}"
        );
    }
}
