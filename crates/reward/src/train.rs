//! The loop.

use std::time::Instant;

use burn::module::Module;
use burn::tensor::Tensor;
use rand::Rng;
use rlhf_core::stage::{StageContext, load_module, save_module};
use rlhf_core::{GROUP_ROW_LEN, GradientBuffer, Learner, PartTimes, TokenBatch};
use rlhf_core::{float_tensor, last_positions, micro_batches, rng, timed, to_host};
use rlhf_data::shuffled_order;
use rlhf_model::{Activations, Decoder, PassSize, ScalarModel, TrainingPass, group_scores, sequence_scores};
use serde::{Deserialize, Serialize};

use crate::config::RewardConfig;
use crate::error::{Error, Result};
use crate::groups::RankedPrompt;
use crate::loss::{KwiseLoss, kwise_loss, mean_loss};
use crate::normalise::ScoreMap;
use crate::report::{RewardReport, report};

/// What a reward model learns from and is judged on.
#[derive(Debug, Clone, Copy)]
pub struct RewardData<'a> {
    /// Ranked prompts to learn from.
    pub train: &'a [RankedPrompt],
    /// Ranked prompts held out.
    pub validation: &'a [RankedPrompt],
    /// The held-out prompts as ranked by labelers whose rankings were never learnt from; may be empty.
    pub held_out_labelers: &'a [RankedPrompt],
    /// Demonstrations, prompt and answer in one sequence: their scores are brought to mean 0.
    pub demonstrations: &'a [Vec<u32>],
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
) -> Result<(ScalarModel, RewardReport)> {
    for (what, rows) in [("training", data.train), ("validation", data.validation)] {
        if rows.is_empty() {
            return Err(Error::NoData { what });
        }
    }
    let mut run = Run::start(trunk, data, config, context)?;
    while run.step < run.total_steps {
        run.advance()?;
        let stopping = context.stop.requested() && run.step < run.total_steps;
        let due = config.checkpoint_every > 0 && run.step.is_multiple_of(config.checkpoint_every as u64);
        if stopping || due || run.step == run.total_steps {
            run.save()?;
        }
        if stopping {
            return Err(Error::Interrupted { step: run.step });
        }
    }
    run.finish()
}

/// What a checkpoint holds beside weights and moments.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Position {
    /// Validation loss of the best of the finished seeds.
    best_loss: Option<f64>,
    /// Validation loss of each finished seed.
    seed_losses: Vec<f64>,
}

struct Run<'a> {
    /// What the seeds that are left start from.
    trunk: Option<Decoder>,
    data: RewardData<'a>,
    config: &'a RewardConfig,
    context: &'a StageContext<'a>,
    learner: Learner<ScalarModel>,
    best: Option<ScalarModel>,
    position: Position,
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
        let seed_steps = config.steps(data.train.len()) as u64;
        let others_follow = config.n_seeds > 1;
        let model = fresh_model(trunk.clone(), config, context, 0)?;
        let mut run = Self {
            trunk: others_follow.then_some(trunk),
            data,
            config,
            context,
            learner: Learner::new(model, config.adamw.clone()),
            best: None,
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

    /// One optimiser step; at the end of a seed, validation and the start of the next.
    fn advance(&mut self) -> Result<()> {
        let started = Instant::now();
        let (seed_index, step) = (self.step / self.seed_steps, self.step % self.seed_steps);
        let rows = self.batch_rows(seed_index, step);
        let prompts: Vec<&RankedPrompt> = rows.iter().map(|&row| &self.data.train[row]).collect();
        let mut times = PartTimes::default();
        let (mut gradients, batch) = batch_gradients(self.learner.module(), &prompts, self.config, &mut times);
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
        let values = [
            ("loss/train", batch.loss),
            ("accuracy/train", batch.accuracy),
            ("lr", lr),
            ("grad_norm", grad_norm),
            ("time/tokens_per_s", pass.tokens as f64 / seconds),
            ("time/pairs_per_s", batch.pairs as f64 / seconds),
        ];
        self.context
            .log(self.step, &[&values[..], &times.metrics(seconds, flops)].concat())?;
        let message = format!("loss {:.3}  accuracy {:.2}", batch.loss, batch.accuracy);
        self.context.progress.report(self.step, self.total_steps, &message);

        let ended = self.step.is_multiple_of(self.seed_steps);
        let every = self.config.eval_every as u64;
        if ended || every > 0 && self.step.is_multiple_of(every) {
            let loss = self.validate()?;
            if ended {
                self.end_seed(seed_index, loss)?;
            }
        }
        Ok(())
    }

    fn batch_rows(&self, seed_index: u64, step: u64) -> Vec<usize> {
        let n = self.data.train.len();
        let per_epoch = self.config.steps_per_epoch(n) as u64;
        let epoch = step / per_epoch;
        let seed = self.context.seed.wrapping_add(seed_index << 32);
        let order = shuffled_order(n, seed, epoch);
        let first = (step % per_epoch) as usize * self.config.batch_prompts;
        order[first..(first + self.config.batch_prompts).min(n)].to_vec()
    }

    fn validate(&self) -> Result<f64> {
        let scores = score_prompts(
            &self.learner.module().valid(),
            self.data.validation,
            self.config.microbatch_tokens,
        );
        let losses: Vec<f64> = self
            .data
            .validation
            .iter()
            .zip(&scores)
            .map(|(prompt, scores)| prompt_loss(prompt, scores, self.config).loss)
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
        Ok(loss)
    }

    fn end_seed(&mut self, seed_index: u64, loss: f64) -> Result<()> {
        self.position.seed_losses.push(loss);
        if self.position.best_loss.is_none_or(|best| loss < best) {
            self.position.best_loss = Some(loss);
            self.best = Some(self.learner.module().valid());
        }
        if self.step < self.total_steps {
            let is_last = seed_index + 2 == self.config.n_seeds as u64;
            let trunk = if is_last { self.trunk.take() } else { self.trunk.clone() };
            let trunk = trunk.expect("it is kept while seeds are left");
            let model = fresh_model(trunk, self.config, self.context, seed_index + 1)?;
            self.learner = Learner::new(model, self.config.adamw.clone());
        }
        Ok(())
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
    fn finish(self) -> Result<(ScalarModel, RewardReport)> {
        let model = self.best.expect("the last step ends a seed, which sets the best model");
        let raw = sequence_scores(&model, self.data.demonstrations, self.config.microbatch_tokens);
        let raw: Vec<f64> = raw.into_iter().map(f64::from).collect();
        let map = ScoreMap::fit(self.config.normalise, &raw);
        let model = model.rescaled(map.gain, map.reward_bias);
        let report = report(&model, &self.data, self.config, self.position.seed_losses, self.step);
        Ok((model, report))
    }
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
pub(crate) fn score_prompts(model: &ScalarModel, prompts: &[RankedPrompt], microbatch_tokens: usize) -> Vec<Vec<f64>> {
    let groups: Vec<&[Vec<u32>]> = prompts.iter().map(|p| p.sequences.as_slice()).collect();
    group_scores(model, &groups, microbatch_tokens)
        .into_iter()
        .map(|scores| scores.into_iter().map(f64::from).collect())
        .collect()
}

/// The K-wise loss of one prompt, averaged over its labelers.
fn prompt_loss(prompt: &RankedPrompt, scores: &[f64], config: &RewardConfig) -> KwiseLoss {
    let losses: Vec<KwiseLoss> = prompt
        .annotations
        .iter()
        .map(|a| {
            kwise_loss(
                scores,
                &a.pairs,
                config.loss.margin.of(a.margin),
                &config.loss.options(),
            )
        })
        .collect();
    mean_loss(&losses, scores.len())
}

struct BatchLoss {
    loss: f64,
    accuracy: f64,
    pairs: usize,
}

/// Gradient of the mean loss of `prompts`. Each completion goes through the network once, all completions of a prompt in
/// the same step and the prompt with them once; a prompt whose completions do not fit together is scored first and back-propagated in chunks, which is
/// exact because the loss depends on the network through the scores alone.
fn batch_gradients(
    model: &ScalarModel,
    prompts: &[&RankedPrompt],
    config: &RewardConfig,
    times: &mut PartTimes,
) -> (GradientBuffer, BatchLoss) {
    let lens: Vec<usize> = prompts.iter().map(|p| p.tokens()).collect();
    let mut gradients = GradientBuffer::new();
    let mut total = PartLoss::default();
    let activations = config.gradient_checkpointing.into();
    for range in micro_batches(&lens, config.microbatch_tokens) {
        let part = &prompts[range];
        let groups: Vec<&[Vec<u32>]> = part.iter().map(|p| p.sequences.as_slice()).collect();
        if part.iter().map(|p| p.tokens()).sum::<usize>() <= config.microbatch_tokens {
            let (scores, pass) = timed(&mut times.forward, || batch_scores(model, &groups, activations));
            let loss = part_loss(part, &to_host(scores.clone().inner()), prompts.len(), config);
            let surrogate = surrogate(scores, &loss.derivatives);
            timed(&mut times.backward, || pass.backward(surrogate, model, &mut gradients));
            total.add(&loss);
            continue;
        }
        // A prompt whose completions do not fit together: they share nothing when they are scored apart.
        let sequences = groups.concat();
        let scores = sequence_scores(&model.valid(), &sequences, config.microbatch_tokens);
        let loss = part_loss(part, &scores, prompts.len(), config);
        let lens: Vec<usize> = sequences.iter().map(Vec::len).collect();
        for chunk in micro_batches(&lens, config.microbatch_tokens) {
            let group = &sequences[chunk.clone()];
            let (scores, pass) = timed(&mut times.forward, || batch_scores(model, &[group], activations));
            let surrogate = surrogate(scores, &loss.derivatives[chunk]);
            timed(&mut times.backward, || pass.backward(surrogate, model, &mut gradients));
        }
        total.add(&loss);
    }
    let accuracy = total.correct / f64::from(total.pairs.max(1) as u32);
    let batch = BatchLoss {
        loss: total.loss,
        accuracy,
        pairs: total.pairs,
    };
    (gradients, batch)
}

/// What some prompts of a batch contribute to its loss.
#[derive(Debug, Default)]
struct PartLoss {
    loss: f64,
    correct: f64,
    pairs: usize,
    /// `dL/dr` of each completion.
    derivatives: Vec<f32>,
}

impl PartLoss {
    fn add(&mut self, other: &Self) {
        self.loss += other.loss;
        self.correct += other.correct;
        self.pairs += other.pairs;
    }
}

/// The share of `part` in the mean loss of `n_prompts` prompts, from the scores of all its completions.
fn part_loss(part: &[&RankedPrompt], scores: &[f32], n_prompts: usize, config: &RewardConfig) -> PartLoss {
    let mut out = PartLoss::default();
    let mut rest = scores;
    for prompt in part {
        let (own, tail) = rest.split_at(prompt.sequences.len());
        rest = tail;
        let scores: Vec<f64> = own.iter().map(|&s| f64::from(s)).collect();
        let found = prompt_loss(prompt, &scores, config);
        out.loss += found.loss / n_prompts as f64;
        let derivatives = found.grad.iter().map(|g| (g / n_prompts as f64) as f32);
        out.derivatives.extend(derivatives);
        for &(better, worse) in prompt.annotations.iter().flat_map(|a| &a.pairs) {
            out.correct += match scores[better].total_cmp(&scores[worse]) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Less => 0.0,
            };
            out.pairs += 1;
        }
    }
    out
}

/// Scores of all completions of some groups, `[completions]`, and the way back from them.
fn batch_scores<'m>(
    model: &'m ScalarModel,
    groups: &[&[Vec<u32>]],
    activations: Activations,
) -> (Tensor<1>, TrainingPass<'m>) {
    let device = model.transformer.device();
    let sequences: Vec<&Vec<u32>> = groups.iter().copied().flatten().collect();
    let batch = TokenBatch::pack_groups(groups, GROUP_ROW_LEN);
    let last = last_positions(&batch, &sequences);
    let (hidden, pass) = (model.transformer).training_pass(&batch.to_device(&device), &last, activations);
    (model.score(hidden), pass)
}

/// `sum_i dL/dr_i · r_i`, whose gradient is that of the loss.
fn surrogate(scores: Tensor<1>, derivatives: &[f32]) -> Tensor<1> {
    let derivatives = float_tensor(derivatives, &scores.device());
    (scores * derivatives).sum()
}
