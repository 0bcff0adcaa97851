//! A completion on its way.

use std::collections::HashMap;
use std::time::Instant;

use rand_chacha::ChaCha8Rng;
use rlhf_core::rng;

use super::queue::Waiting;
use super::request::{Drawn, End, Event, Request, Sink};

pub(super) struct Row {
    pub(super) request: Request,
    pub(super) sink: Sink,
    /// Prompt and completion.
    pub(super) tokens: Vec<u32>,
    rng: ChaCha8Rng,
    /// How often the completion has each token, where penalties ask.
    counts: HashMap<u32, u32>,
    /// Set once nothing more comes.
    is_over: bool,
}

impl Row {
    pub(super) fn new(waiting: Waiting) -> Self {
        let Waiting { request, sink } = waiting;
        Self {
            tokens: request.prompt.clone(),
            // As `Generator` draws: a request is the same text here and there.
            rng: rng(request.seed, "generate", &[request.stream]),
            counts: HashMap::new(),
            is_over: false,
            request,
            sink,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    pub(super) fn generated(&self) -> usize {
        self.tokens.len() - self.request.prompt.len()
    }

    /// Draws the next token. What comes of it is told by [`Row::tell`].
    pub(super) fn draw(&mut self, logits: &[f32]) -> Result<Drawn, End> {
        if logits.iter().any(|&logit| logit.is_nan() || logit == f32::INFINITY) {
            return Err(End::NotFinite);
        }
        let penalties = &self.request.penalties;
        let token = if penalties.is_off() {
            let sampling = &self.request.sampling;
            let previous: &[u32] = if sampling.repetition_penalty == 1.0 {
                &[]
            } else {
                &self.tokens
            };
            sampling.draw(logits, previous, &mut self.rng).0
        } else {
            let mut changed = logits.to_vec();
            for (&token, &count) in &self.counts {
                changed[token as usize] -= (penalties.presence + penalties.frequency * f64::from(count)) as f32;
            }
            for &(token, bias) in &penalties.bias {
                changed[token as usize] += bias as f32;
            }
            self.request.sampling.draw(&changed, &self.tokens, &mut self.rng).0
        };
        let found = self.request.top_logprobs.map(|top| logprobs(logits, token, top));
        let (logprob, top) = found.map_or((None, Vec::new()), |(logprob, top)| (Some(logprob), top));
        Ok(Drawn { token, logprob, top })
    }

    /// Takes a token in and tells of it; or tells why there is none.
    pub(super) fn tell(&mut self, drawn: Result<Drawn, End>, now: Instant) {
        let drawn = match drawn {
            Ok(drawn) => drawn,
            Err(end) => return self.end(end),
        };
        let token = drawn.token;
        self.tokens.push(token);
        *self.counts.entry(token).or_default() += 1;
        if !(self.sink)(Event::Token(drawn)) {
            self.is_over = true;
        } else if self.request.stop_token_ids.contains(&token) {
            self.end(End::Stop);
        } else if self.generated() >= self.request.max_new_tokens {
            self.end(End::Length);
        } else if self.request.deadline.is_some_and(|deadline| deadline <= now) {
            self.end(End::Late);
        }
    }

    pub(super) fn end(&mut self, end: End) {
        if !self.is_over {
            self.is_over = true;
            (self.sink)(Event::End(end));
        }
    }
}

/// The log-probability of a token by the model itself, and the likeliest ones, the first of equal ones first.
fn logprobs(logits: &[f32], token: u32, top: usize) -> (f32, Vec<(u32, f32)>) {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f64 = logits.iter().map(|&logit| f64::from(logit - most).exp()).sum();
    let of = |token: usize| (f64::from(logits[token] - most) - total.ln()) as f32;
    let mut order: Vec<usize> = (0..logits.len()).collect();
    let by_logit = |a: &usize, b: &usize| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b));
    let top = top.min(order.len());
    if top > 0 && top < order.len() {
        order.select_nth_unstable_by(top - 1, by_logit);
    }
    order.truncate(top);
    order.sort_by(by_logit);
    (
        of(token as usize),
        order.into_iter().map(|token| (token as u32, of(token))).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_come_first_with_the_models_own_log_probabilities() {
        let (own, top) = logprobs(&[0.0, 2.0, 1.0, 2.0], 2, 3);
        let total = (1.0 + 2.0 * 1_f64.exp().powi(2) + 1_f64.exp()).ln();
        assert!((f64::from(own) - (1.0 - total)).abs() < 1e-6);
        assert_eq!(top.iter().map(|(token, _)| *token).collect::<Vec<_>>(), [1, 3, 2]);
        assert!((f64::from(top[0].1) - (2.0 - total)).abs() < 1e-6);
        assert!(logprobs(&[0.0, 1.0], 0, 0).1.is_empty());
        assert_eq!(logprobs(&[0.0, 1.0], 0, 9).1.len(), 2);
    }
}
