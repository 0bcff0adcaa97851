//! `POST /v1/completions`: text that goes on.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::sse::{Event as Line, KeepAlive, Sse};
use axum::response::{IntoResponse, Json, Response};
use rlhf_data::Tokenizer;
use rlhf_inference::engine::{Drawn, Request};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::wrappers::ReceiverStream;

use crate::answer::Answer;
use crate::error::{ApiError, Kind};
use crate::fields::{Choosing, ignored, part, read, with_ignored};
use crate::guard::{Account, id};
use crate::{Shared, seconds};

/// Tokens of a completion where nobody says otherwise, as in OpenAI's reference.
const DEFAULT_TOKENS: usize = 16;
const MOST_LOGPROBS: usize = 5;
/// Prompts of a request at most.
const MOST_PROMPTS: usize = 64;
const WAITING_LINES: usize = 64;

#[derive(Debug, Deserialize)]
struct CompletionRequest {
    model: String,
    prompt: Prompts,
    max_tokens: Option<usize>,
    logprobs: Option<usize>,
    #[serde(default)]
    echo: Option<bool>,
    suffix: Option<String>,
}

/// Its fields, beside those of [`Choosing`].
const FIELDS: [&str; 6] = ["model", "prompt", "max_tokens", "logprobs", "echo", "suffix"];

/// Text, token ids, or several of either.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Prompts {
    Text(String),
    Ids(Vec<u32>),
    Texts(Vec<String>),
    ManyIds(Vec<Vec<u32>>),
}

impl Prompts {
    fn ids(self, tokenizer: &Tokenizer) -> Vec<Vec<u32>> {
        match self {
            Self::Text(text) => vec![tokenizer.encode_opening(&text)],
            Self::Ids(ids) => vec![ids],
            Self::Texts(texts) => texts.iter().map(|text| tokenizer.encode_opening(text)).collect(),
            Self::ManyIds(many) => many,
        }
    }
}

/// Completes texts.
pub(crate) async fn create(
    State(shared): State<Arc<Shared>>,
    Extension(account): Extension<Account>,
    body: Body,
) -> Result<Response, ApiError> {
    let request = read(body, shared.options.body_limit).await?;
    let names = ignored(&request, &FIELDS)?;
    let asked: CompletionRequest = part(&request)?;
    let choosing: Choosing = part(&request)?;
    let served = shared.model(&asked.model)?;
    let echo = asked.echo.unwrap_or(false);
    if asked.suffix.as_ref().is_some_and(|suffix| !suffix.is_empty()) {
        return Err(ApiError::new(Kind::Unsupported, "`suffix` is not supported").about("suffix"));
    }
    if echo && asked.logprobs.is_some() {
        let message = "log-probabilities of the prompt are not supported: ask without `echo`, or use `rlhf logprobs`";
        return Err(ApiError::new(Kind::Unsupported, message).about("echo"));
    }
    if let Some(most @ 6..) = asked.logprobs {
        let message = format!("{most}, expected 0 to {MOST_LOGPROBS}");
        return Err(ApiError::new(Kind::Invalid, message).about("logprobs"));
    }
    let prompts = asked.prompt.ids(&served.tokenizer);
    if !(1..=MOST_PROMPTS).contains(&prompts.len()) || prompts.iter().any(Vec::is_empty) {
        let message = format!("expected 1 to {MOST_PROMPTS} texts of at least one token");
        return Err(ApiError::new(Kind::Invalid, message).about("prompt"));
    }
    let one = Request {
        max_new_tokens: asked.max_tokens.unwrap_or(DEFAULT_TOKENS),
        top_logprobs: asked.logprobs,
        ..choosing.request(&account.0, shared.options.timeout)?
    };
    if one.max_new_tokens == 0 {
        return Err(ApiError::new(Kind::Invalid, "0, expected at least 1").about("max_tokens"));
    }
    let each = choosing.choices()?;
    let of_prompt = |prompt: &Vec<u32>| {
        let one = Request {
            prompt: prompt.clone(),
            ..one.clone()
        };
        (0..each).map(move |choice| Request {
            stream: choice as u64,
            ..one.clone()
        })
    };
    let requests: Vec<Request> = prompts.iter().flat_map(of_prompt).collect();
    let openings: Vec<String> = requests
        .iter()
        .map(|request| {
            if echo {
                served.tokenizer.decode(&request.prompt, true)
            } else {
                String::new()
            }
        })
        .collect();
    let prompt_tokens = prompts.iter().map(Vec::len).sum();
    let answer = Answer::ask(&shared, &served, requests, choosing.stops()?, prompt_tokens)?;
    let writer = Writer {
        id: id("cmpl-"),
        created: seconds(SystemTime::now()),
        model: asked.model,
        has_logprobs: asked.logprobs.is_some(),
        tokenizer: Arc::clone(&served.tokenizer),
    };
    let response = if choosing.stream == Some(true) {
        let include_usage = choosing.stream_options.is_some_and(|options| options.include_usage);
        let (send, lines) = channel(WAITING_LINES);
        tokio::spawn(writer.write(answer, openings, include_usage, send));
        let ping = KeepAlive::new().interval(shared.options.ping).text("ping");
        Sse::new(ReceiverStream::new(lines)).keep_alive(ping).into_response()
    } else {
        writer.whole(answer, openings).await?
    };
    Ok(with_ignored(response, &names))
}

struct Writer {
    id: String,
    created: u64,
    model: String,
    has_logprobs: bool,
    tokenizer: Arc<Tokenizer>,
}

impl Writer {
    async fn whole(&self, mut answer: Answer, openings: Vec<String>) -> Result<Response, ApiError> {
        let found = answer.whole(openings).await?;
        let choices = found.iter().enumerate();
        let choices: Vec<Value> = choices
            .map(|(index, (text, tokens, finish))| self.choice(index, text, tokens, 0, *finish))
            .collect();
        let body = self.body(choices.into(), answer.usage.body());
        Ok(Json(body).into_response())
    }

    async fn write(
        self,
        answer: Answer,
        openings: Vec<String>,
        include_usage: bool,
        send: Sender<Result<Line, Infallible>>,
    ) {
        let last = match self.chunks(answer, &openings, include_usage, &send).await {
            Ok(true) => "[DONE]".to_owned(),
            Ok(false) => return,
            Err(error) => error.body().to_string(),
        };
        let _ = send.send(Ok(Line::default().data(last))).await;
    }

    /// All chunks but the last line; false if nobody reads them any more.
    async fn chunks(
        &self,
        mut answer: Answer,
        openings: &[String],
        has_usage: bool,
        send: &Sender<Result<Line, Infallible>>,
    ) -> Result<bool, ApiError> {
        let line = |choices: Value, usage: Value| {
            let mut chunk = self.body(choices, usage);
            if !has_usage && let Some(fields) = chunk.as_object_mut() {
                fields.remove("usage");
            }
            Ok(Line::default().data(chunk.to_string()))
        };
        let mut offsets: Vec<usize> = openings.iter().map(|opening| opening.chars().count()).collect();
        for (index, opening) in openings.iter().enumerate().filter(|(_, opening)| !opening.is_empty()) {
            let choices = json!([self.choice(index, opening, &[], 0, None)]);
            if send.send(line(choices, Value::Null)).await.is_err() {
                return Ok(false);
            }
        }
        let tokenizer = answer.tokenizer();
        let mut pieces = answer.pieces(&tokenizer);
        while let Some(piece) = pieces.next().await? {
            let offset = &mut offsets[piece.choice];
            let choices = json!([self.choice(piece.choice, &piece.text, &piece.tokens, *offset, piece.finish)]);
            *offset += piece.text.chars().count();
            if send.send(line(choices, Value::Null)).await.is_err() {
                return Ok(false);
            }
        }
        if has_usage {
            let usage = answer.usage.body();
            return Ok(send.send(line(json!([]), usage)).await.is_ok());
        }
        Ok(true)
    }

    fn body(&self, choices: Value, usage: Value) -> Value {
        json!({
            "id": self.id,
            "object": "text_completion",
            "created": self.created,
            "model": self.model,
            "choices": choices,
            "usage": usage,
        })
    }

    fn choice(&self, index: usize, text: &str, tokens: &[Drawn], offset: usize, finish: Option<&str>) -> Value {
        json!({
            "index": index,
            "text": text,
            "logprobs": self.logprobs(tokens, offset),
            "finish_reason": finish,
        })
    }

    /// In the older form: lists beside each other.
    fn logprobs(&self, tokens: &[Drawn], mut offset: usize) -> Value {
        if !self.has_logprobs {
            return Value::Null;
        }
        let text = |token: u32| self.tokenizer.decode(&[token], false);
        let mut offsets = Vec::new();
        for drawn in tokens {
            offsets.push(offset);
            offset += text(drawn.token).chars().count();
        }
        let top = |drawn: &Drawn| -> Value {
            let named = drawn.top.iter().map(|&(token, logprob)| (text(token), json!(logprob)));
            Value::Object(named.collect())
        };
        json!({
            "tokens": tokens.iter().map(|drawn| text(drawn.token)).collect::<Vec<_>>(),
            "token_logprobs": tokens.iter().map(|drawn| drawn.logprob).collect::<Vec<_>>(),
            "top_logprobs": tokens.iter().map(top).collect::<Vec<_>>(),
            "text_offset": offsets,
        })
    }
}
