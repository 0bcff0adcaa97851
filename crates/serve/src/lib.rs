//! Models behind an OpenAI-compatible API.
//!
//! A [`Server`] has a [`Served`] model or several, each with an engine of its own, and is an axum router: `POST /v1/chat/completions`, `POST
//! /v1/completions`, `GET /v1/models`, `/healthz`, `/readyz`, `/metrics`. What an option means is what OpenAI's reference says; what is not there is refused
//! by name, and what is not known is ignored and named in the header `x-ignored-fields`.
//!
//! `docs/serve.md` has the table of fields, errors and metrics.

mod answer;
mod chat;
mod completions;
mod error;
mod fields;
mod guard;
mod metrics;
mod stop;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use rlhf_data::Tokenizer;
use rlhf_inference::engine::Engine;
use serde_json::json;

pub use crate::error::{ApiError, Kind};
use crate::metrics::Metrics;

/// Limits of a server.
#[derive(Debug, Clone, PartialEq)]
pub struct ServeOptions {
    /// Keys that a client may show as a bearer token; none asks for none.
    pub api_keys: Vec<String>,
    /// Bytes of a request at most.
    pub body_limit: usize,
    /// Time that a request may wait and be answered in.
    pub timeout: Duration,
    /// Time between two comments in a stream that has nothing to say, so that nothing between takes it for dead.
    pub ping: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            api_keys: Vec::new(),
            body_limit: 2 << 20,
            timeout: Duration::from_secs(600),
            ping: Duration::from_secs(15),
        }
    }
}

/// A model that is served.
#[derive(Debug)]
pub struct Served {
    /// The name that clients ask for.
    pub id: String,
    /// The model at work.
    pub engine: Engine,
    /// Its tokenizer, with a chat template if it has one.
    pub tokenizer: Arc<Tokenizer>,
    /// When it was loaded.
    pub created: SystemTime,
}

impl Served {
    /// Tokens that end a completion.
    fn stop_token_ids(&self) -> Vec<u32> {
        let others = self.tokenizer.other_eos_token_ids().iter().copied();
        others.chain([self.tokenizer.eos_token_id()]).collect()
    }

    fn card(&self) -> serde_json::Value {
        json!({
            "id": self.id,
            "object": "model",
            "created": seconds(self.created),
            "owned_by": "rlhf",
            "context_length": self.engine.context(),
        })
    }
}

/// Seconds since 1970.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Everything that handlers share.
#[derive(Debug)]
struct Shared {
    /// By name.
    models: BTreeMap<String, Arc<Served>>,
    options: ServeOptions,
    metrics: Metrics,
}

impl Shared {
    fn model(&self, id: &str) -> Result<Arc<Served>, ApiError> {
        self.models.get(id).cloned().ok_or_else(|| {
            let known: Vec<&str> = self.models.keys().map(String::as_str).collect();
            ApiError::new(
                Kind::ModelNotFound,
                format!("no model `{id}` is served; there are {}", known.join(", ")),
            )
            .about("model")
        })
    }
}

/// Models and how they are served.
#[derive(Debug, Clone)]
pub struct Server(Arc<Shared>);

impl Server {
    /// A server of models with different names; of two with one name the last is served.
    pub fn new(models: impl IntoIterator<Item = Served>, options: ServeOptions) -> Self {
        let models = models.into_iter().map(|model| (model.id.clone(), Arc::new(model)));
        Self(Arc::new(Shared {
            models: models.collect(),
            options,
            metrics: Metrics::new(),
        }))
    }

    /// The routes. `loopback` is true where only this machine can ask: the names that a request may give the host are checked then.
    pub fn router(&self, loopback: bool) -> Router {
        let api = Router::new()
            .route("/chat/completions", post(chat::create))
            .route("/completions", post(completions::create))
            .route("/models", get(models))
            .route("/models/{*id}", get(model))
            .layer(axum::middleware::from_fn_with_state(self.0.clone(), guard::authorised));
        let open = Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .route("/metrics", get(exposition));
        let routes = Router::new()
            .nest("/v1", api)
            .merge(open)
            .fallback(|| async { ApiError::new(Kind::UnknownUrl, "no such address") })
            .method_not_allowed_fallback(|| async { ApiError::new(Kind::MethodNotAllowed, "not by this method") })
            .with_state(self.0.clone());
        let routes = if loopback {
            routes.layer(axum::middleware::from_fn(guard::local_host))
        } else {
            routes
        };
        routes.layer(axum::middleware::from_fn(guard::request_id))
    }

    /// Serves until `stop` is done; requests that are being answered then are answered.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn serve(
        &self,
        listener: tokio::net::TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let loopback = listener.local_addr().is_ok_and(|address| is_loopback(address.ip()));
        axum::serve(listener, self.router(loopback))
            .with_graceful_shutdown(stop)
            .await
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.is_loopback()
}

/// Refuses an address that others can reach while anybody may ask.
///
/// # Errors
/// In words.
pub fn check_address(address: SocketAddr, options: &ServeOptions) -> Result<(), String> {
    if options.api_keys.is_empty() && !is_loopback(address.ip()) {
        return Err(format!(
            "{address} can be reached from other machines: a key is needed then, that clients show"
        ));
    }
    Ok(())
}

async fn models(State(shared): State<Arc<Shared>>) -> Response {
    let cards: Vec<_> = shared.models.values().map(|model| model.card()).collect();
    Json(json!({ "object": "list", "data": cards })).into_response()
}

async fn model(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Result<Response, ApiError> {
    Ok(Json(shared.model(&id)?.card()).into_response())
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let stopped: Vec<&str> = shared
        .models
        .values()
        .filter(|model| !model.engine.is_alive())
        .map(|model| model.id.as_str())
        .collect();
    if stopped.is_empty() {
        "ok\n".into_response()
    } else {
        let text = format!("stopped: {}\n", stopped.join(", "));
        (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
    }
}

async fn exposition(State(shared): State<Arc<Shared>>) -> Response {
    let text = shared.metrics.text(shared.models.values().map(AsRef::as_ref));
    ([("content-type", "text/plain; version=0.0.4")], text).into_response()
}
