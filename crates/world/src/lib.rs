//! An invented little world whose facts are known: its texts, instructions, gold judge and simulated labelers.

mod agreement;
mod config;
mod demonstrations;
mod documents;
mod error;
mod facts;
mod judge;
mod labelers;
mod names;
mod overlap;
mod phrases;
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
pub use error::{Error, Result};
pub use facts::Attribute;
pub use judge::{Judge, Verdict, weights};
pub use labelers::{Labeler, LabelerConfig, LabelerPool, Ranking, SimulatedLabeler};
pub use overlap::{Overlap, overlap};
pub use ranking_file::RankingFile;
pub use task::{Asked, Category, Flaw, Guess, Scene, Task, TaskKind, Tone, flaw_of};
pub use world::{PromptSet, World};
