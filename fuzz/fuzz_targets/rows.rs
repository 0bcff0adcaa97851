//! Data files: JSON lines, a JSON array, text, gzipped, Parquet; read as each kind of row.
//!
//! The first byte says which.
#![no_main]

use std::panic;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use rlhf_data::{
    Columns, Documents, InspectOptions, inspect, read_comparisons, read_demonstrations_from, read_prompts, read_text,
};
use rlhf_fuzz::Folder;

fuzz_target!(init: let_parquet_panic(), |input: &[u8]| {
    let Some((kind, input)) = input.split_first() else { return };
    match kind {
        b'l' => read("rows.jsonl", input),
        b'a' => read("rows.json", input),
        b't' => read("rows.txt", input),
        b'z' => read("rows.jsonl.gz", input),
        b'p' => read("rows.parquet", input),
        _ => {}
    }
});

/// The fuzzer ends at any panic, also at those of the `parquet` crate, which `rlhf-data` catches and makes errors of.
fn let_parquet_panic() {
    let abort = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let is_caught = info.location().is_some_and(|place| place.file().contains("/parquet-"));
        if !is_caught {
            abort(info);
        }
    }));
}

fn read(name: &str, bytes: &[u8]) {
    let folder = Folder::with(&[(name, bytes)]);
    let path: &Path = &folder.path().join(name);
    let _ = read_demonstrations_from(path, &Columns::default());
    let _ = read_demonstrations_from(path, &Columns::new([("prompt", "question"), ("completion", "answer")]));
    let _ = read_comparisons(path);
    let _ = read_prompts(path);
    let _ = read_text(path, Documents::Auto);
    let _ = inspect(path, &InspectOptions::default());
}
