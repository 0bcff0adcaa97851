//! A task whose solution is known: of eight tokens one is paid for.

use burn::tensor::Device;
use rlhf_core::{LrSchedule, ScheduleKind};
use rlhf_model::{CausalLm, Gpt2Config, ModelConfig};
use rlhf_ppo::{Answer, KlConfig, MissingEos, PpoConfig, PtxConfig, Scorer, ScorerError, ValueInit};

pub(crate) const VOCAB: usize = 8;
/// Token that ends a response.
pub(crate) const EOS: u32 = 3;
/// Token that the bandit pays for.
pub(crate) const LIKED: u32 = 5;

/// A network of one block that reads so many kinds of tokens, and so many in a row.
pub(crate) fn network(vocabulary: usize, context: usize) -> ModelConfig {
    let config = Gpt2Config {
        vocab_size: vocabulary,
        n_positions: context,
        n_embd: 16,
        n_layer: 1,
        n_head: 2,
        ..Default::default()
    };
    config.into()
}

pub(crate) fn policy() -> CausalLm {
    CausalLm::init(&network(VOCAB, 32), 1, &Device::flex())
}

/// Scores the share of liked tokens as the function says.
#[derive(Debug)]
pub(crate) struct Share(pub(crate) fn(f64) -> f64);

/// Pays for the share itself.
pub(crate) const BANDIT: Share = Share(|share| share);

impl Scorer for Share {
    fn score(&self, answers: &[Answer<'_>]) -> Result<Vec<Option<f64>>, ScorerError> {
        let score = |answer: &Answer<'_>| {
            let tokens = answer.response.tokens();
            (self.0)(tokens.iter().filter(|&&token| token == LIKED).count() as f64 / tokens.len() as f64)
        };
        Ok(answers.iter().map(|answer| Some(score(answer))).collect())
    }
}

pub(crate) fn constant(peak_lr: f64) -> LrSchedule {
    LrSchedule {
        peak_lr,
        kind: ScheduleKind::Constant,
        ..Default::default()
    }
}

/// Two dozen updates of four tokens a response; without a pretraining term.
pub(crate) fn settings() -> PpoConfig {
    PpoConfig {
        episodes: 24 * 32,
        batch_size: 32,
        n_minibatches: 2,
        ppo_epochs: 2,
        max_new_tokens: 4,
        lr: constant(3e-3),
        value_lr: constant(3e-3),
        missing_eos: MissingEos::None,
        value_init: ValueInit::ZeroHead,
        kl: KlConfig {
            coef: 0.0,
            ..Default::default()
        },
        ptx: PtxConfig {
            coef: 0.0,
            ..Default::default()
        },
        ..Default::default()
    }
}
