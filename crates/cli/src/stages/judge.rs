//! The noise-free judge of the built-in world, for evaluation alone.

use rlhf_data::Prompt;
use rlhf_world::{Judge, Verdict, World};

use crate::config::DataSource;
use crate::error::Result;
use crate::run::Workspace;

/// Gold verdicts where there is a judge, nothing where there is none.
pub(crate) struct Gold {
    judge: Option<Judge>,
}

impl Gold {
    pub(crate) fn new(work: &Workspace) -> Self {
        let judge = (work.config.data.source == DataSource::World)
            .then(|| Judge::new(&World::generate(work.config.seed, &work.config.world)));
        Self { judge }
    }

    /// One verdict per answer; `None` without a judge.
    pub(crate) fn assess(&self, prompts: &[Prompt], answers: &[String]) -> Result<Option<Vec<Verdict>>> {
        let Some(judge) = &self.judge else {
            return Ok(None);
        };
        let verdicts: Result<Vec<Verdict>> = prompts
            .iter()
            .zip(answers)
            .map(|(prompt, answer)| Ok(judge.assess(prompt, answer)?))
            .collect();
        Ok(Some(verdicts?))
    }
}
