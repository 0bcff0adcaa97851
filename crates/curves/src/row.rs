//! A line as a row.

use serde_json::{Map, Value};

const STEP: &str = "step";

/// A row of metrics.
#[derive(Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) step: u64,
    pub(crate) values: Vec<(String, Option<f64>)>,
}

/// Reads a line; what is wrong with it otherwise.
pub(crate) fn parse(line: &[u8]) -> Result<Row, String> {
    let mut fields: Map<String, Value> =
        serde_json::from_slice(line).map_err(|error| format!("expected an object of numbers: {error}"))?;
    let step = match fields.remove(STEP) {
        None => return Err("expected a whole number `step`, found none".to_owned()),
        // A writer of another kind may write 3.0.
        Some(value) => (value.as_u64())
            .or_else(|| {
                value
                    .as_f64()
                    .filter(|x| *x >= 0.0 && x.fract() == 0.0)
                    .map(|x| x as u64)
            })
            .ok_or_else(|| format!("expected a whole number `step`, found {value}"))?,
    };
    let value = |(name, value): (String, Value)| match value {
        Value::Null => Ok((name, None)),
        Value::Number(number) => Ok((name, number.as_f64())),
        other => Err(format!("expected a number or null as `{name}`, found {other}")),
    };
    let values = fields.into_iter().map(value).collect::<Result<_, _>>()?;
    Ok(Row { step, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_step_and_numbers_or_nulls() {
        let row = parse(br#"{"step":3,"a":1.5,"b":null,"c":2}"#).unwrap();
        let named = |name: &str, value| (name.to_owned(), value);
        assert_eq!(row.step, 3);
        assert_eq!(
            row.values,
            [named("a", Some(1.5)), named("b", None), named("c", Some(2.0))]
        );
        assert_eq!(parse(br#"{"step":3.0}"#).unwrap().step, 3);
    }

    #[test]
    fn faults_say_what_was_expected() {
        for (line, said) in [
            ("", "an object of numbers"),
            ("[1]", "an object of numbers"),
            ("{\"a\":1}", "`step`, found none"),
            ("{\"step\":1.5}", "`step`, found 1.5"),
            ("{\"step\":-1}", "`step`, found -1"),
            ("{\"step\":1,\"a\":\"b\"}", "as `a`, found \"b\""),
        ] {
            let fault = parse(line.as_bytes()).unwrap_err();
            assert!(fault.contains(said), "{line}: {fault}");
        }
    }
}
