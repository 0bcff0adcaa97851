//! Batched generation with a key/value cache.

use std::ops::ControlFlow;

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use rlhf_core::lanes::in_lanes;
use rlhf_core::{index_tensor, int_tensor, rng, to_host};
use rlhf_model::{CausalLm, KvCache};

use crate::error::{Error, Result};
use crate::sampling::Sampling;

/// What to generate.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateOptions {
    /// Tokens at most, the final EOS included.
    pub max_new_tokens: usize,
    /// Token that ends a completion.
    pub eos_token_id: u32,
    /// Others that do: many chat models have one for a turn and one for the text.
    pub stop_token_ids: Vec<u32>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Seed of the random streams.
    pub seed: u64,
    /// Stream of prompt `i` is `first_stream + i`; distinct calls of one run use distinct streams.
    pub first_stream: u64,
    /// Prompts decoded together.
    pub batch_size: usize,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            max_new_tokens: 64,
            eos_token_id: 0,
            stop_token_ids: Vec::new(),
            sampling: Sampling::default(),
            seed: 0,
            first_stream: 0,
            batch_size: 64,
        }
    }
}

/// One answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// New tokens, the EOS included if there was one.
    pub tokens: Vec<u32>,
    /// Log-probability of each under the distribution it was drawn from, in nats; 0 when greedy.
    pub logprobs: Vec<f32>,
    /// Whether it ended with EOS, or another token that ends completions, rather than at the limit.
    pub finished: bool,
}

/// A language model ready to generate: weights off the autodiff graph, head transposed once.
#[derive(Debug)]
pub struct Generator {
    model: CausalLm,
    head: Tensor<2>,
}

/// One prompt on its way.
struct Row {
    index: usize,
    prompt_len: usize,
    rng: ChaCha8Rng,
    completion: Completion,
}

impl Generator {
    /// Takes a copy of `model` that shares its weights.
    pub fn new(model: &CausalLm) -> Self {
        let model = model.valid();
        let head = model.head_weight().transpose(); // [d_model, vocab]
        // Through the host, once, so that every step multiplies contiguous memory.
        let (dims, device, dtype) = (head.dims(), head.device(), head.dtype());
        let head = Tensor::<2>::from_data(TensorData::new(to_host(head), dims), &device).cast(dtype);
        Self { model, head }
    }

    /// Completes every prompt; results are in the order of the prompts.
    ///
    /// # Errors
    /// An empty prompt, one that does not fit the context, a token outside the vocabulary, or an option out of range.
    pub fn generate<S: AsRef<[u32]> + Sync>(
        &self,
        prompts: &[S],
        options: &GenerateOptions,
    ) -> Result<Vec<Completion>> {
        self.check(prompts, options)?;
        let order = by_length(prompts);
        let batches = order.chunks(options.batch_size.max(1)).collect();
        let rows = in_lanes(&self.model, &self.head.device(), batches, |batch| {
            self.generate_batch(prompts, batch, options, &mut |_, _| ControlFlow::Continue(()))
        });
        Ok(in_order(prompts.len(), rows.into_iter().flatten()))
    }

    /// As [`Generator::generate`], telling `on_token` of each new token of each prompt as it appears; breaking ends
    /// that completion.
    ///
    /// # Errors
    /// As [`Generator::generate`].
    pub fn generate_streaming<S: AsRef<[u32]>>(
        &self,
        prompts: &[S],
        options: &GenerateOptions,
        on_token: &mut dyn FnMut(usize, u32) -> ControlFlow<()>,
    ) -> Result<Vec<Completion>> {
        self.check(prompts, options)?;
        let mut rows = Vec::with_capacity(prompts.len());
        for batch in by_length(prompts).chunks(options.batch_size.max(1)) {
            rows.extend(self.generate_batch(prompts, batch, options, on_token));
        }
        Ok(in_order(prompts.len(), rows))
    }

    fn check<S: AsRef<[u32]>>(&self, prompts: &[S], options: &GenerateOptions) -> Result<()> {
        if let Some((field, message)) = options.sampling.faults().into_iter().next() {
            return Err(Error::Sampling { field, message });
        }
        let (context, vocab_size) = (
            self.model.transformer.max_seq_len(),
            self.model.transformer.vocab_size(),
        );
        for (index, prompt) in prompts.iter().enumerate() {
            let prompt = prompt.as_ref();
            if prompt.is_empty() {
                return Err(Error::EmptyPrompt { index });
            }
            if prompt.len().saturating_add(options.max_new_tokens) > context {
                return Err(Error::TooLong {
                    index,
                    prompt_len: prompt.len(),
                    max_new_tokens: options.max_new_tokens,
                    context,
                });
            }
            if let Some(&id) = prompt.iter().find(|&&id| id as usize >= vocab_size) {
                return Err(Error::UnknownToken { index, id, vocab_size });
            }
        }
        Ok(())
    }

    fn generate_batch<S: AsRef<[u32]>>(
        &self,
        prompts: &[S],
        chunk: &[usize],
        options: &GenerateOptions,
        on_token: &mut dyn FnMut(usize, u32) -> ControlFlow<()>,
    ) -> Vec<Row> {
        let mut active: Vec<Row> = chunk
            .iter()
            .map(|&index| Row {
                index,
                prompt_len: prompts[index].as_ref().len(),
                rng: rng(options.seed, "inference.sample", &[options.first_stream + index as u64]),
                completion: Completion {
                    tokens: Vec::new(),
                    logprobs: Vec::new(),
                    finished: false,
                },
            })
            .collect();
        let mut done = Vec::with_capacity(active.len());
        if options.max_new_tokens == 0 {
            return active;
        }
        let (mut cache, mut hidden) = self.prefill(prompts, chunk, options.max_new_tokens);
        loop {
            self.choose(hidden, prompts, &mut active, options);
            let keep = retire(&mut active, &mut done, options, on_token);
            if active.is_empty() {
                return done;
            }
            if keep.len() < cache.batch() {
                cache.select_rows(&keep);
            }
            hidden = self.step(&active, &mut cache);
        }
    }

    /// Runs the left-padded prompts; returns the hidden state of each row's last token, `[batch, d_model]`.
    fn prefill<S: AsRef<[u32]>>(&self, prompts: &[S], chunk: &[usize], new_tokens: usize) -> (KvCache, Tensor<2>) {
        let longest = chunk.iter().map(|&i| prompts[i].as_ref().len()).max().unwrap_or(0);
        let pads: Vec<usize> = chunk.iter().map(|&i| longest - prompts[i].as_ref().len()).collect();
        let mut ids = vec![0i32; chunk.len() * longest];
        let mut positions = vec![0i32; chunk.len() * longest];
        for (row, (&index, &pad)) in chunk.iter().zip(&pads).enumerate() {
            for (t, &id) in prompts[index].as_ref().iter().enumerate() {
                ids[row * longest + pad + t] = id as i32;
                positions[row * longest + pad + t] = t as i32;
            }
        }
        let device = self.head.device();
        let mut cache = self.model.transformer.new_cache(&pads, longest + new_tokens);
        let (ids, positions) = (int_tensor(&ids, &device), int_tensor(&positions, &device));
        let hidden = self.model.transformer.decode(ids, positions, &mut cache); // [batch * longest, d_model]
        let last: Vec<usize> = (1..=chunk.len()).map(|row| row * longest - 1).collect();
        (cache, hidden.select(0, index_tensor(&last, &device)))
    }

    /// Runs the last token of every active row; returns `[active, d_model]`.
    fn step(&self, active: &[Row], cache: &mut KvCache) -> Tensor<2> {
        let device = self.head.device();
        let (ids, positions): (Vec<i32>, Vec<i32>) = active
            .iter()
            .map(|row| {
                let generated = row.completion.tokens.len();
                let last = row.completion.tokens[generated - 1];
                (last as i32, (row.prompt_len + generated - 1) as i32)
            })
            .unzip();
        self.model
            .transformer
            .decode(int_tensor(&ids, &device), int_tensor(&positions, &device), cache)
    }

    /// Draws the next token of every active row.
    fn choose<S: AsRef<[u32]>>(&self, hidden: Tensor<2>, prompts: &[S], active: &mut [Row], options: &GenerateOptions) {
        let logits = rlhf_kernels::linear(hidden, self.head.clone(), None); // [active, vocab]
        let [_, vocab] = logits.dims();
        let logits = to_host(logits);
        let sampling = &options.sampling;
        let previous: Vec<Vec<u32>> = active
            .iter()
            .map(|row| match sampling.repetition_penalty == 1.0 {
                true => Vec::new(),
                false => [prompts[row.index].as_ref(), &row.completion.tokens].concat(),
            })
            .collect();
        active
            .par_iter_mut()
            .zip(&previous)
            .enumerate()
            .for_each(|(i, (row, previous))| {
                let (token, logprob) = sampling.draw(&logits[i * vocab..(i + 1) * vocab], previous, &mut row.rng);
                row.completion.tokens.push(token);
                row.completion.logprobs.push(logprob);
            });
    }
}

/// Places of the prompts, those of like length next to each other, so that left padding stays short.
fn by_length<S: AsRef<[u32]>>(prompts: &[S]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..prompts.len()).collect();
    order.sort_by_key(|&i| prompts[i].as_ref().len());
    order
}

/// The completions of rows in the order of their prompts.
fn in_order(count: usize, rows: impl IntoIterator<Item = Row>) -> Vec<Completion> {
    let mut completions: Vec<Option<Completion>> = vec![None; count];
    for row in rows {
        completions[row.index] = Some(row.completion);
    }
    completions.into_iter().flatten().collect()
}

/// Moves rows that have ended to `done`; returns the places of those that go on.
fn retire(
    active: &mut Vec<Row>,
    done: &mut Vec<Row>,
    options: &GenerateOptions,
    on_token: &mut dyn FnMut(usize, u32) -> ControlFlow<()>,
) -> Vec<usize> {
    let mut keep = Vec::with_capacity(active.len());
    let rows = std::mem::take(active);
    for (place, mut row) in rows.into_iter().enumerate() {
        let tokens = &row.completion.tokens;
        let last = tokens[tokens.len() - 1];
        row.completion.finished = last == options.eos_token_id || options.stop_token_ids.contains(&last);
        let stopped = on_token(row.index, last).is_break();
        if row.completion.finished || stopped || tokens.len() >= options.max_new_tokens {
            done.push(row);
        } else {
            keep.push(place);
            active.push(row);
        }
    }
    keep
}
