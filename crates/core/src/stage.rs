//! What a training loop needs from the outside: where to keep checkpoints and metrics, when to stop, whom to tell.

use std::cell::RefCell;
use std::path::PathBuf;

use burn::module::Module;
use burn::tensor::Device;

use crate::checkpoint::{Checkpoint, CheckpointStore, CheckpointWriter};
use crate::error::Result;
use crate::hash::Fingerprint;
use crate::interrupt::StopFlag;
use crate::metrics::MetricWriter;
use crate::params::{load_trained_parameters, trained_device_parameters};

/// Somebody who is told how far a loop has come; the command line draws a bar.
pub trait Progress {
    /// `done` of `total` units are finished; `message` holds the figures of the moment.
    fn report(&self, done: u64, total: u64, message: &str);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn report(&self, _: u64, _: u64, _: &str) {}
}

/// The surroundings of one run of one stage.
pub struct StageContext<'a> {
    /// Plain device; loops derive the autodiff device from it.
    pub device: Device,
    /// Seed of the run.
    pub seed: u64,
    /// Checkpoints of this stage.
    pub checkpoints: CheckpointStore,
    /// What a checkpoint must have been made with to be continued.
    pub fingerprint: Fingerprint,
    /// Folder of this stage, for curves and samples.
    pub dir: PathBuf,
    metrics: RefCell<Option<MetricWriter>>,
    /// Raised when the loop should write a checkpoint and return.
    pub stop: StopFlag,
    /// Told of every step.
    pub progress: &'a dyn Progress,
}

impl<'a> StageContext<'a> {
    /// A context without metrics yet; [`StageContext::resume`] opens them.
    pub fn new(
        device: Device,
        seed: u64,
        dir: impl Into<PathBuf>,
        checkpoints: CheckpointStore,
        fingerprint: Fingerprint,
        progress: &'a dyn Progress,
    ) -> Self {
        Self {
            device,
            seed,
            checkpoints,
            fingerprint,
            dir: dir.into(),
            metrics: RefCell::new(None),
            stop: StopFlag::process(),
            progress,
        }
    }

    /// The newest whole checkpoint of this configuration, if there is one; metrics go on from its step.
    ///
    /// # Errors
    /// A checkpoint of another configuration, or a file that cannot be read.
    pub fn resume(&self) -> Result<Option<Checkpoint>> {
        let checkpoint = self.checkpoints.latest(&self.fingerprint)?;
        let writer = match &checkpoint {
            Some(checkpoint) => {
                tracing::info!(step = checkpoint.step(), "continuing from a checkpoint");
                MetricWriter::resume(&self.dir, checkpoint.step())?
            }
            None => MetricWriter::create(&self.dir)?,
        };
        *self.metrics.borrow_mut() = Some(writer);
        Ok(checkpoint)
    }

    /// Writes the checkpoint of `step`, whole or not at all.
    ///
    /// # Errors
    /// A file that cannot be written, no disk space.
    pub fn checkpoint(&self, step: u64, fill: impl FnOnce(&mut CheckpointWriter<'_>) -> Result<()>) -> Result<()> {
        let mut writer = self.checkpoints.begin(step)?;
        fill(&mut writer)?;
        writer.commit(&self.fingerprint)
    }

    /// Appends one row of metrics.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn log(&self, step: u64, values: &[(&str, f64)]) -> Result<()> {
        match self.metrics.borrow_mut().as_mut() {
            Some(metrics) => metrics.log(step, values),
            None => Ok(()),
        }
    }
}

/// Adds a module to a checkpoint, without the parameters that are frozen: they are those of the model the run began with.
///
/// # Errors
/// A file that cannot be written.
pub fn save_module<M: Module>(writer: &mut CheckpointWriter<'_>, name: &str, module: &M) -> Result<()> {
    writer.add_tensors(name, trained_device_parameters(module))
}

/// Reads back what [`save_module`] wrote.
///
/// # Errors
/// A part that is missing or belongs to another model.
pub fn load_module<M: Module>(checkpoint: &Checkpoint, name: &str, module: M) -> Result<M> {
    load_trained_parameters(module, &mut checkpoint.tensors(name)?)
}
