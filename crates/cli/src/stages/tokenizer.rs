//! Data of the world on disk, and the tokenizer.

use rlhf_core::atomic;
use rlhf_data::Tokenizer;
use rlhf_world::{PromptSet, World};
use serde_json::json;

use super::dataset;
use crate::config::DataSource;
use crate::error::Result;
use crate::run::Workspace;

pub(crate) fn run(work: &Workspace) -> Result<()> {
    let base = &work.config.data.base;
    if work.config.data.source == DataSource::World {
        write_world(work)?;
    }
    work.check_stop()?;
    let tokenizer = if base.as_os_str().is_empty() {
        let documents = work.documents()?.train;
        let demonstrations = work.demonstrations()?.train;
        let turns = demonstrations
            .iter()
            .flat_map(|d| d.messages.iter().map(|m| m.content.as_str()));
        let texts = documents.iter().map(String::as_str).chain(turns);
        Tokenizer::train(texts, &work.config.tokenizer)?
    } else {
        Tokenizer::load(base)?
    };
    let tokenizer = match work.chat_template()? {
        Some(template) => tokenizer.with_chat_template(template),
        None => tokenizer,
    };
    // Known now, before hours are spent on a model that cannot be asked anything.
    tokenizer.check_conversations()?;
    Ok(tokenizer.save(work.dir.model_dir())?)
}

fn write_world(work: &Workspace) -> Result<()> {
    let world = World::generate(work.config.seed, &work.config.world);
    atomic::make_dir(&work.path("data"))?;
    let texts = |documents: Vec<String>| {
        documents
            .into_iter()
            .map(|text| json!({ "text": text }))
            .collect::<Vec<_>>()
    };
    work.write_rows(&work.path(dataset::DOCUMENTS), &texts(world.documents()))?;
    work.write_rows(
        &work.path(dataset::VALIDATION_DOCUMENTS),
        &texts(world.validation_documents()),
    )?;
    work.write_rows(&work.path(dataset::DEMONSTRATIONS), &world.demonstrations())?;
    work.write_rows(
        &work.path(dataset::VALIDATION_DEMONSTRATIONS),
        &world.validation_demonstrations(),
    )?;
    for (file, set) in [
        (dataset::REWARD_PROMPTS, PromptSet::Reward),
        (dataset::VALIDATION_REWARD_PROMPTS, PromptSet::RewardValidation),
        (dataset::PPO_PROMPTS, PromptSet::Ppo),
        (dataset::HELD_OUT_PROMPTS, PromptSet::HeldOut),
    ] {
        work.write_rows(&work.path(file), &world.prompts(set))?;
    }
    Ok(())
}
