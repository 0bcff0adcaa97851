//! Parquet files as `datasets` writes them.

use std::path::PathBuf;

use rlhf_data::{Columns, DataKind, InspectOptions, inspect, read_comparisons_from, read_demonstrations, read_prompts};

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/parquet")
        .join(name)
}

#[test]
fn conversations_are_lists_of_structures() {
    let loaded = read_demonstrations(golden("conversations.parquet")).unwrap();
    let said: Vec<_> = loaded
        .rows
        .iter()
        .map(|d| (d.prompt()[0].content.as_str(), d.completion()))
        .collect();
    assert_eq!(
        said,
        [("Où est le phare ?", "Au nord."), ("And the mill?", "By the river.")]
    );
    assert_eq!(loaded.rows[0].id, "a");
    assert_eq!(read_prompts(golden("conversations.parquet")).unwrap().rows.len(), 2);
    assert_eq!(
        inspect(golden("conversations.parquet"), &InspectOptions::default())
            .unwrap()
            .kind,
        DataKind::Demonstrations
    );
}

#[test]
fn rankings_are_lists_and_columns_may_have_other_names() {
    let columns = Columns::new([("prompt", "instruction"), ("completions", "answers")]);
    let loaded = read_comparisons_from(golden("ranked.parquet"), &columns).unwrap();
    assert_eq!(loaded.rows[0].completions, ["Red.", "Blue.", "Soup."]);
    assert_eq!(loaded.rows[0].ranking, [0, 0, 2]);
    assert_eq!(loaded.rows[1].ranking, [1, 0]);
}

#[test]
fn a_row_that_lacks_a_field_is_named_by_its_number() {
    let path = golden("with_null.parquet");
    let error = read_demonstrations(&path).unwrap_err().to_string();
    let expected = format!("{}:3: field `prompt`: ", path.display());
    assert!(error.starts_with(&expected), "{error}");
}

#[test]
fn another_compression_is_named() {
    let path = golden("zstd.parquet");
    let columns = Columns::new([("prompt", "instruction"), ("completions", "answers")]);
    let error = read_comparisons_from(&path, &columns).unwrap_err().to_string();
    assert!(error.starts_with(&path.display().to_string()), "{error}");
    assert!(error.contains("not compressed, or by snappy or gzip"), "{error}");
    assert!(error.to_lowercase().contains("zstd"), "{error}");
}

/// Cut short anywhere, or with any byte changed, a file gives rows or an error, never a panic.
#[test]
fn damaged_files_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("damaged.parquet");
    for name in ["conversations.parquet", "ranked.parquet"] {
        let bytes = std::fs::read(golden(name)).unwrap();
        for len in (0..bytes.len()).step_by(97) {
            std::fs::write(&path, &bytes[..len]).unwrap();
            let error = read_demonstrations(&path).unwrap_err().to_string();
            assert!(error.starts_with(&path.display().to_string()), "{error}");
        }
        for at in (0..bytes.len()).step_by(13) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x55;
            std::fs::write(&path, &damaged).unwrap();
            if let Err(error) = read_demonstrations(&path) {
                assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
            }
        }
    }
}
