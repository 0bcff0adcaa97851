//! The evaluations there are.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::question::Question;
use crate::{choices, crows_pairs, lambada, model_written, truthfulqa, winogender};

/// An evaluation of questions by log-likelihood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// The last word of a passage (Paperno et al. 2016, in OpenAI's variant).
    Lambada,
    /// True answers among false ones (Lin et al. 2022).
    Truthfulqa,
    /// Sentences about people of an occupation, with different pronouns (Rudinger et al. 2018).
    Winogender,
    /// Sentences that differ in the group they are about (Nangia et al. 2020).
    CrowsPairs,
    /// Questions with an answer that matches a behaviour and one that does not (Perez et al. 2022).
    ModelWritten,
    /// Multiple choice, as in HellaSwag (Zellers et al. 2019) or ARC.
    Choices,
}

/// A way of writing contexts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// Plain text, as benchmarks define them.
    #[default]
    Plain,
    /// A conversation in the model's chat format, where the task asks questions.
    Chat,
}

/// A way of making one number of those of all questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mean {
    /// The mean, between 0 and 1.
    Share,
    /// The mean.
    Plain,
    /// e to the negative mean.
    Perplexity,
}

/// A number that an evaluation ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Its name.
    pub name: &'static str,
    /// How it comes from those of the questions.
    pub mean: Mean,
}

impl Figure {
    pub(crate) const fn share(name: &'static str) -> Self {
        let mean = Mean::Share;
        Self { name, mean }
    }

    pub(crate) const fn plain(name: &'static str) -> Self {
        let mean = Mean::Plain;
        Self { name, mean }
    }

    pub(crate) const fn perplexity(name: &'static str) -> Self {
        let mean = Mean::Perplexity;
        Self { name, mean }
    }
}

/// The questions of a file.
#[derive(Clone, Debug)]
pub struct Questions {
    /// The evaluation.
    pub task: Task,
    /// The file.
    pub path: PathBuf,
    /// How contexts are written.
    pub style: Style,
    /// What is asked.
    pub questions: Vec<Question>,
}

impl Task {
    /// All, in the order in which they are told.
    pub const ALL: [Self; 6] = [
        Self::Lambada,
        Self::Truthfulqa,
        Self::Winogender,
        Self::CrowsPairs,
        Self::ModelWritten,
        Self::Choices,
    ];

    /// The name, as in files and options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lambada => "lambada",
            Self::Truthfulqa => "truthfulqa",
            Self::Winogender => "winogender",
            Self::CrowsPairs => "crows-pairs",
            Self::ModelWritten => "model-written",
            Self::Choices => "choices",
        }
    }

    /// The figures that it ends with.
    pub fn figures(self) -> &'static [Figure] {
        match self {
            Self::Lambada => &lambada::FIGURES,
            Self::Truthfulqa => &truthfulqa::FIGURES,
            Self::Winogender => &winogender::FIGURES,
            Self::CrowsPairs => &crows_pairs::FIGURES,
            Self::ModelWritten => &model_written::FIGURES,
            Self::Choices => &choices::FIGURES,
        }
    }

    /// True if its figures ask for [`crate::Scored::greedy`].
    pub fn asks_for_greedy(self) -> bool {
        self == Self::Lambada
    }

    /// True if it asks questions, which [`Style::Chat`] writes as conversations; the others are about text as it stands.
    pub fn has_turns(self) -> bool {
        matches!(self, Self::Truthfulqa | Self::ModelWritten | Self::Choices)
    }

    /// Reads a file in its upstream format.
    ///
    /// # Errors
    /// If the file is missing, empty or not of that format, with file and line.
    pub fn read(self, path: &Path, style: Style) -> Result<Questions> {
        let style = if self.has_turns() { style } else { Style::Plain };
        let questions = match self {
            Self::Lambada => lambada::read(path),
            Self::Truthfulqa => truthfulqa::read(path, style),
            Self::Winogender => winogender::read(path),
            Self::CrowsPairs => crows_pairs::read(path),
            Self::ModelWritten => model_written::read(path, style),
            Self::Choices => choices::read(path, style),
        }?;
        Ok(Questions {
            task: self,
            path: path.to_owned(),
            style,
            questions,
        })
    }
}
