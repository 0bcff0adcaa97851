//! The recipe as a library: every step of InstructGPT (arXiv 2203.02155) from text to a table of results.
//!
//! A [`Run`] is a folder and a [`Config`]. It runs a [`Stage`], goes on with one that was interrupted, or finds that it is
//! complete; [`STAGES`] has them in order. Stages meet through files in the folder, so each may run in a process of its own,
//! and what a stage depends on is what it says: its [settings](Stage::settings) and its [inputs](Stage::inputs).
//!
//! ```
//! use rlhf_pipeline::{Config, Options, Run, STAGES, stages};
//!
//! let mut config = Config::default();
//! config.world.document_bytes = 20_000;
//! config.world.validation_document_bytes = 2_000;
//! config.tokenizer.vocab_size = 400;
//! # let dir = tempfile::tempdir().expect("a temporary folder");
//! # let dir = dir.path();
//! let run = Run::open(dir, config, Options::default())?;
//! assert!(!run.stage(&stages::Tokenizer)?.was_complete);
//! assert!(run.stage(&stages::Tokenizer)?.was_complete);
//! // The others need minutes: `for stage in STAGES { run.stage(stage)?; }`, then `run.summary()?`.
//! let names: Vec<&str> = STAGES.iter().map(|stage| stage.name()).collect();
//! assert_eq!(names.join(" "), "tokenizer pretrain sft sample label reward ppo eval");
//! # Ok::<(), rlhf_pipeline::Error>(())
//! ```

mod card;
pub mod config;
mod cost;
mod error;
mod files;
mod inputs;
mod listener;
mod locations;
mod memory;
mod pace;
mod preference;
mod rows;
mod run;
mod settings;
mod stage;
pub mod stages;
pub mod suggest;
mod workspace;

pub use config::Config;
pub use error::{Error, Result};
pub use inputs::Inputs;
pub use listener::{Bar, Listener, Silent};
pub use locations::{Locations, RunLocations};
pub use memory::{Savings, peak_memory};
pub use pace::ceiling_gflops;
pub use preference::{
    AnswersOf, Contestant, PreferenceFault, PreferenceJudge, PreferenceOptions, PromptPart, evaluate_preference,
};
pub use run::{Finished, Options, Run};
pub use settings::Settings;
pub use stage::{Extent, Stage};
pub use stages::STAGES;
pub use workspace::Workspace;
