//! Krippendorff's alpha beside the package `krippendorff` 0.9.0 (`tests/golden/krippendorff/make.py`).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rlhf_preference::{Scale, krippendorff_alpha};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    units: Vec<Vec<f64>>,
    alpha: BTreeMap<String, Option<f64>>,
}

#[test]
fn alpha_is_that_of_the_package() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/krippendorff/expected.json");
    let text = fs::read_to_string(path).expect("the golden file is there");
    let cases: Vec<Case> = serde_json::from_str(&text).expect("the golden file is one");
    assert!(cases.len() > 30, "{}", cases.len());
    for (number, case) in cases.iter().enumerate() {
        for (name, scale) in [
            ("nominal", Scale::Nominal),
            ("ordinal", Scale::Ordinal),
            ("interval", Scale::Interval),
        ] {
            let expected = case.alpha[name].expect("it is known");
            let found = krippendorff_alpha(&case.units, scale).expect("it is known");
            assert!(
                (found - expected).abs() < 1e-9,
                "case {number}, {name}: {found} and {expected}"
            );
        }
    }
}
