//! The golden files under `tests/golden/`, made by PyTorch; their READMEs give versions and conventions.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rlhf_core::TensorMap;
use safetensors::{Dtype, SafeTensors};
use serde::de::DeserializeOwned;
use tempfile::TempDir;

/// `tests/golden/<name>`.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)
}

/// A JSON fixture.
pub(crate) fn json<T: DeserializeOwned>(name: &str) -> T {
    let text = fs::read_to_string(path(name)).expect("the fixture is part of the repository");
    serde_json::from_str(&text).expect("the fixture has the shape its README states")
}

/// The two spellings of `config.json`: transformers 5 and transformers 4.
pub(crate) const CONFIGS: [&str; 2] = ["config.json", "config_v4.json"];

/// A copy of a model directory without its expectations, in which `config` stands as `config.json`.
pub(crate) fn model_dir(model: &str, config: &str) -> TempDir {
    let dir = tempfile::tempdir().expect("temporary folder");
    let source = path("models").join(model);
    let copy = |from: &str, to: &str| {
        fs::copy(source.join(from), dir.path().join(to)).expect("the fixture is part of the repository");
    };
    copy(config, "config.json");
    for entry in fs::read_dir(&source).expect("the fixture is part of the repository") {
        let name = entry.expect("a readable folder").file_name();
        let name = name.to_str().expect("fixtures have plain names");
        if name.starts_with("model") {
            copy(name, name);
        }
    }
    dir
}

/// The tensors of a model's `expected.safetensors`: floats in one map, integers in the other.
pub(crate) struct Expected {
    floats: TensorMap,
    ints: std::collections::BTreeMap<String, Vec<i64>>,
}

impl Expected {
    pub(crate) fn of(model: &str) -> Self {
        let bytes = fs::read(path("models").join(model).join("expected.safetensors")).expect("the fixture exists");
        let file = SafeTensors::deserialize(&bytes).expect("the fixture is whole");
        let mut expected = Self {
            floats: TensorMap::new(),
            ints: Default::default(),
        };
        for (name, view) in file.iter() {
            let bytes = view.data();
            match view.dtype() {
                Dtype::F32 => {
                    let values = bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
                    expected.floats.insert(name.to_owned(), (view.shape().to_vec(), values));
                }
                Dtype::I64 => {
                    let values = bytes.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect();
                    expected.ints.insert(name.to_owned(), values);
                }
                other => panic!("{name} has type {other:?}"),
            }
        }
        expected
    }

    /// A float tensor in row-major order.
    pub(crate) fn floats(&self, name: &str) -> &[f32] {
        &self.floats[name].1
    }

    /// Its dimensions.
    pub(crate) fn dims<const D: usize>(&self, name: &str) -> [usize; D] {
        self.floats[name]
            .0
            .as_slice()
            .try_into()
            .expect("rank as the README states")
    }

    /// An integer tensor in row-major order.
    pub(crate) fn ints(&self, name: &str) -> &[i64] {
        &self.ints[name]
    }

    /// The ragged rows of the batch padded on `side`, and for each row the column of its first token.
    pub(crate) fn sequences(&self, side: &str) -> (Vec<Vec<u32>>, Vec<usize>) {
        let (ids, mask) = (
            self.ints(&format!("{side}.input_ids")),
            self.ints(&format!("{side}.attention_mask")),
        );
        let columns = ids.len() / ROWS;
        let rows = ids.chunks(columns).zip(mask.chunks(columns));
        rows.map(|(ids, mask)| {
            let real = ids.iter().zip(mask).filter(|(_, real)| **real == 1);
            let first = mask.iter().position(|&real| real == 1).expect("no row is empty");
            (real.map(|(&id, _)| id as u32).collect::<Vec<_>>(), first)
        })
        .unzip()
    }
}

/// Rows of every fixture batch.
const ROWS: usize = 3;
