//! The loop.

use std::time::Instant;

use burn::module::Module;
use rand::Rng;
use rlhf_core::stage::{Pause, StageContext, load_module, save_module};
use rlhf_core::{Learner, rng, timed};
use rlhf_data::shuffled_order;
use rlhf_model::{Decoder, PassSize, ScalarModel, group_scores_told, sequence_scores_told};
use serde::{Deserialize, Serialize};

use crate::config::RewardConfig;
use crate::error::{Error, Result};
use crate::gradients::{Objective, batch_gradients, prompt_loss};
use crate::groups::RankedPrompt;
use crate::length::{self, LengthBias};
use crate::normalise::ScoreMap;
use crate::report::{CalibratedScores, RewardReport, report};

/// The data that a reward model learns from and is judged on.
#[derive(Debug, Clone, Copy)]
pub struct RewardData<'a> {
    /// Ranked prompts to learn from.
    pub train: &'a [RankedPrompt],
    /// Ranked prompts held out, by which the best of several seeds is chosen.
    pub validation: &'a [RankedPrompt],
    /// Others, which nothing is chosen by: the report is of them. May be those of `validation`, where nothing is chosen.
    pub test: &'a [RankedPrompt],
    /// The prompts of the test as ranked by labelers whose rankings were never learnt from; may be empty.
    pub held_out_labelers: &'a [RankedPrompt],
    /// Demonstrations, prompt and answer in one sequence: their scores are brought to mean 0.
    pub demonstrations: &'a [Vec<u32>],
}

/// The reward model that training ends with.
#[derive(Debug, Clone)]
pub struct RewardOutcome {
    /// The best of the seeds, calibrated, off the autodiff graph.
    pub model: ScalarModel,
    /// Its accuracy and calibration.
    pub report: RewardReport,
}

/// Trains a reward model on the trunk of the SFT model, with a new head, and calibrates it. With `config.lora` it has
/// adapters then. The trunk is let go of when the last seed has begun.
///
/// Continues from the newest checkpoint of the same configuration, and then ends with the same bytes as a run that was
/// never interrupted.
///
/// # Errors
/// No data, adapters that do not fit the model, a loss that is not finite, an interruption, or a file that cannot be
/// written.
pub fn train(
    trunk: Decoder,
    data: RewardData<'_>,
    config: &RewardConfig,
    context: &StageContext<'_>,
) -> Result<RewardOutcome> {
    let balanced;
    let data = match config.length_bias {
        LengthBias::Balance => {
            balanced = length::balanced(data.train, context.seed);
            RewardData {
                train: &balanced,
                ..data
            }
        }
        LengthBias::Keep | LengthBias::FitOut => data,
    };
    let mut run = Run::start(trunk, data, config, context)?;
    while run.step < run.total_steps {
        run.step()?;
        if run.seed_has_ended() {
            run.end_seed()?;
        } else if run.validation_is_due() {
            run.validate()?;
        }
        run.checkpoint_if_due()?;
    }
    Ok(run.finish())
}

/// State of the loop in a checkpoint, beside weights and moments.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Position {
    /// Validation loss of the best of the finished seeds.
    best_loss: Option<f64>,
    /// Validation loss of each finished seed.
    seed_losses: Vec<f64>,
}

struct Run<'a> {
    /// The trunk that further seeds start from.
    trunk: Option<Decoder>,
    data: RewardData<'a>,
    config: &'a RewardConfig,
    context: &'a StageContext<'a>,
    learner: Learner<ScalarModel>,
    best: Option<ScalarModel>,
    position: Position,
    /// Scores of the completions of `validation` by `best`, before calibration, if this process has computed them.
    best_scores: Option<Vec<Vec<f64>>>,
    /// Weight of each token of a completion in the loss.
    per_token: f64,
    step: u64,
    /// Steps of one seed.
    seed_steps: u64,
    total_steps: u64,
}

impl<'a> Run<'a> {
    fn start(
        trunk: Decoder,
        data: RewardData<'a>,
        config: &'a RewardConfig,
        context: &'a StageContext<'a>,
    ) -> Result<Self> {
        for (what, rows) in [
            ("training", data.train),
            ("validation", data.validation),
            ("test", data.test),
        ] {
            if rows.is_empty() {
                return Err(Error::NoData { what });
            }
        }
        let seed_steps = config.steps(data.train.len()) as u64;
        config.lr.warn_of_warmup("lr", seed_steps);
        let others_follow = config.n_seeds > 1;
        let model = fresh_model(trunk.clone(), config, context, 0)?;
        let mut run = Self {
            trunk: others_follow.then_some(trunk),
            data,
            config,
            context,
            learner: Learner::new(model, config.adamw.clone()),
            best: None,
            best_scores: None,
            per_token: match config.length_bias {
                LengthBias::FitOut => length::fitted_weight(data.train),
                LengthBias::Keep | LengthBias::Balance => 0.0,
            },
            position: Position::default(),
            step: 0,
            seed_steps,
            total_steps: seed_steps * config.n_seeds as u64,
        };
        if let Some(checkpoint) = context.resume()? {
            run.learner = Learner::load(&checkpoint, "model", run.learner.into_module(), config.adamw.clone())?;
            run.position = checkpoint.json("position")?;
            run.step = checkpoint.step();
            if run.position.best_loss.is_some() {
                run.best = Some(load_module(&checkpoint, "best", run.learner.module().valid())?);
            }
        }
        Ok(run)
    }

    /// One optimiser step.
    fn step(&mut self) -> Result<()> {
        let started = Instant::now();
        let step = self.step % self.seed_steps;
        let rows = batch_rows(self.data.train.len(), self.context.seed, self.step, self.config);
        let prompts: Vec<&RankedPrompt> = rows.iter().map(|&row| &self.data.train[row]).collect();
        let (mut gradients, batch, mut times) = batch_gradients(self.learner.module(), &prompts, self.objective());
        let grad_norm = timed(&mut times.backward, || gradients.clip_norm(self.config.max_grad_norm));
        if !batch.loss.is_finite() || !grad_norm.is_finite() {
            return Err(Error::NonFinite {
                step: self.step,
                loss: batch.loss,
                grad_norm,
                prompts: rows,
            });
        }
        let lr = self.config.lr.lr_at(step, self.seed_steps);
        timed(&mut times.optimizer, || self.learner.step(gradients, lr));
        self.step += 1;
        let seconds = started.elapsed().as_secs_f64();
        let pass: PassSize = prompts.iter().map(|p| p.pass_size()).sum();
        let flops = self.learner.module().transformer.step_flops(&pass);
        let (loss, accuracy) = (batch.loss, batch.accuracy());
        let values = [
            ("loss/train", loss),
            ("accuracy/train", accuracy),
            ("lr", lr),
            ("grad_norm", grad_norm),
            ("time/tokens_per_s", pass.tokens as f64 / seconds),
            ("time/pairs_per_s", batch.pairs as f64 / seconds),
        ];
        self.context
            .log(self.step, &[&values[..], &times.metrics(seconds, flops)].concat())?;
        let message = format!("loss {loss:.3}  accuracy {accuracy:.2}");
        self.context.progress.report(self.step, self.total_steps, &message);
        if self.step.is_multiple_of(self.config.log_every as u64) {
            tracing::debug!(step = self.step, loss, accuracy, lr, grad_norm, "reward step");
        }
        Ok(())
    }

    fn objective(&self) -> Objective<'a> {
        Objective {
            config: self.config,
            per_token: self.per_token,
        }
    }

    fn seed_has_ended(&self) -> bool {
        self.step.is_multiple_of(self.seed_steps)
    }

    fn validation_is_due(&self) -> bool {
        let per_epoch = self.config.steps_per_epoch(self.data.train.len());
        let every = if self.config.eval_every == 0 {
            per_epoch
        } else {
            self.config.eval_every
        };
        self.step.is_multiple_of(every as u64)
    }

    /// Loss and accuracy on the held-out prompts; returns the loss and the scores.
    fn validate(&self) -> Result<(f64, Vec<Vec<f64>>)> {
        let scores = self.scores_of(
            &self.learner.module().valid(),
            self.data.validation,
            "held-out prompts scored",
        );
        let losses: Vec<f64> = self
            .data
            .validation
            .iter()
            .zip(&scores)
            .map(|(prompt, scores)| prompt_loss(prompt, scores, self.objective()).loss)
            .collect();
        let pairs = crate::report::scored_pairs(self.data.validation, &scores);
        let (loss, accuracy) = (
            rlhf_core::stats::mean(&losses),
            crate::metrics::pair_accuracy(&pairs).value,
        );
        self.context.log(
            self.step,
            &[("loss/validation", loss), ("accuracy/validation", accuracy)],
        )?;
        tracing::info!(step = self.step, loss, accuracy, "validation");
        Ok((loss, scores))
    }

    /// Scores of the completions of every prompt, telling how far they are.
    fn scores_of(&self, model: &ScalarModel, prompts: &[RankedPrompt], what: &str) -> Vec<Vec<f64>> {
        let total = prompts.len();
        score_prompts(model, prompts, self.config.microbatch_tokens, &mut |done| {
            let message = format!("{what}: {done} of {total}");
            self.context.progress.report(self.step, self.total_steps, &message);
        })
    }

    /// Validation, the choice of the best seed so far, and the start of the next.
    fn end_seed(&mut self) -> Result<()> {
        let (loss, scores) = self.validate()?;
        let next_seed = self.step / self.seed_steps;
        self.position.seed_losses.push(loss);
        if self.position.best_loss.is_none_or(|best| loss < best) {
            self.position.best_loss = Some(loss);
            self.best = Some(self.learner.module().valid());
            self.best_scores = Some(scores);
        }
        if self.step < self.total_steps {
            let is_last = next_seed + 1 == self.config.n_seeds as u64;
            let trunk = if is_last { self.trunk.take() } else { self.trunk.clone() };
            let trunk = trunk.expect("it is kept while seeds are left");
            let model = fresh_model(trunk, self.config, self.context, next_seed)?;
            self.learner = Learner::new(model, self.config.adamw.clone());
        }
        Ok(())
    }

    fn checkpoint_if_due(&self) -> Result<()> {
        let pause = self
            .context
            .pause(self.step, self.total_steps, self.config.checkpoint_every);
        if pause != Pause::None {
            self.save()?;
        }
        match pause {
            Pause::Stop => Err(Error::Interrupted { step: self.step }),
            Pause::None | Pause::Checkpoint => Ok(()),
        }
    }

    fn save(&self) -> Result<()> {
        self.context.checkpoint(self.step, |writer| {
            self.learner.save(writer, "model")?;
            if let Some(best) = &self.best {
                save_module(writer, "best", best)?;
            }
            writer.add_json("position", &self.position)
        })?;
        Ok(())
    }

    /// Calibration on demonstrations, then the report.
    fn finish(mut self) -> RewardOutcome {
        let model = self
            .best
            .take()
            .expect("the last step ends a seed, which sets the best model");
        let demonstrations = self.demonstration_scores(&model);
        let map = ScoreMap::fit(self.config.normalise, &demonstrations);
        let calibrated = |scores: Vec<Vec<f64>>| -> Vec<Vec<f64>> {
            let of_prompt = |scores: Vec<f64>| scores.into_iter().map(|score| map.apply(score)).collect();
            scores.into_iter().map(of_prompt).collect()
        };
        let is_validation = std::ptr::eq(self.data.test, self.data.validation);
        let known = self.best_scores.take().filter(|_| is_validation);
        let test = known.unwrap_or_else(|| self.scores_of(&model, self.data.test, "prompts of the test scored"));
        let held_out = self.scores_of(
            &model,
            self.data.held_out_labelers,
            "prompts of held-out labelers scored",
        );
        let scores = CalibratedScores {
            test: calibrated(test),
            held_out_labelers: calibrated(held_out),
            demonstrations: demonstrations.iter().map(|&score| map.apply(score)).collect(),
        };
        let report = report(
            &scores,
            &self.data,
            self.config,
            self.context.seed,
            self.position.seed_losses,
            self.step,
        );
        let model = model.rescaled(map.gain, map.reward_bias);
        RewardOutcome { model, report }
    }

    /// Scores of the demonstrations that calibration goes by.
    fn demonstration_scores(&self, model: &ScalarModel) -> Vec<f64> {
        let demonstrations = self.data.demonstrations;
        let chosen = &demonstrations[..demonstrations.len().min(self.config.normalise_on)];
        let total = chosen.len();
        let scores = sequence_scores_told(model, chosen, self.config.microbatch_tokens, &mut |done| {
            let message = format!("demonstrations scored: {done} of {total}");
            self.context.progress.report(self.step, self.total_steps, &message);
        });
        scores.into_iter().map(f64::from).collect()
    }
}

/// The order of `n` training prompts in an epoch of one of the seeds.
pub(crate) fn epoch_order(n: usize, seed: u64, seed_index: u64, epoch: u64) -> Vec<usize> {
    shuffled_order(n, "reward.order", &[seed, seed_index, epoch])
}

/// The prompts of step `step` of all seeds, of `n` training prompts: each comes once in every epoch of every seed.
fn batch_rows(n: usize, seed: u64, step: u64, config: &RewardConfig) -> Vec<usize> {
    let seed_steps = config.steps(n) as u64;
    let (seed_index, step) = (step / seed_steps, step % seed_steps);
    let per_epoch = config.steps_per_epoch(n) as u64;
    let order = epoch_order(n, seed, seed_index, step / per_epoch);
    let first = (step % per_epoch) as usize * config.batch_prompts;
    order[first..(first + config.batch_prompts).min(n)].to_vec()
}

fn fresh_model(
    trunk: Decoder,
    config: &RewardConfig,
    context: &StageContext<'_>,
    seed_index: u64,
) -> Result<ScalarModel> {
    let head_seed = rng(context.seed, "reward.head", &[seed_index]).random();
    let model = ScalarModel::from_decoder(trunk, head_seed, &context.device);
    let model = match &config.lora {
        Some(lora) => model.with_lora(lora, head_seed)?,
        None => model,
    };
    Ok(model.train())
}

/// Scores of the completions of every prompt.
fn score_prompts(
    model: &ScalarModel,
    prompts: &[RankedPrompt],
    microbatch_tokens: usize,
    done: &mut dyn FnMut(usize),
) -> Vec<Vec<f64>> {
    let groups: Vec<&[Vec<u32>]> = prompts.iter().map(|p| p.sequences.as_slice()).collect();
    group_scores_told(model, &groups, microbatch_tokens, done)
        .into_iter()
        .map(|scores| scores.into_iter().map(f64::from).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prompt_comes_once_in_each_epoch_of_each_seed() {
        let config = RewardConfig {
            epochs: 2,
            batch_prompts: 4,
            n_seeds: 2,
            ..RewardConfig::default()
        };
        // Ten prompts are two batches of four and one of two.
        let rows = |step| batch_rows(10, 7, step, &config);
        let mut orders = Vec::new();
        for epoch in 0..4 {
            let batches: Vec<Vec<usize>> = (3 * epoch..3 * epoch + 3).map(rows).collect();
            assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2]);
            let order = batches.concat();
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..10).collect::<Vec<_>>());
            assert!(!orders.contains(&order), "epochs and seeds differ");
            orders.push(order);
        }
    }
}
