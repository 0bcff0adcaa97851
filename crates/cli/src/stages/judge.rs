//! The noise-free judge of a task, for evaluation and for the labelers who see it through their noise.

use std::sync::Arc;

use rlhf_stories::StoryJudge;
use rlhf_tasks::{GoldJudge, JudgedTask as _};
use rlhf_world::World;

use crate::config::DataSource;
use crate::error::Result;
use crate::run::Workspace;

/// The judge of the configured task, if it has one.
pub(crate) fn gold_judge(work: &Workspace) -> Result<Option<Arc<dyn GoldJudge>>> {
    let config = &work.config;
    Ok(match config.data.source {
        DataSource::World => Some(World::generate(config.seed, &config.world).judge()),
        DataSource::Stories => Some(Arc::new(StoryJudge::new(&work.documents()?.train, &config.stories))),
        DataSource::Files => None,
    })
}
