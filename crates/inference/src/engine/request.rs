//! What is asked of an engine, and what it answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rlhf_config::ConfigErrors;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::sampling::Sampling;

/// Who is served first: classes in this order, within a class one account after the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Somebody who sits before a page and waits.
    Chat,
    /// A program.
    #[default]
    Api,
    /// Answers that are to be ranked later.
    Sampling,
}

/// Changes of the logits by what the completion has so far, before the sampling.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Penalties {
    /// Taken off the logit of every token that the completion has.
    pub presence: f64,
    /// Taken off as often as the completion has the token.
    pub frequency: f64,
    /// Added to the logits of these tokens.
    pub bias: Vec<(u32, f64)>,
}

impl Penalties {
    pub(super) fn is_off(&self) -> bool {
        self.presence == 0.0 && self.frequency == 0.0 && self.bias.is_empty()
    }

    /// Faults of the options; paths are relative to this struct.
    pub fn validate(&self) -> ConfigErrors {
        let mut errors = ConfigErrors::new();
        for (path, value) in [("presence", self.presence), ("frequency", self.frequency)] {
            errors.check((-2.0..=2.0).contains(&value), path, || {
                format!("expected -2 to 2, found {value}")
            });
        }
        for (token, bias) in &self.bias {
            errors.check((-100.0..=100.0).contains(bias), "bias", || {
                format!("expected -100 to 100 for token {token}, found {bias}")
            });
        }
        errors
    }
}

/// A prompt to complete.
#[derive(Debug, Clone)]
pub struct Request {
    /// The prompt.
    pub prompt: Vec<u32>,
    /// Tokens at most, one that ends the completion included.
    pub max_new_tokens: usize,
    /// Tokens that end a completion.
    pub stop_token_ids: Vec<u32>,
    /// Choice of tokens.
    pub sampling: Sampling,
    /// Changes of the logits before it.
    pub penalties: Penalties,
    /// Seed of the random stream.
    pub seed: u64,
    /// Number of the stream: several answers to one prompt have streams of their own.
    pub stream: u64,
    /// Whether each token comes with its log-probability, and with the likeliest so many.
    pub top_logprobs: Option<usize>,
    /// Who asks: accounts of a class take turns, and what one has computed serves the same one alone.
    pub account: String,
    /// How urgent it is.
    pub class: Class,
    /// When nobody waits any more.
    pub deadline: Option<Instant>,
    /// Set to true by whoever asked once the answer is not wanted any more: a request that waits or is being read is given up then. One that is
    /// being written ends as well at the first event that its [`Sink`] does not take.
    pub cancelled: Option<Arc<AtomicBool>>,
}

impl Request {
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed))
    }
}

impl Default for Request {
    fn default() -> Self {
        Self {
            prompt: Vec::new(),
            max_new_tokens: 64,
            stop_token_ids: Vec::new(),
            sampling: Sampling::default(),
            penalties: Penalties::default(),
            seed: 0,
            stream: 0,
            top_logprobs: None,
            account: String::new(),
            class: Class::default(),
            deadline: None,
            cancelled: None,
        }
    }
}

/// A token of a completion.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// The token.
    pub token: u32,
    /// Its log-probability by the model itself, whatever the sampling made of it, in nats; where it was asked for.
    pub logprob: Option<f32>,
    /// The likeliest tokens, likeliest first, by the same measure.
    pub top: Vec<(u32, f32)>,
}

/// How a completion ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By a token that ends completions.
    Stop,
    /// At the limit of its length.
    Length,
    /// At its deadline, still waiting.
    Queued,
    /// At its deadline, on its way.
    Late,
    /// The model gave logits that are no numbers.
    NotFinite,
    /// The engine was stopped.
    Stopped,
}

/// What a request is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A token more.
    Token(Drawn),
    /// Nothing comes after this.
    End(End),
}

/// Where the events of a request go: false if nobody listens any more.
pub type Sink = Box<dyn FnMut(Event) -> bool + Send>;
