//! Sentences that ask for a constraint.

use serde_json::Value;

use crate::constraint::{Constraint, KINDS};
use crate::wordings::{TEMPLATES, WORDINGS};

impl Constraint {
    /// The sentence that asks for it, in one of [`WORDINGS`] ways; a greater number begins again.
    ///
    /// ```
    /// use rlhf_constraints::Constraint;
    ///
    /// assert_eq!(Constraint::WordsAtMost { n: 20 }.instruction(0), "Use at most 20 words.");
    /// assert_eq!(Constraint::Bold { at_least: 1 }.instruction(2), "Your answer must have no fewer than 1 part in **bold**.");
    /// ```
    pub fn instruction(&self, wording: usize) -> String {
        let kind = self.kind();
        let (_, templates) = TEMPLATES
            .iter()
            .find(|(name, _)| *name == kind)
            .expect("a test asks for every kind");
        let fields = serde_json::to_value(self).expect("a constraint is plain data");
        fill(templates[wording % WORDINGS], &fields)
    }
}

/// A table in Markdown of every kind with an instruction that asks for it.
pub fn kinds_table() -> String {
    let mut rng = rlhf_tasks::stream(1, "kinds table", 0);
    let rows = KINDS.iter().filter_map(|kind| {
        let constraint = Constraint::draw(kind, "Explain how the tides of the sea work.", &mut rng)?;
        Some(format!("| `{kind}` | {} |\n", escaped(&constraint.instruction(0))))
    });
    let head = "| Kind | An instruction |\n| --- | --- |\n".to_owned();
    rows.fold(head, |table, row| table + &row)
}

/// A text that Markdown shows as it is.
fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '<' | '[' | '`' | '#') {
            shown.push('\\');
        }
        shown.push(c);
    }
    shown
}

/// The template with values in place of fields.
fn fill(template: &str, fields: &Value) -> String {
    let mut pieces = template.split('{');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (field, rest) = piece.split_once('}').expect("templates close their braces");
        let (name, counted) = field.split_once(':').unwrap_or((field, ""));
        text.push_str(&written(&fields[name]));
        if !counted.is_empty() {
            text.push(' ');
            text.push_str(counted);
        }
        if !counted.is_empty() && fields[name] != 1 {
            pluralize(&mut text, counted);
        }
        text.push_str(rest);
    }
    text
}

/// Puts what was counted into the plural: of "word or phrase" both.
fn pluralize(text: &mut String, counted: &str) {
    text.truncate(text.len() - counted.len());
    let plural: Vec<String> = counted.split(" or ").map(|noun| format!("{noun}s")).collect();
    text.push_str(&plural.join(" or "));
}

fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let quoted: Vec<String> = items.iter().map(Value::to_string).collect();
            match quoted.split_last() {
                Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
                _ => quoted.concat(),
            }
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_is_asked_for_in_different_ways_that_name_its_parameters() {
        let named: Vec<&str> = TEMPLATES.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(named, KINDS);
        let mut rng = rlhf_tasks::stream(1, "test", 0);
        for kind in KINDS {
            let constraint = Constraint::draw(kind, "Explain tides.", &mut rng).unwrap();
            let texts: BTreeSet<String> = (0..WORDINGS).map(|i| constraint.instruction(i)).collect();
            assert_eq!(texts.len(), WORDINGS, "{kind}");
            assert_eq!(constraint.instruction(0), constraint.instruction(WORDINGS));
            for text in texts {
                assert!(!text.contains(['{', '}']) && !text.contains("null"), "{text}");
            }
        }
    }

    #[test]
    fn lists_and_plurals_are_english() {
        let two = Constraint::TwoWords {
            words: ["sea".to_owned(), "moon".to_owned()],
        };
        assert_eq!(two.instruction(0), "Use the words \"sea\" and \"moon\".");
        assert_eq!(
            Constraint::Bullets { n: 1 }.instruction(1),
            "Answer with a list of 1 bullet point that start with \"- \"."
        );
        let bold = Constraint::Bold { at_least: 2 };
        assert_eq!(
            bold.instruction(0),
            "Put at least 2 words or phrases in bold, like **this**."
        );
    }
}
