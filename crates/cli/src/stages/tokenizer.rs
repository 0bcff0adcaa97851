//! Data of a judged task on disk, and the tokenizer.

use rlhf_core::atomic;
use rlhf_data::{Demonstration, Prompt, Tokenizer, load_text};
use rlhf_hub::Want;
use rlhf_stories::StoryBook;
use rlhf_tasks::{JudgedTask, PromptSet};
use rlhf_world::World;
use serde_json::json;

use super::dataset;
use crate::config::DataSource;
use crate::error::Result;
use crate::run::Workspace;

pub(crate) fn run(work: &Workspace) -> Result<()> {
    match work.config.data.source {
        DataSource::World => write_rows(work, &world_rows(work))?,
        DataSource::Stories => write_rows(work, &story_rows(work)?)?,
        DataSource::Files => {}
    }
    work.check_stop()?;
    let tokenizer = if let Some(base) = work.config.data.base() {
        Tokenizer::load(work.places.model(&base, Want::Tokenizer)?)?
    } else {
        let documents = work.documents()?.train;
        let demonstrations = work.demonstrations()?.train;
        let turns = demonstrations
            .iter()
            .flat_map(|d| d.messages.iter().map(|m| m.content.as_str()));
        let texts = documents.iter().map(String::as_str).chain(turns);
        Tokenizer::train(texts, &work.config.tokenizer)?
    };
    let tokenizer = match work.chat_template()? {
        Some(template) => tokenizer.with_chat_template(template),
        None => tokenizer,
    };
    // Known now, before hours are spent on a model that cannot be asked anything.
    tokenizer.check_conversations()?;
    Ok(tokenizer.save(work.dir.model_dir())?)
}

/// Everything that is written of a judged task.
struct TaskRows {
    documents: Vec<String>,
    validation_documents: Vec<String>,
    demonstrations: Vec<Demonstration>,
    validation_demonstrations: Vec<Demonstration>,
    /// In the order of [`PROMPT_SETS`].
    prompts: Vec<Vec<Prompt>>,
}

const PROMPT_SETS: [(&str, PromptSet); 4] = [
    (dataset::REWARD_PROMPTS, PromptSet::Reward),
    (dataset::VALIDATION_REWARD_PROMPTS, PromptSet::RewardValidation),
    (dataset::PPO_PROMPTS, PromptSet::Ppo),
    (dataset::HELD_OUT_PROMPTS, PromptSet::HeldOut),
];

fn world_rows(work: &Workspace) -> TaskRows {
    let world = World::generate(work.config.seed, &work.config.world);
    TaskRows {
        documents: world.documents().to_vec(),
        validation_documents: world.validation_documents().to_vec(),
        demonstrations: world.demonstrations().to_vec(),
        validation_demonstrations: world.validation_demonstrations().to_vec(),
        prompts: PROMPT_SETS.map(|(_, set)| world.prompts(set)).into(),
    }
}

fn story_rows(work: &Workspace) -> Result<TaskRows> {
    let data = &work.config.data;
    let sources = work.places.sources(&data.pretrain)?;
    let stories = load_text(&sources, &data.root, work.config.seed)?.rows;
    let book = StoryBook::new(stories, &work.config.stories, work.config.seed)?;
    Ok(TaskRows {
        documents: book.documents().to_vec(),
        validation_documents: book.validation_documents().to_vec(),
        demonstrations: book.demonstrations().to_vec(),
        validation_demonstrations: book.validation_demonstrations().to_vec(),
        prompts: PROMPT_SETS.map(|(_, set)| book.prompts(set)).into(),
    })
}

fn write_rows(work: &Workspace, rows: &TaskRows) -> Result<()> {
    atomic::make_dir(&work.path("data"))?;
    let texts = |documents: &[String]| -> Vec<_> { documents.iter().map(|text| json!({ "text": text })).collect() };
    let (documents, validation) = (texts(&rows.documents), texts(&rows.validation_documents));
    work.write_rows(&work.path(dataset::DOCUMENTS), &documents)?;
    work.write_rows(&work.path(dataset::VALIDATION_DOCUMENTS), &validation)?;
    work.write_rows(&work.path(dataset::DEMONSTRATIONS), &rows.demonstrations)?;
    work.write_rows(
        &work.path(dataset::VALIDATION_DEMONSTRATIONS),
        &rows.validation_demonstrations,
    )?;
    for ((file, _), prompts) in PROMPT_SETS.iter().zip(&rows.prompts) {
        work.write_rows(&work.path(file), prompts)?;
    }
    Ok(())
}
