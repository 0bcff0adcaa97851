//! The loop.

use std::time::Instant;

use burn::module::Module;
use rlhf_core::stage::{StageContext, load_module, save_module};
use rlhf_core::{GradientBuffer, Learner, ema_update, permutation, rng};
use rlhf_data::{TokenSequence, shuffled_order};
use rlhf_model::{CausalLm, ScalarModel};
use serde::{Deserialize, Serialize};

use crate::config::{AdvantageWhitening, EmaPer, PpoConfig};
use crate::error::{Error, Result};
use crate::flops::{rollout_flops, step_flops};
use crate::invariants::{check_first_step, check_kl_sign, check_rollout};
use crate::kl::KlController;
use crate::metrics::{OBJECTIVE_KL, OBJECTIVE_SCORES, StepMeans, rollout_metrics};
use crate::models::PpoModels;
use crate::ptx::GradientPair;
use crate::rollout::{Episode, RolloutModels, RolloutRequest, collect_rollout, whiten_episodes};
use crate::step::{policy_gradients, ptx_gradients, value_gradients};

/// What PPO learns from.
#[derive(Debug, Clone, Copy)]
pub struct PpoData<'a> {
    /// Token ids of the prompts, the assistant's turn opened.
    pub prompts: &'a [Vec<u32>],
    /// Pretraining sequences for PPO-ptx; may be empty when `ptx.coef` is 0.
    pub pretraining: &'a [TokenSequence],
    /// Token that ends a response.
    pub eos_token_id: u32,
}

/// Somebody who reads along.
pub trait Observer {
    /// Called with the episodes of every `sample_every`-th rollout.
    ///
    /// # Errors
    /// Whatever went wrong, in words.
    fn sampled(&mut self, update: u64, episodes: &[Episode]) -> Result<(), String>;
}

/// What PPO ends with.
#[derive(Debug, Clone)]
pub struct PpoOutcome {
    /// The policy after the last step.
    pub policy: CausalLm,
    /// Its exponential moving average, if there is one.
    pub ema: Option<CausalLm>,
    /// The value network.
    pub value: ScalarModel,
    /// How it went.
    pub report: PpoReport,
}

/// How training went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PpoReport {
    /// Rollouts.
    pub updates: u64,
    /// Optimiser steps.
    pub steps: u64,
    /// Mean score of the first rollout.
    pub first_score: f64,
    /// Mean score of the last rollout.
    pub last_score: f64,
    /// Mean KL of the last rollout, in nats per response.
    pub last_kl: f64,
}

/// Optimises the SFT model against the reward model.
///
/// Continues from the newest checkpoint of the same configuration, and then ends with the same bytes as a run that was
/// never interrupted.
///
/// # Errors
/// No data, adapters that do not fit the models, a broken invariant, a loss that is not finite, an interruption, or a file
/// that cannot be written.
pub fn train(
    models: PpoModels,
    data: PpoData<'_>,
    config: &PpoConfig,
    context: &StageContext<'_>,
    observer: &mut dyn Observer,
) -> Result<PpoOutcome> {
    if data.prompts.is_empty() {
        return Err(Error::NoData { what: "prompts" });
    }
    if config.ptx_examples_per_minibatch() > 0 && data.pretraining.is_empty() {
        return Err(Error::NoData {
            what: "pretraining sequences",
        });
    }
    let mut run = Run::start(models, data, config, context)?;
    let total = config.updates() as u64;
    while run.state.update < total {
        run.advance(observer)?;
        let done = run.state.update;
        let stopping = context.stop.requested() && done < total;
        let every = config.checkpoint_every as u64;
        let due = run.in_hand.is_none() && (every > 0 && done.is_multiple_of(every) || done == total);
        if stopping || due {
            run.save()?;
        }
        if stopping {
            return Err(Error::Interrupted { update: done });
        }
    }
    Ok(run.finish())
}

/// What a checkpoint holds beside weights and moments.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    update: u64,
    step: u64,
    controller: KlController,
    negative_kl: usize,
    report: PpoReport,
}

/// An update on its way: the rollout, and how far the passes over it have come.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct InHand {
    episodes: Vec<Episode>,
    means: StepMeans,
    epoch: usize,
    /// Minibatches of this epoch that have been learnt from.
    minibatches: usize,
    /// Sum over them of the approximate KL (k3), as a share of the epoch.
    epoch_kl: f64,
    /// Time spent so far, of which the rollout took the first part.
    seconds: f64,
    rollout_seconds: f64,
    /// Floating-point operations so far; checkpoints of older versions do not say.
    #[serde(default)]
    flops: f64,
}

struct Run<'a> {
    data: PpoData<'a>,
    config: &'a PpoConfig,
    context: &'a StageContext<'a>,
    reference: CausalLm,
    reward: ScalarModel,
    policy: Learner<CausalLm>,
    value: Learner<ScalarModel>,
    ema: Option<CausalLm>,
    state: State,
    in_hand: Option<InHand>,
}

impl<'a> Run<'a> {
    fn start(
        models: PpoModels,
        data: PpoData<'a>,
        config: &'a PpoConfig,
        context: &'a StageContext<'a>,
    ) -> Result<Self> {
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
            reward: models.reward,
            state: State {
                update: 0,
                step: 0,
                controller: config.kl.controller(),
                negative_kl: 0,
                report: PpoReport {
                    updates: 0,
                    steps: 0,
                    first_score: 0.0,
                    last_score: 0.0,
                    last_kl: 0.0,
                },
            },
            in_hand: None,
        };
        if let Some(checkpoint) = context.resume()? {
            let adam = || config.adamw.clone();
            run.policy = Learner::load(&checkpoint, "policy", run.policy.into_module(), adam())?;
            run.value = Learner::load(&checkpoint, "value", run.value.into_module(), adam())?;
            run.ema = run.ema.map(|ema| load_module(&checkpoint, "ema", ema)).transpose()?;
            run.state = checkpoint.json("state")?;
            run.in_hand = checkpoint.json("in_hand")?;
        }
        Ok(run)
    }

    /// A rollout, or one step on the rollout in hand; after the last step, the end of the update.
    fn advance(&mut self, observer: &mut dyn Observer) -> Result<()> {
        let started = Instant::now();
        let Some(mut in_hand) = self.in_hand.take() else {
            let (episodes, flops) = self.rollout()?;
            let seconds = started.elapsed().as_secs_f64();
            self.in_hand = Some(InHand {
                episodes,
                means: StepMeans::default(),
                epoch: 0,
                minibatches: 0,
                epoch_kl: 0.0,
                seconds,
                rollout_seconds: seconds,
                flops,
            });
            return Ok(());
        };
        let minibatch = self.minibatch(&in_hand);
        let is_first = in_hand.epoch == 0 && in_hand.minibatches == 0;
        let pretraining = self.pretraining_batch();
        let (policy, value) = (self.policy.module(), self.value.module());
        in_hand.flops += step_flops(policy, value, &minibatch, &pretraining);
        let kl = self.step(minibatch, &pretraining, is_first, &mut in_hand.means)?;
        in_hand.epoch_kl += kl / self.config.n_minibatches as f64;
        in_hand.minibatches += 1;
        in_hand.seconds += started.elapsed().as_secs_f64();
        if in_hand.minibatches < self.config.n_minibatches {
            self.in_hand = Some(in_hand);
            return Ok(());
        }
        let strayed = self.config.target_kl.is_some_and(|target| in_hand.epoch_kl > target);
        if in_hand.epoch + 1 < self.config.ppo_epochs && !strayed {
            (in_hand.epoch, in_hand.minibatches, in_hand.epoch_kl) = (in_hand.epoch + 1, 0, 0.0);
            self.in_hand = Some(in_hand);
            return Ok(());
        }
        if self.config.ema.per == EmaPer::Iteration {
            self.average();
        }
        self.close(&in_hand, observer)
    }

    /// The episodes of the next step: those of an epoch are dealt out anew in each.
    fn minibatch(&self, in_hand: &InHand) -> Vec<Episode> {
        let mut rng = rng(
            self.context.seed,
            "ppo.minibatch",
            &[self.state.update, in_hand.epoch as u64],
        );
        let order = permutation(in_hand.episodes.len(), &mut rng);
        let size = self.config.minibatch_size();
        order[in_hand.minibatches * size..][..size]
            .iter()
            .map(|&row| in_hand.episodes[row].clone())
            .collect()
    }

    /// New episodes, and the floating-point operations that they took.
    fn rollout(&self) -> Result<(Vec<Episode>, f64)> {
        let kl_coef = self.state.controller.coef();
        let chosen = self.chosen_prompts();
        let (policy, value) = (self.policy.module().valid(), self.value.module().valid());
        let models = RolloutModels {
            policy: &policy,
            reference: &self.reference,
            value: &value,
            reward: &self.reward,
        };
        let request = RolloutRequest {
            prompts: self.data.prompts,
            chosen: &chosen,
            eos_token_id: self.data.eos_token_id,
            seed: self.context.seed,
            first_stream: self.state.update * self.config.batch_size as u64,
            kl_coef,
        };
        let episodes = collect_rollout(&models, &request, self.config)?;
        let untouched = self.state.step == 0;
        check_rollout(self.state.update, untouched, kl_coef, &episodes, self.config)?;
        let flops = rollout_flops(&models, &episodes);
        Ok((episodes, flops))
    }

    /// Prompts of the current update: consecutive places of a list that is shuffled anew at each pass.
    fn chosen_prompts(&self) -> Vec<usize> {
        let first = self.state.update * self.config.batch_size as u64;
        cyclic_order(
            self.data.prompts.len(),
            self.context.seed,
            first,
            self.config.batch_size,
        )
    }

    /// One optimiser step of each network; returns the approximate KL (k3) between sampler and policy before it.
    fn step(
        &mut self,
        mut minibatch: Vec<Episode>,
        pretraining: &[&TokenSequence],
        is_first: bool,
        means: &mut StepMeans,
    ) -> Result<f64> {
        if self.config.whiten_advantages == AdvantageWhitening::Minibatch {
            whiten_episodes(&mut minibatch);
        }
        let (mut gradients, stats, ratio_error) = policy_gradients(self.policy.module(), &minibatch, self.config);
        if is_first {
            check_first_step(self.state.update, ratio_error, &stats)?;
            means.add("policy/first_ratio_error", ratio_error);
        }
        self.add_pretraining(pretraining, &mut gradients, means);
        let norm = self.clip(&mut gradients, "policy", stats.loss)?;
        means.add_policy(&stats, norm);
        let (mut value_grads, value_stats) = value_gradients(self.value.module(), &minibatch, self.config);
        let value_norm = self.clip(&mut value_grads, "value", value_stats.loss)?;
        means.add_value(&value_stats, value_norm);

        let (update, updates) = (self.state.update, self.config.updates() as u64);
        let lr = self.config.lr.lr_at(update, updates);
        let value_lr = self.config.value_lr.lr_at(update, updates);
        self.policy.step(gradients, lr);
        self.value.step(value_grads, value_lr);
        self.state.step += 1;
        if self.config.ema.per == EmaPer::Step {
            self.average();
        }
        Ok(stats.approx_kl_k3)
    }

    /// The pretraining sequences of the next step.
    fn pretraining_batch(&self) -> Vec<&'a TokenSequence> {
        let count = self.config.ptx_examples_per_minibatch();
        let first = self.state.step * count as u64;
        let rows = cyclic_order(self.data.pretraining.len(), self.context.seed ^ PTX_ORDER, first, count);
        rows.iter().map(|&row| &self.data.pretraining[row]).collect()
    }

    /// Adds the pretraining gradient into the same buffer (InstructGPT, appendix C.4).
    fn add_pretraining(&self, sequences: &[&TokenSequence], gradients: &mut GradientBuffer, means: &mut StepMeans) {
        if sequences.is_empty() {
            return;
        }
        let ptx = &self.config.ptx;
        let (ptx_grads, loss) = ptx_gradients(self.policy.module(), sequences, self.config);
        let pair = GradientPair {
            ppo_norm: gradients.norm(),
            ptx_norm: ptx_grads.norm(),
            dot: gradients.dot(&ptx_grads),
        };
        let coef = ptx
            .target_grad_ratio
            .map_or(ptx.coef, |target| pair.coef_for_ratio(target));
        means.add("loss/ptx", loss);
        means.add("ptx/coef", coef);
        for (name, value) in [("ptx/grad_ratio", pair.ratio(coef)), ("ptx/grad_cosine", pair.cosine())] {
            if let Some(value) = value {
                means.add(name, value);
            }
        }
        gradients.add_scaled(ptx_grads, coef);
    }

    fn clip(&self, gradients: &mut GradientBuffer, network: &'static str, loss: f64) -> Result<f64> {
        let grad_norm = gradients.clip_norm(self.config.max_grad_norm);
        if loss.is_finite() && grad_norm.is_finite() {
            return Ok(grad_norm);
        }
        let (update, step) = (self.state.update, self.state.step);
        Err(Error::NonFinite {
            network,
            loss,
            grad_norm,
            update,
            step,
        })
    }

    fn average(&mut self) {
        let decay = self.config.ema.decay;
        self.ema = self.ema.take().map(|ema| ema_update(ema, self.policy.module(), decay));
    }

    /// Controller, metrics, samples: what ends an update.
    fn close(&mut self, in_hand: &InHand, observer: &mut dyn Observer) -> Result<()> {
        let update = self.state.update;
        let InHand { episodes, means, .. } = in_hand;
        let (seconds, rollout_seconds) = (in_hand.seconds, in_hand.rollout_seconds);
        let mut metrics = rollout_metrics(episodes, self.state.controller.coef(), self.config);
        metrics.extend(means.means());
        let get = |name: &str| metrics.iter().find(|(n, _)| *n == name).map_or(0.0, |&(_, v)| v);
        let (kl, score, clipfrac) = (get(OBJECTIVE_KL), get(OBJECTIVE_SCORES), get("policy/clipfrac"));
        let tokens: usize = episodes.iter().map(|e| e.sequence.len()).sum();
        let updates = self.config.updates() as u64;
        metrics.extend([
            ("lr", self.config.lr.lr_at(update, updates)),
            ("episode", ((update + 1) * self.config.batch_size as u64) as f64),
            ("time/rollout_s", rollout_seconds),
            ("time/update_s", seconds - rollout_seconds),
            ("time/tokens_per_s", tokens as f64 / seconds),
            ("time/gflops", in_hand.flops / seconds / 1e9),
        ]);
        self.state.update = update + 1;
        self.context.log(self.state.update, &metrics)?;
        let message = format!("score {score:+.3}  kl {kl:.2}");
        self.context.progress.report(self.state.update, updates, &message);
        if update.is_multiple_of(self.config.log_every as u64) {
            tracing::debug!(update, score, kl, clipfrac, "ppo update");
        }
        if self.config.sample_every > 0 && update.is_multiple_of(self.config.sample_every as u64) {
            let shown = &episodes[..self.config.samples.min(episodes.len())];
            observer
                .sampled(update, shown)
                .map_err(|message| Error::Observer { message })?;
        }
        let report = &mut self.state.report;
        if update == 0 {
            report.first_score = score;
        }
        (report.last_score, report.last_kl) = (score, kl);
        (report.updates, report.steps) = (self.state.update, self.state.step);
        self.state.controller.update(kl, episodes.len());
        check_kl_sign(
            update,
            kl,
            &mut self.state.negative_kl,
            self.config.abort_negative_kl_iterations,
        )
    }

    fn save(&self) -> Result<()> {
        self.context.checkpoint(self.state.update, |writer| {
            self.policy.save(writer, "policy")?;
            self.value.save(writer, "value")?;
            if let Some(ema) = &self.ema {
                save_module(writer, "ema", ema)?;
            }
            writer.add_json("state", &self.state)?;
            writer.add_json("in_hand", &self.in_hand)
        })?;
        Ok(())
    }

    fn finish(self) -> PpoOutcome {
        PpoOutcome {
            policy: self.policy.module().valid(),
            ema: self.ema,
            value: self.value.module().valid(),
            report: self.state.report,
        }
    }
}

/// Keeps the order of pretraining sequences apart from that of prompts.
const PTX_ORDER: u64 = 0x7074_785f_6f72_6465;

/// `count` places, from the `first` on, of an endless list that shuffles `n` rows anew at each pass.
fn cyclic_order(n: usize, seed: u64, first: u64, count: usize) -> Vec<usize> {
    let mut out = Vec::with_capacity(count);
    let mut pass = (u64::MAX, Vec::new());
    for place in first..first + count as u64 {
        let epoch = place / n as u64;
        if pass.0 != epoch {
            pass = (epoch, shuffled_order(n, seed, epoch));
        }
        out.push(pass.1[(place % n as u64) as usize]);
    }
    out
}
