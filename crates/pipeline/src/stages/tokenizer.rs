//! Data of a judged task on disk, and the tokenizer.

use rlhf_core::atomic;
use rlhf_data::{ChatTemplate, Source};
use rlhf_hub::Want;
use rlhf_tasks::{JudgedTask, PromptSet};
use serde_json::{Value, json};

use super::task::judged_task;
use crate::config::{Config, DataSource, TemplateSource};
use crate::error::Result;
use crate::files::write_rows;
use crate::inputs::Inputs;
use crate::rows::{DEMONSTRATIONS, DOCUMENTS, PPO_PROMPTS, REWARD_PROMPTS, RowsRead};
use crate::settings::Settings;
use crate::stage::Stage;
use crate::workspace::Workspace;

/// Writes the rows of a judged task and trains the tokenizer, or takes that of the model to start from.
#[derive(Debug, Clone, Copy)]
pub struct Tokenizer;

impl Tokenizer {
    /// The tokenizer's file in the stage's folder.
    pub(super) const FILE: &str = "tokenizer.json";
    /// The chat template's, if there is one.
    pub(super) const CHAT_TEMPLATE: &str = "chat_template.jinja";
}

/// Turns of a base model that brings no chat template: words that every tokenizer has.
const PLAIN_TEMPLATE: &str = "{% for message in messages %}{{ message['role'] | capitalize }}: {{ message['content'] }}\
{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}\n\n{% endfor %}\
{% if add_generation_prompt %}Assistant:{% endif %}";

/// Files of a model to start from that say how it cuts texts.
const OF_BASE: [&str; 8] = [
    Tokenizer::FILE,
    Tokenizer::CHAT_TEMPLATE,
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
];

/// Keys of `[data]` that constraints are put on.
const OF_CONSTRAINTS: [&str; 5] = [
    "pretrain",
    "demonstrations",
    "reward_prompts",
    "ppo_prompts",
    "validation_fraction",
];

/// The user's rows that a tokenizer is trained on. Those of a judged task are written by this very stage.
fn reads(config: &Config) -> Vec<RowsRead> {
    if config.data.base().is_some() || config.data.source.is_judged() {
        return Vec::new();
    }
    vec![DOCUMENTS.train(), DEMONSTRATIONS.train()]
}

impl Stage for Tokenizer {
    fn name(&self) -> &'static str {
        "tokenizer"
    }

    fn about(&self) -> &'static str {
        "Write the data of the built-in world, train the tokenizer"
    }

    fn settings(&self, config: &Config) -> Value {
        let data = &config.data;
        let mut settings =
            Settings::new()
                .task(config)
                .rows(config, &reads(config))
                .keys("data", data, &["base", "chat_template"]);
        match data.source {
            DataSource::Stories => settings = settings.keys("data", data, &["pretrain"]),
            DataSource::Constraints => settings = settings.keys("data", data, &OF_CONSTRAINTS),
            DataSource::World | DataSource::Files => {}
        }
        if data.base().is_none() {
            settings = settings.section(self.name(), &config.tokenizer);
        }
        settings.into()
    }

    fn inputs<'a>(&self, work: &'a Workspace<'_>) -> Result<Inputs<'a>> {
        let data = &work.config().data;
        // Read here already, so that a faulty one is known before the stage works.
        work.chat_template()?;
        let mut inputs = work.inputs().rows(&reads(work.config()))?;
        if let Some(TemplateSource::File(path)) = data.template_source() {
            inputs = inputs.file(path);
        }
        let lists: &[&[Source]] = match data.source {
            DataSource::Stories => &[&data.pretrain],
            DataSource::Constraints => &[
                &data.pretrain,
                &data.demonstrations,
                &data.reward_prompts,
                &data.ppo_prompts,
            ],
            DataSource::World | DataSource::Files => &[],
        };
        for list in lists {
            inputs = inputs.sources(list)?;
        }
        match data.base() {
            Some(base) => inputs.model(&base, &OF_BASE),
            None => Ok(inputs),
        }
    }

    fn run(&self, work: &Workspace<'_>) -> Result<()> {
        if let Some(task) = judged_task(work)? {
            write(work, task.as_ref())?;
        }
        work.check_stop()?;
        let tokenizer = match work.config().data.base() {
            Some(base) => rlhf_data::Tokenizer::load(work.locations().model(&base, Want::Tokenizer)?)?,
            None => trained(work)?,
        };
        let tokenizer = match work.chat_template()? {
            Some(template) => tokenizer.with_chat_template(template),
            // Known now, before hours are spent on a model that cannot be asked anything.
            None if tokenizer.check_conversations().is_err() => {
                work.note("the model brings no chat template: its turns are `User: …` and `Assistant: …`; data.chat_template sets others");
                tokenizer.with_chat_template(ChatTemplate::new(PLAIN_TEMPLATE, "the template of models without one")?)
            }
            None => tokenizer,
        };
        Ok(tokenizer.save(work.dir().model_dir())?)
    }
}

fn trained(work: &Workspace<'_>) -> Result<rlhf_data::Tokenizer> {
    let documents = work.documents(&[])?.train;
    let demonstrations = work.demonstrations(&[])?.train;
    let turns = demonstrations
        .iter()
        .flat_map(|d| d.messages.iter().map(|m| m.content.as_str()));
    let texts = documents.iter().map(String::as_str).chain(turns);
    Ok(rlhf_data::Tokenizer::train(texts, &work.config().tokenizer)?)
}

/// Writes the rows of a judged task, in each file of a pair rows to learn from or rows kept aside.
fn write(work: &Workspace<'_>, task: &dyn JudgedTask) -> Result<()> {
    atomic::make_dir(&work.path("data"))?;
    let texts = |documents: &[String]| -> Vec<Value> { documents.iter().map(|text| json!({ "text": text })).collect() };
    let [train, validation] = DOCUMENTS.files.map(|file| work.path(file));
    write_rows(&train, &texts(task.documents()))?;
    write_rows(&validation, &texts(task.validation_documents()))?;
    let [train, validation] = DEMONSTRATIONS.files.map(|file| work.path(file));
    write_rows(&train, task.demonstrations())?;
    write_rows(&validation, task.validation_demonstrations())?;
    for (rows, sets) in [
        (REWARD_PROMPTS, [PromptSet::Reward, PromptSet::RewardValidation]),
        (PPO_PROMPTS, [PromptSet::Ppo, PromptSet::HeldOut]),
    ] {
        for (file, set) in rows.files.into_iter().zip(sets) {
            write_rows(&work.path(file), &task.prompts(set))?;
        }
    }
    Ok(())
}
