//! The model card of a run's result: what the model is, how it was made, what was measured and what was not.

use std::path::Path;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use rlhf_data::Source;
use rlhf_eval::{BASE, PPO, SFT, Summary};
use serde::Serialize;
use serde_json::{Value, json};

use crate::config::{Config, DataSource, LabelerKind, RewardSource};

const TEMPLATE: &str = include_str!("card.md.jinja");
/// Held-out prompts that the card shows answers to.
const EXAMPLES: usize = 3;

/// A step of the recipe, and what it was done with.
#[derive(Serialize)]
struct Step {
    name: &'static str,
    with: String,
}

/// A list of rows, by the names of its files.
#[derive(Serialize)]
struct List {
    name: &'static str,
    files: Vec<String>,
}

/// An answer of one of the models.
#[derive(Serialize)]
struct Answer<'a> {
    model: &'static str,
    text: &'a str,
}

/// A prompt with what the models answered.
#[derive(Serialize)]
struct Example<'a> {
    prompt: &'a str,
    answers: Vec<Answer<'a>>,
}

/// The card in Markdown, with the metadata that the Hugging Face Hub reads at its top.
///
/// `samples` are the rows of answers side by side. Of paths only the last part is told: the others are of one machine.
pub(crate) fn model_card(name: &str, config: &Config, summary: &Summary, samples: &[Value]) -> String {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let has_adapters = config.ppo.lora.is_some();
    let facts = json!({
        "name": name,
        "base": config.data.base().as_deref().map(last_part),
        "adapters": has_adapters,
        "steps": steps(config),
        "seed": config.seed,
        "device": config.device,
        "max_new_tokens": config.ppo.max_new_tokens,
        "temperature": config.ppo.temperature,
        "data": lists(config),
        "table": summary.table(),
        "findings": findings(summary),
        "examples": samples.iter().take(EXAMPLES).map(example).collect::<Vec<_>>(),
    });
    environment
        .render_str(TEMPLATE, Serde(facts))
        .expect("the template is a part of the program and is given everything that it asks for")
}

fn last_part(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).display().to_string()
}

fn steps(config: &Config) -> Vec<Step> {
    let mut steps = Vec::new();
    let weights = |rank: Option<usize>| match rank {
        Some(rank) => format!("adapters of rank {rank}"),
        None => "all weights".to_owned(),
    };
    let mut add = |name, with| steps.push(Step { name, with });
    if config.has_demonstrations() {
        let sft = &config.sft;
        add(
            "SFT",
            format!(
                "{}, {} epochs, {} rows a step, learning rate {:e}",
                weights(sft.lora.as_ref().map(|lora| lora.rank)),
                sft.epochs,
                sft.batch_size,
                sft.lr.peak_lr
            ),
        );
    }
    if config.trains_reward_model() {
        let reward = &config.reward;
        add(
            "reward model",
            format!(
                "{}, {} epochs, {} prompts a step, learning rate {:e}, of {}",
                weights(reward.lora.as_ref().map(|lora| lora.rank)),
                reward.epochs,
                reward.batch_prompts,
                reward.lr.peak_lr,
                rankers(config.label.labeler)
            ),
        );
    }
    let ppo = &config.ppo;
    let rewards = match config.ppo_reward.from {
        RewardSource::Trained => "the reward model above",
        RewardSource::Model => "another reward model",
        RewardSource::Judge => "a program that checks",
        RewardSource::Command => "a command",
    };
    add(
        "PPO",
        format!(
            "{}, {} updates of {} answers, learning rate {:e}, KL coefficient {}, rewards by {rewards}",
            weights(ppo.lora.as_ref().map(|lora| lora.rank)),
            ppo.updates(),
            ppo.batch_size,
            ppo.lr.peak_lr,
            ppo.kl.coef
        ),
    );
    steps
}

/// Who ranked.
fn rankers(labeler: LabelerKind) -> &'static str {
    match labeler {
        LabelerKind::Simulated => "rankings by simulated labelers",
        LabelerKind::Files | LabelerKind::Export => "rankings by people or whoever wrote the files",
        LabelerKind::Judge => "rankings by the judge of the task",
        LabelerKind::RewardModel => "rankings by another reward model",
        LabelerKind::Command => "rankings by a command",
        LabelerKind::Openai => "rankings by another language model",
        LabelerKind::Nobody => "nothing",
    }
}

/// What is known beside the table, a line each.
fn findings(summary: &Summary) -> Vec<String> {
    let text = summary.to_string();
    let rest = text.strip_prefix(&summary.table()).unwrap_or(&text);
    rest.lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The user's own lists that something read.
fn lists(config: &Config) -> Vec<List> {
    if matches!(config.data.source, DataSource::World) {
        return Vec::new();
    }
    let data = &config.data;
    let lists: [(&str, &[Source]); 5] = [
        ("text", &data.pretrain),
        ("demonstrations", &data.demonstrations),
        ("comparisons", &data.comparisons),
        ("prompts whose answers were ranked", &data.reward_prompts),
        ("prompts of PPO", &data.ppo_prompts),
    ];
    let list = |(name, sources): (&'static str, &[Source])| List {
        name,
        files: sources.iter().map(|source| last_two_parts(&source.path)).collect(),
    };
    lists
        .into_iter()
        .map(list)
        .filter(|list| !list.files.is_empty())
        .collect()
}

/// A file with the folder that it is in, by which data sets are often called.
fn last_two_parts(path: &Path) -> String {
    let folder = path.parent().and_then(Path::file_name);
    let folder = folder
        .map(|folder| format!("{}/", folder.display()))
        .unwrap_or_default();
    folder + &last_part(path)
}

fn example(row: &Value) -> Example<'_> {
    let messages = row["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let models = [(BASE, "before"), (SFT, "SFT"), (PPO, "PPO")];
    let answer = |(key, model): (&str, &'static str)| {
        let text = row[key]["completion"].as_str()?;
        Some(Answer { model, text })
    };
    Example {
        prompt: messages
            .last()
            .and_then(|message| message["content"].as_str())
            .unwrap_or_default(),
        answers: models.into_iter().filter_map(answer).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_card_says_what_was_done_and_no_path_of_the_machine() {
        let mut config = Config::default();
        config.data.base = "/home/somebody/models/Small-135M.gguf".into();
        config.data.source = DataSource::Files;
        config.data.demonstrations = vec![Source::new("/home/somebody/data/alpaca/rows.json")];
        config.label.labeler = LabelerKind::Files;
        let summary = Summary {
            prompts: 4,
            models: Default::default(),
            matrices: Vec::new(),
            best_of_n_samples: 0,
            reward: Value::Null,
            labeler_agreement: Value::Null,
        };
        let row = |prompt: &str| {
            json!({
                "messages": [{ "role": "user", "content": prompt }],
                "sft": { "completion": "Yes." },
                "ppo": { "completion": "Certainly, <b>yes</b>." },
            })
        };
        let samples = [row("Is it?"), row("Was it?"), row("Will it?"), row("Not shown?")];
        let card = model_card("mine", &config, &summary, &samples);
        for said in [
            "base_model: Small-135M.gguf\n",
            "# mine\n",
            "| SFT | all weights,",
            "| reward model | all weights,",
            "rewards by the reward model above",
            "- demonstrations: alpaca/rows.json\n",
            "**Is it?**\n\n- SFT: Yes.\n- PPO: Certainly, <b>yes</b>.\n",
            "| model | gold |",
        ] {
            assert!(card.contains(said), "{said}:\n{card}");
        }
        assert!(!card.contains("somebody") && !card.contains("Not shown"), "{card}");
    }
}
