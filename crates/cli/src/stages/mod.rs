//! The stages in their order, each a file: what it reads, what it runs, what it writes.

mod adapters;
mod dataset;
mod eval;
mod judge;
mod label;
mod ppo;
mod pretrain;
mod reward;
mod sample;
mod samples;
mod sft;
mod table;
mod tokenizer;

use std::path::PathBuf;

use rlhf_core::hash::Fingerprint;
use rlhf_hub::HubId;

use crate::config::{LabelerKind, TemplateSource};
use crate::error::Result;
use crate::places::on_hub;
use crate::run::Workspace;

/// A step of the recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Tokenizer,
    Pretrain,
    Sft,
    Sample,
    Label,
    Reward,
    Ppo,
    Eval,
}

impl Stage {
    /// The name of its command, its section and its folder.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tokenizer => "tokenizer",
            Self::Pretrain => "pretrain",
            Self::Sft => "sft",
            Self::Sample => "sample",
            Self::Label => "label",
            Self::Reward => "reward",
            Self::Ppo => "ppo",
            Self::Eval => "eval",
        }
    }
}

/// Files that the result of a stage depends on.
pub(crate) fn inputs(stage: Stage, work: &Workspace) -> Result<Vec<PathBuf>> {
    let model = |name: &str, by: Stage| work.needed(&format!("{name}/model.safetensors"), by);
    let tokenizer = || work.needed("tokenizer/tokenizer.json", Stage::Tokenizer);
    let from_files = work.config.label.labeler == LabelerKind::Files;
    let mut files = match stage {
        Stage::Tokenizer => {
            // Read here already, so that a faulty one is known before the stage works.
            work.chat_template()?;
            match work.config.data.template_source() {
                Some(TemplateSource::File(path)) => vec![path],
                Some(TemplateSource::Text(_)) | None => Vec::new(),
            }
        }
        Stage::Pretrain => vec![tokenizer()?],
        Stage::Sft => {
            let template = work.path("tokenizer/chat_template.jinja");
            let template = Some(template).filter(|path| path.exists());
            let files = [tokenizer()?, model("pretrain", Stage::Pretrain)?];
            files.into_iter().chain(template).collect()
        }
        Stage::Sample if from_files => Vec::new(),
        Stage::Sample => vec![model("sft", Stage::Sft)?],
        Stage::Label if from_files => Vec::new(),
        Stage::Label => vec![
            work.needed("sample/samples.jsonl", Stage::Sample)?,
            work.needed("sample/validation.jsonl", Stage::Sample)?,
        ],
        Stage::Reward => vec![
            model("sft", Stage::Sft)?,
            work.needed("label/comparisons.jsonl", Stage::Label)?,
        ],
        Stage::Ppo => {
            let files = [model("sft", Stage::Sft)?, model("reward", Stage::Reward)?];
            files.into_iter().chain(ppo::reward_adapter(work)).collect()
        }
        Stage::Eval => vec![
            model("pretrain", Stage::Pretrain)?,
            model("sft", Stage::Sft)?,
            model("reward", Stage::Reward)?,
            model("ppo", Stage::Ppo)?,
        ],
    };
    files.extend(dataset::input_files(stage, work));
    Ok(files)
}

/// Repositories of the Hub that the result of a stage depends on, each with the commit that this run has for it.
pub(crate) fn hub_inputs(stage: Stage, work: &Workspace) -> Result<Vec<(String, String)>> {
    let reward_model = &work.config.sft_selection.reward_model;
    let model = match stage {
        Stage::Tokenizer | Stage::Pretrain => work.config.data.base(),
        Stage::Sft => Some(reward_model.clone()),
        _ => None,
    };
    let model = model.as_deref().and_then(on_hub);
    let model = model.map(|text| work.places.dependency(text, HubId::model));
    let sources = dataset::sources(stage, work).into_iter();
    let sources = sources.filter_map(|source| on_hub(&source.path));
    let sources = sources.map(|text| work.places.dependency(text, HubId::data));
    model.into_iter().chain(sources).collect()
}

/// Runs a stage from where it stopped, or from the start.
pub(crate) fn run(stage: Stage, work: &Workspace, fingerprint: &Fingerprint) -> Result<()> {
    match stage {
        Stage::Tokenizer => tokenizer::run(work),
        Stage::Pretrain => pretrain::run(work, fingerprint),
        Stage::Sft => sft::run(work, fingerprint),
        Stage::Sample => sample::run(work),
        Stage::Label => label::run(work),
        Stage::Reward => reward::run(work, fingerprint),
        Stage::Ppo => ppo::run(work, fingerprint),
        Stage::Eval => eval::run(work),
    }
}

/// Prints what a finished stage has to say.
pub(crate) fn show(stage: Stage, work: &Workspace) -> Result<()> {
    match stage {
        Stage::Eval => table::print(work),
        _ => Ok(()),
    }
}
