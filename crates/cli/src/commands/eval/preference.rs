//! `rlhf eval preference`.

use std::path::PathBuf;
use std::str::FromStr;

use rlhf_hub::Want;
use rlhf_judges::CommandConfig;
use rlhf_model::WeightPrecision;
use rlhf_pipeline::{
    AnswersOf, Config, Contestant, Locations, PreferenceJudge, PreferenceOptions, PromptPart, evaluate_preference,
};

use super::findings::checked;
use super::named::NamedModel;
use crate::commands::model::weight_precision;
use crate::config::ConfigArgs;
use crate::error::{Error, Result};
use crate::progress::{Terminal, say};

/// Options of the evaluation.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A model that is compared: NAME=DIR, NAME=FILE.gguf or NAME=hf://org/name, or without a name; may be given several times
    #[arg(long, value_name = "NAME=DIR")]
    model: Vec<NamedModel>,
    /// Answers that are there already, rows of {"id" or "prompt" or "messages", "completion"}: NAME=FILE.jsonl; may be given several times
    #[arg(long, value_name = "NAME=FILE")]
    answers: Vec<NamedModel>,
    /// Prompts, JSON lines of {"prompt"} or {"messages"}, with "id" and "task" if there are any
    #[arg(long, value_name = "FILE")]
    prompts: PathBuf,
    /// Who judges: task, the judge of the configured data.source; reward=DIR, a reward model; command=PROGRAM, which scores;
    /// openai=FILE.toml, a model behind a server, asked in both orders; choices=FILE.jsonl, rows of {"id" or "prompt", "a", "b", "winner"}
    #[arg(long, value_name = "JUDGE")]
    judge: JudgeArg,
    /// Folder for answers, verdicts and findings; what lies there of an earlier call is gone on with
    #[arg(long, value_name = "DIR", default_value = "evals/preference")]
    out: PathBuf,
    /// Which prompts of a file that a run holds out: all, test, those that only measure, or development, those that choose
    #[arg(long, value_name = "PART", default_value = "all", value_parser = part)]
    part: PromptPart,
    /// Only the first N prompts
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Tokens of an answer at most; without it those of eval.max_new_tokens
    #[arg(long, value_name = "N")]
    max_new_tokens: Option<usize>,
    /// Divides the logits, 0 always takes the most likely token; without it eval.sampling holds
    #[arg(long, allow_negative_numbers = true)]
    temperature: Option<f64>,
    /// Share of comparisons that may be without a verdict
    #[arg(long, value_name = "SHARE", default_value_t = 0.05)]
    max_missing: f64,
    /// Storage type of weights: f32, or bf16 for half the memory
    #[arg(long, value_name = "TYPE", default_value = "f32", value_parser = weight_precision)]
    weights: WeightPrecision,
    #[command(flatten)]
    config: ConfigArgs,
}

fn part(name: &str) -> Result<PromptPart, String> {
    match name {
        "all" => Ok(PromptPart::All),
        "test" => Ok(PromptPart::Test),
        "development" => Ok(PromptPart::Development),
        _ => Err("expected all, test or development".to_owned()),
    }
}

/// The value of `--judge`.
#[derive(Clone, Debug, PartialEq)]
enum JudgeArg {
    Task,
    Reward(PathBuf),
    Command(String),
    OpenAi(PathBuf),
    Choices(PathBuf),
}

impl FromStr for JudgeArg {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        match given.split_once('=') {
            None if given == "task" => Ok(Self::Task),
            Some((_, "")) => Err(format!("{given}: nothing is named, expected a place after the =")),
            Some(("reward", place)) => Ok(Self::Reward(place.into())),
            Some(("command", program)) => Ok(Self::Command(program.to_owned())),
            Some(("openai", file)) => Ok(Self::OpenAi(file.into())),
            Some(("choices", file)) => Ok(Self::Choices(file.into())),
            _ => Err("expected task, reward=DIR, command=PROGRAM, openai=FILE.toml or choices=FILE.jsonl".to_owned()),
        }
    }
}

impl JudgeArg {
    fn judge(&self, config: &Config) -> PreferenceJudge {
        match self {
            Self::Task => PreferenceJudge::Task(Box::new(config.clone())),
            Self::Reward(place) => PreferenceJudge::Reward(place.clone()),
            // No shell reads it: words are words.
            Self::Command(program) => PreferenceJudge::Command(CommandConfig {
                program: program.split_whitespace().map(str::to_owned).collect(),
                ..CommandConfig::default()
            }),
            Self::OpenAi(file) => PreferenceJudge::OpenAi(file.clone()),
            Self::Choices(file) => PreferenceJudge::Choices(file.clone()),
        }
    }
}

/// Evaluates.
pub(crate) fn run(args: &Args, locations: &Locations) -> Result<()> {
    let options = options(args, locations)?;
    let summary = evaluate_preference(&options, locations, &Terminal)?;
    for line in summary.to_string().lines() {
        say(line)?;
    }
    say(&format!("\nfindings in {}", options.out.display()))
}

fn options(args: &Args, locations: &Locations) -> Result<PreferenceOptions> {
    let config = args
        .config
        .load(|base| locations.model(base, Want::Tokenizer).ok())?
        .config;
    let mut sampling = config.eval.sampling.clone();
    sampling.temperature = args.temperature.unwrap_or(sampling.temperature);
    let sampling = checked(sampling)?;
    let max_new_tokens = args.max_new_tokens.unwrap_or(config.eval.max_new_tokens);
    if max_new_tokens == 0 || args.limit == Some(0) {
        let option = if max_new_tokens == 0 {
            "--max-new-tokens"
        } else {
            "--limit"
        };
        return Err(Error::Usage(format!("{option}: 0, expected at least 1")));
    }
    if !(0.0..=1.0).contains(&args.max_missing) {
        return Err(Error::Usage(format!(
            "--max-missing: {}, expected a share from 0 to 1",
            args.max_missing
        )));
    }
    let models = args
        .model
        .iter()
        .map(|model| (model, AnswersOf::Model(model.path.clone())));
    let files = args
        .answers
        .iter()
        .map(|model| (model, AnswersOf::File(model.path.clone())));
    let contestant = |(model, source): (&NamedModel, AnswersOf)| Contestant {
        name: model.name.clone(),
        source,
    };
    Ok(PreferenceOptions {
        contestants: models.chain(files).map(contestant).collect(),
        prompts: args.prompts.clone(),
        part: args.part,
        limit: args.limit,
        judge: args.judge.judge(&config),
        out: args.out.clone(),
        max_new_tokens,
        max_prompt_tokens: config.data.max_prompt_tokens,
        sampling,
        seed: config.seed,
        max_missing: args.max_missing,
        device: config.device.clone(),
        weights: args.weights,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_judge_is_named_by_its_kind_and_place() {
        let parse = |given: &str| given.parse::<JudgeArg>();
        assert_eq!(parse("task"), Ok(JudgeArg::Task));
        assert_eq!(
            parse("reward=runs/a=b/reward"),
            Ok(JudgeArg::Reward("runs/a=b/reward".into()))
        );
        assert_eq!(
            parse("command=python judge.py"),
            Ok(JudgeArg::Command("python judge.py".to_owned()))
        );
        assert_eq!(parse("choices=c.jsonl"), Ok(JudgeArg::Choices("c.jsonl".into())));
        for given in ["", "tasks", "reward", "reward=", "people=c.jsonl"] {
            assert!(parse(given).is_err(), "{given}");
        }
        let judge = JudgeArg::Command("python judge.py".to_owned()).judge(&Config::default());
        assert!(matches!(judge, PreferenceJudge::Command(config) if config.program == ["python", "judge.py"]));
    }
}
