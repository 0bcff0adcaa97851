//! The loop: rollout, optimiser steps, end of update.

use std::time::Instant;

use burn::module::Module;
use rlhf_core::stage::{Pause, Quiet, StageContext, load_module, save_module};
use rlhf_core::{GradientBuffer, Learner, ema_update};
use rlhf_data::{TokenSequence, cyclic_rows};
use rlhf_model::{CausalLm, ScalarModel};
use serde::{Deserialize, Serialize};

use crate::config::{AdvantageWhitening, EmaPer, PpoConfig};
use crate::cursor::{Cursor, Phase, minibatch_rows};
use crate::episode::Episode;
use crate::error::{Error, Result};
use crate::evaluate::{Evaluation, Watch};
use crate::flops::{rollout_flops, step_flops};
use crate::invariants::{check_first_step, check_kl_sign, check_rollout};
use crate::kl::KlController;
use crate::models::PpoModels;
use crate::ptx::GradientPair;
use crate::report::{PpoOutcome, PpoReport};
use crate::rollout::{PpoPrompt, RolloutModels, RolloutRequest, collect_rollout, whiten_episodes};
use crate::scorer::Scorer;
use crate::step::{policy_gradients, ptx_gradients, value_gradients};
use crate::summary::{PtxReport, RolloutSummary, StepReport, StepsSummary, UpdateCost, UpdateSummary};

/// The data that PPO learns from.
#[derive(Debug, Clone, Copy)]
pub struct PpoData<'a> {
    /// Prompts that are answered: those to learn from, and behind them those held out.
    pub prompts: &'a [PpoPrompt],
    /// Prompts held out, for evaluations alone: so many of the last.
    pub held_out: usize,
    /// Pretraining sequences for PPO-ptx; may be empty when `ptx.coef` is 0.
    pub pretraining: &'a [TokenSequence],
    /// Token that ends a response.
    pub eos_token_id: u32,
    /// Others that do.
    pub stop_token_ids: &'a [u32],
}

impl PpoData<'_> {
    /// Prompts to learn from.
    pub(crate) fn learnt(&self) -> usize {
        self.prompts.len().saturating_sub(self.held_out)
    }
}

/// Somebody who reads along.
pub trait Observer {
    /// Errors of the observer; the loop's own become one of them.
    type Error: From<Error>;

    /// Called with the episodes of every `sample_every`-th rollout.
    ///
    /// # Errors
    /// Whatever went wrong; it ends the run.
    fn sampled(&mut self, update: u64, episodes: &[Episode]) -> Result<(), Self::Error>;

    /// Called with the policy after every `keep_every`-th update, off the autodiff graph.
    ///
    /// # Errors
    /// Whatever went wrong; it ends the run.
    fn kept(&mut self, updates: u64, policy: &CausalLm) -> Result<(), Self::Error> {
        let _ = (updates, policy);
        Ok(())
    }
}

impl Observer for Quiet {
    type Error = Error;

    fn sampled(&mut self, _: u64, _: &[Episode]) -> Result<()> {
        Ok(())
    }
}

/// Optimises the SFT model against the reward model.
///
/// Continues from the newest checkpoint of the same configuration, and then ends with the same bytes as a run that was
/// never interrupted.
///
/// # Errors
/// No data, adapters that do not fit the models, a checkpoint of a run that was to be longer, a broken invariant, a loss that is not finite, an interruption, a file
/// that cannot be written, or whatever the observer reports.
pub fn train<O: Observer>(
    models: PpoModels,
    data: PpoData<'_>,
    config: &PpoConfig,
    context: &StageContext<'_>,
    observer: &mut O,
) -> Result<PpoOutcome, O::Error> {
    let mut run = Run::start(models, data, config, context)?;
    if run.state.watch.evaluations.is_empty() {
        run.evaluate_if_due()?;
    }
    while run.state.cursor.update < config.updates() as u64 && run.state.watch.stopped.is_none() {
        match run.state.cursor.next {
            Phase::Rollout => run.roll_out()?,
            Phase::Step { epoch, minibatch } => run.step(epoch, minibatch)?,
            Phase::EndOfUpdate => run.end_update(observer)?,
        }
        run.checkpoint_if_due()?;
    }
    Ok(run.finish())
}

/// State of the loop in a checkpoint, beside weights and moments.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    cursor: Cursor,
    controller: KlController,
    /// Updates in a row with a mean KL below 0.
    negative_kl: usize,
    report: PpoReport,
    in_hand: InHand,
    #[serde(default)]
    watch: Watch,
}

/// The update in work; empty between two of them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct InHand {
    episodes: Vec<Episode>,
    /// The steps taken on them.
    steps: Vec<StepReport>,
    cost: UpdateCost,
}

struct Run<'a> {
    data: PpoData<'a>,
    config: &'a PpoConfig,
    context: &'a StageContext<'a>,
    reference: CausalLm,
    scorer: Box<dyn Scorer>,
    judge: Option<Box<dyn Scorer>>,
    policy: Learner<CausalLm>,
    value: Learner<ScalarModel>,
    ema: Option<CausalLm>,
    /// The best of the policies evaluated, where one is to be selected.
    best: Option<CausalLm>,
    state: State,
}

impl<'a> Run<'a> {
    /// The state before the first update, or that of the newest checkpoint.
    fn start(
        models: PpoModels,
        data: PpoData<'a>,
        config: &'a PpoConfig,
        context: &'a StageContext<'a>,
    ) -> Result<Self> {
        if data.learnt() == 0 {
            return Err(Error::NoData { what: "prompts" });
        }
        if config.evaluate.every > 0 && data.held_out == 0 {
            let what = "held-out prompts";
            return Err(Error::NoData { what });
        }
        if config.ptx_examples_per_minibatch() > 0 && data.pretraining.is_empty() {
            let what = "pretraining sequences";
            return Err(Error::NoData { what });
        }
        for (name, schedule) in [("lr", &config.lr), ("value_lr", &config.value_lr)] {
            schedule.warn_of_warmup(name, config.updates() as u64);
        }
        let policy = models.first_policy(config, context.seed)?;
        let value = models.first_value(config, context.seed)?;
        let mut run = Self {
            data,
            config,
            context,
            ema: (config.ema.per != EmaPer::Off).then(|| policy.clone()),
            policy: Learner::new(policy.train(), config.adamw.clone()),
            value: Learner::new(value.train(), config.adamw.clone()),
            reference: models.sft,
            scorer: models.scorer,
            judge: models.judge,
            best: None,
            state: State {
                cursor: Cursor::START,
                controller: config.kl.controller(),
                negative_kl: 0,
                report: PpoReport::default(),
                in_hand: InHand::default(),
                watch: Watch::default(),
            },
        };
        if let Some(checkpoint) = context.resume()? {
            let adamw = || config.adamw.clone();
            run.policy = Learner::load(&checkpoint, "policy", run.policy.into_module(), adamw())?;
            run.value = Learner::load(&checkpoint, "value", run.value.into_module(), adamw())?;
            run.ema = run.ema.map(|ema| load_module(&checkpoint, "ema", ema)).transpose()?;
            run.state = checkpoint.json("state")?;
            if run.state.watch.best(config.select).is_some() {
                run.best = Some(load_module(&checkpoint, "best", run.policy.module().valid())?);
            }
        }
        let asked = config.updates() as u64;
        if run.state.cursor.lies_beyond(asked) {
            return Err(Error::Beyond { asked });
        }
        Ok(run)
    }

    /// New episodes: sampled, scored, with rewards and advantages.
    fn roll_out(&mut self) -> Result<()> {
        let started = Instant::now();
        let (update, kl_coef) = (self.state.cursor.update, self.state.controller.coef());
        let first_episode = update * self.config.batch_size as u64;
        let (policy, value) = (self.policy.module().valid(), self.value.module().valid());
        let models = RolloutModels {
            policy: &policy,
            reference: &self.reference,
            value: &value,
            scorer: self.scorer.as_ref(),
        };
        let request = RolloutRequest {
            prompts: self.data.prompts,
            chosen: &self.prompts_from(first_episode),
            eos_token_id: self.data.eos_token_id,
            stop_token_ids: self.data.stop_token_ids,
            seed: self.context.seed,
            purpose: "ppo.rollout",
            first_stream: first_episode,
            kl_coef,
        };
        let episodes = collect_rollout(&models, &request, self.config)?;
        let untouched = self.state.cursor.step == 0;
        check_rollout(update, untouched, kl_coef, &episodes, self.config)?;
        self.state.in_hand = InHand {
            cost: UpdateCost {
                flops: rollout_flops(&models, &episodes),
                rollout_seconds: started.elapsed().as_secs_f64(),
                step_seconds: 0.0,
            },
            episodes,
            steps: Vec::new(),
        };
        self.state.cursor.rolled_out();
        Ok(())
    }

    /// One optimiser step of each network on a minibatch (InstructGPT, arXiv 2203.02155, appendix C.4).
    fn step(&mut self, epoch: usize, minibatch: usize) -> Result<()> {
        let started = Instant::now();
        let episodes = self.minibatch(epoch, minibatch);
        let pretraining = self.pretraining_batch();
        let flops = step_flops(self.policy.module(), self.value.module(), &episodes, &pretraining);

        let (mut gradients, policy, ratio_error) = policy_gradients(self.policy.module(), &episodes, self.config);
        let is_first = (epoch, minibatch) == (0, 0);
        if is_first {
            check_first_step(self.state.cursor.update, ratio_error, &policy, &episodes, self.config)?;
        }
        let ptx = self.add_pretraining(&pretraining, &mut gradients);
        let policy_grad_norm = self.clip(&mut gradients, "policy", policy.loss)?;
        let (mut value_gradients, value) = value_gradients(self.value.module(), &episodes, self.config);
        let value_grad_norm = self.clip(&mut value_gradients, "value", value.loss)?;

        let (lr, value_lr) = self.learning_rates();
        self.policy.step(gradients, lr);
        self.value.step(value_gradients, value_lr);
        if self.config.ema.per == EmaPer::Step {
            self.average();
        }

        let in_hand = &mut self.state.in_hand;
        in_hand.steps.push(StepReport {
            first_ratio_error: is_first.then_some(ratio_error),
            ptx,
            policy,
            policy_grad_norm,
            value,
            value_grad_norm,
        });
        in_hand.cost.flops += flops;
        in_hand.cost.step_seconds += started.elapsed().as_secs_f64();
        let strayed = in_hand.strayed(self.config);
        self.state.cursor.stepped(epoch, minibatch, strayed, self.config);
        Ok(())
    }

    /// Average, KL controller, metrics, samples.
    fn end_update<O: Observer>(&mut self, observer: &mut O) -> Result<(), O::Error> {
        if self.config.ema.per == EmaPer::Iteration {
            self.average();
        }
        let (update, updates) = (self.state.cursor.update, self.config.updates() as u64);
        let InHand { episodes, steps, cost } = std::mem::take(&mut self.state.in_hand);
        let summary = UpdateSummary {
            rollout: RolloutSummary::of(&episodes, self.state.controller.coef()),
            steps: StepsSummary(&steps),
            lr: self.learning_rates().0,
            episode: (update + 1) * self.config.batch_size as u64,
            cost,
        };
        let (score, kl) = (summary.rollout.scores, summary.rollout.kl);
        self.state.controller.update(kl, episodes.len());
        self.state.report = self.state.report.after(update, self.state.cursor.step, score, kl);
        self.state.cursor.ended_update();

        self.context.log(update + 1, &summary.metrics()).map_err(Error::from)?;
        let message = format!("score {score:+.3}  kl {kl:.2}");
        self.context.progress.report(update + 1, updates, &message);
        summary.rollout.warn(self.config.max_new_tokens);
        if update.is_multiple_of(self.config.log_every as u64) {
            let clipfrac = summary.steps.clipfrac();
            tracing::debug!(update, score, kl, clipfrac, "ppo update");
        }
        if self.config.sample_every > 0 && update.is_multiple_of(self.config.sample_every as u64) {
            observer.sampled(update, &episodes[..self.config.samples.min(episodes.len())])?;
        }
        self.evaluate_if_due()?;
        let keep_every = self.config.keep_every as u64;
        if keep_every > 0 && (update + 1).is_multiple_of(keep_every) {
            observer.kept(update + 1, &self.policy.module().valid())?;
        }
        let limit = self.config.abort_negative_kl_iterations;
        Ok(check_kl_sign(update, kl, &mut self.state.negative_kl, limit)?)
    }

    /// Answers the held-out prompts if it is time to, and remembers the policy if it is the best so far.
    fn evaluate_if_due(&mut self) -> Result<()> {
        let (update, every) = (self.state.cursor.update, self.config.evaluate.every as u64);
        if every == 0 || !update.is_multiple_of(every) {
            return Ok(());
        }
        let policy = self.policy.module().valid();
        let held_out = self.config.evaluate.prompts.min(self.data.held_out);
        let first = self.data.learnt();
        let request = RolloutRequest {
            prompts: self.data.prompts,
            chosen: &(first..first + held_out)
                .flat_map(|prompt| std::iter::repeat_n(prompt, self.config.evaluate.answers))
                .collect::<Vec<_>>(),
            eos_token_id: self.data.eos_token_id,
            stop_token_ids: self.data.stop_token_ids,
            seed: self.context.seed,
            purpose: "ppo.evaluate",
            first_stream: 0,
            kl_coef: self.state.controller.coef(),
        };
        let models = RolloutModels {
            policy: &policy,
            reference: &self.reference,
            value: &self.value.module().valid(),
            scorer: self.scorer.as_ref(),
        };
        let evaluation = Evaluation::new(update, &models, self.judge.as_deref(), &request, self.config)?;
        self.context.log(update, &evaluation.metrics())?;
        tracing::info!(update, score = evaluation.score, kl = evaluation.kl, "evaluation");
        if self.state.watch.add(evaluation, self.config) {
            self.best = Some(policy);
        }
        Ok(())
    }

    /// Writes a checkpoint when one is due between two updates, or when somebody wants the run to stop, wherever it is.
    fn checkpoint_if_due(&self) -> Result<()> {
        let (done, total) = (self.state.cursor.update, self.config.updates() as u64);
        let between_updates = self.state.cursor.next == Phase::Rollout;
        match self.context.pause(done, total, self.config.checkpoint_every) {
            Pause::Checkpoint if between_updates => Ok(self.save()?),
            Pause::Stop => {
                self.save()?;
                Err(Error::Interrupted { update: done })
            }
            _ => Ok(()),
        }
    }

    fn save(&self) -> Result<()> {
        self.context.checkpoint(self.state.cursor.update, |writer| {
            self.policy.save(writer, "policy")?;
            self.value.save(writer, "value")?;
            if let Some(ema) = &self.ema {
                save_module(writer, "ema", ema)?;
            }
            if let Some(best) = &self.best {
                save_module(writer, "best", best)?;
            }
            writer.add_json("state", &self.state)
        })?;
        Ok(())
    }

    fn finish(self) -> PpoOutcome {
        let Watch { evaluations, stopped } = self.state.watch.clone();
        let best = self.state.watch.best(self.config.select);
        PpoOutcome {
            report: PpoReport {
                selected: best.map_or(self.state.report.updates, |best| evaluations[best].update),
                evaluations,
                stopped,
                ..self.state.report
            },
            policy: self.best.unwrap_or_else(|| self.policy.module().valid()),
            ema: self.ema,
            value: self.value.module().valid(),
        }
    }

    /// The prompt of each episode of an update: consecutive places of a list that is shuffled anew at each pass, each as often as
    /// it is answered.
    fn prompts_from(&self, first_episode: u64) -> Vec<usize> {
        let (seed, each) = (self.context.seed, self.config.samples_per_prompt);
        let (first, count) = (first_episode / each as u64, self.config.batch_size / each);
        let rows = cyclic_rows(self.data.learnt(), "ppo.prompts", seed, first, count);
        rows.into_iter()
            .flat_map(|row| std::iter::repeat_n(row, each))
            .collect()
    }

    /// The episodes of a step: those of an update are dealt out anew in each epoch.
    fn minibatch(&self, epoch: usize, minibatch: usize) -> Vec<Episode> {
        let (seed, update) = (self.context.seed, self.state.cursor.update);
        let rows = minibatch_rows(seed, update, epoch, minibatch, self.config);
        let episodes = &self.state.in_hand.episodes;
        let mut dealt: Vec<Episode> = rows.iter().map(|&row| episodes[row].clone()).collect();
        if self.config.whiten_advantages == AdvantageWhitening::Minibatch {
            whiten_episodes(&mut dealt);
        }
        dealt
    }

    /// The pretraining sequences of the next step.
    fn pretraining_batch(&self) -> Vec<&'a TokenSequence> {
        let count = self.config.ptx_examples_per_minibatch();
        let first = self.state.cursor.step * count as u64;
        let rows = cyclic_rows(self.data.pretraining.len(), "ppo.ptx", self.context.seed, first, count);
        rows.iter().map(|&row| &self.data.pretraining[row]).collect()
    }

    /// Adds the pretraining gradient into the same buffer (PPO-ptx).
    fn add_pretraining(&self, sequences: &[&TokenSequence], gradients: &mut GradientBuffer) -> Option<PtxReport> {
        if sequences.is_empty() {
            return None;
        }
        let ptx = &self.config.ptx;
        let (ptx_gradients, loss) = ptx_gradients(self.policy.module(), sequences, self.config);
        let pair = GradientPair {
            ppo_norm: gradients.norm(),
            ptx_norm: ptx_gradients.norm(),
            dot: gradients.dot(&ptx_gradients),
        };
        let to_target = |target| pair.coef_for_ratio(target);
        let coef = ptx.target_grad_ratio.map_or(ptx.coef, to_target);
        gradients.add_scaled(ptx_gradients, coef);
        Some(PtxReport {
            loss,
            coef,
            grad_ratio: pair.ratio(coef),
            grad_cosine: pair.cosine(),
        })
    }

    /// Bounds a gradient; returns its norm before.
    fn clip(&self, gradients: &mut GradientBuffer, network: &'static str, loss: f64) -> Result<f64> {
        let grad_norm = gradients.clip_norm(self.config.max_grad_norm);
        if loss.is_finite() && grad_norm.is_finite() {
            return Ok(grad_norm);
        }
        Err(Error::NonFinite {
            network,
            loss,
            grad_norm,
            update: self.state.cursor.update,
            step: self.state.cursor.step,
        })
    }

    /// Learning rates of policy and value function in the present update.
    fn learning_rates(&self) -> (f64, f64) {
        let (update, updates) = (self.state.cursor.update, self.config.updates() as u64);
        let lr_of = |schedule: &rlhf_core::LrSchedule| schedule.lr_at(update, updates);
        (lr_of(&self.config.lr), lr_of(&self.config.value_lr))
    }

    fn average(&mut self) {
        let decay = self.config.ema.decay;
        self.ema = self.ema.take().map(|ema| ema_update(ema, self.policy.module(), decay));
    }
}

impl InHand {
    /// True if the policy went further in the last epoch than `target_kl` allows, by the mean of the approximate KL (k3).
    fn strayed(&self, config: &PpoConfig) -> bool {
        let of_epoch = self.steps.len().saturating_sub(config.n_minibatches);
        let kls = self.steps[of_epoch..].iter().map(|step| step.policy.approx_kl_k3);
        let epoch_kl: f64 = kls.map(|kl| kl / config.n_minibatches as f64).sum();
        config.target_kl.is_some_and(|target| epoch_kl > target)
    }
}
