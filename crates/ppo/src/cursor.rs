//! The place of a run in the order of its work: the update, and the phase that comes next in it.

use rlhf_core::{permutation, rng};
use serde::{Deserialize, Serialize};

use crate::config::PpoConfig;

/// A unit of work; a run may stop, and go on, between any two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Episodes of a new update.
    Rollout,
    /// One optimiser step of each network, on a minibatch of the episodes.
    Step { epoch: usize, minibatch: usize },
    /// KL controller, metrics, samples.
    EndOfUpdate,
}

/// The place of a run in the order of its work, as checkpoints hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    /// Updates that have ended.
    pub(crate) update: u64,
    /// Optimiser steps taken.
    pub(crate) step: u64,
    /// The phase that comes next.
    pub(crate) next: Phase,
}

impl Cursor {
    /// Before the first rollout.
    pub(crate) const START: Self = Self {
        update: 0,
        step: 0,
        next: Phase::Rollout,
    };

    /// True of a run that has begun what comes after `updates` updates.
    pub(crate) fn lies_beyond(&self, updates: u64) -> bool {
        self.update > updates || self.update == updates && self.next != Phase::Rollout
    }

    /// Moves past the rollout.
    pub(crate) fn rolled_out(&mut self) {
        self.next = Phase::Step { epoch: 0, minibatch: 0 };
    }

    /// Moves past a step: to the next minibatch, then to the next epoch, unless the policy strayed in this one.
    pub(crate) fn stepped(&mut self, epoch: usize, minibatch: usize, strayed: bool, config: &PpoConfig) {
        self.step += 1;
        self.next = if minibatch + 1 < config.n_minibatches {
            Phase::Step {
                epoch,
                minibatch: minibatch + 1,
            }
        } else if epoch + 1 < config.ppo_epochs && !strayed {
            Phase::Step {
                epoch: epoch + 1,
                minibatch: 0,
            }
        } else {
            Phase::EndOfUpdate
        };
    }

    /// Moves past the end of an update.
    pub(crate) fn ended_update(&mut self) {
        self.update += 1;
        self.next = Phase::Rollout;
    }
}

/// The episodes of a step: all of an update are dealt out once in each epoch, in an order of its own; those of one prompt
/// stay together, so that it goes through the networks once.
pub(crate) fn minibatch_rows(seed: u64, update: u64, epoch: usize, minibatch: usize, config: &PpoConfig) -> Vec<usize> {
    let mut rng = rng(seed, "ppo.minibatch", &[update, epoch as u64]);
    let each = config.samples_per_prompt;
    let order = permutation(config.batch_size / each, &mut rng);
    let prompts = config.minibatch_size() / each;
    let chosen = order[minibatch * prompts..][..prompts].iter();
    chosen.flat_map(|prompt| prompt * each..(prompt + 1) * each).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> PpoConfig {
        PpoConfig {
            n_minibatches: 2,
            ppo_epochs: 2,
            ..PpoConfig::default()
        }
    }

    /// The phases of two updates in which the policy strays in the epochs named.
    fn phases(strays: impl Fn(u64, usize) -> bool) -> Vec<Phase> {
        let mut cursor = Cursor::START;
        let mut seen = Vec::new();
        while cursor.update < 2 {
            seen.push(cursor.next);
            match cursor.next {
                Phase::Rollout => cursor.rolled_out(),
                Phase::Step { epoch, minibatch } => {
                    cursor.stepped(epoch, minibatch, strays(cursor.update, epoch), &config());
                }
                Phase::EndOfUpdate => cursor.ended_update(),
            }
        }
        let steps = seen.iter().filter(|phase| matches!(phase, Phase::Step { .. }));
        assert_eq!(cursor.step, steps.count() as u64);
        seen
    }

    #[test]
    fn an_update_is_a_rollout_then_every_minibatch_of_every_epoch_then_its_end() {
        let step = |epoch, minibatch| Phase::Step { epoch, minibatch };
        let whole = [
            Phase::Rollout,
            step(0, 0),
            step(0, 1),
            step(1, 0),
            step(1, 1),
            Phase::EndOfUpdate,
        ];
        assert_eq!(phases(|_, _| false), [whole, whole].concat());
        let short = [Phase::Rollout, step(0, 0), step(0, 1), Phase::EndOfUpdate];
        assert_eq!(
            phases(|update, epoch| update == 0 && epoch == 0),
            [&short[..], &whole].concat()
        );
    }

    #[test]
    fn every_episode_is_dealt_out_once_in_each_epoch() {
        let config = PpoConfig {
            batch_size: 12,
            n_minibatches: 3,
            ..PpoConfig::default()
        };
        let epochs: Vec<Vec<usize>> = [(0, 0), (0, 1), (1, 0)]
            .map(|(update, epoch)| {
                let minibatches: Vec<Vec<usize>> = (0..3)
                    .map(|minibatch| minibatch_rows(7, update, epoch, minibatch, &config))
                    .collect();
                assert!(minibatches.iter().all(|rows| rows.len() == 4));
                let mut all = minibatches.concat();
                all.sort_unstable();
                assert_eq!(all, (0..12).collect::<Vec<_>>());
                minibatches.concat()
            })
            .into();
        assert!(epochs[0] != epochs[1] && epochs[0] != epochs[2], "{epochs:?}");
    }

    #[test]
    fn the_answers_to_a_prompt_stand_together_in_a_minibatch() {
        let config = PpoConfig {
            batch_size: 24,
            n_minibatches: 2,
            samples_per_prompt: 4,
            ..PpoConfig::default()
        };
        let rows = |minibatch| minibatch_rows(1, 0, 0, minibatch, &config);
        let mut all = [rows(0), rows(1)].concat();
        for group in all.chunks(4) {
            assert!(
                group[0] % 4 == 0 && group.windows(2).all(|pair| pair[1] == pair[0] + 1),
                "{all:?}"
            );
        }
        assert_ne!(all, (0..24).collect::<Vec<_>>(), "prompts are dealt out");
        all.sort_unstable();
        assert_eq!(all, (0..24).collect::<Vec<_>>());
    }
}
