//! Black-box tests of the `rlhf` binary: what it prints, what it refuses, and how it says so.
//!
//! `support` runs the binary and makes small models; `arguments`, `configuration`, `rows`, `inspect` and `stages` hold
//! what users get wrong; `numbers` compares with PyTorch; `generation` and `chat` let a model speak; `template` shows how
//! conversations are written; `merge` merges adapters.

mod arguments;
mod chat;
mod configuration;
mod generation;
mod inspect;
mod merge;
mod numbers;
mod rows;
mod stages;
mod support;
mod template;
