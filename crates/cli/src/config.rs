//! Sources of the configuration.

use std::path::{Path, PathBuf};

use clap::Args;
use rlhf_config::{ConfigLoader, Loaded};
use rlhf_pipeline::config::RENAMED;
use rlhf_pipeline::{Config, suggest};
use serde_json::json;

use crate::error::Result;

/// Options that say what the configuration is.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigArgs {
    /// TOML file; without it the built-in defaults hold
    #[arg(long)]
    config: Option<PathBuf>,
    /// Override one key, such as --set ppo.kl.coef=0.02; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Device: flex, tch, tch:cuda:N, cuda:N or wgpu, as far as this build has them
    #[arg(long)]
    device: Option<String>,
    /// Seed of everything random
    #[arg(long)]
    seed: Option<u64>,
    /// Model to start from instead of pretraining, data.base: a folder with config.json, model.safetensors, tokenizer.json, or a
    /// GGUF file, which starts from data.root if it is relative, or `hf://org/name[@revision][/path]`
    #[arg(long, value_name = "DIR")]
    base: Option<PathBuf>,
}

impl ConfigArgs {
    /// Reads and checks the configuration. A model to start from, where no file says how it is to be trained, is trained by the rules
    /// for its size and not as the built-in one, which is a hundred times smaller.
    /// `folder_of` finds the folder of a model, if it can be had.
    pub(crate) fn load(&self, folder_of: impl Fn(&Path) -> Option<PathBuf>) -> Result<Loaded<Config>> {
        let mut loader = self.layers();
        if self.config.is_none()
            && let Some(base) = loader.load::<Config>()?.config.data.base()
        {
            // What cannot be read is told by the stage that reads it.
            let parameters = folder_of(&base).and_then(|folder| suggest::parameters_of(&folder).ok());
            for suggest::Rule { key, value, .. } in parameters.map(suggest::rules).unwrap_or_default() {
                loader = loader.rule(format!("{key}={value}"));
            }
        }
        let loaded = loader.load::<Config>()?;
        loaded.locate(loaded.config.validate()).into_result()?;
        Ok(loaded)
    }

    /// What the user says.
    fn layers(&self) -> ConfigLoader {
        let mut loader = ConfigLoader::new().renamed(RENAMED);
        if let Some(file) = &self.config {
            loader = loader.file(file);
        }
        for set in &self.set {
            loader = loader.set(set);
        }
        if let Some(device) = &self.device {
            loader = loader.set(format!("device={}", json!(device)));
        }
        if let Some(seed) = self.seed {
            loader = loader.set(format!("seed={seed}"));
        }
        if let Some(base) = &self.base {
            loader = loader.set(format!("data.base={}", json!(base)));
        }
        loader
    }
}
