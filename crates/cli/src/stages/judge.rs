//! The noise-free judge of a task, for evaluation and for the labelers who see it through their noise.

use std::sync::Arc;

use rlhf_data::Prompt;
use rlhf_stories::StoryJudge;
use rlhf_world::{GoldJudge, Judge, Verdict, World};

use crate::config::DataSource;
use crate::error::Result;
use crate::run::Workspace;

/// The judge of the configured task, if it has one.
pub(crate) fn gold_judge(work: &Workspace) -> Result<Option<Arc<dyn GoldJudge>>> {
    let config = &work.config;
    Ok(match config.data.source {
        DataSource::World => Some(Arc::new(Judge::new(&World::generate(config.seed, &config.world)))),
        DataSource::Stories => Some(Arc::new(StoryJudge::new(&work.documents()?.train, &config.stories))),
        DataSource::Files => None,
    })
}

/// One verdict per answer.
pub(crate) fn verdicts(judge: &dyn GoldJudge, prompts: &[Prompt], answers: &[String]) -> Result<Vec<Verdict>> {
    let verdicts = prompts
        .iter()
        .zip(answers)
        .map(|(prompt, answer)| judge.assess(prompt, answer));
    Ok(verdicts.collect::<rlhf_world::Result<_>>()?)
}
