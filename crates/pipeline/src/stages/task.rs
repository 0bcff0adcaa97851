//! The task that the configuration names, for the labelers who see its judge through their noise and for evaluation.

use std::sync::Arc;

use rlhf_constraints::{ConstraintJudge, ConstraintTask};
use rlhf_data::{Source, load_text};
use rlhf_stories::{StoryBook, StoryJudge};
use rlhf_tasks::{GoldJudge, JudgedTask};
use rlhf_world::World;

use crate::config::{Config, DataSource};
use crate::error::Result;
use crate::locations::Locations;
use crate::rows::{DOCUMENTS, RowsRead};
use crate::workspace::Workspace;

fn world(config: &Config) -> World {
    World::generate(config.seed, &config.world)
}

/// The configured task, if there is one, with everything that can be written of it.
pub(super) fn judged_task(work: &Workspace<'_>) -> Result<Option<Box<dyn JudgedTask>>> {
    let config = work.config();
    Ok(match config.data.source {
        DataSource::World => Some(Box::new(world(config))),
        DataSource::Stories => {
            let sources = work.locations().sources(&config.data.pretrain)?;
            let stories = load_text(&sources, &config.data.root, config.seed)?.rows;
            Some(Box::new(StoryBook::new(stories, &config.stories, config.seed)?))
        }
        DataSource::Constraints => {
            let rows = work.rows_of_user()?;
            Some(Box::new(ConstraintTask::new(rows, &config.constraints, config.seed)?))
        }
        DataSource::Files => None,
    })
}

/// The noise-free judge of a configured task, if it has one, outside of any run: that of stories has read what would be written of them.
pub(crate) fn judge_of(config: &Config, locations: &Locations) -> Result<Option<Arc<dyn GoldJudge>>> {
    Ok(match config.data.source {
        DataSource::World => Some(world(config).judge()),
        DataSource::Stories => {
            let mut sources = Vec::new();
            for source in &config.data.pretrain {
                let files = locations.data(&source.path)?;
                sources.extend(files.into_iter().map(|path| Source { path, ..source.clone() }));
            }
            let stories = load_text(&sources, &config.data.root, config.seed)?.rows;
            Some(StoryBook::new(stories, &config.stories, config.seed)?.judge())
        }
        DataSource::Constraints => Some(Arc::new(ConstraintJudge::new(config.constraints.shaping))),
        DataSource::Files => None,
    })
}

/// The noise-free judge of the configured task, if it has one. That of stories has read what was written of them.
pub(super) fn gold_judge(work: &Workspace<'_>) -> Result<Option<Arc<dyn GoldJudge>>> {
    let config = work.config();
    Ok(match config.data.source {
        DataSource::World => Some(world(config).judge()),
        DataSource::Stories => Some(Arc::new(StoryJudge::new(&work.documents(&[])?.train, &config.stories))),
        DataSource::Constraints => Some(Arc::new(ConstraintJudge::new(config.constraints.shaping))),
        DataSource::Files => None,
    })
}

/// The rows that the judge is made of.
pub(super) fn rows_of_judge(source: DataSource) -> Vec<RowsRead> {
    match source {
        DataSource::Stories => vec![DOCUMENTS.train()],
        DataSource::World | DataSource::Constraints | DataSource::Files => Vec::new(),
    }
}
