//! From the events of an engine to text: several completions of a request, each up to its stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rlhf_data::Tokenizer;
use rlhf_inference::engine::{Drawn, End, Event, Request};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::error::{ApiError, Kind};
use crate::stop::Stops;
use crate::{Served, Shared};

/// Something new of a completion.
#[derive(Debug)]
pub(crate) struct Piece {
    /// Which completion.
    pub(crate) choice: usize,
    /// Text, which may be empty.
    pub(crate) text: String,
    /// Tokens that were drawn since the last piece, with their log-probabilities.
    pub(crate) tokens: Vec<Drawn>,
    /// Set at the end: `stop` or `length`.
    pub(crate) finish: Option<&'static str>,
}

/// What a request has taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) prompt: usize,
    pub(crate) completion: usize,
}

impl Usage {
    pub(crate) fn body(self) -> Value {
        json!({
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
        })
    }
}

/// Completions that are under way. They are given up when this goes.
pub(crate) struct Answer {
    served: Arc<Served>,
    shared: Arc<Shared>,
    events: UnboundedReceiver<(usize, Event)>,
    given_up: Vec<Arc<AtomicBool>>,
    stop_token_ids: Vec<u32>,
    stops: Vec<String>,
    /// Completions that have not ended.
    open: usize,
    pub(crate) usage: Usage,
    begun: Instant,
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.given_up
            .iter()
            .for_each(|flag| flag.store(true, Ordering::Relaxed));
    }
}

impl Answer {
    /// Asks the model's engine for all of `requests`; prompts of `prompt_tokens` tokens together.
    ///
    /// # Errors
    /// A request that the engine refuses; none is under way then.
    pub(crate) fn ask(
        shared: &Arc<Shared>,
        served: &Arc<Served>,
        requests: Vec<Request>,
        stops: Vec<String>,
        prompt_tokens: usize,
    ) -> Result<Self, ApiError> {
        let (send, events) = unbounded_channel();
        let stop_token_ids = served.stop_token_ids();
        let mut answer = Self {
            served: Arc::clone(served),
            shared: Arc::clone(shared),
            events,
            given_up: Vec::new(),
            stop_token_ids: stop_token_ids.clone(),
            stops,
            open: requests.len(),
            usage: Usage {
                prompt: prompt_tokens,
                completion: 0,
            },
            begun: Instant::now(),
        };
        for (choice, request) in requests.into_iter().enumerate() {
            let flag = Arc::new(AtomicBool::new(false));
            answer.given_up.push(Arc::clone(&flag));
            let request = Request {
                stop_token_ids: stop_token_ids.clone(),
                cancelled: Some(flag),
                ..request
            };
            let send = send.clone();
            let sink = move |event| send.send((choice, event)).is_ok();
            served.engine.submit(request, Box::new(sink))?;
        }
        Ok(answer)
    }

    /// The pieces of all completions as they come, with their text by the model's tokenizer.
    pub(crate) fn pieces<'a>(&'a mut self, tokenizer: &'a Tokenizer) -> Pieces<'a> {
        let texts = self.given_up.iter().map(|_| Text::new(tokenizer, self.stops.clone()));
        Pieces {
            texts: texts.collect(),
            answer: self,
        }
    }

    /// Waits for all completions: of each its text behind what it opens with, its tokens, and why it ended.
    ///
    /// # Errors
    /// Whatever ended a completion before its end.
    pub(crate) async fn whole(&mut self, openings: Vec<String>) -> Result<Vec<Given>, ApiError> {
        let mut found: Vec<Given> = openings
            .into_iter()
            .map(|opening| (opening, Vec::new(), None))
            .collect();
        let tokenizer = self.tokenizer();
        let mut pieces = self.pieces(&tokenizer);
        while let Some(piece) = pieces.next().await? {
            let (text, tokens, finish) = &mut found[piece.choice];
            text.push_str(&piece.text);
            tokens.extend(piece.tokens);
            *finish = piece.finish.or(*finish);
        }
        Ok(found)
    }

    pub(crate) fn tokenizer(&self) -> Arc<Tokenizer> {
        Arc::clone(&self.served.tokenizer)
    }

    fn end(&mut self, choice: usize, finish: &str) {
        self.open -= 1;
        // A stop string is none of the engine's business: it would go on.
        self.given_up[choice].store(true, Ordering::Relaxed);
        let id = &self.served.id;
        self.shared.metrics.finished(id, finish, self.begun.elapsed());
    }

    fn failed(&self, end: End) -> ApiError {
        let (kind, message) = match end {
            End::Queued => (Kind::QueueTimeout, "the time was up before the answer began"),
            End::Late => (Kind::QueueTimeout, "the time was up before the answer ended"),
            End::NotFinite => (Kind::Internal, "the model gave logits that are no numbers"),
            End::Stopped | End::Stop | End::Length => (Kind::ShuttingDown, "the model was stopped"),
        };
        let id = &self.served.id;
        self.shared.metrics.finished(id, "error", self.begun.elapsed());
        ApiError::new(kind, message)
    }
}

/// Pieces that come.
pub(crate) struct Pieces<'a> {
    answer: &'a mut Answer,
    texts: Vec<Text<'a>>,
}

impl Pieces<'_> {
    /// The next piece; nothing once all completions have ended.
    ///
    /// # Errors
    /// Whatever ended a completion before its end.
    pub(crate) async fn next(&mut self) -> Result<Option<Piece>, ApiError> {
        while self.answer.open > 0 {
            let Some((choice, event)) = self.answer.events.recv().await else {
                return Err(ApiError::new(Kind::ShuttingDown, "the model was stopped"));
            };
            if self.texts[choice].is_over {
                continue;
            }
            if let Some((text, tokens, finish)) = self.given(choice, event)? {
                return Ok(Some(Piece {
                    choice,
                    text,
                    tokens,
                    finish,
                }));
            }
        }
        Ok(None)
    }

    /// What an event adds to the text of a completion.
    fn given(&mut self, choice: usize, event: Event) -> Result<Option<Given>, ApiError> {
        let text = &mut self.texts[choice];
        let given = match event {
            Event::Token(drawn) => {
                self.answer.usage.completion += 1;
                text.count(self.answer);
                let ends = self.answer.stop_token_ids.contains(&drawn.token);
                if ends { None } else { text.push(drawn) }
            }
            Event::End(End::Stop) => Some(text.finish("stop")),
            Event::End(End::Length) => Some(text.finish("length")),
            Event::End(end) => return Err(self.answer.failed(end)),
        };
        if let Some((_, _, Some(finish))) = given {
            text.is_over = true;
            self.answer.end(choice, finish);
        }
        Ok(given)
    }
}

/// The text of one completion.
struct Text<'a> {
    stream: rlhf_data::DecodeStream<'a>,
    stops: Stops,
    /// Tokens whose text is not given out yet.
    tokens: Vec<Drawn>,
    is_over: bool,
    last: Option<Instant>,
}

/// Text, the tokens it is made of, and why it ended, if it did.
pub(crate) type Given = (String, Vec<Drawn>, Option<&'static str>);

impl<'a> Text<'a> {
    fn new(tokenizer: &'a Tokenizer, stops: Vec<String>) -> Self {
        Self {
            stream: tokenizer.decode_stream(),
            stops: Stops::new(stops),
            tokens: Vec::new(),
            is_over: false,
            last: None,
        }
    }

    /// Tells the metrics of a token's time.
    fn count(&mut self, answer: &Answer) {
        let (now, id) = (Instant::now(), &answer.served.id);
        match self.last.replace(now) {
            None => answer.shared.metrics.first_token(id, now - answer.begun),
            Some(last) => answer.shared.metrics.next_token(id, now - last),
        }
    }

    /// Takes a token; gives what is certain now, if anything is.
    fn push(&mut self, drawn: Drawn) -> Option<Given> {
        let text = self.stream.push(drawn.token);
        self.tokens.push(drawn);
        let (text, is_end) = self.stops.push(&text?);
        if text.is_empty() && !is_end {
            return None;
        }
        Some((text, std::mem::take(&mut self.tokens), is_end.then_some("stop")))
    }

    /// What is left.
    fn finish(&mut self, finish: &'static str) -> Given {
        let rest = self.stream.finish().unwrap_or_default();
        let (mut text, is_end) = self.stops.push(&rest);
        if !is_end {
            text.push_str(&self.stops.finish());
        }
        (
            text,
            std::mem::take(&mut self.tokens),
            Some(if is_end { "stop" } else { finish }),
        )
    }
}
