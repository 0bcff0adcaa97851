//! Errors that end a stage.

use std::path::PathBuf;

/// Result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A fault that ended a stage, or kept it from beginning. Advice names options of the command line; those of
/// [`Options`](crate::Options) have the same names.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody says what was meant.
    #[error(
        "nobody says what was meant: data.source has no judge; expected a reward model that nothing was optimised for in overopt.gold"
    )]
    NoGold,
    /// Run directory, checkpoint, metrics or device.
    #[error(transparent)]
    Core(#[from] rlhf_core::Error),
    /// Values of the configuration that cannot be.
    #[error("the configuration is wrong:\n{0}")]
    Config(#[from] rlhf_config::ConfigErrors),
    /// A configuration that cannot be written as TOML.
    #[error("the configuration cannot be written: {0}")]
    ConfigText(#[from] toml::ser::Error),
    /// A model's folder.
    #[error(transparent)]
    Model(Box<rlhf_model::Error>),
    /// Rows of a file, or the tokenizer.
    #[error(transparent)]
    Data(#[from] rlhf_data::Error),
    /// Something of the Hugging Face Hub.
    #[error(transparent)]
    Hub(Box<rlhf_hub::Error>),
    /// The judge of a task, or its labelers.
    #[error(transparent)]
    Tasks(#[from] rlhf_tasks::Error),
    /// A command that ranks or scores, a judge behind a server, or the rankings of people.
    #[error(transparent)]
    Judges(#[from] rlhf_judges::Error),
    /// People have not ranked enough of the tasks that were written for them.
    #[error(
        "{} holds {tasks} tasks for people, of which {ranked} are ranked: rank the answers as README.txt there says, put the rankings \
         into rankings.jsonl beside it, and start the same command again; it goes on from here (label.ranked_share says how many \
         must be ranked)", folder.display()
    )]
    WaitsForPeople {
        /// The folder.
        folder: PathBuf,
        /// Tasks that somebody has ranked.
        ranked: usize,
        /// All tasks.
        tasks: usize,
    },
    /// Checkable instructions.
    #[error(transparent)]
    Constraints(#[from] rlhf_constraints::Error),
    /// The story-telling task.
    #[error(transparent)]
    Stories(#[from] rlhf_stories::Error),
    /// Generation refused a prompt.
    #[error(transparent)]
    Generate(#[from] rlhf_inference::Error),
    /// The comparison of models.
    #[error(transparent)]
    Eval(#[from] rlhf_eval::Error),
    /// A comparison of checkpoints.
    #[error(transparent)]
    Preference(#[from] crate::preference::PreferenceFault),
    /// Next-token training.
    #[error("sft: {0}")]
    Sft(#[from] rlhf_sft::Error),
    /// Training of the reward model.
    #[error("reward: {0}")]
    Reward(#[from] rlhf_reward::Error),
    /// PPO.
    #[error("ppo: {0}")]
    Ppo(#[from] rlhf_ppo::Error),
    /// The split of a list leaves one side without a row.
    #[error(
        "data.{list}: no {side} row: {rows} rows with {keys} different opening requests (of text: documents), by a hash of which \
         data.validation_fraction = {fraction} parts training from validation; give rows with other requests, or another fraction"
    )]
    OneSide {
        /// The list, by its key in `[data]`.
        list: &'static str,
        /// `training` or `validation`.
        side: &'static str,
        /// Rows of both sides.
        rows: usize,
        /// Different texts that the split looked at.
        keys: usize,
        /// Share of rows that is to be held out.
        fraction: f64,
    },
    /// A file of another stage is not there.
    #[error("stage `{stage}` needs `{}`, which is not there: run stage `{produced_by}` first", path.display())]
    MissingStage {
        /// The stage that was to run.
        stage: &'static str,
        /// The file.
        path: PathBuf,
        /// The stage that writes it.
        produced_by: &'static str,
    },
    /// The stage was finished with other settings or inputs.
    #[error("{}: this stage was finished with another configuration ({field}: now {expected}, then {found}); give --overwrite to replace it, or another --run", path.display())]
    OtherRun {
        /// The stage's folder.
        path: PathBuf,
        /// The setting or input, as a dotted path.
        field: String,
        /// Its value now.
        expected: String,
        /// Its value then.
        found: String,
    },
    /// The stage is asked to go on for more than it was finished with, and that would be another run.
    #[error("{}: this stage was finished with {key} = {found} and cannot go on to {expected}: {obstacle}; or give --overwrite to train it anew, or another --run", path.display())]
    CannotGrow {
        /// The stage's folder.
        path: PathBuf,
        /// The setting, as a dotted path.
        key: &'static str,
        /// Its value now.
        expected: String,
        /// Its value then.
        found: String,
        /// Why more is something else, and what would not be.
        obstacle: &'static str,
    },
    /// The stage has gone further than it is asked to.
    #[error("{}: {done} {unit} are done and {key} asks for {asked}, but what was learnt since cannot be taken back; ask for at least as many, or give --overwrite to train it anew, or another --run", path.display())]
    CannotShrink {
        /// The stage's folder.
        path: PathBuf,
        /// The setting, as a dotted path.
        key: &'static str,
        /// The unit that is counted.
        unit: &'static str,
        /// Units asked for.
        asked: u64,
        /// Units done.
        done: u64,
    },
    /// The machine has less memory than the stage is going to need.
    #[error("this needs {needed} of memory and {available} are free ({parts}); {advice}; or give --ignore-memory")]
    Memory {
        /// Memory that it needs.
        needed: String,
        /// Memory that is free.
        available: String,
        /// Parts of the need.
        parts: String,
        /// Changes that help.
        advice: String,
    },
    /// Somebody asked the stage to stop.
    #[error("interrupted; start again to continue")]
    Interrupted,
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A row that is not what it should be.
    #[error("{}:{line}: {message}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The fault.
        message: String,
    },
    /// A value that cannot be written as JSON.
    #[error("{}: {source}", path.display())]
    Encode {
        /// The file it was for.
        path: PathBuf,
        /// The parser's error.
        source: serde_json::Error,
    },
}

impl From<rlhf_model::Error> for Error {
    fn from(error: rlhf_model::Error) -> Self {
        Self::Model(Box::new(error))
    }
}

impl From<rlhf_hub::Error> for Error {
    fn from(error: rlhf_hub::Error) -> Self {
        Self::Hub(Box::new(error))
    }
}

impl Error {
    /// True if somebody asked the stage to stop, so that it may go on later.
    pub fn is_interrupt(&self) -> bool {
        matches!(
            self,
            Self::Interrupted
                | Self::Judges(rlhf_judges::Error::Interrupted)
                | Self::Eval(rlhf_eval::Error::Interrupted)
                | Self::Sft(rlhf_sft::Error::Interrupted { .. })
                | Self::Reward(rlhf_reward::Error::Interrupted { .. })
                | Self::Ppo(rlhf_ppo::Error::Interrupted { .. })
        )
    }
}
