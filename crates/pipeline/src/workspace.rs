//! The surroundings of a stage at work: the run's configuration, its own folder, those of the stages before it, whom to tell.

use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use burn::tensor::Device;
use rlhf_core::hash::Fingerprint;
use rlhf_core::memory::MemoryForecast;
use rlhf_core::stage::StageContext;
use rlhf_core::{StageDir, StopFlag, is_cpu};
use rlhf_model::ModelConfig;

use crate::config::Config;
use crate::cost::{Cost, Meter, MeteredBar};
use crate::error::{Error, Result};
use crate::inputs::Inputs;
use crate::listener::{Bar, Listener};
use crate::locations::RunLocations;
use crate::memory::{self, Savings};
use crate::run::Run;
use crate::stage::Stage;

/// One stage of one run at work.
pub struct Workspace<'r> {
    run: &'r Run,
    name: &'static str,
    dir: StageDir,
    bar: OnceCell<MeteredBar>,
    /// Running while the stage is at work.
    meter: OnceCell<Rc<Meter>>,
    inputs: OnceCell<BTreeMap<String, String>>,
    fingerprint: OnceCell<Fingerprint>,
    /// Bytes that the stage was forecast to need.
    forecast: Cell<Option<u64>>,
}

impl<'r> Workspace<'r> {
    pub(crate) fn new(run: &'r Run, stage: &dyn Stage) -> Self {
        Self {
            run,
            name: stage.name(),
            dir: run.dir().stage(stage.name()),
            bar: OnceCell::new(),
            meter: OnceCell::new(),
            inputs: OnceCell::new(),
            fingerprint: OnceCell::new(),
            forecast: Cell::new(None),
        }
    }

    /// The configuration of the run.
    pub fn config(&self) -> &Config {
        self.run.config()
    }

    /// The seed of the run.
    pub fn seed(&self) -> u64 {
        self.config().seed
    }

    /// Device of all tensors.
    pub fn device(&self) -> &Device {
        self.run.device()
    }

    /// The folder of this stage.
    pub fn dir(&self) -> &StageDir {
        &self.dir
    }

    /// Longest sequence of a model of this configuration, in tokens: what it can take, and no more than the user allows.
    pub fn max_seq_len(&self, model: &ModelConfig) -> usize {
        model.max_seq_len().min(self.config().data.max_seq_len)
    }

    /// The paths of what the user names, at the commits that this run has for repositories.
    pub fn locations(&self) -> &RunLocations {
        self.run.locations()
    }

    /// The folder of another stage of this run, in which its model lies.
    pub fn folder(&self, stage: &dyn Stage) -> PathBuf {
        self.path(stage.name())
    }

    /// A file that another stage of this run has written.
    ///
    /// # Errors
    /// [`Error::MissingStage`] if it is not there.
    pub fn output(&self, stage: &dyn Stage, file: &str) -> Result<PathBuf> {
        self.written_by(stage, self.folder(stage).join(file))
    }

    /// A file of the run, which `stage` writes somewhere else than in its folder.
    pub(crate) fn written_by(&self, stage: &dyn Stage, path: PathBuf) -> Result<PathBuf> {
        if path.exists() {
            return Ok(path);
        }
        Err(Error::MissingStage {
            stage: self.name,
            path,
            produced_by: stage.name(),
        })
    }

    /// A path in the folder of the run.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.run.dir().path().join(relative)
    }

    /// The name of the run's folder.
    pub(crate) fn run_name(&self) -> String {
        let path = self.run.dir().path();
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        path.file_name()
            .map_or_else(String::new, |name| name.display().to_string())
    }

    /// Nothing yet of what this stage reads.
    pub fn inputs(&self) -> Inputs<'_> {
        Inputs::new(self)
    }

    /// The name of an input file: inside the run by its place there, so that a run can be moved.
    pub(crate) fn input_name(&self, path: &Path) -> String {
        path.strip_prefix(self.run.dir().path())
            .unwrap_or(path)
            .display()
            .to_string()
    }

    /// The digest of an input of this stage, once inputs are known.
    pub fn input_digest(&self, path: &Path) -> Option<&str> {
        let found = self.inputs.get()?.get(&self.input_name(path));
        found.map(String::as_str)
    }

    /// The digest that `path` had when another stage of this run read it, if that stage is complete.
    ///
    /// # Errors
    /// A mark that cannot be read.
    pub fn digest_read_by(&self, stage: &dyn Stage, path: &Path) -> Result<Option<String>> {
        let completion = self.run.dir().stage(stage.name()).completion()?;
        Ok(completion.and_then(|completion| completion.inputs.get(&self.input_name(path)).cloned()))
    }

    /// Keeps what the stage reads, and what its result depends on.
    pub(crate) fn settle(&self, inputs: BTreeMap<String, String>, fingerprint: Fingerprint) {
        // A workspace is made for one stage and settled once.
        let _ = self.inputs.set(inputs);
        let _ = self.fingerprint.set(fingerprint);
    }

    /// Surroundings of a training loop.
    ///
    /// # Errors
    /// A folder of checkpoints that cannot be made.
    pub fn context(&self) -> Result<StageContext<'_>> {
        let fingerprint = self.fingerprint.get();
        Ok(StageContext::new(
            self.device().clone(),
            self.seed(),
            self.dir.path(),
            self.dir.checkpoints(self.config().checkpoints.keep)?,
            fingerprint.expect("a stage runs when its fingerprint is known").clone(),
            self.bar(),
        ))
    }

    /// True if the model after so many units of work, at which a checkpoint was written, is to be kept whole.
    pub(crate) fn keeps_model(&self, done: u64) -> bool {
        let every = self.config().checkpoints.models_every as u64;
        every > 0 && done.is_multiple_of(every)
    }

    /// The folder in which the model after so many units of work is kept whole.
    pub(crate) fn kept_model(&self, done: u64) -> PathBuf {
        self.dir.other_model_dir("models").join(format!("step-{done:08}"))
    }

    /// Warns of a learning rate that is far from what is known to work for a model of so many parameters, where it is one of the
    /// user's own.
    pub(crate) fn doubt_rates(&self, parameters: usize) {
        let doubt = (self.config().data.base()).and_then(|_| self.config().doubts(self.name, parameters));
        if let Some(doubt) = doubt {
            self.note(&format!("warning: {doubt}"));
        }
    }

    /// Says what memory the stage is going to need, and whether it is there. The models must not be loaded yet.
    ///
    /// # Errors
    /// [`Error::Memory`] if it is not, unless the user insists.
    pub fn announce_memory(&self, forecast: &MemoryForecast, savings: Savings<'_>) -> Result<()> {
        // What is free on a graphics card nobody tells; what is free beside it says nothing.
        let anyway = self.run.options().ignore_memory || !is_cpu(&self.config().device);
        let needed = memory::announce(self.listener(), self.name, forecast, savings, anyway)?;
        self.forecast.set(Some(needed));
        Ok(())
    }

    /// For the end of a stage: what it took beside what was forecast.
    pub(crate) fn memory_taken(&self) -> String {
        match (memory::peak_memory(), self.forecast.get()) {
            (Some(peak), Some(forecast)) => format!(
                "; memory {} at most, forecast {}",
                memory::amount(peak),
                memory::amount(forecast)
            ),
            _ => String::new(),
        }
    }

    /// From here on the stage is at work, and what it takes is kept.
    pub(crate) fn start_meter(&self) {
        self.meter.get_or_init(|| Rc::new(Meter::begin(self.dir.path())));
    }

    /// What all processes that worked on the stage took, now that it has ended.
    pub(crate) fn stop_meter(&self) -> Cost {
        self.meter.get().map_or_else(Cost::default, |meter| meter.finish())
    }

    fn bar(&self) -> &dyn Bar {
        self.bar.get_or_init(|| MeteredBar {
            bar: self.listener().begin(self.name),
            meter: self.meter.get().cloned(),
        })
    }

    /// Tells how far the stage has come.
    pub fn report(&self, done: u64, total: u64, message: &str) {
        self.bar().report(done, total, message);
    }

    /// The end of progress: only notes follow.
    pub fn finish(&self) {
        if let Some(bar) = self.bar.get() {
            bar.finish();
        }
    }

    /// A line for people.
    pub fn note(&self, line: &str) {
        self.listener().note(self.name, line);
    }

    fn listener(&self) -> &dyn Listener {
        self.run.listener()
    }

    /// Ends the stage if the user asked for it. Stages without a training loop start over.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if so.
    pub fn check_stop(&self) -> Result<()> {
        if StopFlag::process().requested() {
            return Err(Error::Interrupted);
        }
        Ok(())
    }
}
