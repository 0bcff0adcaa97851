//! Fields that requests have in common, and how a body is read.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use rlhf_inference::Sampling;
use rlhf_inference::engine::{Class, Penalties, Request};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{ApiError, Kind};

/// Completions of one prompt at most.
const MOST_CHOICES: usize = 16;
/// Stop strings at most, and bytes of one.
const MOST_STOPS: usize = 4;
const LONGEST_STOP: usize = 256;

/// How tokens are chosen and when a completion ends: fields of both kinds of requests.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Choosing {
    temperature: Option<f64>,
    top_p: Option<f64>,
    top_k: Option<i64>,
    min_p: Option<f64>,
    repetition_penalty: Option<f64>,
    n: Option<usize>,
    #[serde(default)]
    stop: OneOrMany,
    seed: Option<i64>,
    presence_penalty: Option<f64>,
    frequency_penalty: Option<f64>,
    logit_bias: Option<BTreeMap<String, f64>>,
    pub(crate) stream: Option<bool>,
    pub(crate) stream_options: Option<StreamOptions>,
}

/// What a stream has beside text.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(crate) struct StreamOptions {
    #[serde(default)]
    pub(crate) include_usage: bool,
}

/// A string, several, or none.
#[derive(Debug, Default, Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMany {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

impl Choosing {
    /// Completions of each prompt.
    pub(crate) fn choices(&self) -> Result<usize, ApiError> {
        match self.n.unwrap_or(1) {
            n @ 1..=MOST_CHOICES => Ok(n),
            n => Err(ApiError::new(Kind::Invalid, format!("{n}, expected 1 to {MOST_CHOICES}")).about("n")),
        }
    }

    pub(crate) fn stops(&self) -> Result<Vec<String>, ApiError> {
        let stops = match &self.stop {
            OneOrMany::None => Vec::new(),
            OneOrMany::One(stop) => vec![stop.clone()],
            OneOrMany::Many(stops) => stops.clone(),
        };
        let is_usable = |stop: &String| (1..=LONGEST_STOP).contains(&stop.len());
        if stops.len() > MOST_STOPS || !stops.iter().all(is_usable) {
            let message = format!("expected at most {MOST_STOPS} strings of 1 to {LONGEST_STOP} bytes");
            return Err(ApiError::new(Kind::Invalid, message).about("stop"));
        }
        Ok(stops)
    }

    /// A request of one completion, without a prompt.
    pub(crate) fn request(&self, account: &str, timeout: Duration) -> Result<Request, ApiError> {
        let plain = Sampling::default();
        let sampling = Sampling {
            repetition_penalty: self.repetition_penalty.unwrap_or(plain.repetition_penalty),
            temperature: self.temperature.unwrap_or(plain.temperature),
            // vLLM's clients write -1 for off.
            top_k: self.top_k.map_or(0, |k| usize::try_from(k).unwrap_or(0)),
            top_p: self.top_p.unwrap_or(plain.top_p),
            min_p: self.min_p.unwrap_or(plain.min_p),
        };
        if let Some(fault) = sampling.validate().iter().next() {
            return Err(ApiError::new(Kind::Invalid, fault.message.clone()).about(fault.path.clone()));
        }
        let penalties = Penalties {
            presence: self.presence_penalty.unwrap_or(0.0),
            frequency: self.frequency_penalty.unwrap_or(0.0),
            bias: self.biases()?,
        };
        if let Some(fault) = penalties.validate().iter().next() {
            let param = match fault.path.as_str() {
                "bias" => "logit_bias".to_owned(),
                path => format!("{path}_penalty"),
            };
            return Err(ApiError::new(Kind::Invalid, fault.message.clone()).about(param));
        }
        Ok(Request {
            sampling,
            penalties,
            seed: self.seed.map_or_else(rand::random, |seed| seed as u64),
            account: account.to_owned(),
            class: Class::Api,
            deadline: std::time::Instant::now().checked_add(timeout),
            ..Request::default()
        })
    }

    fn biases(&self) -> Result<Vec<(u32, f64)>, ApiError> {
        let fault = |token: &str| {
            let message = format!("{token:?} is no token id: expected a whole number as the name");
            ApiError::new(Kind::Invalid, message).about("logit_bias")
        };
        let of = |(token, bias): (&String, &f64)| Ok((token.parse().map_err(|_| fault(token))?, *bias));
        self.logit_bias.iter().flatten().map(of).collect()
    }
}

/// Reads a body.
///
/// # Errors
/// One that is too long, or is no JSON object.
pub(crate) async fn read(body: Body, limit: usize) -> Result<Value, ApiError> {
    let bytes = to_bytes(body, limit)
        .await
        .map_err(|_| ApiError::new(Kind::TooLarge, format!("more than {limit} bytes")))?;
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|error| ApiError::new(Kind::Invalid, format!("the body is no JSON: {error}")))?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(ApiError::new(Kind::Invalid, "expected a JSON object"))
    }
}

/// The fields of a request that make a `T`; the others are left.
///
/// # Errors
/// A field of another type, which is named.
pub(crate) fn part<T: DeserializeOwned>(request: &Value) -> Result<T, ApiError> {
    serde_path_to_error::deserialize(request).map_err(|error| {
        let path = error.path().to_string();
        let fault = ApiError::new(Kind::Invalid, error.inner().to_string());
        if path == "." { fault } else { fault.about(path) }
    })
}

/// Fields that are refused unless they are empty, `null`, `false` or, for a format, plain text.
const REFUSED: [&str; 9] = [
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "response_format",
    "audio",
    "modalities",
    "prediction",
    "web_search_options",
];
/// Fields that change nothing here and are nobody's surprise.
const HARMLESS: [&str; 7] = [
    "user",
    "store",
    "metadata",
    "service_tier",
    "parallel_tool_calls",
    "safety_identifier",
    "best_of",
];

/// Fields of [`Choosing`].
const CHOOSING: [&str; 13] = [
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "repetition_penalty",
    "n",
    "stop",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "stream",
    "stream_options",
];

/// The names of fields that nothing is made of, beside those of [`Choosing`] and the `own` ones of a request, after those that would change the
/// answer are refused.
pub(crate) fn ignored(request: &Value, own: &[&str]) -> Result<Vec<String>, ApiError> {
    for name in REFUSED {
        if request.get(name).is_some_and(|value| asks_for_something(name, value)) {
            return Err(ApiError::new(Kind::Unsupported, format!("`{name}` is not supported")).about(name));
        }
    }
    let is_known = |name: &str| [&REFUSED[..], &HARMLESS, &CHOOSING, own].concat().contains(&name);
    let names = request.as_object().into_iter().flat_map(|fields| fields.keys());
    Ok(names.filter(|name| !is_known(name)).cloned().collect())
}

fn asks_for_something(name: &str, value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) if name == "modalities" => items.iter().any(|item| item != "text"),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) if name == "response_format" => fields.get("type").is_some_and(|kind| kind != "text"),
        Value::String(choice) if name.ends_with("choice") || name.ends_with("call") => {
            choice != "none" && choice != "auto"
        }
        _ => true,
    }
}

/// The answer with the names of the fields that were ignored.
pub(crate) fn with_ignored(mut response: Response, names: &[String]) -> Response {
    if !names.is_empty()
        && let Ok(value) = HeaderValue::from_str(&names.join(", "))
    {
        response
            .headers_mut()
            .insert(HeaderName::from_static("x-ignored-fields"), value);
    }
    response
}
