//! Shared parts of the fuzz targets: a folder for the files of an input, and the use of a model that loaded.

use std::fs;
use std::path::Path;

use rlhf_model::{CausalLm, ScalarModel, sequence_logprobs, sequence_scores};
use tempfile::TempDir;

/// Between the files of one input.
const SEPARATOR: &[u8] = b"\n=====\n";
/// Tokens that go through a model that loaded; every configuration here has that many words.
const TOKENS: [[u32; 3]; 1] = [[0, 1, 2]];

/// A folder in memory where the system has one, since every input writes its files there.
pub struct Folder(TempDir);

impl Default for Folder {
    fn default() -> Self {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            TempDir::new_in(memory)
        } else {
            TempDir::new()
        };
        Self(folder.expect("a temporary folder can be made"))
    }
}

impl Folder {
    /// A folder with these files.
    pub fn with(files: &[(&str, &[u8])]) -> Self {
        let folder = Self::default();
        for (name, bytes) in files {
            folder.write(name, bytes);
        }
        folder
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, or replaces it.
    pub fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path().join(name), bytes).expect("the temporary folder can be written to");
    }
}

/// The files that an input holds; those that it lacks are empty.
pub fn files<const N: usize>(input: &[u8]) -> [&[u8]; N] {
    let mut rest = input;
    std::array::from_fn(|index| {
        let end = rest.windows(SEPARATOR.len()).position(|window| window == SEPARATOR);
        match end {
            Some(end) if index + 1 < N => {
                let file = &rest[..end];
                rest = &rest[end + SEPARATOR.len()..];
                file
            }
            _ => std::mem::take(&mut rest),
        }
    })
}

/// A language model that loaded must also run.
pub fn run_causal(model: &CausalLm) {
    if model.transformer.vocab_size() > 2 && model.transformer.max_seq_len() > 2 {
        sequence_logprobs(model, &TOKENS, &[0], 1.0, 8);
    }
}

/// A reward model that loaded must also run.
pub fn run_scalar(model: &ScalarModel) {
    if model.transformer.vocab_size() > 2 && model.transformer.max_seq_len() > 2 {
        sequence_scores(model, &TOKENS, 8);
    }
}
