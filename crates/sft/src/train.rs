//! The loop.

use std::time::Instant;

use burn::module::Module;
use rlhf_core::stage::{Pause, Quiet, StageContext, load_module, save_module};
use rlhf_core::{GradientBuffer, Learner, PartTimes, timed};
use rlhf_data::{TokenSequence, shuffled_order};
use rlhf_model::{CausalLm, PassSize, logprob_gradients};
use serde::{Deserialize, Serialize};

use crate::config::{Selection, SftConfig};
use crate::error::{Error, Result};
use crate::evaluate::{Evaluation, evaluate_told};

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
    /// Errors of the observer; the loop's own become one of them.
    type Error: From<Error>;

    /// Called with the model after `step` steps, off the autodiff graph. The value, if any, is the mean reward-model
    /// score of its samples, which [`Selection::RewardScore`] selects by.
    ///
    /// # Errors
    /// Whatever went wrong; it ends the run.
    fn evaluated(&mut self, step: u64, model: &CausalLm, evaluation: &Evaluation) -> Result<Option<f64>, Self::Error>;

    /// Called with the model after `step` steps, off the autodiff graph, when a checkpoint of it has been written.
    ///
    /// # Errors
    /// Whatever went wrong; it ends the run.
    fn checkpointed(&mut self, step: u64, model: &CausalLm) -> Result<(), Self::Error> {
        let _ = (step, model);
        Ok(())
    }
}

impl Observer for Quiet {
    type Error = Error;

    fn evaluated(&mut self, _: u64, _: &CausalLm, _: &Evaluation) -> Result<Option<f64>> {
        Ok(None)
    }
}

/// The model that training ends with.
#[derive(Debug, Clone)]
pub struct SftOutcome {
    /// The selected weights, off the autodiff graph.
    pub model: CausalLm,
    /// Figures of the run.
    pub report: SftReport,
}

/// Figures of a run.
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

/// State of the loop in a checkpoint, beside weights and moments.
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
/// No data, adapters that do not fit the model, a loss that is not finite, an interruption, a file that cannot be
/// written, or whatever the observer reports.
pub fn train<O: Observer>(
    model: CausalLm,
    data: SftData<'_>,
    config: &SftConfig,
    context: &StageContext<'_>,
    observer: &mut O,
) -> Result<SftOutcome, O::Error> {
    let mut run = Run::start(model, data, config, context)?;
    while run.step < run.total_steps {
        run.step()?;
        if run.evaluation_is_due() {
            run.evaluate(observer)?;
        }
        run.checkpoint_if_due(observer)?;
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
        for (what, rows) in [("training", data.train), ("validation", data.validation)] {
            if rows.is_empty() {
                return Err(Error::NoData { what });
            }
        }
        let model = match &config.lora {
            Some(lora) => model.with_lora(lora, context.seed)?,
            None => model,
        };
        let total_steps = (config.epochs * data.train.len().div_ceil(config.batch_size)) as u64;
        config.lr.warn_of_warmup("lr", total_steps);
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
            self.epoch_order = (epoch, epoch_order(self.data.train.len(), self.context.seed, epoch));
        }
        let first = (self.step % per_epoch) as usize * self.config.batch_size;
        let order = &self.epoch_order.1;
        order[first..(first + self.config.batch_size).min(order.len())].to_vec()
    }

    /// One optimiser step.
    fn step(&mut self) -> Result<()> {
        let started = Instant::now();
        let rows = self.batch_rows();
        let sequences: Vec<&TokenSequence> = rows.iter().map(|&row| &self.data.train[row]).collect();
        let (mut gradients, loss, mut times) = batch_gradients(self.learner.module(), &sequences, self.config);
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
        let tokens: usize = sequences.iter().map(|sequence| sequence.len()).sum();
        self.position.tokens += tokens as u64;
        let seconds = started.elapsed().as_secs_f64();
        let speed = tokens as f64 / seconds;
        let pass: PassSize = sequences.iter().map(|sequence| pass_size(sequence)).sum();
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
        if self.step.is_multiple_of(self.config.log_every as u64) {
            tracing::debug!(step = self.step, loss, lr, grad_norm, "sft step");
        }
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
        let rows = self.data.validation;
        let mut told = |done: usize| {
            let message = format!("validation: {done} of {} sequences", rows.len());
            self.context.progress.report(self.step, self.total_steps, &message);
        };
        let model = self.learner.module().valid();
        evaluate_told(&model, rows, self.config.microbatch_tokens, &mut told)
    }

    fn log_evaluation(&self, evaluation: Evaluation) -> Result<()> {
        let values = [
            ("loss/validation", evaluation.loss),
            ("perplexity/validation", evaluation.perplexity()),
        ];
        Ok(self.context.log(self.step, &values)?)
    }

    /// Validation loss, samples, and the choice of the weights that are kept.
    fn evaluate<O: Observer>(&mut self, observer: &mut O) -> Result<(), O::Error> {
        let evaluation = self.evaluation();
        self.log_evaluation(evaluation)?;
        tracing::info!(
            step = self.step,
            loss = evaluation.loss,
            perplexity = evaluation.perplexity(),
            "validation"
        );
        let model = self.learner.module().valid();
        let score = observer.evaluated(self.step, &model, &evaluation)?;
        if let Some(score) = score {
            self.context
                .log(self.step, &[("objective/scores", score)])
                .map_err(Error::from)?;
        }
        let criterion = match (self.config.select, score) {
            (Selection::RewardScore, Some(score)) => -score,
            (Selection::RewardScore, None) => return Err(Error::NoScore.into()),
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

    fn checkpoint_if_due<O: Observer>(&self, observer: &mut O) -> Result<(), O::Error> {
        let pause = self
            .context
            .pause(self.step, self.total_steps, self.config.checkpoint_every);
        if pause != Pause::None {
            self.save()?;
        }
        match pause {
            Pause::Stop => Err(Error::Interrupted { step: self.step }.into()),
            Pause::Checkpoint => observer.checkpointed(self.step, &self.learner.module().valid()),
            Pause::None => Ok(()),
        }
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

    fn finish(self) -> SftOutcome {
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
        let model = self.selected.unwrap_or_else(|| self.learner.module().valid());
        SftOutcome { model, report }
    }
}

/// The order of `n` training sequences in an epoch.
pub(crate) fn epoch_order(n: usize, seed: u64, epoch: u64) -> Vec<usize> {
    shuffled_order(n, "sft.order", &[seed, epoch])
}

/// A sequence on its own, whatever it is packed with.
fn pass_size(sequence: &TokenSequence) -> PassSize {
    PassSize::sequence(0, sequence.len(), sequence.targets()).predicting()
}

/// Gradient of the mean negative log-probability of all supervised tokens of `sequences`, with that mean; how they are
/// split into micro-batches does not matter.
fn batch_gradients(
    model: &CausalLm,
    sequences: &[&TokenSequence],
    config: &SftConfig,
) -> (GradientBuffer, f64, PartTimes) {
    let ids: Vec<&[u32]> = sequences.iter().map(|s| s.input_ids.as_slice()).collect();
    let masks: Vec<&[bool]> = sequences.iter().map(|s| s.loss_mask.as_slice()).collect();
    let targets: usize = sequences.iter().map(|s| s.targets()).sum();
    let weights = vec![1.0 / targets.max(1) as f64; targets];
    logprob_gradients(model, &ids, &masks, &weights, config.pass_limits())
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use rlhf_core::NamedTensor;
    use rlhf_model::Gpt2Config;

    use super::*;

    #[test]
    fn gradients_do_not_depend_on_micro_batches() {
        let config = Gpt2Config {
            vocab_size: 10,
            n_positions: 64,
            n_embd: 16,
            n_layer: 2,
            n_head: 2,
            initializer_range: 0.3,
            ..Default::default()
        };
        let model = CausalLm::init(&config.into(), 1, &Device::flex()).train();
        let rows: Vec<TokenSequence> = (0..9)
            .map(|i| TokenSequence {
                input_ids: (0..6 + i).map(|t| ((3 * i + t) % 10) as u32).collect(),
                // The last has nothing to learn.
                loss_mask: (0..6 + i).map(|t| i < 8 && (t + i) % 4 > 0).collect(),
            })
            .collect();
        let rows: Vec<&TokenSequence> = rows.iter().collect();
        let of = |microbatch_tokens, gradient_checkpointing| -> (Vec<NamedTensor>, f64) {
            let config = SftConfig {
                microbatch_tokens,
                gradient_checkpointing,
                ..SftConfig::default()
            };
            let (gradients, loss, _) = batch_gradients(&model, &rows, &config);
            (gradients.to_named(&model), loss)
        };
        let (expected, whole) = of(100_000, false);
        assert!(expected.iter().flat_map(|t| &t.values).any(|&g| g.abs() > 1e-3));
        // The mean over the supervised tokens of all rows.
        let owned: Vec<TokenSequence> = rows.iter().map(|&row| row.clone()).collect();
        let mean = crate::evaluate(&model.valid(), &owned, 1024).loss;
        assert!((whole - mean).abs() < 1e-5 && whole > 1.0, "{whole} against {mean}");
        for (tokens, checkpointing) in [(64, false), (64, true), (1, false)] {
            let (found, loss) = of(tokens, checkpointing);
            assert!((loss - whole).abs() < 1e-5, "{loss} against {whole}");
            for (found, expected) in found.iter().zip(&expected) {
                for (a, b) in found.values.iter().zip(&expected.values) {
                    assert!(
                        (a - b).abs() < 1e-6,
                        "{tokens} tokens: {}: {a} against {b}",
                        expected.name
                    );
                }
            }
        }
        let nothing = [rows[8]];
        let (gradients, loss, _) = batch_gradients(&model, &nothing, &SftConfig::default());
        assert_eq!((gradients.norm(), loss), (0.0, 0.0));
    }
}
