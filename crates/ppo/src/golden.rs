//! Reads the fixtures of `tests/golden/ppo`, which an independent PyTorch program wrote in float64.

use serde_json::Value;

/// The cases of one fixture.
pub(crate) fn cases(file: &str) -> Vec<Value> {
    let path = format!("{}/../../tests/golden/ppo/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A JSON number.
pub(crate) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("not a number: {value}"))
}

/// A JSON list of numbers.
pub(crate) fn vector(value: &Value) -> Vec<f64> {
    list(value).iter().map(number).collect()
}

/// A JSON list of lists of numbers.
pub(crate) fn matrix(value: &Value) -> Vec<Vec<f64>> {
    list(value).iter().map(vector).collect()
}

/// A JSON list of matrices.
pub(crate) fn tensor3(value: &Value) -> Vec<Vec<Vec<f64>>> {
    list(value).iter().map(matrix).collect()
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}"))
}

/// Number of leading ones of each row of a prefix mask.
pub(crate) fn lengths(mask: &Value) -> Vec<usize> {
    matrix(mask)
        .iter()
        .map(|row| row.iter().filter(|&&m| m == 1.0).count())
        .collect()
}

/// The real entries of a padded matrix, row after row.
pub(crate) fn flat(value: &Value, lengths: &[usize]) -> Vec<f64> {
    matrix(value)
        .iter()
        .zip(lengths)
        .flat_map(|(row, &len)| row[..len].to_vec())
        .collect()
}

/// Asserts `|found - expected| <= tolerance * max(1, |expected|)` entry by entry.
#[track_caller]
pub(crate) fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "lengths: {found:?} against {expected:?}");
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!(
            (a - b).abs() <= tolerance * b.abs().max(1.0),
            "entry {i}: {a} against {b}, tolerance {tolerance}"
        );
    }
}
