//! Runs of the recipe through the public API.
//!
//! `settings` lists what of the configuration each stage depends on; `complete` says which stages stay complete and which are
//! done again when something changes; `few_rows` has lists too short to be parted; `labelers` has everybody who can rank and everything that PPO can
//! optimise; `growth` lets PPO go on for more than it was finished with; `support` has the tiny
//! configuration and somebody who writes down what a run says.

mod complete;
mod few_rows;
mod growth;
mod labelers;
mod settings;
mod support;
