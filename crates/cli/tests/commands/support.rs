//! Runs the binary; makes folders, models and fixtures for it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use burn::tensor::Device;
use rlhf_data::{Tokenizer, TokenizerConfig};
use rlhf_model::{CausalLm, Gpt2Config, ModelConfig, ScalarModel, save_causal_lm, save_scalar_model};
use serde_json::Value;

/// Results of a run of the binary.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Standard output of a run that succeeded.
    #[track_caller]
    pub(crate) fn printed(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.stdout
    }

    /// The JSON rows that a run printed.
    #[track_caller]
    pub(crate) fn rows(self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).expect("a JSON row");
        self.printed().lines().map(parse).collect()
    }

    /// Checks that the run failed, printed nothing and said all of `fragments`.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32, fragments: &[&str]) {
        assert_eq!(self.stdout, "");
        self.refused_after_rows(code, fragments);
    }

    /// Checks that the run failed and said all of `fragments`, whatever it printed before.
    #[track_caller]
    pub(crate) fn refused_after_rows(&self, code: i32, fragments: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        for fragment in fragments {
            assert!(
                self.stderr.contains(fragment),
                "{:?} is not in: {}",
                fragment,
                self.stderr
            );
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
    }
}

/// Runs the binary.
pub(crate) fn rlhf(arguments: &[&str]) -> Outcome {
    rlhf_reading(arguments, "")
}

/// Runs the binary with a text as its standard input.
pub(crate) fn rlhf_reading(arguments: &[&str], input: &str) -> Outcome {
    rlhf_in(&[], arguments, input)
}

/// Variables of a user's environment that concern the Hub and ways to it.
const OF_THE_HUB: [&str; 9] = [
    "HF_ENDPOINT",
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_HUB_OFFLINE",
    "HF_TOKEN",
    "ALL_PROXY",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "http_proxy",
];

/// Runs the binary in an environment with these variables and none that would lead it elsewhere.
pub(crate) fn rlhf_in(environment: &[(&str, &str)], arguments: &[&str], input: &str) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rlhf"));
    OF_THE_HUB.iter().for_each(|name| {
        command.env_remove(name);
    });
    let mut child = command
        .envs(environment.iter().copied())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary was built");
    // A program that refuses its arguments does not wait for input.
    let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Outcome {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// `tests/golden/models/<name>`.
pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/models")
        .join(name)
}

/// An empty folder for one test.
pub(crate) fn folder(test: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    if path.exists() {
        std::fs::remove_dir_all(&path).expect("it was made by an earlier run");
    }
    std::fs::create_dir_all(&path).expect("the target folder can be written");
    path
}

/// A file in `folder`, by the path to give to the binary.
pub(crate) fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("the folder exists");
    argument(&path)
}

pub(crate) fn argument(path: &Path) -> String {
    path.to_str().expect("paths of tests are plain").to_owned()
}

/// Positions of [`language_model`].
pub(crate) const CONTEXT: usize = 48;

/// The tokenizer of the small models: bytes and a few merges.
pub(crate) fn tokenizer() -> Tokenizer {
    let config = TokenizerConfig {
        vocab_size: 300,
        min_frequency: 2,
    };
    Tokenizer::train(
        ["the sea, the sea, the shore of the sea and the ship on the shore"],
        &config,
    )
    .expect("in range")
}

/// A language model with random weights and a tokenizer, in `folder/lm`.
pub(crate) fn language_model(folder: &Path) -> String {
    let (dir, config) = model_folder(folder, "lm");
    save_causal_lm(&dir, &CausalLm::init(&config, 1, &Device::flex()), &config).expect("the folder exists");
    argument(&dir)
}

/// The same whose embedding has `more` rows than the tokenizer has tokens, in `folder/padded`.
pub(crate) fn padded_language_model(folder: &Path, more: usize) -> String {
    let (dir, _) = model_folder(folder, "padded");
    let config = config_of(&tokenizer(), more);
    save_causal_lm(&dir, &CausalLm::init(&config, 1, &Device::flex()), &config).expect("the folder exists");
    argument(&dir)
}

/// A reward model with random weights and a tokenizer, in `folder/rm`.
pub(crate) fn reward_model(folder: &Path) -> String {
    let (dir, config) = model_folder(folder, "rm");
    let trunk = CausalLm::init(&config, 2, &Device::flex()).transformer;
    let model = ScalarModel::from_decoder(trunk, 3, &Device::flex());
    save_scalar_model(&dir, &model, &config).expect("the folder exists");
    argument(&dir)
}

fn model_folder(folder: &Path, name: &str) -> (PathBuf, ModelConfig) {
    let dir = folder.join(name);
    std::fs::create_dir_all(&dir).expect("the folder exists");
    let tokenizer = tokenizer();
    tokenizer.save(&dir).expect("the folder exists");
    let config = config_of(&tokenizer, 0);
    (dir, config)
}

/// A small model for a tokenizer, with `more` rows of embedding than it has tokens.
fn config_of(tokenizer: &Tokenizer, more: usize) -> ModelConfig {
    Gpt2Config {
        vocab_size: tokenizer.vocab_size() + more,
        n_positions: CONTEXT,
        n_embd: 16,
        n_layer: 2,
        n_head: 2,
        eos_token_id: Some(tokenizer.eos_token_id()),
        pad_token_id: tokenizer.pad_token_id(),
        ..Gpt2Config::default()
    }
    .into()
}

/// The numbers of a field.
#[track_caller]
pub(crate) fn numbers(row: &Value, field: &str) -> Vec<f64> {
    let items = row[field]
        .as_array()
        .unwrap_or_else(|| panic!("{row} has no list `{field}`"));
    items.iter().map(|item| item.as_f64().expect("a number")).collect()
}
