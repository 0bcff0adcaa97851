//! Who may ask, and by what name.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rand::Rng;
use subtle::ConstantTimeEq;

use crate::Shared;
use crate::error::{ApiError, Kind};

const REQUEST_ID: &str = "x-request-id";

/// The account that a request is counted to: the number of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account(pub(crate) String);

/// An id of its own, such as `chatcmpl-5f0c…`.
pub(crate) fn id(prefix: &str) -> String {
    format!("{prefix}{:032x}", rand::rng().random::<u128>())
}

/// Gives every answer an id: the client's, if it sent a plain one.
pub(crate) async fn request_id(request: Request, next: Next) -> Response {
    let is_plain = |text: &&HeaderValue| {
        let text = text.as_bytes();
        (1..=128).contains(&text.len())
            && text
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
    };
    let given = request.headers().get(REQUEST_ID).filter(is_plain).cloned();
    let mut response = next.run(request).await;
    let own = given.or_else(|| HeaderValue::from_str(&id("req_")).ok());
    if let Some(own) = own {
        response.headers_mut().insert(REQUEST_ID, own);
    }
    response
}

/// Asks for a key, where there are some.
pub(crate) async fn authorised(State(shared): State<Arc<Shared>>, mut request: Request, next: Next) -> Response {
    let keys = &shared.options.api_keys;
    if keys.is_empty() {
        request.extensions_mut().insert(Account("local".to_owned()));
        return next.run(request).await;
    }
    let shown = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let token = shown.and_then(|value| value.strip_prefix(b"Bearer "));
    // Every key is compared, and each in the same time.
    let matching = keys.iter().enumerate().fold(None, |found, (number, key)| {
        let is_it = token.is_some_and(|token| bool::from(token.ct_eq(key.as_bytes())));
        if is_it { Some(number) } else { found }
    });
    match matching {
        Some(number) => {
            request.extensions_mut().insert(Account(format!("key {number}")));
            next.run(request).await
        }
        None => {
            let message = match token {
                None => "no key: expected the header Authorization with Bearer and a key",
                Some(_) => "the key is none of this server's",
            };
            ApiError::new(Kind::InvalidKey, message).into_response()
        }
    }
}

/// Refuses names of the host that are not this machine's: a page of another origin could have its own name lead here.
pub(crate) async fn local_host(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let name = host.map(|host| match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    });
    match name {
        None | Some("localhost" | "127.0.0.1" | "[::1]") => next.run(request).await,
        Some(name) => {
            let message = format!("{name} is not a name of this machine; ask for localhost");
            ApiError::new(Kind::ForeignHost, message).into_response()
        }
    }
}
