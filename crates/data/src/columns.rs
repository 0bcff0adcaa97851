//! Files whose fields have other names.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// For a field that a row should have, the column of the file that holds it, or several of which the filled ones are joined
/// by an empty line: `{ prompt = ["instruction", "input"], completion = "output" }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Columns(BTreeMap<String, Column>);

/// The origin of a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Column {
    /// One column, whatever it holds.
    One(String),
    /// Columns of text.
    Joined(Vec<String>),
}

impl Columns {
    /// Fields by the column that holds them.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let pair = |(field, column): (&str, &str)| (field.to_owned(), Column::One(column.to_owned()));
        Self(pairs.into_iter().map(pair).collect())
    }

    /// True if all fields have their own names.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives the columns of a row their field's name. A column that the row does not have leaves the field out, and its
    /// reader says so; what is joined has to be text.
    ///
    /// # Errors
    /// A column to be joined that holds something else, by its name.
    pub(crate) fn rename(&self, mut row: Map<String, Value>) -> Result<Map<String, Value>, (String, Value)> {
        let mut renamed = Vec::with_capacity(self.0.len());
        for (field, column) in &self.0 {
            let value = match column {
                Column::One(column) => row.get(column).cloned(),
                Column::Joined(columns) => joined(&row, columns)?,
            };
            renamed.push((field, value));
        }
        for (field, value) in renamed {
            match value {
                Some(value) => row.insert(field.clone(), value),
                None => row.remove(field),
            };
        }
        Ok(row)
    }
}

fn joined(row: &Map<String, Value>, columns: &[String]) -> Result<Option<Value>, (String, Value)> {
    let mut texts = Vec::with_capacity(columns.len());
    for column in columns {
        match row.get(column) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if text.trim().is_empty() => {}
            Some(Value::String(text)) => texts.push(text.as_str()),
            Some(other) => return Err((column.clone(), other.clone())),
        }
    }
    Ok((!texts.is_empty()).then(|| Value::from(texts.join("\n\n"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn renamed(columns: Value, row: Value) -> Result<Value, (String, Value)> {
        let columns: Columns = serde_json::from_value(columns).unwrap();
        columns.rename(row.as_object().unwrap().clone()).map(Value::Object)
    }

    #[test]
    fn columns_take_the_place_of_fields_even_where_they_swap_names() {
        let row = renamed(
            json!({"prompt": "question", "question": "prompt"}),
            json!({"prompt": "a", "question": "b", "id": 7}),
        );
        assert_eq!(row, Ok(json!({"prompt": "b", "question": "a", "id": 7})));
        // A column that is not there: nothing is left under the field's name to be taken for it.
        let row = renamed(json!({"prompt": "question"}), json!({"prompt": "a"}));
        assert_eq!(row, Ok(json!({})));
    }

    #[test]
    fn joined_columns_skip_what_is_empty_and_refuse_what_is_no_text() {
        let columns = json!({"prompt": ["instruction", "input"]});
        let row = |input: Value| renamed(columns.clone(), json!({"instruction": "Translate.", "input": input}));
        assert_eq!(row(json!("un chat")).unwrap()["prompt"], "Translate.\n\nun chat");
        assert_eq!(row(json!("")).unwrap()["prompt"], "Translate.");
        assert_eq!(row(Value::Null).unwrap()["prompt"], "Translate.");
        assert_eq!(row(json!(3)), Err(("input".to_owned(), json!(3))));
    }
}
