//! Rankings and scores from outside the program: from people, from a command, from a model behind a server.
//!
//! A [`Command`] is a program of the user's that is started once and exchanges lines of JSON: it ranks [`RankTask`]s or scores
//! [`AnswerTask`]s. An [`OpenAiJudge`] asks a model which of two answers is better, over HTTP, in both orders, keeps every verdict in a
//! file, and ranks by pairs won. [`export()`] writes tasks for people, and [`import()`] reads their rankings, checked against what was
//! exported. All three end in [`rlhf_data::Comparison`]s, which a reward model learns from and of which
//! [`RankingFile::by_labeler`](rlhf_tasks::RankingFile::by_labeler) makes [`Labeler`](rlhf_tasks::Labeler)s.
//!
//! ```
//! use rlhf_data::{Message, Prompt};
//! use rlhf_judges::{export, import};
//! use rlhf_tasks::{Labeler, RankingFile};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let prompt = Prompt { id: "sea".into(), messages: vec![Message::user("Why is it salty?")], task: None, origin: Default::default() };
//! let answers = vec!["It is.".to_owned(), "Rivers carry salt into it.".to_owned()];
//! let rows = [(prompt, answers)];
//!
//! let folder = tempfile::tempdir()?;
//! export(folder.path(), &rows)?;
//! assert_eq!(import(folder.path(), &rows)?.missing, ["sea"]);
//!
//! // Somebody copies the line and fills it in; the order of the answers there is drawn by lot.
//! let line = r#"{"id": "sea", "completions": ["Rivers carry salt into it.", "It is."], "ranking": [0, 1], "labeler": "maud"}"#;
//! std::fs::write(folder.path().join("rankings.jsonl"), line)?;
//! let imported = import(folder.path(), &rows)?;
//! assert!(imported.missing.is_empty());
//!
//! let maud = RankingFile::by_labeler(imported.comparisons, "somebody")?.remove(0);
//! assert_eq!(maud.id(), "maud");
//! assert_eq!(maud.rank(&rows[0].0, &rows[0].1)?.ranks, [1, 0]);
//! # Ok(())
//! # }
//! ```

mod cache;
mod command;
mod error;
mod export;
mod import;
mod judge_config;
mod judge_prompt;
mod openai;
mod positions;
mod spent;
mod task;

pub use command::{Command, CommandConfig};
pub use error::{Error, Result};
pub use export::export;
pub use import::{Imported, import, ranking_files};
pub use judge_config::{JudgeConfig, TokenLimit};
pub use judge_prompt::DEFAULT_TEMPLATE;
pub use openai::OpenAiJudge;
pub use positions::Positions;
pub use spent::{Spent, Usage};
pub use task::{AnswerTask, RankTask};
