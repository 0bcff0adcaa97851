//! Errors as OpenAI's clients know them.

use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use serde_json::{Value, json};

/// The kind of an error: its status, type and code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A request that cannot be read, or has a value that cannot be.
    Invalid,
    /// Something that this server does not do.
    Unsupported,
    /// Prompt and completion do not fit the model's context.
    ContextLength,
    /// No key, or a wrong one.
    InvalidKey,
    /// A host name that is not this machine's.
    ForeignHost,
    /// A model that is not served.
    ModelNotFound,
    /// An address that is not served.
    UnknownUrl,
    /// An address that is served by another method.
    MethodNotAllowed,
    /// More bytes than may be.
    TooLarge,
    /// As many requests wait as may.
    Overloaded,
    /// The time was up before the answer began.
    QueueTimeout,
    /// The server is being stopped.
    ShuttingDown,
    /// Something is wrong with the model or the server.
    Internal,
}

impl Kind {
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        const INVALID: &str = "invalid_request_error";
        match self {
            Self::Invalid => (StatusCode::BAD_REQUEST, INVALID, "invalid_value"),
            Self::Unsupported => (StatusCode::BAD_REQUEST, INVALID, "unsupported_parameter"),
            Self::ContextLength => (StatusCode::BAD_REQUEST, INVALID, "context_length_exceeded"),
            Self::InvalidKey => (StatusCode::UNAUTHORIZED, "authentication_error", "invalid_api_key"),
            Self::ForeignHost => (StatusCode::FORBIDDEN, "permission_error", "foreign_host"),
            Self::ModelNotFound => (StatusCode::NOT_FOUND, INVALID, "model_not_found"),
            Self::UnknownUrl => (StatusCode::NOT_FOUND, INVALID, "unknown_url"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, INVALID, "method_not_allowed"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, INVALID, "request_too_large"),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "server_error", "overloaded"),
            Self::QueueTimeout => (StatusCode::SERVICE_UNAVAILABLE, "server_error", "queue_timeout"),
            Self::ShuttingDown => (StatusCode::SERVICE_UNAVAILABLE, "server_error", "shutting_down"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "server_error", "internal_error"),
        }
    }

    /// True where the same request may be answered later.
    fn may_be_retried(self) -> bool {
        matches!(self, Self::Overloaded | Self::QueueTimeout | Self::ShuttingDown)
    }
}

/// Seconds after which an overloaded server may be asked again.
const RETRY_AFTER: &str = "1";

/// An error, written as `{"error": {"message", "type", "param", "code"}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    kind: Kind,
    message: String,
    param: Option<String>,
}

impl ApiError {
    /// An error of that kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            param: None,
        }
    }

    /// The same, about a field of the request.
    #[must_use]
    pub fn about(self, param: impl Into<String>) -> Self {
        Self {
            param: Some(param.into()),
            ..self
        }
    }

    /// As it is written, in an answer or in a stream.
    pub(crate) fn body(&self) -> Value {
        let (_, kind, code) = self.kind.parts();
        json!({ "error": { "message": self.message, "type": kind, "param": self.param, "code": code } })
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, _, _) = self.kind.parts();
        let mut response = (status, Json(self.body())).into_response();
        let headers = response.headers_mut();
        if self.kind.may_be_retried() {
            headers.insert("retry-after", HeaderValue::from_static(RETRY_AFTER));
        } else {
            headers.insert("x-should-retry", HeaderValue::from_static("false"));
        }
        if self.kind == Kind::InvalidKey {
            headers.insert("www-authenticate", HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<rlhf_inference::Error> for ApiError {
    fn from(error: rlhf_inference::Error) -> Self {
        use rlhf_inference::Error;
        let kind = match &error {
            Error::TooLong { .. } => Kind::ContextLength,
            Error::Overloaded { .. } => Kind::Overloaded,
            Error::EngineStopped => Kind::ShuttingDown,
            Error::NotFinite { .. } => Kind::Internal,
            _ => Kind::Invalid,
        };
        Self::new(kind, error.to_string())
    }
}
