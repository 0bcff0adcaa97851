//! Floating-point operations of an update: products of matrices and attention, as `time/gflops` counts them.

use rlhf_data::TokenSequence;
use rlhf_model::{CausalLm, PassSize, ScalarModel};

use crate::episode::Episode;
use crate::rollout::RolloutModels;
use crate::step::groups;

/// Floating-point operations of a rollout: sampling, then policy, reference, reward model and value network over what was sampled.
pub(crate) fn rollout_flops(models: &RolloutModels<'_>, episodes: &[Episode]) -> f64 {
    let policy = models.policy.transformer.architecture();
    let reference = models.reference.transformer.architecture();
    let value = models.value.transformer.architecture();
    let reward = models.scorer.model().map(|model| model.transformer.architecture());
    let of = |(episode, shared): (&Episode, usize)| {
        let response = &episode.response;
        // Of a prompt that is answered several times, the end is read for each.
        let prompt = PassSize::sequence(0, response.prompt_len - shared, 1).predicting();
        // The last token that is sampled goes through the network no more.
        let sampled = response.len().saturating_sub(1);
        let answer = PassSize::sequence(response.prompt_len, sampled, sampled).predicting();
        let scored = PassSize::sequence(shared, response.sequence.len() - shared, 1);
        policy.forward_flops(&prompt)
            + policy.forward_flops(&answer)
            + policy.forward_flops(&policy_pass(episode, shared))
            + reference.forward_flops(&policy_pass(episode, shared))
            + reward.map_or(0.0, |reward| reward.forward_flops(&scored))
            + value.forward_flops(&value_pass(episode, shared))
    };
    episodes.iter().zip(shared_beginnings(episodes)).map(of).sum()
}

/// Floating-point operations of a step on some episodes and pretraining sequences, forward and backward.
pub(crate) fn step_flops(
    policy: &CausalLm,
    value: &ScalarModel,
    episodes: &[Episode],
    pretraining: &[&TokenSequence],
) -> f64 {
    let pretraining = pretraining
        .iter()
        .map(|s| PassSize::sequence(0, s.len(), s.targets()).predicting());
    let shared = shared_beginnings(episodes);
    let with_shared = || episodes.iter().zip(shared.iter().copied());
    let policy_passes = with_shared().map(|(episode, shared)| policy_pass(episode, shared));
    let policy_passes: PassSize = policy_passes.chain(pretraining).sum();
    let value_passes: PassSize = with_shared().map(|(episode, shared)| value_pass(episode, shared)).sum();
    policy.transformer.step_flops(&policy_passes) + value.transformer.step_flops(&value_passes)
}

/// Tokens of each episode that go through with the one before it: its prompt, if that is the same.
fn shared_beginnings(episodes: &[Episode]) -> Vec<usize> {
    let mut shared: Vec<usize> = episodes.iter().map(|episode| episode.response.prompt_len).collect();
    groups(episodes).iter().for_each(|group| shared[group.start] = 0);
    shared
}

fn policy_pass(episode: &Episode, shared: usize) -> PassSize {
    let response = &episode.response;
    PassSize::sequence(shared, response.sequence.len() - shared, response.len()).predicting()
}

fn value_pass(episode: &Episode, shared: usize) -> PassSize {
    let steps = episode.steps.len();
    PassSize::sequence(shared, episode.response.prompt_len + steps - shared, steps)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use rlhf_model::{Gpt2Config, ModelConfig};

    use super::*;
    use crate::episode::{Response, Scored, Steps};
    use crate::scorer::RewardModel;

    /// A block of width 4 has 48 weights before its attention and 144 behind it, the head 40.
    fn by_hand(tokens: usize, seen: usize, read: usize, predicted: usize) -> f64 {
        2.0 * (48 * tokens + 8 * seen + 144 * read + 40 * predicted) as f64
    }

    #[test]
    fn every_pass_of_an_update_counts() {
        let config = ModelConfig::from(Gpt2Config {
            vocab_size: 10,
            n_positions: 8,
            n_embd: 4,
            n_layer: 1,
            n_head: 2,
            ..Gpt2Config::default()
        });
        let device = Device::flex();
        let policy = CausalLm::init(&config, 1, &device);
        let value = ScalarModel::from_decoder(policy.transformer.clone(), 2, &device);
        // Two tokens of a prompt, three of an answer, and a step behind its end.
        let episode = Episode {
            response: Response {
                prompt: 0,
                prompt_len: 2,
                sequence: vec![1; 5],
                finished: true,
                sampled_logprobs: vec![-1.0; 3],
            },
            scored: Scored {
                score: 0.0,
                effective_score: 0.0,
                old_logprobs: vec![-1.0; 3],
                ref_logprobs: vec![-1.0; 3],
                entropy: vec![1.0; 3],
                kl: vec![0.0; 3],
            },
            steps: Steps {
                values: vec![0.0; 4],
                rewards: vec![0.0; 4],
                advantages: vec![0.0; 4],
                returns: vec![0.0; 4],
            },
        };
        let scorer = RewardModel::new(value.clone(), 64);
        let models = RolloutModels {
            policy: &policy,
            reference: &policy,
            value: &value,
            scorer: &scorer,
        };
        let (scored, valued) = (by_hand(5, 15, 3, 3), by_hand(6, 21, 4, 0));
        let sampled = by_hand(2, 3, 1, 1) + by_hand(2, 3 + 4, 2, 2);
        let rollout = sampled + 2.0 * scored + by_hand(5, 15, 1, 0) + valued;
        let episodes = [episode.clone(), episode];
        assert_eq!(rollout_flops(&models, &episodes), 2.0 * rollout);

        let text = TokenSequence {
            input_ids: vec![1; 3],
            loss_mask: vec![false, true, true],
        };
        let update = scored + valued;
        assert_eq!(step_flops(&policy, &value, &episodes, &[]), 3.0 * 2.0 * update);
        let mixed = step_flops(&policy, &value, &episodes, &[&text]);
        assert_eq!(mixed, 3.0 * (2.0 * update + by_hand(3, 6, 2, 2)));
    }
}
