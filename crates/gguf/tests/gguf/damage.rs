//! What broken files are refused for: quickly, by the name of what is wrong, and never with a panic.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rlhf_gguf::{Gguf, Result};

use crate::golden::{golden, json};

/// Reads everything that a file says.
pub(crate) fn read_all(path: &Path) -> Result<()> {
    let bytes = fs::read(path).expect("readable");
    let file = Gguf::open(path)?;
    file.config()?;
    file.generation_config()?;
    for tensor in file.tensors()? {
        let range = tensor.stored.range.start as usize..tensor.stored.range.end as usize;
        let mut numbers = vec![0.0; tensor.numbers()];
        file.read_tensor(&tensor, &bytes[range], &mut numbers)?;
    }
    file.tokenizer().map(drop)
}

/// True if `text` has one of the words that `pattern` lists, in which `\.` is a dot and `.` is anything.
fn matches(pattern: &str, text: &str) -> bool {
    let text = text.to_lowercase();
    let mut words = pattern.split('|');
    words.any(|word| word == "." || text.contains(&word.replace("\\.", ".").to_lowercase()))
}

#[test]
fn damaged_files_are_refused_by_what_is_wrong_with_them() {
    let mut faults = Vec::new();
    for case in json("gguf/damaged/manifest.json").as_array().expect("a list") {
        let name = case["file"].as_str().expect("a text");
        let path = golden("gguf/damaged").join(name);
        let start = Instant::now();
        let result = read_all(&path);
        if start.elapsed() > Duration::from_secs(1) {
            faults.push(format!("{name}: took {:?}", start.elapsed()));
        }
        match result {
            Err(error) => {
                let message = error.to_string();
                println!("{message}");
                let keywords = case["keywords"].as_array().expect("a list").iter();
                let missing = keywords
                    .map(|word| word.as_str().expect("a text"))
                    .find(|word| !matches(word, &message));
                if !message.contains(name) || missing.is_some() {
                    faults.push(format!("{message}: lacks {missing:?}"));
                }
            }
            Ok(()) if case["verdict"] == "refuse" => faults.push(format!("{name}: read, expected {}", case["says"])),
            Ok(()) => println!("{name}: read"),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_file_that_the_others_were_made_of_is_sound() {
    read_all(&golden("gguf/damaged/base.gguf")).expect("sound");
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    let bytes = fs::read(golden("gguf/damaged/base.gguf")).expect("readable");
    for len in (0..bytes.len() - 32).step_by(7).chain(0..64) {
        assert!(
            Gguf::parse(&bytes[..len], "cut.gguf").is_err(),
            "{len} of {} bytes",
            bytes.len()
        );
    }
}

#[test]
fn no_change_of_a_byte_of_the_header_brings_a_reader_down() {
    let bytes = fs::read(golden("gguf/damaged/base.gguf")).expect("readable");
    for at in (0..6144).step_by(3) {
        for value in [0, 0xff, bytes[at] ^ 1] {
            let mut bytes = bytes.clone();
            bytes[at] = value;
            if let Ok(file) = Gguf::parse(&bytes, "changed.gguf") {
                let _ = (
                    file.config(),
                    file.tensors(),
                    file.tokenizer(),
                    file.generation_config(),
                );
            }
        }
    }
}

#[test]
fn what_is_no_gguf_is_told_for_what_it_is() {
    let sound = fs::read(golden("gguf/damaged/base.gguf")).expect("readable");
    let mut big_endian = sound.clone();
    big_endian[4..8].reverse();
    for (bytes, expected) in [
        (big_endian.as_slice(), "the file is big-endian"),
        (b"<!DOCTYPE html><html><body>404", "a page of HTML"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00",
            "a Git LFS pointer",
        ),
        (b"tjgg\x03\0\0\0", "GGJT"),
        (b"\x10\x02\0\0\0\0\0\0{\"__metadata__\":{}", "safetensors"),
        (b"", "it is empty"),
        (b"GGU", "ends within its first 4 bytes"),
    ] {
        let message = Gguf::parse(bytes, "other.gguf").expect_err("no GGUF").to_string();
        assert!(
            message.starts_with("other.gguf: ") && message.contains(expected),
            "{message}"
        );
    }
}
