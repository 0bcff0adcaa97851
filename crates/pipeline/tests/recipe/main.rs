//! Runs of the recipe through the public API.
//!
//! - `settings`: what of the configuration each stage depends on
//! - `complete`: which stages stay complete and which are done again when something changes
//! - `damage`: each input of each stage broken
//! - `few_rows`: lists too short to be parted
//! - `posts`: prompts too long, which lose their last paragraphs
//! - `labelers`: everybody who can rank, and everything that PPO can optimise
//! - `judged`: a second reward model beside the one that is optimised
//! - `preference`: checkpoints compared outside of a run
//! - `growth`: PPO that goes on for more than it was finished with
//! - `selection`: PPO that is evaluated while it goes on
//! - `support`: the tiny configuration, and somebody who writes down what a run says

mod complete;
mod damage;
mod few_rows;
mod growth;
mod judged;
mod labelers;
mod posts;
mod preference;
mod selection;
mod settings;
mod support;
