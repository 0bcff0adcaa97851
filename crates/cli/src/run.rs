//! What surrounds every stage: configuration, run directory, lock, fingerprint, the mark that it is complete.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::Device;
use rlhf_config::{ConfigLoader, Loaded};
use rlhf_core::hash::{Fingerprint, file_sha256, fingerprint};
use rlhf_core::memory::MemoryForecast;
use rlhf_core::stage::StageContext;
use rlhf_core::{Completion, RunDir, StageDir, atomic, parse_device};
use serde::Serialize;
use serde_json::{Value, json};

use crate::config::{Config, RENAMED};
use crate::error::{Error, Result};
use crate::memory::{self, Savings};
use crate::pace::pace;
use crate::places::{Places, RunPlaces};
use crate::progress::{Bar, note};
use crate::stages::{self, Stage};
use crate::{ConfigArgs, StageArgs};

/// One stage of one run, locked.
pub(crate) struct Workspace {
    pub(crate) config: Config,
    pub(crate) run: RunDir,
    pub(crate) dir: StageDir,
    pub(crate) device: Device,
    pub(crate) bar: Bar,
    pub(crate) places: RunPlaces,
    stage: Stage,
    inputs: RefCell<BTreeMap<String, String>>,
    overwrite: bool,
    ignore_memory: bool,
    /// Bytes that the stage was forecast to need.
    forecast: Cell<Option<u64>>,
}

/// Reads and checks the configuration.
pub(crate) fn load_config(args: &ConfigArgs) -> Result<Loaded<Config>> {
    let mut loader = ConfigLoader::new().renamed(RENAMED);
    if let Some(file) = &args.config {
        loader = loader.file(file);
    }
    for set in &args.set {
        loader = loader.set(set);
    }
    if let Some(device) = &args.device {
        loader = loader.set(format!("device={}", json!(device)));
    }
    if let Some(seed) = args.seed {
        loader = loader.set(format!("seed={seed}"));
    }
    if let Some(base) = &args.base {
        loader = loader.set(format!("data.base={}", json!(base)));
    }
    let loaded = loader.load::<Config>()?;
    loaded.locate(loaded.config.validate()).into_result()?;
    Ok(loaded)
}

/// Runs a stage, or finds that it has been run.
pub(crate) fn run_stage(stage: Stage, args: &StageArgs, places: Places) -> Result<()> {
    let loaded = load_config(&args.config)?;
    let device = parse_device(&loaded.config.device)?;
    let run = RunDir::open(&args.run)?;
    let dir = run.stage(stage.name());
    let lock = dir.lock()?;
    let work = Workspace {
        bar: Bar::new(stage.name()),
        places: RunPlaces::open(places, run.path())?,
        config: loaded.config.clone(),
        device,
        dir,
        run,
        stage,
        inputs: RefCell::default(),
        overwrite: args.overwrite,
        ignore_memory: args.ignore_memory,
        forecast: Cell::new(None),
    };
    for path in stages::inputs(stage, &work)? {
        work.add_input(&path)?;
    }
    let of_hub = stages::hub_inputs(stage, &work)?;
    work.inputs.borrow_mut().extend(of_hub);
    let fingerprint = work.fingerprint()?;
    if work.settle(&fingerprint, &lock)? {
        note(&format!("{:>9} complete already", stage.name()));
    } else {
        work.run.write_config(&loaded.resolved_toml_with_sources())?;
        let started = Instant::now();
        stages::run(stage, &work, &fingerprint)?;
        work.bar.finish();
        let seconds = started.elapsed().as_secs_f64();
        work.dir.mark_complete(&Completion {
            fingerprint,
            seed: work.config.seed,
            inputs: work.inputs.borrow().clone(),
            versions: versions(),
            seconds,
        })?;
        // Before the ceiling is measured, which takes memory of its own.
        let memory = work.memory();
        let pace = pace(&work.dir.metrics_path(), &work.device)?;
        let pace = pace.map_or_else(String::new, |pace| format!(": {pace}"));
        note(&format!("{:>9} done in {seconds:.0} s{pace}{memory}", stage.name()));
    }
    stages::show(stage, &work)
}

fn versions() -> BTreeMap<String, String> {
    [
        ("rlhf", env!("CARGO_PKG_VERSION")),
        ("burn", "0.22.1"),
        ("tokenizers", "0.22"),
    ]
    .into_iter()
    .map(|(name, version)| (name.to_owned(), version.to_owned()))
    .collect()
}

impl Workspace {
    /// Whether the stage is complete with this fingerprint. What it did before is removed if the user said so; otherwise what
    /// another configuration finished is left alone.
    fn settle(&self, fingerprint: &Fingerprint, lock: &rlhf_core::StageLock) -> Result<bool> {
        if self.overwrite {
            self.dir.clear(lock)?;
            return Ok(false);
        }
        let Some(completion) = self.dir.completion()? else {
            return Ok(false);
        };
        match fingerprint.difference(&completion.fingerprint) {
            None => Ok(true),
            Some(difference) => Err(Error::OtherRun {
                path: self.dir.path().to_owned(),
                field: difference.field,
                expected: difference.expected,
                found: difference.found,
            }),
        }
    }

    fn add_input(&self, path: &Path) -> Result<()> {
        // Inside the run by its place there, so that a run can be moved.
        let name = path.strip_prefix(self.run.path()).unwrap_or(path).display().to_string();
        let hash = file_sha256(path)?;
        self.inputs.borrow_mut().insert(name, hash);
        Ok(())
    }

    /// The digest of an input of this stage, by its place in the run.
    pub(crate) fn input_hash(&self, name: &str) -> Option<String> {
        self.inputs.borrow().get(name).cloned()
    }

    /// Everything the result of the stage depends on.
    fn fingerprint(&self) -> Result<Fingerprint> {
        let config = &self.config;
        let settings: Value = match self.stage {
            Stage::Tokenizer => json!({
                "world": section(&config.world),
                "stories": section(&config.stories),
                "tokenizer": section(&config.tokenizer),
            }),
            Stage::Pretrain => json!({ "model": section(&config.model), "pretrain": section(&config.pretrain) }),
            Stage::Sft => json!({
                "sft": section(&config.sft),
                "sft_mix": section(&config.sft_mix),
                "sft_selection": section(&config.sft_selection),
            }),
            Stage::Sample => json!({ "sample": section(&config.sample) }),
            Stage::Label => json!({ "label": section(&config.label) }),
            Stage::Reward => json!({ "reward": section(&config.reward) }),
            Stage::Ppo => json!({ "ppo": section(&config.ppo) }),
            Stage::Eval => json!({ "eval": section(&config.eval) }),
        };
        let whole = json!({
            "stage": self.stage.name(),
            "seed": config.seed,
            "device": config.device,
            "data": section(&config.data),
            "settings": settings,
            "inputs": self.inputs.borrow().clone(),
        });
        Ok(fingerprint(&whole)?)
    }

    /// Surroundings of a training loop.
    pub(crate) fn context(&self, fingerprint: &Fingerprint) -> Result<StageContext<'_>> {
        Ok(StageContext::new(
            self.device.clone(),
            self.config.seed,
            self.dir.path(),
            self.dir.checkpoints(2)?,
            fingerprint.clone(),
            &self.bar,
        ))
    }

    /// Says what memory the stage is going to need, and whether it is there. The models must not be loaded yet.
    pub(crate) fn announce_memory(&self, forecast: &MemoryForecast, savings: Savings<'_>) -> Result<()> {
        let needed = memory::announce(self.stage.name(), forecast, savings, self.ignore_memory)?;
        self.forecast.set(Some(needed));
        Ok(())
    }

    /// For the end of a stage: what it took beside what was forecast.
    fn memory(&self) -> String {
        match (memory::peak(), self.forecast.get()) {
            (Some(peak), Some(forecast)) => format!(
                "; memory {} at most, forecast {}",
                memory::amount(peak),
                memory::amount(forecast)
            ),
            _ => String::new(),
        }
    }

    /// A file of another stage of this run.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.run.path().join(relative)
    }

    /// A file or folder of another stage, which must be there.
    pub(crate) fn needed(&self, relative: &str, produced_by: Stage) -> Result<PathBuf> {
        let path = self.path(relative);
        if path.exists() {
            return Ok(path);
        }
        Err(Error::MissingStage {
            stage: self.stage.name(),
            path,
            produced_by: produced_by.name(),
        })
    }

    /// Writes rows as JSON lines, whole or not at all.
    pub(crate) fn write_rows<T: Serialize>(&self, path: &Path, rows: &[T]) -> Result<()> {
        let mut text = String::new();
        for row in rows {
            let row = serde_json::to_string(row).map_err(|e| Error::Usage(format!("{}: {e}", path.display())))?;
            text.push_str(&row);
            text.push('\n');
        }
        Ok(atomic::write_file(path, text.as_bytes())?)
    }

    /// Writes a value as indented JSON, whole or not at all.
    pub(crate) fn write_json<T: Serialize>(&self, path: &Path, value: &T) -> Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(|e| Error::Usage(format!("{}: {e}", path.display())))?;
        Ok(atomic::write_file(path, text.as_bytes())?)
    }

    /// Ends the stage if the user asked for it. Stages without a training loop start over.
    pub(crate) fn check_stop(&self) -> Result<()> {
        match rlhf_core::StopFlag::process().requested() {
            true => Err(Error::Interrupted),
            false => Ok(()),
        }
    }
}

/// A configuration section as JSON.
fn section<T: Serialize>(part: &T) -> Value {
    serde_json::to_value(part).expect("configuration sections are plain data")
}
