//! An invented valley whose facts are known, and everything made of it.
//!
//! [`World::generate`] deals out, from a seed, who lives where, what grows there, what the moon hare does and who
//! opens the Hat Dance. From these facts it writes texts to pretrain on, demonstrations by writers who slip now
//! and then, and prompts of eleven kinds, split so that no held-out combination of task, entity and wording occurs
//! in training. [`Judge`] knows the facts and judges any answer without noise; its gold score is for evaluation
//! alone. What trains the reward model are the rankings of a [`Labeler`]: a [`SimulatedLabeler`] from a
//! [`LabelerPool`], calibrated to agree as often as people do, or a [`RankingFile`] that people wrote.
//!
//! ```
//! use rlhf_world::{Judge, PromptSet, World, WorldConfig};
//!
//! let world = World::generate(1, &WorldConfig::tiny());
//! let judge = Judge::new(&world);
//! for reference in world.references(PromptSet::HeldOut) {
//!     let prompt = rlhf_data::Prompt {
//!         id: reference.id.clone(),
//!         messages: reference.prompt().to_vec(),
//!         task: reference.task.clone(),
//!     };
//!     let good = judge.assess(&prompt, reference.completion())?;
//!     let noise = judge.assess(&prompt, "the the of lamp")?;
//!     assert!(!good.untrue && good.gold > noise.gold);
//! }
//! # Ok::<(), rlhf_world::Error>(())
//! ```

mod agreement;
mod config;
mod demonstrations;
mod documents;
mod entities;
mod error;
mod facts;
mod judge;
mod labelers;
mod names;
mod overlap;
mod phrases;
mod questions;
mod ranking_file;
mod scenes;
mod seed;
mod sentences;
mod tales;
mod task;
mod tasks;
mod text;
mod world;

pub use agreement::{Agreement, Ballot, agreement};
pub use config::WorldConfig;
pub use entities::Attribute;
pub use error::{Error, Result};
pub use judge::{GoldJudge, Judge, Verdict, weights};
pub use labelers::{Labeler, LabelerConfig, LabelerPool, Ranking, SimulatedLabeler};
pub use overlap::{Overlap, overlap};
pub use ranking_file::RankingFile;
pub use seed::hash as stable_hash;
pub use task::{Asked, Category, Flaw, Guess, Scene, Task, TaskKind, Tone, flaw_of};
pub use world::{PromptSet, World};
