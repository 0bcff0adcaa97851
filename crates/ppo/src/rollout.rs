//! Prompts to episodes, in three steps: sample, score, credit. Everything an update learns from, on the host.

use rlhf_inference::{GenerateOptions, Generator, Sampling};
use rlhf_model::{CausalLm, ScalarModel, sequence_logprobs, sequence_values};
use serde_json::Value;

use crate::advantage::{Gae, returns, whiten_advantages};
use crate::config::{AdvantageWhitening, PpoConfig, RewardWhitening, ScoreBaseline};
use crate::episode::{Episode, Response, Scored, Steps};
use crate::error::{Error, Result};
use crate::kl::token_kl;
use crate::reward::{effective_score, less_mean_of_others, token_rewards, whiten_rewards};
use crate::scorer::{Answer, Scorer};

/// A prompt that is answered in rollouts.
#[derive(Debug, Clone, PartialEq)]
pub struct PpoPrompt {
    /// Its tokens, the assistant's turn opened.
    pub input_ids: Vec<u32>,
    /// The task stored beside it, for a [`Scorer`] that judges by it.
    pub task: Option<Value>,
}

impl From<Vec<u32>> for PpoPrompt {
    fn from(input_ids: Vec<u32>) -> Self {
        Self { input_ids, task: None }
    }
}

/// The networks a rollout looks at, off the autodiff graph.
#[derive(Debug)]
pub struct RolloutModels<'a> {
    /// The policy that samples.
    pub policy: &'a CausalLm,
    /// The frozen SFT policy.
    pub reference: &'a CausalLm,
    /// The value network.
    pub value: &'a ScalarModel,
    /// Says how good responses are.
    pub scorer: &'a dyn Scorer,
}

/// The prompts of one rollout and how to sample.
#[derive(Debug, Clone, Copy)]
pub struct RolloutRequest<'a> {
    /// All prompts.
    pub prompts: &'a [PpoPrompt],
    /// Indices of the prompts to answer, one per episode.
    pub chosen: &'a [usize],
    /// Token that ends a response.
    pub eos_token_id: u32,
    /// Others that do.
    pub stop_token_ids: &'a [u32],
    /// Seed of the run.
    pub seed: u64,
    /// What the random numbers are for: requests of different purposes share none.
    pub purpose: &'static str,
    /// Random stream of the first episode.
    pub first_stream: u64,
    /// Weight of the KL penalty, in reward per nat.
    pub kl_coef: f64,
}

/// Samples one response per chosen prompt from the full distribution at the configured temperature, and computes rewards,
/// advantages and returns (the rows from "per-token KL" to "whitening" of `docs/algorithm.md`).
///
/// # Errors
/// A prompt that does not fit the context with `max_new_tokens`; a response that the scorer cannot score.
pub fn collect_rollout(
    models: &RolloutModels<'_>,
    request: &RolloutRequest<'_>,
    config: &PpoConfig,
) -> Result<Vec<Episode>> {
    let responses = sample(models.policy, request, config)?;
    let scored = score(&responses, models, request.prompts, config)?;
    let values = values(&responses, models.value, config);
    let rewards = scored
        .iter()
        .zip(&values)
        .map(|(scored, values)| token_rewards(&scored.kl, scored.effective_score, request.kl_coef, values.len()))
        .collect();
    let actions: Vec<usize> = responses.iter().map(Response::len).collect();
    let steps = credit(values, rewards, &actions, config);
    let records = responses.into_iter().zip(scored).zip(steps);
    Ok(records
        .map(|((response, scored), steps)| Episode {
            response,
            scored,
            steps,
        })
        .collect())
}

/// Responses, their scores, and what a judge says of them.
pub(crate) struct AnsweredPrompts {
    pub(crate) responses: Vec<Response>,
    pub(crate) scored: Vec<Scored>,
    /// Empty without a judge.
    pub(crate) judged: Vec<Option<f64>>,
}

/// One response per chosen prompt, scored; nothing is learnt from them.
pub(crate) fn answer_and_score(
    models: &RolloutModels<'_>,
    judge: Option<&dyn Scorer>,
    request: &RolloutRequest<'_>,
    config: &PpoConfig,
) -> Result<AnsweredPrompts> {
    let responses = sample(models.policy, request, config)?;
    let scored = score(&responses, models, request.prompts, config)?;
    let judged = match judge {
        None => Vec::new(),
        Some(judge) => judge
            .score(&answers(&responses, request.prompts))
            .map_err(|source| Error::Scorer { source })?,
    };
    Ok(AnsweredPrompts {
        responses,
        scored,
        judged,
    })
}

/// Responses as scorers see them.
fn answers<'a>(responses: &'a [Response], prompts: &'a [PpoPrompt]) -> Vec<Answer<'a>> {
    let of = |response: &'a Response| Answer {
        response,
        task: prompts[response.prompt].task.as_ref(),
    };
    responses.iter().map(of).collect()
}

/// One response per chosen prompt.
fn sample(policy: &CausalLm, request: &RolloutRequest<'_>, config: &PpoConfig) -> Result<Vec<Response>> {
    let prompt_of = |prompt: usize| &request.prompts[prompt].input_ids;
    let prompts: Vec<&Vec<u32>> = request.chosen.iter().map(|&prompt| prompt_of(prompt)).collect();
    let options = GenerateOptions {
        max_new_tokens: config.max_new_tokens,
        eos_token_id: request.eos_token_id,
        stop_token_ids: request.stop_token_ids.to_vec(),
        batch_size: config.rollout_batch_size,
        sampling: Sampling::at_temperature(config.temperature),
        seed: request.seed,
        purpose: request.purpose,
        first_stream: request.first_stream,
    };
    let completions = Generator::new(policy).generate(&prompts, &options)?;
    let responses = completions.into_iter().zip(request.chosen);
    Ok(responses
        .map(|(completion, &prompt)| Response {
            prompt,
            prompt_len: prompt_of(prompt).len(),
            sequence: [prompt_of(prompt).as_slice(), &completion.tokens].concat(),
            finished: completion.finished,
            sampled_logprobs: to_f64(&completion.logprobs),
        })
        .collect())
}

/// Scores, and log-probabilities of policy and reference from passes over the finished sequences.
fn score(
    responses: &[Response],
    models: &RolloutModels<'_>,
    prompts: &[PpoPrompt],
    config: &PpoConfig,
) -> Result<Vec<Scored>> {
    let sequences: Vec<&[u32]> = responses.iter().map(|r| r.sequence.as_slice()).collect();
    let from: Vec<usize> = responses.iter().map(|r| r.prompt_len).collect();
    let logprobs = |model| sequence_logprobs(model, &sequences, &from, config.temperature, config.microbatch_tokens);
    let (old, reference) = (logprobs(models.policy), logprobs(models.reference));
    let scores = scores(responses, models.scorer, prompts)?;
    let effective = |(response, &score): (&Response, &f64)| {
        effective_score(score, response.finished, config.score_clip, config.missing_eos)
    };
    let mut effective_scores: Vec<f64> = responses.iter().zip(&scores).map(effective).collect();
    if config.score_baseline == ScoreBaseline::OtherAnswers {
        less_mean_of_others(&mut effective_scores, config.samples_per_prompt);
    }
    let row = |i: usize| {
        let (old_logprobs, ref_logprobs) = (to_f64(&old.logprobs[i]), to_f64(&reference.logprobs[i]));
        Scored {
            score: scores[i],
            effective_score: effective_scores[i],
            kl: token_kl(config.kl.estimator, &old_logprobs, &ref_logprobs),
            entropy: to_f64(&old.entropy[i]),
            old_logprobs,
            ref_logprobs,
        }
    };
    Ok((0..responses.len()).map(row).collect())
}

/// The score of every response.
fn scores(responses: &[Response], scorer: &dyn Scorer, prompts: &[PpoPrompt]) -> Result<Vec<f64>> {
    let scores = scorer
        .score(&answers(responses, prompts))
        .map_err(|source| Error::Scorer { source })?;
    if scores.len() != responses.len() {
        return Err(Error::ScoreCount {
            expected: responses.len(),
            found: scores.len(),
        });
    }
    let found = responses.iter().zip(scores);
    found
        .map(|(response, score)| match score {
            Some(score) if score.is_finite() => Ok(score),
            score => Err(Error::Score {
                prompt: response.prompt,
                score,
            }),
        })
        .collect()
}

/// The value before each step of each response.
fn values(responses: &[Response], value: &ScalarModel, config: &PpoConfig) -> Vec<Vec<f64>> {
    let steps = |response: &Response| config.terminal.steps(response.len(), config.max_new_tokens);
    let sequences: Vec<Vec<u32>> = responses.iter().map(|r| r.value_sequence(steps(r))).collect();
    let from: Vec<usize> = responses.iter().map(|r| r.prompt_len).collect();
    let values = sequence_values(value, &sequences, &from, config.microbatch_tokens);
    values.iter().map(|values| to_f64(values)).collect()
}

/// Advantages and returns of a rollout, from the values and rewards of its steps, of which `actions` are tokens.
fn credit(values: Vec<Vec<f64>>, mut rewards: Vec<Vec<f64>>, actions: &[usize], config: &PpoConfig) -> Vec<Steps> {
    if config.whiten_rewards == RewardWhitening::Rollout {
        let lens: Vec<usize> = rewards.iter().map(Vec::len).collect();
        together(&mut rewards, &lens, whiten_rewards);
    }
    let gae = Gae {
        gamma: config.gamma,
        gae_lambda: config.gae_lambda,
    };
    let of_episode = |(rewards, values): (&Vec<f64>, &Vec<f64>)| gae.advantages(rewards, values, 0.0);
    let mut advantages: Vec<Vec<f64>> = rewards.iter().zip(&values).map(of_episode).collect();
    let of_episode = |(advantages, values): (&Vec<f64>, &Vec<f64>)| returns(advantages, values);
    let returns: Vec<Vec<f64>> = advantages.iter().zip(&values).map(of_episode).collect();
    if config.whiten_advantages == AdvantageWhitening::Rollout {
        together(&mut advantages, actions, whiten_advantages);
    }
    let steps = values.into_iter().zip(rewards).zip(advantages).zip(returns);
    steps
        .map(|(((values, rewards), advantages), returns)| Steps {
            values,
            rewards,
            advantages,
            returns,
        })
        .collect()
}

/// Brings the advantages of these episodes to mean 0 and variance 1. Only steps that are actions count.
pub(crate) fn whiten_episodes(episodes: &mut [Episode]) {
    let actions: Vec<usize> = episodes.iter().map(|e| e.response.len()).collect();
    let take = |episode: &mut Episode| std::mem::take(&mut episode.steps.advantages);
    let mut advantages: Vec<Vec<f64>> = episodes.iter_mut().map(take).collect();
    together(&mut advantages, &actions, whiten_advantages);
    for (episode, advantages) in episodes.iter_mut().zip(advantages) {
        episode.steps.advantages = advantages;
    }
}

/// Replaces the first `lens[i]` numbers of list `i` by what `change` makes of all of them together.
fn together(lists: &mut [Vec<f64>], lens: &[usize], change: impl Fn(&[f64]) -> Vec<f64>) {
    let heads = lists.iter().zip(lens).flat_map(|(list, &len)| &list[..len]);
    let changed = change(&heads.copied().collect::<Vec<f64>>());
    let mut rest = changed.as_slice();
    for (list, &len) in lists.iter_mut().zip(lens) {
        let (own, others) = rest.split_at(len);
        list[..len].copy_from_slice(own);
        rest = others;
    }
}

fn to_f64(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}
