//! The folder of a model that a command was given: configuration, tokenizer, device.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use rlhf_core::{available_devices, parse_device};
use rlhf_data::Tokenizer;
use rlhf_hub::Want;
use rlhf_model::{
    CausalLm, ModelConfig, Placement, ScalarModel, WeightPrecision, load_causal_lm, load_config, load_scalar_model,
};
use rlhf_pipeline::Locations;

use crate::error::{Error, Result};
use crate::progress::note;

const CONFIG_FILE: &str = "config.json";
const TOKENIZER_FILE: &str = "tokenizer.json";

/// Which model, and where it runs.
#[derive(Debug, clap::Args)]
pub(super) struct ModelArgs {
    /// Folder with config.json, model.safetensors and tokenizer.json, such as that of a stage, a GGUF file, or
    /// `hf://org/name[@revision][/path]`
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Device: flex, tch, tch:cuda:N, cuda:N or wgpu, as far as this build has them
    #[arg(long)]
    device: Option<String>,
    /// Storage type of weights: f32, or bf16 for half the memory; everything is computed in f32
    #[arg(long, value_name = "TYPE", default_value = "f32", value_parser = weight_precision)]
    weights: WeightPrecision,
}

impl ModelArgs {
    /// Those of a model that a command was given in another way.
    pub(super) fn new(model: PathBuf, device: Option<String>, weights: WeightPrecision) -> Self {
        Self { model, device, weights }
    }
}

/// Reads `--weights`.
pub(super) fn weight_precision(name: &str) -> Result<WeightPrecision, String> {
    match name {
        "f32" => Ok(WeightPrecision::F32),
        "bf16" => Ok(WeightPrecision::Bf16),
        _ => Err("expected f32 or bf16".to_owned()),
    }
}

/// The first GGUF file of a folder.
fn gguf_in(dir: &Path) -> Option<PathBuf> {
    let paths = dir.read_dir().ok()?.flatten().map(|entry| entry.path());
    paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "gguf"))
        .min()
}

/// True for the folder of a reward model, or another classifier.
pub(super) fn is_reward_model(dir: &Path) -> bool {
    let config = std::fs::read_to_string(dir.join(CONFIG_FILE)).unwrap_or_default();
    config.contains("ForSequenceClassification")
}

/// A model's folder or GGUF file, looked at but with its weights still on the disk.
pub(super) struct ModelFolder {
    dir: PathBuf,
    device: Device,
    weights: WeightPrecision,
    pub(super) config: ModelConfig,
    tokenizer: Option<Tokenizer>,
}

impl ModelFolder {
    /// Reads configuration and tokenizer, and checks that they belong together.
    pub(super) fn open(args: &ModelArgs, locations: &Locations) -> Result<Self> {
        let device = match &args.device {
            Some(name) => parse_device(name)?,
            None => parse_device(available_devices().first().unwrap_or(&"flex"))?,
        };
        let dir = locations.model(&args.model, Want::Model)?;
        let path = dir.join(CONFIG_FILE);
        if !dir.is_file() && !path.exists() {
            if let Some(file) = gguf_in(&dir) {
                let message = format!(
                    "{}: no config.json; name the GGUF file itself: {}",
                    dir.display(),
                    file.display()
                );
                return Err(Error::Usage(message));
            }
            let expected = "a model's folder, with config.json, model.safetensors and tokenizer.json, or a GGUF file";
            return Err(rlhf_data::Error::MissingFile { path, expected }.into());
        }
        let config = load_config(&dir)?;
        let tokenizer = Tokenizer::load_optional(&dir)?;
        if let Some(tokenizer) = &tokenizer {
            tokenizer
                .check_vocab_size(config.vocab_size())
                .map_err(|error| Error::Usage(format!("{}: {error}", dir.display())))?;
        }
        Ok(Self {
            dir,
            device,
            weights: args.weights,
            config,
            tokenizer,
        })
    }

    pub(super) fn causal_lm(&self) -> Result<CausalLm> {
        // What a reward model would say as a language model is nothing that it was trained for.
        if is_reward_model(&self.dir) {
            note(&format!(
                "warning: {} is a reward model, not a language model",
                self.dir.display()
            ));
        }
        Ok(load_causal_lm(&self.dir, self.placement())?.0)
    }

    pub(super) fn scalar_model(&self) -> Result<ScalarModel> {
        Ok(load_scalar_model(&self.dir, self.placement())?.0)
    }

    fn placement(&self) -> Placement<'_> {
        Placement {
            device: &self.device,
            weights: self.weights,
        }
    }

    /// The tokenizer, which a folder needs only where there is text.
    pub(super) fn tokenizer(&self) -> Result<&Tokenizer> {
        match &self.tokenizer {
            Some(tokenizer) => Ok(tokenizer),
            None => Err(rlhf_data::Error::MissingFile {
                path: self.dir.join(TOKENIZER_FILE),
                expected: "the tokenizer of the model; without it only rows of `input_ids` can be read",
            }
            .into()),
        }
    }

    /// The tokenizer, if there is one.
    pub(super) fn optional_tokenizer(&self) -> Option<&Tokenizer> {
        self.tokenizer.as_ref()
    }

    /// The folder's own path.
    pub(super) fn path(&self) -> &Path {
        &self.dir
    }

    /// The token that ends an answer.
    pub(super) fn eos_token_id(&self) -> Result<u32> {
        let of_tokenizer = self.tokenizer.as_ref().map(Tokenizer::eos_token_id);
        of_tokenizer.or(self.config.eos_token_id()).ok_or_else(|| {
            let path = self.dir.join(CONFIG_FILE);
            Error::Usage(format!(
                "{}: field `eos_token_id`: expected a token id, found nothing",
                path.display()
            ))
        })
    }

    /// Other tokens that end it.
    pub(super) fn stop_token_ids(&self) -> Vec<u32> {
        let tokenizer = self.tokenizer.as_ref();
        tokenizer.map_or_else(Vec::new, |tokenizer| tokenizer.other_eos_token_ids().to_vec())
    }

    /// Longest sequence, in tokens.
    pub(super) fn context(&self) -> usize {
        self.config.max_seq_len()
    }
}
