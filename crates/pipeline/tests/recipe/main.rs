//! Runs of the recipe through the public API.
//!
//! `settings` lists what of the configuration each stage depends on; `complete` says which stages stay complete and which are
//! done again when something changes; `damage` breaks each input of each stage; `few_rows` has lists too short to be parted; `labelers` has everybody who can rank and everything that PPO can
//! optimise; `judged` has a second reward model beside the one that is optimised; `preference` compares checkpoints outside of a run; `growth` lets PPO go on for more than it was finished with; `selection` evaluates PPO while it goes on; `support` has the tiny
//! configuration and somebody who writes down what a run says.

mod complete;
mod damage;
mod few_rows;
mod growth;
mod judged;
mod labelers;
mod preference;
mod selection;
mod settings;
mod support;
