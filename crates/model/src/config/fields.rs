//! Reading single fields of a JSON object, with errors that name them.

use serde_json::{Map, Value};

/// A field that is missing or not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field `{field}`: {message}")]
pub struct FieldFault {
    /// The field, as a dotted path.
    pub field: String,
    /// The value found and the one expected.
    pub message: String,
}

/// Sizes beyond this are taken for damage: no dimension of a real model reaches it.
const LARGEST_SIZE: u64 = 1 << 24;
/// Characters of a wrong value that a message shows.
const SHOWN: usize = 60;

/// An object of a configuration file. A field that is `null` counts as absent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    object: &'a Map<String, Value>,
    path: &'a str,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(object: &'a Map<String, Value>) -> Self {
        Self { object, path: "" }
    }

    /// A fault of field `name`.
    pub(crate) fn fault(&self, name: &str, message: impl Into<String>) -> FieldFault {
        FieldFault {
            field: format!("{}{name}", self.path),
            message: message.into(),
        }
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    fn wrong(&self, name: &str, expected: &str, found: &Value) -> FieldFault {
        let mut found: String = found.to_string();
        if let Some((end, _)) = found.char_indices().nth(SHOWN) {
            found.truncate(end);
            found.push('…');
        }
        self.fault(name, format!("{found}, expected {expected}"))
    }

    fn parsed<T>(
        &self,
        name: &str,
        expected: &str,
        parse: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, FieldFault> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => parse(value).map(Some).ok_or_else(|| self.wrong(name, expected, value)),
        }
    }

    /// A whole number in `1 ..= 16777216`, if it is there.
    pub(crate) fn optional_size(&self, name: &str) -> Result<Option<usize>, FieldFault> {
        self.parsed(name, "a whole number in 1 ..= 16777216", |value| {
            let size = value.as_u64().filter(|size| (1..=LARGEST_SIZE).contains(size))?;
            usize::try_from(size).ok()
        })
    }

    /// A whole number, 0 included, if it is there.
    pub(crate) fn optional_count(&self, name: &str) -> Result<Option<usize>, FieldFault> {
        self.parsed(name, "a whole number", |value| usize::try_from(value.as_u64()?).ok())
    }

    pub(crate) fn size_or(&self, name: &str, default: usize) -> Result<usize, FieldFault> {
        Ok(self.optional_size(name)?.unwrap_or(default))
    }

    pub(crate) fn size(&self, name: &str) -> Result<usize, FieldFault> {
        self.optional_size(name)?
            .ok_or_else(|| self.fault(name, "missing, expected a whole number"))
    }

    /// A positive finite number, if it is there.
    pub(crate) fn optional_number(&self, name: &str) -> Result<Option<f64>, FieldFault> {
        self.parsed(name, "a positive number", |value| {
            value.as_f64().filter(|number| number.is_finite() && *number > 0.0)
        })
    }

    /// A list of whole numbers, if it is there.
    pub(crate) fn counts(&self, name: &str) -> Result<Option<Vec<u64>>, FieldFault> {
        self.parsed(name, "a list of whole numbers", |value| {
            value.as_array()?.iter().map(Value::as_u64).collect()
        })
    }

    /// A list of positive finite numbers, if it is there.
    pub(crate) fn numbers(&self, name: &str) -> Result<Option<Vec<f64>>, FieldFault> {
        let number = |value: &Value| value.as_f64().filter(|number| number.is_finite() && *number > 0.0);
        self.parsed(name, "a list of positive numbers", |value| {
            value.as_array()?.iter().map(number).collect()
        })
    }

    /// A finite number of at least 0, or `default`.
    pub(crate) fn non_negative_or(&self, name: &str, default: f64) -> Result<f64, FieldFault> {
        let number = self.parsed(name, "a number of at least 0", |value| {
            value.as_f64().filter(|number| number.is_finite() && *number >= 0.0)
        })?;
        Ok(number.unwrap_or(default))
    }

    pub(crate) fn number_or(&self, name: &str, default: f64) -> Result<f64, FieldFault> {
        Ok(self.optional_number(name)?.unwrap_or(default))
    }

    pub(crate) fn number(&self, name: &str) -> Result<f64, FieldFault> {
        self.optional_number(name)?
            .ok_or_else(|| self.fault(name, "missing, expected a positive number"))
    }

    pub(crate) fn flag_or(&self, name: &str, default: bool) -> Result<bool, FieldFault> {
        Ok(self.parsed(name, "true or false", Value::as_bool)?.unwrap_or(default))
    }

    /// Refuses any value of an option but the one that this crate has; absence is fine.
    pub(crate) fn fixed(&self, name: &str, expected: bool) -> Result<(), FieldFault> {
        if self.flag_or(name, expected)? == expected {
            Ok(())
        } else {
            Err(self.fault(name, format!("{}, expected {expected}", !expected)))
        }
    }

    pub(crate) fn optional_text(&self, name: &str) -> Result<Option<&'a str>, FieldFault> {
        self.parsed(name, "a text", Value::as_str)
    }

    pub(crate) fn text_or(&self, name: &str, default: &'a str) -> Result<&'a str, FieldFault> {
        Ok(self.optional_text(name)?.unwrap_or(default))
    }

    /// The text in a field, if it holds one; other kinds of values are passed over.
    pub(crate) fn word(&self, name: &str) -> Option<&'a str> {
        self.get(name).and_then(Value::as_str)
    }

    /// Refuses anything but an absent field, an empty list or an empty object.
    pub(crate) fn nothing(&self, name: &str) -> Result<(), FieldFault> {
        let is_empty = |value: &Value| match value {
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            _ => false,
        };
        match self.get(name) {
            Some(value) if !is_empty(value) => Err(self.wrong(name, "nothing", value)),
            _ => Ok(()),
        }
    }

    /// A list of texts, if it is there.
    pub(crate) fn texts(&self, name: &str) -> Result<Option<Vec<&'a str>>, FieldFault> {
        self.parsed(name, "a list of texts", |value| {
            value.as_array()?.iter().map(Value::as_str).collect()
        })
    }

    /// A token id or a list of them; nothing if the field is absent. -1, or anything else below zero, stands for none.
    pub(crate) fn tokens(&self, name: &str) -> Result<Vec<u32>, FieldFault> {
        let token = |value: &Value| match value.as_i64() {
            Some(..0) => Some(None),
            _ => value.as_u64().and_then(|id| u32::try_from(id).ok()).map(Some),
        };
        let tokens = self.parsed(name, "a token id or a list of them", |value| match value {
            Value::Array(list) => list.iter().map(token).collect::<Option<Vec<_>>>(),
            single => token(single).map(|id| vec![id]),
        })?;
        Ok(tokens.into_iter().flatten().flatten().collect())
    }

    /// The object in field `name`, whose fields are called `<name>.<field>`; `path` is where that name is kept.
    pub(crate) fn object<'b>(&self, name: &str, path: &'b mut String) -> Result<Option<Fields<'b>>, FieldFault>
    where
        'a: 'b,
    {
        let object = self.parsed(name, "an object", Value::as_object)?;
        *path = format!("{}{name}.", self.path);
        Ok(object.map(|object| Fields { object, path }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn fault_of<T: std::fmt::Debug>(value: Value, read: impl Fn(&Fields<'_>) -> Result<T, FieldFault>) -> String {
        let object = Map::from_iter([("x".to_owned(), value)]);
        read(&Fields::new(&object)).expect_err("a wrong value").to_string()
    }

    #[test]
    fn a_wrong_value_is_shown_with_what_was_expected() {
        for value in [
            json!(0),
            json!(-3),
            json!(1.5),
            json!("wide"),
            json!(1u64 << 60),
            json!([1]),
        ] {
            let message = fault_of(value.clone(), |fields| fields.size("x"));
            assert!(
                message.starts_with(&format!("field `x`: {value}, expected a whole number")),
                "{message}"
            );
        }
        assert!(fault_of(json!(0.0), |fields| fields.number("x")).contains("0.0, expected a positive number"));
        assert!(fault_of(json!("yes"), |fields| fields.flag_or("x", true)).contains("true or false"));
        assert!(fault_of(json!([1, 1.5]), |fields| fields.tokens("x")).contains("[1,1.5], expected a token id"));
        assert!(fault_of(json!("one"), |fields| fields.tokens("x")).contains("expected a token id"));
        assert!(fault_of(json!("ä".repeat(500)), |fields| fields.size("x")).len() < 200);
    }

    #[test]
    fn an_absent_or_null_field_is_its_default_or_missed_by_name() {
        for object in [json!({}), json!({"x": null})] {
            let object = object.as_object().cloned().unwrap_or_default();
            let fields = Fields::new(&object);
            assert_eq!(fields.size_or("x", 7), Ok(7));
            assert_eq!(fields.tokens("x"), Ok(vec![]));
            let message = fields.size("x").expect_err("nothing there").to_string();
            assert_eq!(message, "field `x`: missing, expected a whole number");
        }
    }

    #[test]
    fn a_token_below_zero_is_none() {
        for (value, expected) in [(json!(-1), vec![]), (json!([7, -1]), vec![7]), (json!(3), vec![3])] {
            let object = Map::from_iter([("x".to_owned(), value)]);
            assert_eq!(Fields::new(&object).tokens("x"), Ok(expected));
        }
    }

    #[test]
    fn fields_of_an_inner_object_are_called_by_their_path() {
        let object = json!({"rope": {"factor": "much"}})
            .as_object()
            .cloned()
            .unwrap_or_default();
        let mut path = String::new();
        let fields = Fields::new(&object);
        let inner = fields.object("rope", &mut path).expect("an object").expect("there");
        assert!(
            inner
                .number("factor")
                .expect_err("a text")
                .to_string()
                .contains("`rope.factor`")
        );
    }
}
