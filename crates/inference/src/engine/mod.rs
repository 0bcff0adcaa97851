//! Completions of many requests, decoded together on a thread of its own.
//!
//! Rows join and leave at every step. A long prompt is read in pieces beside those that are being written, so that nobody waits for it.
//! What an account's last conversations have in the cache is not computed again when it goes on with one of them.

mod prefix;
mod queue;
mod request;
mod row;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use burn::tensor::Tensor;
use rayon::prelude::*;
use rlhf_core::{int_tensor, to_host};
use rlhf_model::{CausalLm, KvCache, PackedLm};

use self::prefix::Prefixes;
use self::queue::{Queue, Waiting};
pub use self::request::{Class, Drawn, End, Event, Penalties, Request, Sink};
use self::row::Row;
use crate::error::{Error, Result};

/// Limits of an engine.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineOptions {
    /// Rows that are written together, at most.
    pub max_running: usize,
    /// Requests that wait beside them, at most: more are refused.
    pub max_waiting: usize,
    /// Tokens of prompts that are read between two steps of those that are being written.
    pub prefill_tokens: usize,
    /// Conversations whose cache is kept after they end.
    pub kept_prefixes: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            max_running: 64,
            max_waiting: 256,
            prefill_tokens: 128,
            kept_prefixes: 8,
        }
    }
}

/// What an engine has done, and is at.
#[derive(Debug, Default)]
pub struct EngineStatus {
    running: AtomicUsize,
    waiting: AtomicUsize,
    prompt_tokens: AtomicU64,
    generated_tokens: AtomicU64,
    cached_tokens: AtomicU64,
    steps: AtomicU64,
}

/// [`EngineStatus`] at one time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EngineCounts {
    /// Rows that are being read or written.
    pub running: usize,
    /// Requests that wait.
    pub waiting: usize,
    /// Tokens of prompts so far.
    pub prompt_tokens: u64,
    /// Those of them that were in the cache already.
    pub cached_tokens: u64,
    /// Tokens drawn so far.
    pub generated_tokens: u64,
    /// Steps of all rows together so far.
    pub steps: u64,
}

impl EngineStatus {
    fn counts(&self) -> EngineCounts {
        EngineCounts {
            running: self.running.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
            prompt_tokens: self.prompt_tokens.load(Ordering::Relaxed),
            cached_tokens: self.cached_tokens.load(Ordering::Relaxed),
            generated_tokens: self.generated_tokens.load(Ordering::Relaxed),
            steps: self.steps.load(Ordering::Relaxed),
        }
    }
}

/// A model that completes prompts as they come.
///
/// ```
/// use burn::tensor::Device;
/// use rlhf_inference::engine::{Engine, EngineOptions, Event, Request};
/// use rlhf_model::{CausalLm, Gpt2Config};
///
/// let config = Gpt2Config { vocab_size: 50, n_positions: 16, n_embd: 8, n_layer: 1, n_head: 2, ..Default::default() }.into();
/// let engine = Engine::start(CausalLm::init(&config, 1, &Device::flex()), EngineOptions::default());
/// let (send, receive) = std::sync::mpsc::channel();
/// let request = Request { prompt: vec![3, 1, 4], max_new_tokens: 4, ..Default::default() };
/// engine.submit(request, Box::new(move |event| send.send(event).is_ok()))?;
/// let tokens = receive.iter().filter(|event| matches!(event, Event::Token(_))).count();
/// assert_eq!(tokens, 4);
/// # Ok::<(), rlhf_inference::Error>(())
/// ```
#[derive(Debug)]
pub struct Engine {
    inbox: Option<SyncSender<Waiting>>,
    thread: Option<JoinHandle<()>>,
    status: Arc<EngineStatus>,
    max_waiting: usize,
    context: usize,
    vocab_size: usize,
}

impl Engine {
    /// Starts the thread, which takes the model.
    pub fn start(model: CausalLm, options: EngineOptions) -> Self {
        let model = model.packed();
        let (context, vocab_size, max_waiting) = (model.max_seq_len(), model.vocab_size(), options.max_waiting);
        let (send, inbox) = sync_channel(options.max_waiting.max(1));
        let status = Arc::new(EngineStatus::default());
        let worker = Worker {
            model,
            options,
            status: Arc::clone(&status),
            queue: Queue::default(),
            joining: None,
            rows: Vec::new(),
            cache: None,
            prefixes: Prefixes::default(),
        };
        let thread = std::thread::Builder::new()
            .name("rlhf-engine".to_owned())
            .spawn(move || worker.run(&inbox));
        Self {
            inbox: Some(send),
            thread: thread.ok(),
            status,
            max_waiting,
            context,
            vocab_size,
        }
    }

    /// Longest sequence of the model, prompt and completion.
    pub fn context(&self) -> usize {
        self.context
    }

    /// False once the thread has ended, which only a fault in it makes it do.
    pub fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// What the engine has done, and is at.
    pub fn counts(&self) -> EngineCounts {
        self.status.counts()
    }

    /// Asks for a completion; `sink` is told of it from the engine's thread, and must not block.
    ///
    /// # Errors
    /// A request that cannot be served, [`Error::Overloaded`] where as many wait as may, [`Error::EngineStopped`].
    pub fn submit(&self, request: Request, sink: Sink) -> Result<()> {
        self.check(&request)?;
        if self.status.waiting.fetch_add(1, Ordering::Relaxed) >= self.max_waiting {
            self.status.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(Error::Overloaded {
                waiting: self.max_waiting,
            });
        }
        let inbox = self.inbox.as_ref().ok_or(Error::EngineStopped)?;
        inbox.try_send(Waiting { request, sink }).map_err(|error| {
            self.status.waiting.fetch_sub(1, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) => Error::Overloaded {
                    waiting: self.max_waiting,
                },
                TrySendError::Disconnected(_) => Error::EngineStopped,
            }
        })
    }

    fn check(&self, request: &Request) -> Result<()> {
        request.sampling.validate().into_result()?;
        request.penalties.validate().into_result()?;
        let (prompt_len, max_new_tokens) = (request.prompt.len(), request.max_new_tokens);
        if prompt_len == 0 || max_new_tokens == 0 {
            return Err(Error::EmptyPrompt { index: 0 });
        }
        if prompt_len.saturating_add(max_new_tokens) > self.context {
            return Err(Error::TooLong {
                index: 0,
                prompt_len,
                max_new_tokens,
                context: self.context,
            });
        }
        let vocab_size = self.vocab_size;
        let biased = request.penalties.bias.iter().map(|(token, _)| token);
        match request
            .prompt
            .iter()
            .chain(biased)
            .find(|&&id| id as usize >= vocab_size)
        {
            Some(&id) => Err(Error::UnknownToken {
                index: 0,
                id,
                vocab_size,
            }),
            None => Ok(()),
        }
    }
}

impl Drop for Engine {
    /// Ends everything that is on its way.
    fn drop(&mut self) {
        self.inbox = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed, and nobody is left to be told.
            let _ = thread.join();
        }
    }
}

/// How long a thread with nothing to do waits before it looks at deadlines.
const IDLE: Duration = Duration::from_millis(200);
/// Rows of the cache grow by this share when they are full.
const GROWTH: f64 = 1.5;
/// Tokens that a new cache has room for beside its prompts.
const ROOM: usize = 64;

/// A prompt that is being read in pieces.
struct Joining {
    row: Row,
    cache: KvCache,
    /// Tokens that the cache has.
    read: usize,
}

struct Worker {
    model: PackedLm,
    options: EngineOptions,
    status: Arc<EngineStatus>,
    queue: Queue,
    joining: Option<Joining>,
    rows: Vec<Row>,
    cache: Option<KvCache>,
    prefixes: Prefixes,
}

impl Worker {
    fn run(mut self, inbox: &Receiver<Waiting>) {
        while self.listen(inbox) {
            let now = Instant::now();
            for mut late in self.queue.late(now) {
                self.status.waiting.fetch_sub(1, Ordering::Relaxed);
                (late.sink)(Event::End(End::Queued));
            }
            // On a thread of the pool that computes, as long as there is something to compute: see `rayon::scope`.
            rayon::scope(|_| {
                self.admit(now);
                self.step(now);
            });
            let running = self.rows.len() + usize::from(self.joining.is_some());
            self.status.running.store(running, Ordering::Relaxed);
        }
        for mut waiting in self.queue.drain() {
            self.status.waiting.fetch_sub(1, Ordering::Relaxed);
            (waiting.sink)(Event::End(End::Stopped));
        }
        let joining = self.joining.take().map(|joining| joining.row);
        for mut row in self.rows.drain(..).chain(joining) {
            row.end(End::Stopped);
        }
    }

    /// Takes in what has come; waits where there is nothing else to do. False once nobody can ask any more.
    fn listen(&mut self, inbox: &Receiver<Waiting>) -> bool {
        if self.rows.is_empty() && self.joining.is_none() && self.queue.len() == 0 {
            match inbox.recv_timeout(IDLE) {
                Ok(waiting) => self.queue.push(waiting),
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        loop {
            match inbox.try_recv() {
                Ok(waiting) => self.queue.push(waiting),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    /// Reads a piece of what waits: the next part of a long prompt, or several short ones together.
    fn admit(&mut self, now: Instant) {
        if self.joining.is_none() {
            self.begin();
        }
        // With nobody to keep waiting a prompt is read at once.
        let piece = if self.rows.is_empty() {
            usize::MAX
        } else {
            self.options.prefill_tokens.max(1)
        };
        let Some(mut joining) = self
            .joining
            .take()
            .filter(|joining| !joining.row.request.is_cancelled())
        else {
            return;
        };
        let tokens = &joining.row.tokens[joining.read..];
        let tokens = &tokens[..tokens.len().min(piece)];
        let positions: Vec<i32> = (joining.read..joining.read + tokens.len())
            .map(|at| at as i32)
            .collect();
        let ids: Vec<i32> = tokens.iter().map(|&id| id as i32).collect();
        let device = self.model.device();
        let hidden = self.model.decode_at(
            int_tensor(&ids, &device),
            int_tensor(&positions, &device),
            &[ids.len() - 1],
            &mut joining.cache,
        );
        joining.read += ids.len();
        if joining.read < joining.row.tokens.len() {
            self.joining = Some(joining);
            return;
        }
        let mut newcomers = vec![joining.row];
        self.choose(hidden, &mut newcomers, now);
        let Some(row) = newcomers.pop().filter(|row| !row.is_over()) else {
            return;
        };
        match &mut self.cache {
            Some(cache) => {
                let room = joining.cache.filled() + ROOM;
                if cache.capacity() < room {
                    cache.reserve(room);
                }
                cache.join(joining.cache);
            }
            None => self.cache = Some(joining.cache),
        }
        self.rows.push(row);
    }

    /// Takes the next request, with what the cache has of it.
    fn begin(&mut self) {
        if self.rows.len() >= self.options.max_running {
            return;
        }
        let Some(waiting) = self.queue.next_if(|_| true) else {
            return;
        };
        self.status.waiting.fetch_sub(1, Ordering::Relaxed);
        let row = Row::new(waiting);
        let len = row.tokens.len();
        let capacity = (len + ROOM).min(self.model.max_seq_len());
        // The last token is always read: its logits are what is needed.
        let known = self.prefixes.take(&row.request.account, &row.tokens[..len - 1]);
        let (cache, read) = match known {
            Some((mut cache, tokens)) => {
                cache.truncate(tokens);
                cache.reserve(capacity);
                (cache, tokens)
            }
            None => (self.model.new_cache(&[0], capacity), 0),
        };
        self.status.prompt_tokens.fetch_add(len as u64, Ordering::Relaxed);
        self.status.cached_tokens.fetch_add(read as u64, Ordering::Relaxed);
        self.joining = Some(Joining { row, cache, read });
    }

    /// Writes a token of every row.
    fn step(&mut self, now: Instant) {
        let Some(mut cache) = self.cache.take() else {
            return;
        };
        if cache.filled() == cache.capacity() {
            cache.compact();
            if cache.filled() == cache.capacity() {
                let wanted = (cache.capacity() as f64 * GROWTH) as usize + 1;
                cache.reserve(wanted.min(self.model.max_seq_len()));
            }
        }
        let (ids, positions): (Vec<i32>, Vec<i32>) = self
            .rows
            .iter()
            .map(|row| (row.tokens[row.tokens.len() - 1] as i32, (row.tokens.len() - 1) as i32))
            .unzip();
        let device = self.model.device();
        let hidden = self
            .model
            .decode(int_tensor(&ids, &device), int_tensor(&positions, &device), &mut cache);
        let mut rows = std::mem::take(&mut self.rows);
        self.choose(hidden, &mut rows, now);
        self.status.steps.fetch_add(1, Ordering::Relaxed);
        let keep: Vec<usize> = (0..rows.len()).filter(|&place| !rows[place].is_over()).collect();
        if keep.len() < rows.len() {
            for (place, row) in rows.iter().enumerate().filter(|(_, row)| row.is_over()) {
                self.keep_prefix(row, place, &cache);
            }
            rows.retain(|row| !row.is_over());
            if !keep.is_empty() {
                cache.select_rows(&keep);
            }
        }
        self.rows = rows;
        self.cache = (!keep.is_empty()).then_some(cache);
    }

    /// Keeps the cache of a row that has ended, for the next turn of its conversation. The last token has not been read.
    fn keep_prefix(&mut self, row: &Row, place: usize, cache: &KvCache) {
        if self.options.kept_prefixes == 0 || row.request.account.is_empty() {
            return;
        }
        let mut own = cache.clone();
        own.select_rows(&[place]);
        own.compact();
        let tokens = row.tokens[..row.tokens.len() - 1].to_vec();
        self.prefixes
            .put(&row.request.account, tokens, own, self.options.kept_prefixes);
    }

    /// Draws the next token of every row and tells of it.
    fn choose(&self, hidden: Tensor<2>, rows: &mut [Row], now: Instant) {
        let logits = self.model.logits(hidden); // [rows, vocab]
        let [_, vocab] = logits.dims();
        let logits = to_host(logits);
        let drawn: Vec<_> = rows
            .par_iter_mut()
            .enumerate()
            .map(|(place, row)| row.draw(&logits[place * vocab..(place + 1) * vocab]))
            .collect();
        let count = drawn.iter().filter(|drawn| drawn.is_ok()).count();
        self.status.generated_tokens.fetch_add(count as u64, Ordering::Relaxed);
        for (row, drawn) in rows.iter_mut().zip(drawn) {
            if row.request.is_cancelled() {
                row.end(End::Stopped);
            } else {
                row.tell(drawn, now);
            }
        }
    }
}
