//! `POST /v1/chat/completions`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::sse::{Event as Line, KeepAlive, Sse};
use axum::response::{IntoResponse, Json, Response};
use rlhf_data::{Message, Role, Tokenizer};
use rlhf_inference::engine::{Drawn, Request};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc::{Sender, channel};
use tokio_stream::wrappers::ReceiverStream;

use crate::answer::{Answer, Given, Piece, Usage};
use crate::error::{ApiError, Kind};
use crate::fields::{Choosing, ignored, part, read, with_ignored};
use crate::guard::{Account, id};
use crate::{Shared, seconds};

/// The likeliest tokens that may be asked for.
const MOST_TOP_LOGPROBS: usize = 20;
/// Lines of a stream that may wait for their reader.
const WAITING_LINES: usize = 64;

#[derive(Debug, Deserialize)]
pub(crate) struct ChatRequest {
    model: String,
    messages: Vec<Turn>,
    max_completion_tokens: Option<usize>,
    max_tokens: Option<usize>,
    logprobs: Option<bool>,
    top_logprobs: Option<usize>,
}

/// Its fields, beside those of [`Choosing`].
const FIELDS: [&str; 6] = [
    "model",
    "messages",
    "max_completion_tokens",
    "max_tokens",
    "logprobs",
    "top_logprobs",
];

/// A message of the request.
#[derive(Debug, Deserialize)]
struct Turn {
    role: String,
    content: Option<Content>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
}

/// Answers a conversation.
pub(crate) async fn create(
    State(shared): State<Arc<Shared>>,
    Extension(account): Extension<Account>,
    body: Body,
) -> Result<Response, ApiError> {
    let request = read(body, shared.options.body_limit).await?;
    let names = ignored(&request, &FIELDS)?;
    let asked: ChatRequest = part(&request)?;
    let choosing: Choosing = part(&request)?;
    let served = shared.model(&asked.model)?;
    let prompt = prompt(&served.tokenizer, &asked.messages)?;
    let top_logprobs = top_logprobs(&asked)?;
    let room = served.engine.context().saturating_sub(prompt.len());
    let wanted = asked.max_completion_tokens.or(asked.max_tokens);
    if room == 0 {
        return Err(too_long(prompt.len(), served.engine.context()));
    }
    let one = Request {
        max_new_tokens: wanted.unwrap_or(room),
        top_logprobs,
        ..choosing.request(&account.0, shared.options.timeout)?
    };
    if one.max_new_tokens == 0 {
        return Err(ApiError::new(Kind::Invalid, "0, expected at least 1").about("max_completion_tokens"));
    }
    let requests = (0..choosing.choices()?).map(|choice| Request {
        prompt: prompt.clone(),
        stream: choice as u64,
        ..one.clone()
    });
    let answer = Answer::ask(&shared, &served, requests.collect(), choosing.stops()?, prompt.len())?;
    let writer = Writer {
        id: id("chatcmpl-"),
        created: seconds(SystemTime::now()),
        model: asked.model.clone(),
        has_logprobs: top_logprobs.is_some(),
        tokenizer: Arc::clone(&served.tokenizer),
    };
    let response = if choosing.stream == Some(true) {
        let include_usage = choosing.stream_options.is_some_and(|options| options.include_usage);
        writer.stream(answer, choosing.choices()?, include_usage, &shared)
    } else {
        writer.whole(answer, choosing.choices()?).await?
    };
    Ok(with_ignored(response, &names))
}

fn too_long(prompt: usize, context: usize) -> ApiError {
    let message =
        format!("the messages have {prompt} tokens and leave no room for an answer in a context of {context}");
    ApiError::new(Kind::ContextLength, message).about("messages")
}

fn top_logprobs(asked: &ChatRequest) -> Result<Option<usize>, ApiError> {
    match (asked.logprobs.unwrap_or(false), asked.top_logprobs) {
        (false, Some(top)) if top > 0 => {
            Err(ApiError::new(Kind::Invalid, "asked for without `logprobs`").about("top_logprobs"))
        }
        (false, _) => Ok(None),
        (true, top) => match top.unwrap_or(0) {
            top @ 0..=MOST_TOP_LOGPROBS => Ok(Some(top)),
            top => {
                let message = format!("{top}, expected 0 to {MOST_TOP_LOGPROBS}");
                Err(ApiError::new(Kind::Invalid, message).about("top_logprobs"))
            }
        },
    }
}

/// The tokens of a conversation, up to where the answer begins. What a message says is text, whatever it says.
fn prompt(tokenizer: &Tokenizer, turns: &[Turn]) -> Result<Vec<u32>, ApiError> {
    if turns.is_empty() {
        return Err(ApiError::new(Kind::Invalid, "empty, expected at least one message").about("messages"));
    }
    let messages = turns.iter().enumerate().map(|(place, turn)| message(place, turn));
    let messages = messages.collect::<Result<Vec<Message>, ApiError>>()?;
    tokenizer
        .encode_prompt(&messages)
        .map_err(|error| ApiError::new(Kind::Invalid, error.to_string()).about("messages"))
}

fn message(place: usize, turn: &Turn) -> Result<Message, ApiError> {
    let role = match turn.role.as_str() {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" | "function" => {
            let param = format!("messages[{place}].role");
            return Err(ApiError::new(Kind::Unsupported, "tools are not supported").about(param));
        }
        other => {
            let message = format!("{other:?}, expected system, developer, user or assistant");
            return Err(ApiError::new(Kind::Invalid, message).about(format!("messages[{place}].role")));
        }
    };
    let content = match &turn.content {
        Some(Content::Text(text)) => text.clone(),
        Some(Content::Parts(parts)) => text_of(place, parts)?,
        None => {
            let param = format!("messages[{place}].content");
            return Err(ApiError::new(Kind::Invalid, "missing, expected text").about(param));
        }
    };
    Ok(Message::new(role, content))
}

fn text_of(place: usize, parts: &[Part]) -> Result<String, ApiError> {
    let text = |(number, part): (usize, &Part)| match (part.kind.as_str(), &part.text) {
        ("text", Some(text)) => Ok(text.clone()),
        (kind, _) => {
            let message = format!("a part of type {kind:?} is not supported, expected text");
            let param = format!("messages[{place}].content[{number}]");
            Err(ApiError::new(Kind::Unsupported, message).about(param))
        }
    };
    Ok(parts
        .iter()
        .enumerate()
        .map(text)
        .collect::<Result<Vec<_>, _>>()?
        .concat())
}

/// What all parts of an answer have in common.
struct Writer {
    id: String,
    created: u64,
    model: String,
    has_logprobs: bool,
    tokenizer: Arc<Tokenizer>,
}

impl Writer {
    async fn whole(&self, mut answer: Answer, choices: usize) -> Result<Response, ApiError> {
        let texts = answer.whole(vec![String::new(); choices]).await?;
        let choice = |(index, (text, tokens, finish)): (usize, Given)| {
            json!({
                "index": index,
                "message": { "role": "assistant", "content": text, "refusal": null },
                "logprobs": self.logprobs(&tokens),
                "finish_reason": finish,
            })
        };
        let choices: Vec<Value> = texts.into_iter().enumerate().map(choice).collect();
        let body = json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": choices,
            "usage": answer.usage.body(),
        });
        Ok(Json(body).into_response())
    }

    fn stream(self, answer: Answer, choices: usize, include_usage: bool, shared: &Shared) -> Response {
        let (send, lines) = channel::<Result<Line, Infallible>>(WAITING_LINES);
        tokio::spawn(self.write(answer, choices, include_usage, send));
        let ping = KeepAlive::new().interval(shared.options.ping).text("ping");
        Sse::new(ReceiverStream::new(lines)).keep_alive(ping).into_response()
    }

    /// Writes the chunks of an answer until nobody reads them. A fault in the middle is an event of its own, and nothing follows it.
    async fn write(self, answer: Answer, choices: usize, include_usage: bool, send: Sender<Result<Line, Infallible>>) {
        let last = match self.chunks(answer, choices, include_usage, &send).await {
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
        choices: usize,
        has_usage: bool,
        send: &Sender<Result<Line, Infallible>>,
    ) -> Result<bool, ApiError> {
        let line = |choices: Value, usage: Option<Usage>| {
            let chunk = self.chunk(choices, usage, has_usage);
            Ok(Line::default().data(chunk.to_string()))
        };
        for index in 0..choices {
            let role = json!({ "role": "assistant", "content": "", "refusal": null });
            let opening = json!([{ "index": index, "delta": role, "logprobs": null, "finish_reason": null }]);
            if send.send(line(opening, None)).await.is_err() {
                return Ok(false);
            }
        }
        let tokenizer = answer.tokenizer();
        let mut pieces = answer.pieces(&tokenizer);
        while let Some(piece) = pieces.next().await? {
            for choices in self.deltas(&piece) {
                if send.send(line(choices, None)).await.is_err() {
                    return Ok(false);
                }
            }
        }
        if has_usage {
            let usage = Some(answer.usage);
            return Ok(send.send(line(json!([]), usage)).await.is_ok());
        }
        Ok(true)
    }

    /// The choices of the chunks that a piece makes: its text, and its end.
    fn deltas(&self, piece: &Piece) -> Vec<Value> {
        let index = piece.choice;
        let mut found = Vec::new();
        if !piece.text.is_empty() || !piece.tokens.is_empty() {
            found.push(json!([{
                "index": index,
                "delta": { "content": piece.text },
                "logprobs": self.logprobs(&piece.tokens),
                "finish_reason": null,
            }]));
        }
        if let Some(finish) = piece.finish {
            found.push(json!([{ "index": index, "delta": {}, "logprobs": null, "finish_reason": finish }]));
        }
        found
    }

    fn chunk(&self, choices: Value, usage: Option<Usage>, has_usage: bool) -> Value {
        let mut chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        });
        if has_usage {
            chunk["usage"] = usage.map_or(Value::Null, Usage::body);
        }
        chunk
    }

    fn logprobs(&self, tokens: &[Drawn]) -> Value {
        if !self.has_logprobs {
            return Value::Null;
        }
        let of = |token: u32, logprob: f32| {
            let text = self.tokenizer.decode(&[token], false);
            json!({ "token": text, "logprob": logprob, "bytes": text.as_bytes() })
        };
        let token = |drawn: &Drawn| {
            let mut value = of(drawn.token, drawn.logprob.unwrap_or(f32::NAN));
            let top: Vec<Value> = drawn.top.iter().map(|&(token, logprob)| of(token, logprob)).collect();
            value["top_logprobs"] = top.into();
            value
        };
        json!({ "content": tokens.iter().map(token).collect::<Vec<_>>(), "refusal": null })
    }
}
