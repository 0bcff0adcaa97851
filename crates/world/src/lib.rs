//! An invented valley whose facts are known, and everything made of it.
//!
//! [`World::generate`] deals out, from a seed, who lives where, what grows there, what the moon hare does and who
//! opens the Hat Dance. From these facts it writes texts to pretrain on, demonstrations by writers who slip now
//! and then, and prompts of eleven kinds, split so that no held-out combination of task, entity and wording occurs
//! in training. It is a [`JudgedTask`](rlhf_tasks::JudgedTask): [`Judge`] knows the facts and judges any answer without
//! noise, and the labelers of `rlhf-tasks` rank answers by its verdicts.
//!
//! ```
//! use rlhf_tasks::{GoldJudge, PromptSet};
//! use rlhf_world::{Judge, World, WorldConfig};
//!
//! let world = World::generate(1, &WorldConfig::tiny());
//! let judge = Judge::new(&world);
//! for reference in world.references(PromptSet::HeldOut) {
//!     let prompt = rlhf_data::Prompt {
//!         id: reference.id.clone(),
//!         messages: reference.prompt().to_vec(),
//!         task: reference.task.clone(),
//!         origin: Default::default(),
//!     };
//!     let good = judge.assess(&prompt, reference.completion())?;
//!     let noise = judge.assess(&prompt, "the the of lamp")?;
//!     assert!(!good.untrue && good.gold > noise.gold);
//! }
//! # Ok::<(), rlhf_tasks::Error>(())
//! ```

mod config;
mod demonstrations;
mod documents;
mod entities;
mod facts;
mod judge;
mod names;
mod phrases;
mod questions;
mod scenes;
mod sentences;
mod tales;
mod task;
mod tasks;
mod text;
mod world;

pub use config::WorldConfig;
pub use entities::Attribute;
pub use judge::Judge;
pub use task::{Asked, Category, Flaw, Guess, Scene, Task, TaskKind, Tone, flaw_of};
pub use world::World;
