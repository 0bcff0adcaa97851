//! `rlhf merge`.

use std::path::{Path, PathBuf};

use rlhf_core::{atomic, available_devices, parse_device};
use rlhf_data::Tokenizer;
use rlhf_hub::Want;
use rlhf_model::{
    AdapterTask, StorageType, load_adapter_config, load_causal_adapter, load_causal_lm, load_config, load_decoder,
    load_scalar_adapter, save_causal_lm, save_scalar_model,
};
use rlhf_pipeline::Locations;

use crate::error::{Error, Result};
use crate::progress::note;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder or GGUF file of the model that the adapters belong to, or `hf://org/name[@revision][/path]`
    #[arg(long, value_name = "DIR")]
    base: PathBuf,
    /// Folder with adapter_config.json and adapter_model.safetensors, or `hf://org/name[@revision]`
    #[arg(long, value_name = "DIR")]
    adapter: PathBuf,
    /// Folder of the merged model, which must not be there yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(super) fn run(args: &Args, locations: &Locations) -> Result<()> {
    if args.out.exists() {
        return Err(Error::Usage(format!(
            "--out: {} is there already, expected the name of a new folder",
            args.out.display()
        )));
    }
    let base = locations.model(&args.base, Want::Model)?;
    let adapter = locations.model(&args.adapter, Want::Adapter)?;
    let base_config = if base.is_file() {
        base.clone()
    } else {
        base.join("config.json")
    };
    for (path, expected) in [
        (base_config, "the folder of a model, or a GGUF file"),
        (
            adapter.join("adapter_config.json"),
            "a folder of adapters as PEFT saves them, with adapter_config.json and adapter_model.safetensors",
        ),
    ] {
        if !path.exists() {
            return Err(rlhf_data::Error::MissingFile { path, expected }.into());
        }
    }
    let device = parse_device(available_devices().first().unwrap_or(&"flex"))?;
    // Who trains adapters may have taught them another template, or other special tokens.
    let tokenizer = Tokenizer::load_over(&adapter, &base)?;
    if let Some(tokenizer) = &tokenizer {
        tokenizer.check_vocab_size(load_config(&base)?.vocab_size())?;
    }
    let fill = |dir: &Path| -> Result<()> {
        // An update may be less than a step of the type that the base came in.
        match load_adapter_config(&adapter)?.task {
            AdapterTask::Language => {
                let (base, config) = load_causal_lm(&base, &device)?;
                let model = load_causal_adapter(&adapter, base)?;
                save_causal_lm(dir, &model, &config.with_storage(StorageType::F32))?;
            }
            AdapterTask::Scalar => {
                let (base, config) = load_decoder(&base, &device)?;
                let model = load_scalar_adapter(&adapter, base)?;
                save_scalar_model(dir, &model, &config.with_storage(StorageType::F32))?;
            }
        }
        match &tokenizer {
            Some(tokenizer) => Ok(tokenizer.save(dir)?),
            None => Ok(()),
        }
    };
    atomic::write_dir(&args.out, fill)?;
    note(&format!("merged model in {}", args.out.display()));
    Ok(())
}
