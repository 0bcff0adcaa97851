//! Who won, by whoever is asked.

use std::path::Path;

use rlhf_core::{StopFlag, parse_device};
use rlhf_data::Prompt;
use rlhf_eval::{JudgeCost, Outcomes, PositionBias};
use rlhf_hub::Want;
use rlhf_judges::{AnswerTask, Command, JudgeConfig, OpenAiJudge, RankTask};
use rlhf_model::ModelConfig;

use super::answers::Answered;
use super::choices::by_choices;
use super::{PreferenceFault, PreferenceJudge, PreferenceOptions, file_name};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::locations::Locations;
use crate::stages::{OutsideModel, judge_of};

/// Verdicts of a judge that is asked over a network, in the folder of the evaluation.
const VERDICTS: &str = "verdicts.jsonl";

/// Scores of a model's answers; nothing where the judge has no opinion.
type Scores = Vec<Option<f64>>;

/// What a judge said.
pub(super) struct Judged {
    /// What the judge is called.
    pub(super) name: String,
    pub(super) outcomes: Outcomes,
    /// Scores of each model's answers, of a judge that scores.
    pub(super) scores: Option<Vec<Scores>>,
    pub(super) cost: Option<JudgeCost>,
    /// How far it went by places, of a judge that was shown both orders.
    pub(super) position: Option<PositionBias>,
}

/// Asks whoever the options name.
pub(super) fn judged(
    options: &PreferenceOptions,
    locations: &Locations,
    prompts: &[Prompt],
    answers: &[Answered],
) -> Result<Judged> {
    let texts: Vec<Vec<String>> = answers.iter().map(|answers| answers.texts.clone()).collect();
    let scored = |name: String, scores: Vec<Scores>| Judged {
        name,
        outcomes: Outcomes::of_scores(&scores, &texts),
        scores: Some(scores),
        cost: None,
        position: None,
    };
    match &options.judge {
        PreferenceJudge::Task(config) => {
            let scores = by_task(config, locations, prompts, &texts)?;
            Ok(scored("the judge of the task".to_owned(), scores))
        }
        PreferenceJudge::Reward(location) => {
            let folder = locations.model(location, Want::Model)?;
            let model = OutsideModel::open(&folder, &parse_device(&options.device)?, ModelConfig::max_seq_len)?
                .with_max_prompt_tokens(options.max_prompt_tokens);
            let of_model = |texts: &Vec<String>| -> Result<Scores> {
                let scores = model.scores_of(prompts, texts)?;
                Ok(scores.into_iter().map(Some).collect())
            };
            let scores = texts.iter().map(of_model).collect::<Result<Vec<Scores>>>()?;
            Ok(scored(format!("the reward model {}", last_parts(location)), scores))
        }
        PreferenceJudge::Command(config) => {
            let command = Command::start(config)?;
            let scores = by_command(&command, prompts, &texts)?;
            let words = config.program.iter().map(|word| file_name(Path::new(word)));
            let words: Vec<String> = words.collect();
            Ok(scored(format!("the program {}", words.join(" ")), scores))
        }
        PreferenceJudge::OpenAi(path) => by_server(options, path, prompts, &texts),
        PreferenceJudge::Choices(path) => {
            let names: Vec<&str> = options
                .contestants
                .iter()
                .map(|contestant| contestant.name.as_str())
                .collect();
            Ok(Judged {
                name: format!("the choices in {}", file_name(path)),
                outcomes: by_choices(path, &names, prompts)?,
                scores: None,
                cost: None,
                position: None,
            })
        }
    }
}

/// The last two parts of a place, which tell a run's models apart and nothing of the machine.
fn last_parts(place: &Path) -> String {
    let parts: Vec<String> = place.iter().map(|part| part.display().to_string()).collect();
    parts[parts.len().saturating_sub(2)..].join("/")
}

fn by_task(config: &Config, locations: &Locations, prompts: &[Prompt], texts: &[Vec<String>]) -> Result<Vec<Scores>> {
    let judge = judge_of(config, locations)?.ok_or(PreferenceFault::NoJudge)?;
    let of_model = |texts: &Vec<String>| -> Result<Scores> {
        let verdicts = judge.assess_answers(prompts, texts)?;
        Ok(verdicts.into_iter().map(|verdict| Some(verdict.gold)).collect())
    };
    texts.iter().map(of_model).collect()
}

fn by_command(command: &Command, prompts: &[Prompt], texts: &[Vec<String>]) -> Result<Vec<Scores>> {
    let of_model = |texts: &Vec<String>| -> Result<Scores> {
        // Prompts of one name are rows of their own.
        let task = |(row, (prompt, text)): (usize, (&Prompt, &String))| AnswerTask {
            id: row.to_string(),
            ..AnswerTask::new(prompt, text.as_str())
        };
        let tasks: Vec<AnswerTask> = prompts.iter().zip(texts).enumerate().map(task).collect();
        Ok(command.score(&tasks)?.into_iter().map(Some).collect())
    };
    texts.iter().map(of_model).collect()
}

/// Every two answers to each prompt, shown in both orders.
fn by_server(options: &PreferenceOptions, path: &Path, prompts: &[Prompt], texts: &[Vec<String>]) -> Result<Judged> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })?;
    let config: JudgeConfig = toml::from_str(&text).map_err(|error| Error::Row {
        path: path.to_owned(),
        line: error.span().map_or(1, |span| text[..span.start].lines().count().max(1)),
        message: format!(
            "expected the settings of a judge, as label.openai has them: {}",
            error.message()
        ),
    })?;
    let judge = OpenAiJudge::new(&config, &options.out.join(VERDICTS))?;
    let every_two: Vec<(usize, usize)> = (0..texts.len())
        .flat_map(|a| (a + 1..texts.len()).map(move |b| (a, b)))
        .collect();
    let task =
        |a: usize, b: usize, row: usize| RankTask::new(&prompts[row], &[texts[a][row].clone(), texts[b][row].clone()]);
    let tasks: Vec<RankTask> = every_two
        .iter()
        .flat_map(|&(a, b)| (0..prompts.len()).map(move |row| task(a, b, row)))
        .collect();
    let verdicts = judge.compare(&tasks, &|| StopFlag::process().requested())?;
    let mut outcomes = Outcomes::new(texts.len(), prompts.len());
    for (place, verdict) in verdicts.into_iter().enumerate() {
        let (a, b) = every_two[place / prompts.len()];
        outcomes.set(place % prompts.len(), a, b, verdict);
    }
    let spent = judge.spent();
    let places = judge.positions(&tasks);
    let orders = if config.both_orders {
        "in both orders"
    } else {
        "in one order"
    };
    Ok(Judged {
        name: format!("{}, asked {orders}", judge.id()),
        outcomes,
        scores: None,
        cost: Some(JudgeCost {
            requests: spent.asked.requests,
            cached_requests: spent.cached.requests,
            cost: spent.cost,
        }),
        position: PositionBias::new(places.pairs, places.agree, places.first, places.second),
    })
}
