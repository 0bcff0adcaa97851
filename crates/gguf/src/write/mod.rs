//! A model folder as a GGUF file.

mod entries;
mod export;
mod file;

pub(crate) use entries::Entries;
pub use export::{Export, Written};
