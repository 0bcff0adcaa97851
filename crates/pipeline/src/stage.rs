//! A stage: a step of the recipe as a run sees it.

use serde_json::Value;

use crate::config::Config;
use crate::error::Result;
use crate::inputs::Inputs;
use crate::workspace::Workspace;

/// A step of the recipe.
///
/// Stages meet through files in the folder of a run, each in a folder of its own, and know each other by their types alone. A
/// stage that has ended is left alone while its settings, its inputs, the seed and the backend of the device are what they
/// were; so what a result depends on has to be in [`Stage::settings`] or [`Stage::inputs`], and nothing else should.
pub trait Stage: Sync {
    /// The name of its folder, of its command and, if it has one, of its section.
    fn name(&self) -> &'static str;

    /// A line of help.
    fn about(&self) -> &'static str;

    /// The part of the configuration that its result depends on, as [`Settings`](crate::Settings) puts it together: an object whose
    /// fields are those of the configuration.
    fn settings(&self, config: &Config) -> Value;

    /// The files and the repositories that its result depends on.
    ///
    /// # Errors
    /// A file of an earlier stage that is not there, or a repository that cannot be asked.
    fn inputs<'a>(&self, work: &'a Workspace<'_>) -> Result<Inputs<'a>>;

    /// Does the work: from where it stopped, if it was interrupted, else from the start.
    ///
    /// # Errors
    /// Whatever ends it. A stage that was asked to stop says so by an error for which
    /// [`Error::is_interrupt`](crate::Error::is_interrupt) holds.
    fn run(&self, work: &Workspace<'_>) -> Result<()>;

    /// Length of the stage, for one that may go on from its end when it is asked for more.
    fn extent(&self, config: &Config) -> Option<Extent> {
        let _ = config;
        None
    }

    /// Findings of the finished stage, for people.
    ///
    /// # Errors
    /// A result that cannot be read.
    fn findings(&self, work: &Workspace<'_>) -> Result<Option<String>> {
        let _ = work;
        Ok(None)
    }
}

/// Length of a stage. Its settings leave out the key that says so, unless a longer run is another from its first step on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    /// The key that says how far, as a dotted path.
    pub key: &'static str,
    /// The unit that is counted.
    pub unit: &'static str,
    /// Units of the whole run. A checkpoint of the stage is named for the units done.
    pub asked: u64,
    /// Why a finished stage cannot go on, and how it could; nothing if it can.
    pub obstacle: Option<&'static str>,
}
