//! The parts that judged tasks share: judges, labelers, rankings, and sets of prompts.
//!
//! A [`JudgedTask`] writes documents, demonstrations and the prompts of each [`PromptSet`], and has a [`GoldJudge`], who
//! gives a [`Verdict`] on any answer without noise. The gold score is for evaluation alone. A reward model learns from the
//! [`Ranking`]s of a [`Labeler`]: a [`SimulatedLabeler`] of a [`LabelerPool`] sees the verdicts through leanings and noise
//! of its own, calibrated until two of them agree as often as people do; a [`RankingFile`] holds what people wrote.
//! [`agreement`] measures how often labelers order a pair alike. `rlhf-world` and `rlhf-stories` are two such tasks.
//!
//! ```
//! use std::sync::Arc;
//!
//! use rlhf_data::{Message, Prompt};
//! use rlhf_tasks::{GoldJudge, Labeler, LabelerConfig, LabelerPool, Result, Verdict};
//!
//! /// Thinks more of short answers.
//! #[derive(Debug)]
//! struct Brevity;
//!
//! impl GoldJudge for Brevity {
//!     fn assess(&self, _: &Prompt, completion: &str) -> Result<Verdict> {
//!         let gold = 1.0 / completion.split_whitespace().count().max(1) as f64;
//!         Ok(Verdict { helpful: gold, gold, ..Verdict::NOTHING })
//!     }
//! }
//!
//! let prompt = |id: usize| Prompt { id: id.to_string(), messages: vec![Message::user("Why?")], task: None, origin: Default::default() };
//! let answers = vec!["Because.".to_owned(), "Well, that is a long story.".to_owned()];
//! let verdicts = Brevity.assess_completions(&prompt(0), &answers)?;
//! assert!(verdicts[0].gold > verdicts[1].gold);
//!
//! let mut labelers = LabelerPool::new(1, Arc::new(Brevity), &LabelerConfig::default());
//! let samples: Vec<_> = (0..60).map(|id| (prompt(id), answers.clone())).collect();
//! let reached = labelers.calibrate(&samples, 0.73)?;
//! assert!((reached - 0.73).abs() < 0.02);
//!
//! let labeler = &labelers.training()[0];
//! assert_eq!(labeler.rank(&prompt(0), &answers)?, labeler.rank(&prompt(0), &answers)?);
//! # Ok::<(), rlhf_tasks::Error>(())
//! ```

mod agreement;
mod config;
mod error;
mod judge;
mod labeler;
mod pool;
mod ranking_file;
mod seed;
mod simulated;
mod task;

pub use agreement::{Ballot, agreement};
pub use config::LabelerConfig;
pub use error::{Error, Result};
pub use judge::{GoldJudge, Verdict, weights};
pub use labeler::{Labeler, Ranking};
pub use pool::LabelerPool;
pub use ranking_file::RankingFile;
pub use seed::{stable_hash, stream};
pub use simulated::{FRIENDLY_PHRASES, SimulatedLabeler};
pub use task::{JudgedTask, PromptSet};
