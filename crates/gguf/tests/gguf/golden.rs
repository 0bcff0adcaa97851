//! Where the fixtures are, and what they say of a tensor.

use std::fs;
use std::path::{Path, PathBuf};

use rlhf_gguf::{Gguf, ModelTensor};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden")
        .join(name)
}

pub(crate) fn json(name: &str) -> Value {
    json_at(&golden(name))
}

pub(crate) fn json_at(path: &Path) -> Value {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).expect("the fixture is JSON")
}

/// The sound files of `tests/golden/gguf`, with what is expected of each.
pub(crate) fn sound() -> Vec<(PathBuf, Value)> {
    let mut files: Vec<(PathBuf, Value)> = fs::read_dir(golden("gguf"))
        .expect("the fixtures are there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|end| end == "gguf"))
        .map(|path| (path.clone(), json_at(&path.with_extension("json"))))
        .collect();
    files.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(files.len() > 20, "{files:?}");
    files
}

/// A list of numbers that are `f32` in JSON.
pub(crate) fn floats(value: &Value) -> Vec<f32> {
    let numbers = value.as_array().expect("a list");
    numbers.iter().map(|x| x.as_f64().expect("a number") as f32).collect()
}

pub(crate) fn sha256(numbers: &[f32]) -> String {
    let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The numbers of a tensor in the order of the file, and in that of transformers.
pub(crate) fn numbers(file: &Gguf, bytes: &[u8], tensor: &ModelTensor) -> (Vec<f32>, Vec<f32>) {
    let range = tensor.stored.range.start as usize..tensor.stored.range.end as usize;
    let mut stored = vec![0.0; tensor.numbers()];
    tensor.stored.tensor_type.decode(&bytes[range.clone()], &mut stored);
    let mut out = vec![0.0; tensor.numbers()];
    file.read_tensor(tensor, &bytes[range], &mut out)
        .expect("finite numbers");
    (stored, out)
}

/// Checks numbers with rows of `width` against `sum`, `l2`, `first4`, `row1_first4`, `row_weighted_sum` and the hash.
#[track_caller]
pub(crate) fn check_numbers(name: &str, numbers: &[f32], width: usize, expected: &Value) {
    let same = |key: &str, found: f64| {
        if let Some(wanted) = expected[key].as_f64() {
            assert!(
                (found - wanted).abs() <= 1e-9 * wanted.abs().max(1.0),
                "{name}: {key} {found}, expected {wanted}"
            );
        }
    };
    let wide = || numbers.iter().map(|&x| f64::from(x));
    same("sum", wide().sum());
    same("l2", wide().map(|x| x * x).sum::<f64>().sqrt());
    let rows = numbers.len() / width;
    let weighted: f64 = numbers
        .chunks(width)
        .enumerate()
        .map(|(row, numbers)| (row + 1) as f64 * numbers.iter().map(|&x| f64::from(x)).sum::<f64>())
        .sum();
    same("row_weighted_sum", weighted / rows as f64);
    for (key, from) in [("first4", 0), ("row1_first4", width)] {
        if !expected[key].is_null() {
            let wanted = floats(&expected[key]);
            assert_eq!(numbers[from..from + wanted.len()], wanted, "{name}: {key}");
        }
    }
    if let Some(hash) = expected["sha256_f32_le"].as_str() {
        assert_eq!(sha256(numbers), hash, "{name}: sha256");
    }
}

/// A JSON object.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}
