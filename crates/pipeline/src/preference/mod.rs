//! Preferences among any checkpoints on a file of prompts: who answers, who judges, what is found and where it is written.

mod answers;
mod choices;
mod fault;
mod judge;
mod optimised;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rlhf_core::stats::bootstrap_mean;
use rlhf_core::{StopFlag, atomic, parse_device};
use rlhf_data::{Prompt, is_test, read_prompts};
use rlhf_eval::{PREFERENCE_SCHEMA, PreferenceMatrix, PreferenceModel, PreferenceSettings, PreferenceSummary};
use rlhf_inference::Sampling;
use rlhf_judges::CommandConfig;
use rlhf_model::WeightPrecision;

use self::answers::{Answered, Writer, answered};
use self::judge::{Judged, judged};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::files::write_json;
use crate::listener::Listener;
use crate::locations::Locations;

pub use fault::PreferenceFault;

/// A comparison of checkpoints.
#[derive(Debug, Clone)]
pub struct PreferenceOptions {
    /// Those that are compared, two or more.
    pub contestants: Vec<Contestant>,
    /// Rows of prompts, perhaps with their tasks.
    pub prompts: PathBuf,
    /// Which of them.
    pub part: PromptPart,
    /// So many of those, from the first; all without.
    pub limit: Option<usize>,
    /// Who judges.
    pub judge: PreferenceJudge,
    /// The folder that is written to.
    pub out: PathBuf,
    /// Tokens of an answer at most.
    pub max_new_tokens: usize,
    /// Tokens of a prompt at most: longer ones lose the end of their last question, see [`rlhf_data::trimmed`].
    pub max_prompt_tokens: Option<usize>,
    /// Way of choosing tokens.
    pub sampling: Sampling,
    /// Seed of answers and intervals.
    pub seed: u64,
    /// The share of comparisons that may be without a verdict.
    pub max_missing: f64,
    /// Name of the device.
    pub device: String,
    /// Type in which weights are held.
    pub weights: WeightPrecision,
}

/// One of the models.
#[derive(Debug, Clone, PartialEq)]
pub struct Contestant {
    /// What it is called.
    pub name: String,
    /// Who answers for it.
    pub source: AnswersOf,
}

/// Where answers come from.
#[derive(Debug, Clone, PartialEq)]
pub enum AnswersOf {
    /// A model: a folder, a GGUF file, or a place on the Hub.
    Model(PathBuf),
    /// A file of answers.
    File(PathBuf),
}

impl AnswersOf {
    fn path(&self) -> &Path {
        match self {
            Self::Model(path) | Self::File(path) => path,
        }
    }
}

/// Prompts of a file that a run holds out, by what runs do with them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PromptPart {
    /// All of them.
    #[default]
    All,
    /// Those that only measure: [`rlhf_data::is_test`].
    Test,
    /// Those by which choices are made: the others.
    Development,
}

impl PromptPart {
    fn has(self, prompt: &Prompt) -> bool {
        match self {
            Self::All => true,
            Self::Test => is_test(prompt.key()),
            Self::Development => !is_test(prompt.key()),
        }
    }
}

/// Who judges.
#[derive(Debug, Clone)]
pub enum PreferenceJudge {
    /// The judge of a configured task.
    Task(Box<Config>),
    /// A reward model.
    Reward(PathBuf),
    /// A program of the user's that scores.
    Command(CommandConfig),
    /// A model behind a server, described in a TOML file of [`JudgeConfig`](rlhf_judges::JudgeConfig).
    OpenAi(PathBuf),
    /// Choices that people made, in a file.
    Choices(PathBuf),
}

/// The findings, as numbers.
const SUMMARY: &str = "summary.json";
/// The findings, as a paragraph for a model card.
const CARD: &str = "model_card.md";

/// Has every model answer, as far as its answers are not there yet, and every two of them judged. Answers are kept in the folder, and so are the verdicts of
/// a judge that is paid: a second call goes on with them.
///
/// # Errors
/// Models, prompts, answers or verdicts that cannot be had, and [`PreferenceFault`]s.
pub fn evaluate_preference(
    options: &PreferenceOptions,
    locations: &Locations,
    listener: &dyn Listener,
) -> Result<PreferenceSummary> {
    check_names(&options.contestants)?;
    let prompts = prompts(options, locations)?;
    atomic::make_dir(&options.out)?;
    let bar = listener.begin("eval");
    let writer = Writer {
        options,
        locations,
        device: parse_device(&options.device)?,
        prompts: &prompts,
        told: &|done, total, what| bar.report(done as u64, total as u64, what),
    };
    let answers: Vec<Answered> = options
        .contestants
        .iter()
        .map(|contestant| answered(&writer, contestant))
        .collect::<Result<_>>()?;
    bar.report(0, 1, "judging");
    let judged = judged(options, locations, &prompts, &answers)?;
    bar.finish();
    let (missing, all) = judged.outcomes.missing();
    if missing as f64 > options.max_missing * all as f64 || missing == all {
        return Err(PreferenceFault::Missing {
            judge: judged.name,
            missing,
            all,
            share: options.max_missing,
        }
        .into());
    }
    let summary = summary(options, locations, &answers, judged)?;
    for warning in &summary.warnings {
        listener.note("eval", &format!("warning: {warning}"));
    }
    write_json(&options.out.join(SUMMARY), &summary)?;
    atomic::write_file(options.out.join(CARD), summary.card().as_bytes())?;
    Ok(summary)
}

fn check_names(contestants: &[Contestant]) -> Result<()> {
    if contestants.len() < 2 {
        return Err(PreferenceFault::TooFew {
            found: contestants.len(),
        }
        .into());
    }
    let mut seen = BTreeSet::new();
    for Contestant { name, .. } in contestants {
        let is_name = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
        if !is_name || !seen.insert(name) {
            return Err(PreferenceFault::Name { name: name.clone() }.into());
        }
    }
    Ok(())
}

fn prompts(options: &PreferenceOptions, locations: &Locations) -> Result<Vec<Prompt>> {
    let mut prompts = Vec::new();
    for file in locations.data(&options.prompts)? {
        prompts.extend(read_prompts(file)?.rows);
    }
    prompts.retain(|prompt| options.part.has(prompt));
    prompts.truncate(options.limit.unwrap_or(usize::MAX));
    if prompts.is_empty() {
        return Err(PreferenceFault::NoPrompts {
            path: options.prompts.clone(),
        }
        .into());
    }
    Ok(prompts)
}

fn summary(
    options: &PreferenceOptions,
    locations: &Locations,
    answers: &[Answered],
    judged: Judged,
) -> Result<PreferenceSummary> {
    let names: Vec<String> = options
        .contestants
        .iter()
        .map(|contestant| contestant.name.clone())
        .collect();
    let lengths: Vec<Vec<usize>> = answers
        .iter()
        .map(|answers| answers.texts.iter().map(|text| text.chars().count()).collect())
        .collect();
    let matrix = PreferenceMatrix::new(&judged.name, &names, &judged.outcomes, Some(&lengths), options.seed);
    let model = |place: usize| {
        let (contestant, answers) = (&options.contestants[place], &answers[place]);
        let scores: Option<Vec<f64>> = judged
            .scores
            .as_ref()
            .map(|all| all[place].iter().copied().flatten().collect());
        PreferenceModel {
            source: contestant.source.path().display().to_string(),
            mean_characters: lengths[place].iter().sum::<usize>() as f64 / lengths[place].len().max(1) as f64,
            mean_tokens: answers.mean_tokens,
            eos_fraction: answers.eos_fraction,
            mean_score: scores.map(|scores| bootstrap_mean(&scores, options.seed)),
        }
    };
    let (missing, all) = judged.outcomes.missing();
    let mut warnings = optimised::warnings(options, locations)?;
    warnings.extend(judged.position.and_then(|position| position.warning()));
    Ok(PreferenceSummary {
        schema: PREFERENCE_SCHEMA.to_owned(),
        judge: judged.name,
        prompts: judged.outcomes.prompts(),
        models: names
            .iter()
            .enumerate()
            .map(|(place, name)| (name.clone(), model(place)))
            .collect::<BTreeMap<_, _>>(),
        matrices: vec![matrix],
        missing: [missing, all],
        settings: PreferenceSettings {
            prompts_file: file_name(&options.prompts),
            part: format!("{:?}", options.part).to_lowercase(),
            max_new_tokens: options.max_new_tokens,
            sampling: options.sampling.clone(),
            seed: options.seed,
            max_missing: options.max_missing,
        },
        cost: judged.cost,
        position: judged.position,
        warnings,
        versions: crate::run::versions(),
    })
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).display().to_string()
}

/// Ends the comparison if the user asked for it; what was answered is kept.
fn check_stop() -> Result<()> {
    if StopFlag::process().requested() {
        return Err(Error::Interrupted);
    }
    Ok(())
}
