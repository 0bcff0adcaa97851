//! A story-telling task that can be judged, for models that were pretrained on children's stories.
//!
//! A [`StoryBook`] holds somebody's stories. Beginnings that contain two of the [`WORDS`] become demonstrations: asked to
//! begin a story with these two words, somebody told this. Prompts ask for pairs of words, and pairs that are held out
//! occur in no training set. [`StoryJudge`] says without noise how far a story does as asked: whether it has the words,
//! whether it is whole, whether it is written in words at all. Its gold score is for evaluation; the simulated labelers of
//! `rlhf-tasks` see it through their own noise.
//!
//! ```
//! use rlhf_stories::{StoriesConfig, StoryBook};
//! use rlhf_tasks::{JudgedTask, PromptSet};
//!
//! let stories = vec![
//!     "one day, a dog found a ball in the park. the dog was happy. he took the ball home.".to_owned(),
//!     "a bird sat in a tree. the bird saw a boat on the lake. it was a nice day.".to_owned(),
//! ];
//! let config = StoriesConfig { known_from: 1, ..StoriesConfig::default() };
//! let book = StoryBook::new(stories, &config, 1)?;
//! let prompt = &book.prompts(PromptSet::HeldOut)[0];
//! let nothing = book.judge().assess(prompt, "zrk zrk")?;
//! assert!(nothing.gold < 0.1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod book;
mod config;
mod error;
mod judge;
mod task;

pub use book::StoryBook;
pub use config::StoriesConfig;
pub use error::{Error, Result};
pub use judge::StoryJudge;
pub use task::{StoryTask, WORDS};
