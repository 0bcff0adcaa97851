//! Surroundings of a training loop: where it keeps checkpoints and metrics, when it stops, whom it tells.

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

/// Keys of every training stage that change no result: another value goes on with the same run.
pub const NEUTRAL_KEYS: [&str; 4] = [
    "microbatch_tokens",
    "gradient_checkpointing",
    "checkpoint_every",
    "log_every",
];

/// Tells nobody, and looks at nothing.
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
    /// Raised when the loop should write a checkpoint and return.
    pub stop: StopFlag,
    /// Told of every step.
    pub progress: &'a dyn Progress,
    /// Nothing for a scratch context.
    keeping: Option<Keeping>,
}

/// Files from which a stage can go on.
struct Keeping {
    /// Folder of the stage, for curves.
    dir: PathBuf,
    checkpoints: CheckpointStore,
    /// Settings and inputs that a checkpoint must have been made with to be continued.
    fingerprint: Fingerprint,
    /// Opened by [`StageContext::resume`].
    metrics: RefCell<Option<MetricWriter>>,
}

/// Decision of a loop after a unit of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// It goes on.
    None,
    /// It writes a checkpoint and goes on.
    Checkpoint,
    /// It writes a checkpoint and returns: somebody asked it to stop.
    Stop,
}

impl<'a> StageContext<'a> {
    /// A context that keeps checkpoints and metrics in the folder `dir`, and goes on from them if they are of the same
    /// `fingerprint`.
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
            stop: StopFlag::process(),
            progress,
            keeping: Some(Keeping {
                dir: dir.into(),
                checkpoints,
                fingerprint,
                metrics: RefCell::new(None),
            }),
        }
    }

    /// A context that keeps nothing: no folder, no checkpoints, no metrics, and nobody who could stop it.
    pub fn scratch(device: Device, seed: u64) -> Self {
        Self {
            device,
            seed,
            stop: StopFlag::new(),
            progress: &Quiet,
            keeping: None,
        }
    }

    /// The newest whole checkpoint of this configuration, if there is one; metrics go on from its step.
    ///
    /// # Errors
    /// A checkpoint of another configuration, or a file that cannot be read.
    pub fn resume(&self) -> Result<Option<Checkpoint>> {
        let Some(keeping) = &self.keeping else { return Ok(None) };
        let checkpoint = keeping.checkpoints.latest(&keeping.fingerprint)?;
        let writer = match &checkpoint {
            Some(checkpoint) => {
                tracing::info!(step = checkpoint.step(), "continuing from a checkpoint");
                MetricWriter::resume(&keeping.dir, checkpoint.step())?
            }
            None => MetricWriter::create(&keeping.dir)?,
        };
        *keeping.metrics.borrow_mut() = Some(writer);
        Ok(checkpoint)
    }

    /// Decision of a loop when `done` of `total` units of work are finished and it keeps a checkpoint after every
    /// `every` of them, after the last one in any case; 0 keeps that one alone.
    pub fn pause(&self, done: u64, total: u64, every: usize) -> Pause {
        let is_due = every > 0 && done.is_multiple_of(every as u64);
        if self.stop.requested() && done < total {
            Pause::Stop
        } else if is_due || done == total {
            Pause::Checkpoint
        } else {
            Pause::None
        }
    }

    /// Writes the checkpoint of `step`, whole or not at all, once all metrics up to it are on the disk.
    ///
    /// # Errors
    /// A file that cannot be written, no disk space.
    pub fn checkpoint(&self, step: u64, fill: impl FnOnce(&mut CheckpointWriter<'_>) -> Result<()>) -> Result<()> {
        let Some(keeping) = &self.keeping else { return Ok(()) };
        if let Some(metrics) = keeping.metrics.borrow().as_ref() {
            metrics.sync()?;
        }
        let mut writer = keeping.checkpoints.begin(step)?;
        fill(&mut writer)?;
        writer.commit(&keeping.fingerprint)
    }

    /// Appends one row of metrics.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn log(&self, step: u64, values: &[(&str, f64)]) -> Result<()> {
        let Some(keeping) = &self.keeping else { return Ok(()) };
        match keeping.metrics.borrow_mut().as_mut() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_keeps_a_checkpoint_when_it_is_due_at_its_end_and_when_it_is_stopped() {
        let context = StageContext::scratch(Device::flex(), 1);
        let pauses = |every| [1, 2, 3, 4, 5].map(|done| context.pause(done, 5, every));
        use Pause::{Checkpoint, None, Stop};
        assert_eq!(pauses(2), [None, Checkpoint, None, Checkpoint, Checkpoint]);
        assert_eq!(pauses(0), [None, None, None, None, Checkpoint]);
        context.stop.request();
        assert_eq!(pauses(0), [Stop, Stop, Stop, Stop, Checkpoint]);
    }

    #[test]
    fn a_scratch_context_keeps_nothing() {
        let context = StageContext::scratch(Device::flex(), 1);
        context
            .checkpoint(1, |_| unreachable!("there is nowhere to write to"))
            .expect("nothing to do");
        context.log(1, &[("loss", 1.0)]).expect("nothing to do");
        assert!(context.resume().expect("nothing to read").is_none());
    }
}
