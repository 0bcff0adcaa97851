//! The loop.

use burn::module::Module;
use burn::tensor::Tensor;
use rlhf_core::stage::{StageContext, load_module, save_module};
use rlhf_core::{
    GradientBuffer, Learner, PartTimes, ROW_LEN, Targets, TokenBatch, float_tensor, micro_batches, timed, to_host,
};
use rlhf_data::{TokenSequence, shuffled_order};
use rlhf_model::{CausalLm, PassSize};
use serde::{Deserialize, Serialize};

use crate::config::{Selection, SftConfig};
use crate::error::{Error, Result};
use crate::evaluate::{Evaluation, evaluate, ids_and_masks};

/// Training and validation sequences.
#[derive(Debug, Clone, Copy)]
pub struct SftData<'a> {
    /// Sequences to learn from.
    pub train: &'a [TokenSequence],
    /// Sequences that the loss is watched on.
    pub validation: &'a [TokenSequence],
}

/// Somebody who looks at the model at each evaluation: draws samples, scores them.
pub trait Observer {
    /// Called with the model after `step` steps, off the autodiff graph. The value, if any, is the mean reward-model
    /// score of its samples, which [`Selection::RewardScore`] selects by.
    ///
    /// # Errors
    /// Whatever went wrong, in words.
    fn evaluated(&mut self, step: u64, model: &CausalLm, evaluation: &Evaluation) -> Result<Option<f64>, String>;
}

/// How training went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SftReport {
    /// Optimiser steps.
    pub steps: u64,
    /// Validation loss of the untouched model.
    pub initial: Evaluation,
    /// Validation loss of the model returned.
    pub selected: Evaluation,
    /// Step of the model returned.
    pub selected_step: u64,
    /// Tokens that went through the network, all epochs together.
    pub tokens: u64,
}

/// What a checkpoint holds beside weights and moments.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Position {
    initial: Evaluation,
    best: Option<Best>,
    tokens: u64,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Best {
    step: u64,
    /// Lower is better.
    criterion: f64,
    evaluation: Evaluation,
}

/// Trains `model`, on the plain device of `context`, and returns the selected weights there. With `config.lora` it has
/// adapters then, and its own weights are those it came with.
///
/// Continues from the newest checkpoint of the same configuration, and then ends with the same bytes as a run that was
/// never interrupted.
///
/// # Errors
/// No data, adapters that do not fit the model, a loss that is not finite, an interruption, or a file that cannot be
/// written.
pub fn train(
    model: CausalLm,
    data: SftData<'_>,
    config: &SftConfig,
    context: &StageContext<'_>,
    observer: &mut dyn Observer,
) -> Result<(CausalLm, SftReport)> {
    for (what, rows) in [("training", data.train), ("validation", data.validation)] {
        if rows.is_empty() {
            return Err(Error::NoData { what });
        }
    }
    let mut run = Run::start(model, data, config, context)?;
    while run.step < run.total_steps {
        run.advance()?;
        if run.evaluation_is_due() {
            run.evaluate(observer)?;
        }
        let stopping = context.stop.requested() && run.step < run.total_steps;
        let due = config.checkpoint_every > 0 && run.step.is_multiple_of(config.checkpoint_every as u64);
        if stopping || due || run.step == run.total_steps {
            run.save()?;
        }
        if stopping {
            return Err(Error::Interrupted { step: run.step });
        }
    }
    Ok(run.finish())
}

struct Run<'a> {
    data: SftData<'a>,
    config: &'a SftConfig,
    context: &'a StageContext<'a>,
    learner: Learner<CausalLm>,
    selected: Option<CausalLm>,
    position: Position,
    step: u64,
    total_steps: u64,
    epoch_order: (u64, Vec<usize>),
}

impl<'a> Run<'a> {
    fn start(model: CausalLm, data: SftData<'a>, config: &'a SftConfig, context: &'a StageContext<'a>) -> Result<Self> {
        let model = match &config.lora {
            Some(lora) => model.with_lora(lora, context.seed)?,
            None => model,
        };
        let total_steps = (config.epochs * data.train.len().div_ceil(config.batch_size)) as u64;
        let mut run = Self {
            data,
            config,
            context,
            selected: None,
            position: Position {
                initial: Evaluation { loss: 0.0, tokens: 0 },
                best: None,
                tokens: 0,
            },
            step: 0,
            total_steps,
            epoch_order: (u64::MAX, Vec::new()),
            learner: Learner::new(model.train(), config.adamw.clone()),
        };
        if let Some(checkpoint) = context.resume()? {
            run.learner = Learner::load(&checkpoint, "model", run.learner.into_module(), config.adamw.clone())?;
            run.position = checkpoint.json("position")?;
            run.step = checkpoint.step();
            if run.keeps_selected() && run.position.best.is_some() {
                run.selected = Some(load_module(&checkpoint, "selected", run.learner.module().valid())?);
            }
        } else {
            run.position.initial = run.evaluation();
            run.log_evaluation(run.position.initial)?;
        }
        Ok(run)
    }

    fn keeps_selected(&self) -> bool {
        self.config.select != Selection::Last
    }

    /// Indices of the training sequences of the current step.
    fn batch_rows(&mut self) -> Vec<usize> {
        let per_epoch = self.data.train.len().div_ceil(self.config.batch_size) as u64;
        let epoch = self.step / per_epoch;
        if self.epoch_order.0 != epoch {
            self.epoch_order = (epoch, shuffled_order(self.data.train.len(), self.context.seed, epoch));
        }
        let first = (self.step % per_epoch) as usize * self.config.batch_size;
        let order = &self.epoch_order.1;
        order[first..(first + self.config.batch_size).min(order.len())].to_vec()
    }

    fn advance(&mut self) -> Result<()> {
        let started = std::time::Instant::now();
        let rows = self.batch_rows();
        let sequences: Vec<TokenSequence> = rows.iter().map(|&row| self.data.train[row].clone()).collect();
        let mut times = PartTimes::default();
        let (mut gradients, loss) = batch_gradients(self.learner.module(), &sequences, self.config, &mut times);
        let grad_norm = timed(&mut times.backward, || gradients.clip_norm(self.config.max_grad_norm));
        if !loss.is_finite() || !grad_norm.is_finite() {
            return Err(Error::NonFinite {
                step: self.step,
                loss,
                grad_norm,
                rows,
            });
        }
        let lr = self.config.lr.lr_at(self.step, self.total_steps);
        timed(&mut times.optimizer, || self.learner.step(gradients, lr));
        self.step += 1;
        let tokens: usize = sequences.iter().map(TokenSequence::len).sum();
        self.position.tokens += tokens as u64;
        let seconds = started.elapsed().as_secs_f64();
        let speed = tokens as f64 / seconds;
        let pass: PassSize = sequences.iter().map(pass_size).sum();
        let flops = self.learner.module().transformer.step_flops(&pass);
        let values = [
            ("loss/train", loss),
            ("lr", lr),
            ("grad_norm", grad_norm),
            ("time/tokens_per_s", speed),
        ];
        self.context
            .log(self.step, &[&values[..], &times.metrics(seconds, flops)].concat())?;
        let message = format!("loss {loss:.3}  {speed:.0} tokens/s");
        self.context.progress.report(self.step, self.total_steps, &message);
        Ok(())
    }

    fn evaluation_is_due(&self) -> bool {
        let per_epoch = self.data.train.len().div_ceil(self.config.batch_size) as u64;
        let every = if self.config.eval_every == 0 {
            per_epoch
        } else {
            self.config.eval_every as u64
        };
        self.step.is_multiple_of(every) || self.step == self.total_steps
    }

    fn evaluation(&self) -> Evaluation {
        evaluate(
            &self.learner.module().valid(),
            self.data.validation,
            self.config.microbatch_tokens,
        )
    }

    fn log_evaluation(&self, evaluation: Evaluation) -> Result<()> {
        let values = [
            ("loss/validation", evaluation.loss),
            ("perplexity/validation", evaluation.perplexity()),
        ];
        Ok(self.context.log(self.step, &values)?)
    }

    fn evaluate(&mut self, observer: &mut dyn Observer) -> Result<()> {
        let evaluation = self.evaluation();
        self.log_evaluation(evaluation)?;
        tracing::info!(
            step = self.step,
            loss = evaluation.loss,
            perplexity = evaluation.perplexity(),
            "validation"
        );
        let model = self.learner.module().valid();
        let score = observer
            .evaluated(self.step, &model, &evaluation)
            .map_err(|message| Error::Observer { message })?;
        if let Some(score) = score {
            self.context.log(self.step, &[("objective/scores", score)])?;
        }
        let criterion = match (self.config.select, score) {
            (Selection::RewardScore, Some(score)) => -score,
            (Selection::RewardScore, None) => {
                let message = "select = \"reward_score\" needs a reward model".to_owned();
                return Err(Error::Observer { message });
            }
            (Selection::Last, _) => -(self.step as f64),
            (Selection::ValidationLoss, _) => evaluation.loss,
        };
        if self.position.best.is_none_or(|best| criterion < best.criterion) {
            self.position.best = Some(Best {
                step: self.step,
                criterion,
                evaluation,
            });
            if self.keeps_selected() {
                self.selected = Some(model);
            }
        }
        Ok(())
    }

    fn save(&self) -> Result<()> {
        self.context.checkpoint(self.step, |writer| {
            self.learner.save(writer, "model")?;
            if let Some(selected) = &self.selected {
                save_module(writer, "selected", selected)?;
            }
            writer.add_json("position", &self.position)
        })?;
        Ok(())
    }

    fn finish(self) -> (CausalLm, SftReport) {
        let best = self.position.best.unwrap_or(Best {
            step: self.step,
            criterion: 0.0,
            evaluation: self.position.initial,
        });
        let report = SftReport {
            steps: self.step,
            initial: self.position.initial,
            selected: best.evaluation,
            selected_step: best.step,
            tokens: self.position.tokens,
        };
        (self.selected.unwrap_or_else(|| self.learner.module().valid()), report)
    }
}

/// A sequence on its own, whatever it is packed with.
fn pass_size(sequence: &TokenSequence) -> PassSize {
    PassSize::sequence(0, sequence.len(), sequence.targets()).predicting()
}

/// Gradient of the mean negative log-probability of all supervised tokens of `sequences`, with that mean; how they are
/// split into micro-batches does not matter. Adds what it took to `times`.
fn batch_gradients(
    model: &CausalLm,
    sequences: &[TokenSequence],
    config: &SftConfig,
    times: &mut PartTimes,
) -> (GradientBuffer, f64) {
    let device = model.transformer.device();
    let supervised = |s: &TokenSequence| s.loss_mask.iter().skip(1).filter(|&&m| m).count();
    let n_targets = sequences.iter().map(supervised).sum::<usize>().max(1);
    let lens: Vec<usize> = sequences.iter().map(|s| s.input_ids.len()).collect();
    let mut gradients = GradientBuffer::new();
    let mut losses: Vec<Tensor<1>> = Vec::new();
    for range in micro_batches(&lens, config.microbatch_tokens) {
        let (ids, masks) = ids_and_masks(&sequences[range]);
        let batch = TokenBatch::pack(&ids, ROW_LEN);
        let targets = Targets::from_masks(&batch, &ids, &masks);
        if targets.is_empty() {
            continue;
        }
        let (loss, pass) = timed(&mut times.forward, || {
            let activations = config.gradient_checkpointing.into();
            let tensors = batch.to_device(&device);
            let (hidden, pass) = model.transformer.training_pass(&tensors, targets.places(), activations);
            let weights = float_tensor(&vec![-1.0 / n_targets as f32; targets.len()], &device);
            (model.logprob_sum(hidden, targets.ids(&device), weights), pass)
        });
        losses.push(loss.clone().inner());
        timed(&mut times.backward, || pass.backward(loss, model, &mut gradients));
    }
    let loss = match losses.is_empty() {
        true => 0.0,
        false => to_host(Tensor::cat(losses, 0)).into_iter().map(f64::from).sum(),
    };
    (gradients, loss)
}
