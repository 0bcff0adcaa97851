//! Prompts to episodes: sampling, scoring, rewards, advantages. Everything an update learns from, on the host.

use rlhf_inference::{GenerateOptions, Generator, Sampling};
use rlhf_model::{CausalLm, ScalarModel, sequence_logprobs, sequence_scores, sequence_values};
use serde::{Deserialize, Serialize};

use crate::advantage::{Gae, returns, whiten_advantages};
use crate::config::{AdvantageWhitening, PpoConfig, RewardWhitening};
use crate::error::Result;
use crate::kl::{KlEstimator, token_kl};
use crate::reward::{effective_score, token_rewards, whiten_rewards};

/// One response with all that is known of it. Lists have one entry per response token, `steps` ones one per step, which
/// is one more when the score arrives at the first pad.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// Index of the prompt.
    pub prompt: usize,
    /// Tokens of the prompt.
    pub prompt_len: usize,
    /// Prompt and response, the EOS included; nothing follows it.
    pub sequence: Vec<u32>,
    /// Whether the response ended with EOS.
    pub finished: bool,
    /// Log-probabilities as the sampler saw them: a diagnostic.
    pub sampled_logprobs: Vec<f64>,
    /// Log-probabilities of the policy that sampled, from the training pass.
    pub old_logprobs: Vec<f64>,
    /// Log-probabilities of the reference policy.
    pub ref_logprobs: Vec<f64>,
    /// Entropy of each next-token distribution, in nats.
    pub entropy: Vec<f64>,
    /// What the reward model says of the response.
    pub score: f64,
    /// The score after clipping and the missing-EOS rule: what enters the rewards.
    pub effective_score: f64,
    /// KL estimates in the rewards, per token.
    pub kl: Vec<f64>,
    /// Value before each step (`steps`).
    pub values: Vec<f64>,
    /// Reward of each step, KL penalty included (`steps`).
    pub rewards: Vec<f64>,
    /// Advantage of each step (`steps`).
    pub advantages: Vec<f64>,
    /// Targets of the value function (`steps`).
    pub returns: Vec<f64>,
}

impl Episode {
    /// Tokens of the response.
    pub fn response_len(&self) -> usize {
        self.sequence.len() - self.prompt_len
    }

    /// Tokens of the response.
    pub fn response(&self) -> &[u32] {
        &self.sequence[self.prompt_len..]
    }

    /// Summed log-ratio to the reference: an unbiased estimate of the KL of this response, in nats.
    pub fn sequence_kl(&self) -> f64 {
        token_kl(KlEstimator::K1, &self.old_logprobs, &self.ref_logprobs)
            .iter()
            .sum()
    }

    /// The sequence as the value network reads it: extended by an arbitrary token when there is a step after the last.
    pub(crate) fn value_sequence(&self) -> Vec<u32> {
        let mut sequence = self.sequence.clone();
        sequence.resize(self.prompt_len + self.values.len(), 0);
        sequence
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
    /// The reward model.
    pub reward: &'a ScalarModel,
}

/// The prompts of one rollout and how to sample.
#[derive(Debug, Clone, Copy)]
pub struct RolloutRequest<'a> {
    /// Token ids of all prompts.
    pub prompts: &'a [Vec<u32>],
    /// Indices of the prompts to answer, one per episode.
    pub chosen: &'a [usize],
    /// Token that ends a response.
    pub eos_token_id: u32,
    /// Seed of the run.
    pub seed: u64,
    /// Random stream of the first episode.
    pub first_stream: u64,
    /// Weight of the KL penalty, in reward per nat.
    pub kl_coef: f64,
}

/// Samples one response per chosen prompt from the full distribution at the configured temperature, and computes rewards,
/// advantages and returns (ALGORITHM, section 3, steps 1 to 8).
///
/// # Errors
/// A prompt that does not fit the context with `max_new_tokens`.
pub fn collect_rollout(
    models: &RolloutModels<'_>,
    request: &RolloutRequest<'_>,
    config: &PpoConfig,
) -> Result<Vec<Episode>> {
    let prompts: Vec<&Vec<u32>> = request.chosen.iter().map(|&i| &request.prompts[i]).collect();
    let options = GenerateOptions {
        max_new_tokens: config.max_new_tokens,
        eos_token_id: request.eos_token_id,
        sampling: Sampling::at_temperature(config.temperature),
        seed: request.seed,
        first_stream: request.first_stream,
        ..GenerateOptions::default()
    };
    let completions = Generator::new(models.policy).generate(&prompts, &options)?;
    let mut episodes: Vec<Episode> = completions
        .into_iter()
        .zip(request.chosen)
        .map(|(completion, &prompt)| Episode {
            prompt,
            prompt_len: request.prompts[prompt].len(),
            sequence: [request.prompts[prompt].as_slice(), &completion.tokens].concat(),
            finished: completion.finished,
            sampled_logprobs: to_f64(&completion.logprobs),
            old_logprobs: Vec::new(),
            ref_logprobs: Vec::new(),
            entropy: Vec::new(),
            score: 0.0,
            effective_score: 0.0,
            kl: Vec::new(),
            values: Vec::new(),
            rewards: Vec::new(),
            advantages: Vec::new(),
            returns: Vec::new(),
        })
        .collect();
    evaluate(&mut episodes, models, config);
    reward(&mut episodes, request.kl_coef, config);
    Ok(episodes)
}

/// Log-probabilities, values and scores from passes over the finished sequences.
fn evaluate(episodes: &mut [Episode], models: &RolloutModels<'_>, config: &PpoConfig) {
    let sequences: Vec<Vec<u32>> = episodes.iter().map(|e| e.sequence.clone()).collect();
    let from: Vec<usize> = episodes.iter().map(|e| e.prompt_len).collect();
    let tokens = config.microbatch_tokens;
    let old = sequence_logprobs(models.policy, &sequences, &from, config.temperature, tokens);
    let reference = sequence_logprobs(models.reference, &sequences, &from, config.temperature, tokens);
    let scores = sequence_scores(models.reward, &sequences, tokens);
    let extended: Vec<Vec<u32>> = episodes
        .iter()
        .map(|e| {
            let steps = config.terminal.steps(e.response_len(), config.max_new_tokens);
            let mut sequence = e.sequence.clone();
            sequence.resize(e.prompt_len + steps, 0);
            sequence
        })
        .collect();
    let values = sequence_values(models.value, &extended, &from, tokens);
    for (i, episode) in episodes.iter_mut().enumerate() {
        episode.old_logprobs = to_f64(&old.logprobs[i]);
        episode.entropy = to_f64(&old.entropy[i]);
        episode.ref_logprobs = to_f64(&reference.logprobs[i]);
        episode.values = to_f64(&values[i]);
        episode.score = f64::from(scores[i]);
    }
}

/// Rewards, advantages and returns.
fn reward(episodes: &mut [Episode], kl_coef: f64, config: &PpoConfig) {
    for episode in episodes.iter_mut() {
        episode.effective_score =
            effective_score(episode.score, episode.finished, config.score_clip, config.missing_eos);
        episode.kl = token_kl(config.kl.estimator, &episode.old_logprobs, &episode.ref_logprobs);
        episode.rewards = token_rewards(&episode.kl, episode.effective_score, kl_coef, episode.values.len());
    }
    if config.whiten_rewards == RewardWhitening::Rollout {
        let flat: Vec<f64> = episodes.iter().flat_map(|e| e.rewards.iter().copied()).collect();
        scatter(&whiten_rewards(&flat), episodes, |e| &mut e.rewards);
    }
    let gae = Gae {
        gamma: config.gamma,
        gae_lambda: config.gae_lambda,
    };
    for episode in episodes.iter_mut() {
        episode.advantages = gae.advantages(&episode.rewards, &episode.values, 0.0);
        episode.returns = returns(&episode.advantages, &episode.values);
    }
    if config.whiten_advantages == AdvantageWhitening::Rollout {
        whiten_episodes(episodes);
    }
}

/// Brings the advantages of these episodes to mean 0 and variance 1. Only steps that are actions count.
pub(crate) fn whiten_episodes(episodes: &mut [Episode]) {
    let flat: Vec<f64> = episodes
        .iter()
        .flat_map(|e| e.advantages[..e.response_len()].iter().copied())
        .collect();
    let whitened = whiten_advantages(&flat);
    let mut next = whitened.into_iter();
    for episode in episodes {
        let actions = episode.response_len();
        for (slot, value) in episode.advantages[..actions].iter_mut().zip(next.by_ref()) {
            *slot = value;
        }
    }
}

fn scatter(flat: &[f64], episodes: &mut [Episode], field: impl Fn(&mut Episode) -> &mut Vec<f64>) {
    let mut rest = flat;
    for episode in episodes {
        let slot = field(episode);
        let (head, tail) = rest.split_at(slot.len());
        slot.copy_from_slice(head);
        rest = tail;
    }
}

fn to_f64(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}
