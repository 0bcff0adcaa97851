//! Evaluations by log-likelihood.
//!
//! A [`Task`] reads a file in the format of its upstream ([`Task::read`]) into [`Question`]s, each with [`Request`]s: contexts and what
//! may follow them. [`encode_question`] makes tokens of them, a model gives each a log-probability ([`Scored`]), and
//! [`Question::figures`] says what these mean, figure by figure as in [`Task::figures`]. Plain text is read in [`windows`].
//!
//! Nothing here knows a tensor: who scores is somebody else.
//!
//! ```
//! use rlhf_likelihood::{Scored, Style, Task};
//!
//! let dir = tempfile::tempdir()?;
//! let path = dir.path().join("sky.jsonl");
//! std::fs::write(&path, r#"{"question":"Which colour has the sky?","choices":["blue","green"],"answer":0}"#)?;
//! let questions = Task::Choices.read(&path, Style::Plain)?.questions;
//! assert_eq!(questions[0].requests[1].continuation, " green");
//!
//! let scored = [-1.0, -3.0].map(|logprob| Scored { logprob, tokens: 1, greedy: None });
//! assert_eq!(questions[0].figures(&scored)[0], Some(1.0), "the first is likelier, and it is right");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod choices;
mod compare;
mod crows_pairs;
mod error;
mod lambada;
mod model_written;
mod question;
mod seam;
mod table;
mod task;
mod truthfulqa;
mod windows;
mod winogender;

pub use error::{Error, Result};
pub use question::{Context, Group, Question, Request, Scored};
pub use seam::{Encoded, encode_question};
pub use task::{Figure, Mean, Questions, Style, Task};
pub use windows::{TextUnits, Window, WindowRule, windows};
