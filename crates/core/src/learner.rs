//! A module together with the optimiser that changes it.

use burn::module::Module;

use crate::checkpoint::{Checkpoint, CheckpointWriter};
use crate::error::Result;
use crate::optim::{AdamW, AdamWConfig, GradientBuffer};
use crate::stage::{load_module, save_module};

/// A module in training and its optimiser. Nobody else holds its weights, so that a step changes them where they lie.
#[derive(Debug)]
pub struct Learner<M> {
    /// Taken out during a step only.
    module: Option<M>,
    optimizer: AdamW,
}

/// Reason that a learner has a module.
const BETWEEN_STEPS: &str = "a step puts the module back before it returns";

impl<M: Module> Learner<M> {
    /// A learner that has not learnt anything yet.
    pub fn new(module: M, config: AdamWConfig) -> Self {
        Self {
            module: Some(module),
            optimizer: AdamW::new(config),
        }
    }

    /// The module as it is now.
    pub fn module(&self) -> &M {
        self.module.as_ref().expect(BETWEEN_STEPS)
    }

    /// The module as it is now, and nothing that could go on with it.
    pub fn into_module(self) -> M {
        self.module.expect(BETWEEN_STEPS)
    }

    /// One step of the optimiser; see [`AdamW::step`].
    pub fn step(&mut self, gradients: GradientBuffer, lr: f64) {
        let module = self.module.take().expect(BETWEEN_STEPS);
        self.module = Some(self.optimizer.step(module, gradients, lr));
    }

    /// Adds the module, without its frozen parameters, and the optimiser to a checkpoint, as `NAME` and `NAME.optimizer`.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, writer: &mut CheckpointWriter<'_>, name: &str) -> Result<()> {
        save_module(writer, name, self.module())?;
        writer.add_tensors(&format!("{name}.optimizer"), self.optimizer.state())?;
        writer.add_json(&format!("{name}.optimizer.steps"), &self.optimizer.steps())
    }

    /// The learner that [`Learner::save`] wrote; `module` gives shape, device and the frozen parameters.
    ///
    /// # Errors
    /// A part that is missing or belongs to another model.
    pub fn load(checkpoint: &Checkpoint, name: &str, module: M, config: AdamWConfig) -> Result<Self> {
        let module = load_module(checkpoint, name, module)?;
        let steps = checkpoint.json(&format!("{name}.optimizer.steps"))?;
        let mut state = checkpoint.tensors(&format!("{name}.optimizer"))?;
        let optimizer = AdamW::restore(config, &module, steps, &mut state)?;
        Ok(Self {
            module: Some(module),
            optimizer,
        })
    }
}
