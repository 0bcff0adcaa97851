//! Checkable instructions, put on top of anybody's prompts.
//!
//! A [`Constraint`] asks for something that a program can check: at most twenty words, three bullets, no comma, JSON. It
//! knows the [sentence that asks for it](Constraint::instruction), and [checks](Constraint::check) an answer: met or not,
//! and how near. [`KINDS`] lists them all; [`compatible`] says which two go together. [`ConstraintTask`] puts them on
//! somebody's rows and is a [`JudgedTask`](rlhf_tasks::JudgedTask): kinds that are held out occur in no training set, and
//! demonstrations are the user's own answers [put into the form asked for](demonstrate()), checked one by one.
//! [`ConstraintJudge`] judges answers, for evaluation, and [rewards](ConstraintJudge::reward) them, for PPO.
//!
//! The idea is that of IFEval (Zhou et al. 2023, arXiv 2311.07911) and of the verifiable constraints of Tülu 3 (Lambert et
//! al. 2024, arXiv 2411.15124); kinds, wordings and checks are this crate's own.
//!
//! ```
//! use rlhf_constraints::{Constraint, ConstraintJudge, ConstraintTask, ConstraintsConfig, UserRows};
//! use rlhf_data::{Message, Prompt};
//! use rlhf_tasks::{JudgedTask, PromptSet};
//!
//! let row = |id: usize, text: &str| Prompt { id: id.to_string(), messages: vec![Message::user(text)], task: None, origin: Default::default() };
//! let rows = UserRows { ppo_prompts: vec![row(0, "Explain tides."), row(1, "Name a bird.")], ..UserRows::default() };
//! let config = ConstraintsConfig { kinds: vec!["lower_case".to_owned()], ..ConstraintsConfig::default() };
//! let task = ConstraintTask::new(rows, &config, 1)?;
//!
//! let prompts = task.prompts(PromptSet::Ppo);
//! assert_eq!(prompts.len(), 2);
//! let asked = prompts[0].task.as_ref().expect("every prompt has its task beside it");
//! let judge = ConstraintJudge::new(config.shaping);
//! assert_eq!(judge.reward(asked, "the moon pulls the sea.")?, 1.0);
//! assert_eq!(judge.reward(asked, "THE moon")?, 0.5 * 4.0 / 7.0); // shaping times the share of small letters
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod check;
mod config;
mod conflict;
mod constraint;
mod deal;
mod demonstrate;
mod draw;
mod error;
mod instruct;
mod judge;
mod task;
mod text;
mod wordings;

pub use check::Check;
pub use config::ConstraintsConfig;
pub use conflict::compatible;
pub use constraint::{Constraint, KINDS, Language};
pub use demonstrate::demonstrate;
pub use error::{Error, Result};
pub use instruct::kinds_table;
pub use judge::{ConstraintJudge, ConstraintsAsked};
pub use task::{ConstraintTask, UserRows};
pub use wordings::WORDINGS;
