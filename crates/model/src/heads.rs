//! Readers of hidden states: next-token probabilities, or one number.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rlhf_core::BatchTensors;
use rlhf_kernels::{TokenLogprobs, logprob_sum, token_logprobs};

use crate::config::ModelConfig;
use crate::decoder::Decoder;
use crate::layers::{Start, normal};
use crate::precision::Placement;

/// A decoder with a language-model head, tied to the token embedding or its own.
#[derive(Module, Debug)]
pub struct CausalLm {
    /// The trunk.
    pub transformer: Decoder,
    lm_head: Option<LmHead>,
}

/// An untied head, `[vocab, d_model]`.
#[derive(Module, Debug)]
pub(crate) struct LmHead {
    weight: Param<Tensor<2>>,
}

impl CausalLm {
    /// A model with random weights; the same seed gives the same weights on every device.
    pub fn init(config: &ModelConfig, seed: u64, device: &Device) -> Self {
        Self::build(config, &mut Start::random(seed, device))
    }

    pub(crate) fn build(config: &ModelConfig, start: &mut Start<'_>) -> Self {
        let shape = config.architecture();
        let transformer = Decoder::build(config, start);
        let lm_head = (!shape.tied_head).then(|| LmHead {
            weight: start.normal([shape.vocab_size, shape.d_model], shape.initializer_range),
        });
        Self { transformer, lm_head }
    }

    /// A model of zeros that take no memory: its sizes are right, and nothing else.
    pub fn outline<'a>(config: &ModelConfig, placement: impl Into<Placement<'a>>) -> Self {
        Self::build(config, &mut Start::zeros(placement.into()))
    }

    /// The model with its own head, if it has one, frozen.
    pub(crate) fn with_frozen_head(self) -> Self {
        Self {
            transformer: self.transformer,
            lm_head: self.lm_head.map(Module::no_grad),
        }
    }

    /// See [`Decoder::hidden_states`].
    pub fn hidden_states(&self, batch: &BatchTensors) -> Tensor<2> {
        self.transformer.hidden_states(batch)
    }

    /// See [`Decoder::hidden_states_at`].
    pub fn hidden_states_at(&self, batch: &BatchTensors, places: &[usize]) -> Tensor<2> {
        self.transformer.hidden_states_at(batch, places)
    }

    /// The head, `[vocab, d_model]`.
    pub fn head_weight(&self) -> Tensor<2> {
        match &self.lm_head {
            Some(head) => head.weight.val(),
            None => self.transformer.wte.weight.val(),
        }
    }

    /// Log-probabilities of `targets`, each the token that follows the hidden state of the same index, under
    /// softmax(logits / temperature), and the entropy of that distribution.
    ///
    /// # Shapes
    /// - `hidden`: `[selected, d_model]`
    /// - `targets`: `[selected]`
    /// - result: `[selected]` each, in nats
    pub fn token_logprobs(&self, hidden: Tensor<2>, targets: Tensor<1, Int>, temperature: f64) -> TokenLogprobs {
        token_logprobs(hidden, self.head_weight(), targets, temperature)
    }

    /// `sum_t weights[t] logprob[t]` of log-probabilities as of [`CausalLm::token_logprobs`] at temperature 1, for losses whose
    /// weights are known beforehand.
    ///
    /// # Shapes
    /// - `hidden`: `[selected, d_model]`
    /// - `targets`, `weights`: `[selected]`
    /// - result: `[1]`
    pub fn logprob_sum(&self, hidden: Tensor<2>, targets: Tensor<1, Int>, weights: Tensor<1>) -> Tensor<1> {
        logprob_sum(hidden, self.head_weight(), targets, weights)
    }

    /// Raw logits.
    ///
    /// # Shapes
    /// - `hidden`: `[selected, d_model]`
    /// - result: `[selected, vocab]`
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        rlhf_kernels::linear(hidden, self.head_weight().transpose(), None)
    }
}

/// A decoder with a linear head of one output: reward model or value model.
#[derive(Module, Debug)]
pub struct ScalarModel {
    /// The trunk.
    pub transformer: Decoder,
    score: ScoreHead,
}

/// `hidden · weight + bias`, weight `[1, d_model]` as Hugging Face stores it.
#[derive(Module, Debug)]
pub(crate) struct ScoreHead {
    weight: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl ScalarModel {
    /// A model of zeros that take no memory but for the head: its sizes are right, and nothing else.
    pub fn outline<'a>(config: &ModelConfig, placement: impl Into<Placement<'a>>) -> Self {
        let placement = placement.into();
        let trunk = Decoder::build(config, &mut Start::zeros(placement));
        Self::zero_head(trunk, placement.device)
    }

    /// A head with weights of standard deviation 1/√(d_model + 1) and bias 0 (Stiennon et al., arXiv 2009.01325) on an
    /// existing trunk.
    pub fn from_decoder(transformer: Decoder, seed: u64, device: &Device) -> Self {
        let d_model = transformer.d_model();
        let std = 1.0 / ((d_model + 1) as f64).sqrt();
        let values = normal(d_model, std, &mut ChaCha8Rng::seed_from_u64(seed));
        Self::with_head(transformer, values, vec![0.0], device)
    }

    /// A head of zeros on an existing trunk (the value head of Ziegler et al., arXiv 1909.08593).
    pub fn zero_head(transformer: Decoder, device: &Device) -> Self {
        let d_model = transformer.d_model();
        Self::with_head(transformer, vec![0.0; d_model], vec![0.0], device)
    }

    /// A head of given values, `[d_model]` and `[1]`, on an existing trunk.
    pub(crate) fn with_head(transformer: Decoder, weight: Vec<f32>, bias: Vec<f32>, device: &Device) -> Self {
        let dims = [1, weight.len()];
        Self {
            transformer,
            score: ScoreHead {
                weight: Param::from_tensor(Tensor::from_data(TensorData::new(weight, dims), device)),
                bias: Param::from_tensor(Tensor::from_data(TensorData::new(bias, [1]), device)),
            },
        }
    }

    /// The head at every token.
    ///
    /// # Shapes
    /// - result: `[rows * row_len]`
    pub fn token_scores(&self, batch: &BatchTensors) -> Tensor<1> {
        self.score(self.transformer.hidden_states(batch))
    }

    /// The head at selected hidden states.
    ///
    /// # Shapes
    /// - `hidden`: `[selected, d_model]`
    /// - result: `[selected]`
    pub fn score(&self, hidden: Tensor<2>) -> Tensor<1> {
        let [selected, _] = hidden.dims();
        let weight = self.score.weight.val().transpose(); // [d_model, 1]
        rlhf_kernels::linear(hidden, weight, Some(self.score.bias.val())).reshape([selected])
    }

    /// The same model with `gain` times its score plus `shift`.
    pub fn rescaled(self, gain: f64, shift: f64) -> Self {
        Self {
            transformer: self.transformer,
            score: ScoreHead {
                weight: self.score.weight.map(|w| reattach(&w.clone(), w.inner() * gain)),
                bias: self.score.bias.map(|b| reattach(&b.clone(), b.inner() * gain + shift)),
            },
        }
    }
}

/// `new` as a fresh leaf in the autodiff state of `old`.
pub(crate) fn reattach<const D: usize>(old: &Tensor<D>, new: Tensor<D>) -> Tensor<D> {
    if old.is_autodiff() {
        Tensor::from_inner(new).set_require_grad(old.is_require_grad())
    } else {
        new
    }
}
