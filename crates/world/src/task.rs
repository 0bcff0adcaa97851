//! The task of a prompt, as stored beside it for the judge.

use rlhf_data::{Demonstration, Prompt};
use rlhf_tasks::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::entities::Attribute;

/// The kind of instruction that a prompt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// A question about the world, from memory.
    Fact,
    /// A question whose pronoun points at the turn before.
    FollowUp,
    /// Sights to see in a place.
    Visit,
    /// A question on a passage in the prompt.
    Passage,
    /// A passage in one sentence.
    Summary,
    /// A sentence in another tone.
    Rewrite,
    /// So many members of a category.
    List,
    /// A short story with required elements.
    Story,
    /// A sum in words.
    Arithmetic,
    /// A question nobody can answer.
    Unknowable,
    /// A request to do harm.
    Harmful,
}

impl TaskKind {
    /// Every kind.
    pub const ALL: [TaskKind; 11] = [
        TaskKind::Fact,
        TaskKind::FollowUp,
        TaskKind::Visit,
        TaskKind::Passage,
        TaskKind::Summary,
        TaskKind::Rewrite,
        TaskKind::List,
        TaskKind::Story,
        TaskKind::Arithmetic,
        TaskKind::Unknowable,
        TaskKind::Harmful,
    ];

    /// The flaws that writers show in this kind of task.
    pub fn flaws(self) -> impl Iterator<Item = Flaw> {
        crate::tasks::flaws(self).iter().map(|(flaw, _)| *flaw)
    }

    /// The name used in files and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            TaskKind::Fact => "fact",
            TaskKind::FollowUp => "follow_up",
            TaskKind::Visit => "visit",
            TaskKind::Passage => "passage",
            TaskKind::Summary => "summary",
            TaskKind::Rewrite => "rewrite",
            TaskKind::List => "list",
            TaskKind::Story => "story",
            TaskKind::Arithmetic => "arithmetic",
            TaskKind::Unknowable => "unknowable",
            TaskKind::Harmful => "harmful",
        }
    }
}

impl std::fmt::Display for TaskKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A little happening: who did what to which thing, where and when, and who joined in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scene {
    /// The person who acts.
    pub who: String,
    /// The deed of that person, in the past: "found".
    pub did: String,
    /// With which thing: "a brass key".
    pub what: String,
    /// The spot: "by the mill".
    pub spot: String,
    /// On which day of the week.
    pub day: String,
    /// The other person.
    pub helper: String,
    /// The deed of the other person: "brought a lamp".
    pub helped: String,
}

/// The part of a scene that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// The person who acts.
    Who,
    /// The thing.
    What,
    /// The spot.
    Where,
    /// The day.
    When,
    /// The other person.
    Helper,
}

impl Asked {
    /// Every part that can be asked for.
    pub const ALL: [Self; 5] = [Self::Who, Self::What, Self::Where, Self::When, Self::Helper];
}

/// The tone a sentence is rewritten in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// An order made into a kind request.
    Polite,
    /// News told with joy.
    Excited,
    /// News told with a heavy heart.
    Sad,
    /// News as a clerk would put it.
    Formal,
}

/// The kind of things in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Animals of the valley.
    Animals,
    /// Plants of the valley.
    Plants,
    /// Instruments of the valley.
    Instruments,
    /// Dishes of the valley.
    Dishes,
    /// Events of the year.
    Events,
    /// Places anywhere in the valley.
    Places,
    /// Places in one region.
    PlacesIn(String),
    /// Things that grow in the fields.
    Crops,
    /// Trades that people follow.
    Trades,
    /// People of the valley.
    People,
}

/// In what form an answer to an unknowable question would be a guess.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guess {
    /// A number.
    Number,
    /// A person's name.
    Person,
    /// A day or a month.
    Time,
    /// A forecast of the weather.
    Weather,
    /// Any statement.
    Anything,
}

/// The task of a prompt, with everything that the judge needs to know.
///
/// Facts of the world are named by entity and attribute, and `expected` is there for the human reader: the judge looks the
/// truth up in the world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Task {
    /// A question about the world, from memory.
    Fact {
        /// The entity asked about.
        entity: String,
        /// The attribute or part asked for.
        attribute: Attribute,
        /// The answer.
        expected: String,
    },
    /// A question whose pronoun points at the turn before.
    FollowUp {
        /// The entity that the pronoun means.
        entity: String,
        /// The attribute or part asked for.
        attribute: Attribute,
        /// The answer.
        expected: String,
    },
    /// Sights to see in a place.
    Visit {
        /// The place.
        place: String,
    },
    /// A question on a passage in the prompt.
    Passage {
        /// The happening that the passage tells.
        scene: Scene,
        /// The attribute or part asked for.
        asked: Asked,
    },
    /// A passage in one sentence.
    Summary {
        /// The happening that the passage tells.
        scene: Scene,
        /// Number of words in the passage.
        words: usize,
    },
    /// A sentence in another tone.
    Rewrite {
        /// The sentence.
        source: String,
        /// The tone.
        tone: Tone,
        /// Words that must be kept.
        keep: Vec<String>,
    },
    /// So many members of a category.
    List {
        /// The category.
        category: Category,
        /// Number of members.
        count: usize,
    },
    /// A short story with required elements.
    Story {
        /// People.
        people: Vec<String>,
        /// A thing.
        thing: String,
        /// The spot at which it happens, if that is given.
        spot: Option<String>,
    },
    /// A sum in words.
    Arithmetic {
        /// Numbers in the prompt.
        operands: Vec<usize>,
        /// The answer.
        result: usize,
        /// The things counted, in the plural.
        unit: String,
        /// The person who counts.
        who: String,
    },
    /// A question nobody can answer.
    Unknowable {
        /// Whom or what it is about.
        about: String,
        /// The form that a guess would have.
        guess: Guess,
    },
    /// A request to do harm.
    Harmful {
        /// The deed asked for: "poison the well".
        act: String,
        /// Whom it would hurt.
        target: String,
    },
}

impl Task {
    /// The kind of this task.
    pub const fn kind(&self) -> TaskKind {
        match self {
            Task::Fact { .. } => TaskKind::Fact,
            Task::FollowUp { .. } => TaskKind::FollowUp,
            Task::Visit { .. } => TaskKind::Visit,
            Task::Passage { .. } => TaskKind::Passage,
            Task::Summary { .. } => TaskKind::Summary,
            Task::Rewrite { .. } => TaskKind::Rewrite,
            Task::List { .. } => TaskKind::List,
            Task::Story { .. } => TaskKind::Story,
            Task::Arithmetic { .. } => TaskKind::Arithmetic,
            Task::Unknowable { .. } => TaskKind::Unknowable,
            Task::Harmful { .. } => TaskKind::Harmful,
        }
    }

    /// The task stored beside a prompt.
    pub fn of_prompt(prompt: &Prompt) -> Result<Self> {
        Self::read(&prompt.id, prompt.task.as_ref())
    }

    /// The task stored beside a demonstration.
    pub fn of_demonstration(demonstration: &Demonstration) -> Result<Self> {
        Self::read(&demonstration.id, demonstration.task.as_ref())
    }

    fn read(id: &str, task: Option<&serde_json::Value>) -> Result<Self> {
        let task = task.ok_or_else(|| Error::NoTask { id: id.to_owned() })?;
        Self::deserialize(task).map_err(|source| Error::BadTask {
            id: id.to_owned(),
            source,
        })
    }
}

/// A fault of a demonstration, made on purpose, as human writers slip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flaw {
    /// Only the bare answer, no sentence.
    Curt,
    /// Correct but without a friendly word and without a full stop or a capital.
    Careless,
    /// The same thing again and again.
    Rambling,
    /// Something untrue, or a wrong number.
    Wrong,
    /// A requirement forgotten: too few items, a missing element, the tone not changed.
    Missed,
    /// An answer where nobody can know.
    Guess,
    /// A refusal that then helps with the harm after all.
    HalfHearted,
    /// "I do not know" where one could.
    Shrug,
}

/// The flaw noted beside a demonstration; good ones have none.
pub fn flaw_of(demonstration: &Demonstration) -> Option<Flaw> {
    demonstration
        .task
        .as_ref()?
        .get("flaw")
        .and_then(|flaw| Flaw::deserialize(flaw).ok())
}
