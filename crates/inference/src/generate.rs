//! Batched generation with a key/value cache.

use std::ops::ControlFlow;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use rlhf_core::lanes::{in_lanes, side_by_side};
use rlhf_core::{index_tensor, int_tensor, rng, to_host};
use rlhf_model::{CausalLm, KvCache, PackedLm};

use crate::error::{Error, Result};
use crate::sampling::Sampling;

/// Options of generation.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateOptions {
    /// Tokens at most, the final EOS included.
    pub max_new_tokens: usize,
    /// Token that ends a completion.
    pub eos_token_id: u32,
    /// Others that do: many chat models have one for a turn and one for the text.
    pub stop_token_ids: Vec<u32>,
    /// Choice of tokens.
    pub sampling: Sampling,
    /// Seed of the random streams.
    pub seed: u64,
    /// Purpose of the random streams: what is sampled for one purpose has nothing to do with what is sampled for another.
    pub purpose: &'static str,
    /// Stream of prompt `i` is `first_stream + i`; calls of one purpose use distinct streams.
    pub first_stream: u64,
    /// Prompts decoded together, at most.
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
            purpose: "generate",
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
    /// True if it ended with EOS, or another token that ends completions, rather than at the limit.
    pub finished: bool,
}

/// A language model ready to generate: its weights off the autodiff graph and, in f32 on a CPU, laid out for decoding.
#[derive(Debug)]
pub struct Generator {
    model: PackedLm,
}

/// One prompt on its way.
struct Row {
    index: usize,
    prompt_len: usize,
    rng: ChaCha8Rng,
    completion: Completion,
    /// True once the model gave logits that are no numbers: nothing can be drawn then.
    is_broken: bool,
}

/// Rows of a small model that are decoded together: batches side by side keep it busier than one large batch, and the cache of
/// one stays in the processor's.
const LANE_ROWS: usize = 16;

/// Rows that are decoded together, of a model on its device.
pub(crate) fn rows_at_once<M: Module>(model: &M, device: &Device, batch_size: usize) -> usize {
    if side_by_side(model, device) {
        batch_size.clamp(1, LANE_ROWS)
    } else {
        batch_size.max(1)
    }
}

/// Rows that wait join when one in so many of the batch has left.
const JOINING_SHARE: usize = 8;

impl Row {
    fn new(index: usize, prompt_len: usize, options: &GenerateOptions) -> Self {
        Self {
            index,
            prompt_len,
            rng: rng(options.seed, options.purpose, &[options.first_stream + index as u64]),
            completion: Completion {
                tokens: Vec::new(),
                logprobs: Vec::new(),
                finished: false,
            },
            is_broken: false,
        }
    }

    /// Draws the next token.
    fn draw(&mut self, logits: &[f32], previous: &[u32], sampling: &Sampling) {
        // Minus infinity is a token that never comes; anything else that is no number leaves no order.
        self.is_broken = logits.iter().any(|&logit| logit.is_nan() || logit == f32::INFINITY);
        let (token, logprob) = if self.is_broken {
            (0, 0.0)
        } else {
            sampling.draw(logits, previous, &mut self.rng)
        };
        self.completion.tokens.push(token);
        self.completion.logprobs.push(logprob);
    }
}

impl Generator {
    /// Lays out a copy of the weights of `model`, which may be dropped; those that need no other layout are shared.
    pub fn new(model: &CausalLm) -> Self {
        let model = model.packed();
        Self { model }
    }

    /// Completes every prompt; results are in the order of the prompts.
    ///
    /// # Errors
    /// An empty prompt, one that does not fit the context, a token outside the vocabulary, an option out of range, or a model
    /// whose logits are no numbers.
    pub fn generate<S: AsRef<[u32]> + Sync>(
        &self,
        prompts: &[S],
        options: &GenerateOptions,
    ) -> Result<Vec<Completion>> {
        self.check(prompts, options)?;
        let (order, device) = (by_length(prompts), self.model.device());
        let at_once = if side_by_side(&self.model, &device) {
            rows_at_once(&self.model, &device, options.batch_size)
        } else {
            // One batch that others join.
            order.len().max(1)
        };
        let groups = order.chunks(at_once).collect();
        let rows = in_lanes(&self.model, &device, groups, |group| {
            self.generate_group(prompts, group, options, &mut |_, _| ControlFlow::Continue(()))
        });
        in_order(prompts.len(), rows.into_iter().flatten())
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
        let rows = self.generate_group(prompts, &by_length(prompts), options, on_token);
        in_order(prompts.len(), rows)
    }

    /// As [`Generator::generate`], telling `done` how many tokens there are after every step. A small model answers in several batches
    /// side by side, and all are there at once.
    ///
    /// # Errors
    /// As [`Generator::generate`].
    pub fn generate_told<S: AsRef<[u32]> + Sync>(
        &self,
        prompts: &[S],
        options: &GenerateOptions,
        done: &mut dyn FnMut(usize),
    ) -> Result<Vec<Completion>> {
        if side_by_side(&self.model, &self.model.device()) {
            let found = self.generate(prompts, options)?;
            done(found.iter().map(|completion| completion.tokens.len()).sum());
            return Ok(found);
        }
        let mut tokens = 0;
        self.generate_streaming(prompts, options, &mut |_, _| {
            tokens += 1;
            done(tokens);
            ControlFlow::Continue(())
        })
    }

    fn check<S: AsRef<[u32]>>(&self, prompts: &[S], options: &GenerateOptions) -> Result<()> {
        options.sampling.validate().into_result()?;
        let (context, vocab_size) = (self.model.max_seq_len(), self.model.vocab_size());
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

    /// Completes the prompts at `group`, `batch_size` of them at a time: a row that has ended leaves, and when enough have left,
    /// those that wait join.
    fn generate_group<S: AsRef<[u32]>>(
        &self,
        prompts: &[S],
        group: &[usize],
        options: &GenerateOptions,
        on_token: &mut dyn FnMut(usize, u32) -> ControlFlow<()>,
    ) -> Vec<Row> {
        let row = |index| Row::new(index, prompts[index].as_ref().len(), options);
        if options.max_new_tokens == 0 {
            return group.iter().map(|&index| row(index)).collect();
        }
        let batch_size = options.batch_size.max(1);
        let longest = group.iter().map(|&i| prompts[i].as_ref().len()).max().unwrap_or(0);
        let capacity = longest + options.max_new_tokens;
        let mut waiting = group.iter().copied();
        let mut done = Vec::with_capacity(group.len());
        let (mut active, mut cache): (Vec<Row>, Option<KvCache>) = (Vec::new(), None);
        loop {
            let free = batch_size - active.len();
            // A full cache is copied whole when somebody joins.
            if waiting.len() > 0 && (active.is_empty() || free >= batch_size.div_ceil(JOINING_SHARE)) {
                let mut newcomers: Vec<Row> = waiting.by_ref().take(free).map(row).collect();
                let (mut theirs, hidden) = self.prefill(prompts, &newcomers, capacity);
                self.choose(hidden, prompts, &mut newcomers, options);
                let keep = retire(&mut newcomers, &mut done, options, on_token);
                if !keep.is_empty() {
                    keep_rows(&mut theirs, &keep);
                    match &mut cache {
                        Some(cache) => cache.join(theirs),
                        None => cache = Some(theirs),
                    }
                    active.extend(newcomers);
                }
                continue;
            }
            let Some(in_work) = &mut cache else { return done };
            if in_work.filled() == in_work.capacity() {
                in_work.compact();
            }
            let hidden = self.step(&active, in_work);
            self.choose(hidden, prompts, &mut active, options);
            let keep = retire(&mut active, &mut done, options, on_token);
            if active.is_empty() {
                cache = None;
            } else {
                keep_rows(in_work, &keep);
            }
        }
    }

    /// Runs the left-padded prompts of some rows, each prompt of neighbours once; returns their cache and the hidden state of each
    /// row's last token, `[rows, d_model]`.
    fn prefill<S: AsRef<[u32]>>(&self, prompts: &[S], rows: &[Row], capacity: usize) -> (KvCache, Tensor<2>) {
        let prompt_of = |row: &Row| prompts[row.index].as_ref();
        let mut different: Vec<&Row> = Vec::with_capacity(rows.len());
        let mut places = Vec::with_capacity(rows.len());
        for row in rows {
            if different.last().is_none_or(|last| prompt_of(last) != prompt_of(row)) {
                different.push(row);
            }
            places.push(different.len() - 1);
        }
        let (mut cache, hidden) = self.prefill_each(prompts, &different, capacity);
        if different.len() == rows.len() {
            return (cache, hidden);
        }
        cache.select_rows(&places);
        (cache, hidden.select(0, index_tensor(&places, &self.model.device())))
    }

    fn prefill_each<S: AsRef<[u32]>>(&self, prompts: &[S], rows: &[&Row], capacity: usize) -> (KvCache, Tensor<2>) {
        let longest = rows.iter().map(|row| row.prompt_len).max().unwrap_or(0);
        let pads: Vec<usize> = rows.iter().map(|row| longest - row.prompt_len).collect();
        let mut ids = vec![0i32; rows.len() * longest];
        let mut positions = vec![0i32; rows.len() * longest];
        for (place, (row, &pad)) in rows.iter().zip(&pads).enumerate() {
            for (t, &id) in prompts[row.index].as_ref().iter().enumerate() {
                ids[place * longest + pad + t] = id as i32;
                positions[place * longest + pad + t] = t as i32;
            }
        }
        let device = self.model.device();
        let mut cache = self.model.new_cache(&pads, capacity);
        let (ids, positions) = (int_tensor(&ids, &device), int_tensor(&positions, &device));
        let last: Vec<usize> = (1..=rows.len()).map(|row| row * longest - 1).collect();
        let hidden = self.model.decode_at(ids, positions, &last, &mut cache);
        (cache, hidden)
    }

    /// Runs the last token of every active row; returns `[active, d_model]`.
    fn step(&self, active: &[Row], cache: &mut KvCache) -> Tensor<2> {
        let device = self.model.device();
        let (ids, positions): (Vec<i32>, Vec<i32>) = active
            .iter()
            .map(|row| {
                let generated = row.completion.tokens.len();
                let last = row.completion.tokens[generated - 1];
                (last as i32, (row.prompt_len + generated - 1) as i32)
            })
            .unzip();
        self.model
            .decode(int_tensor(&ids, &device), int_tensor(&positions, &device), cache)
    }

    /// Draws the next token of every active row.
    fn choose<S: AsRef<[u32]>>(&self, hidden: Tensor<2>, prompts: &[S], active: &mut [Row], options: &GenerateOptions) {
        let logits = self.model.logits(hidden); // [active, vocab]
        let [_, vocab] = logits.dims();
        let logits = to_host(logits);
        let sampling = &options.sampling;
        let previous = |row: &Row| {
            if sampling.repetition_penalty == 1.0 {
                Vec::new()
            } else {
                [prompts[row.index].as_ref(), &row.completion.tokens].concat()
            }
        };
        let previous: Vec<Vec<u32>> = active.iter().map(previous).collect();
        active
            .par_iter_mut()
            .zip(&previous)
            .enumerate()
            .for_each(|(i, (row, previous))| {
                row.draw(&logits[i * vocab..(i + 1) * vocab], previous, sampling);
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
fn in_order(count: usize, rows: impl IntoIterator<Item = Row>) -> Result<Vec<Completion>> {
    let mut completions: Vec<Option<Completion>> = vec![None; count];
    for row in rows {
        if row.is_broken {
            return Err(Error::NotFinite {
                index: row.index,
                position: row.completion.tokens.len() - 1,
            });
        }
        completions[row.index] = Some(row.completion);
    }
    Ok(completions.into_iter().flatten().collect())
}

/// Drops the rows that are not at `keep`.
fn keep_rows(cache: &mut KvCache, keep: &[usize]) {
    if keep.len() < cache.batch() {
        cache.select_rows(keep);
    }
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
        let stopped = row.is_broken || on_token(row.index, last).is_break();
        if row.completion.finished || stopped || tokens.len() >= options.max_new_tokens {
            done.push(row);
        } else {
            keep.push(place);
            active.push(row);
        }
    }
    keep
}
