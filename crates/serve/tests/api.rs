//! The API through its router: what OpenAI's clients send, and what they are told.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use burn::tensor::Device;
use http_body_util::BodyExt;
use rlhf_data::{Tokenizer, TokenizerConfig};
use rlhf_inference::engine::{Engine, EngineOptions};
use rlhf_model::{CausalLm, Gpt2Config};
use rlhf_serve::{ServeOptions, Served, Server, check_address};
use serde_json::{Value, json};
use tower::ServiceExt;

/// One token a byte.
fn tokenizer() -> Tokenizer {
    let config = TokenizerConfig {
        vocab_size: 261,
        min_frequency: 2,
    };
    Tokenizer::train(["x"], &config).unwrap()
}

fn server(options: ServeOptions) -> Server {
    let config = Gpt2Config {
        vocab_size: 261,
        n_positions: 96,
        n_embd: 32,
        n_layer: 2,
        n_head: 2,
        initializer_range: 0.3,
        ..Default::default()
    };
    let model = CausalLm::init(&config.into(), 1, &Device::flex());
    let served = Served {
        id: "tiny".to_owned(),
        engine: Engine::start(model, EngineOptions::default()),
        tokenizer: Arc::new(tokenizer()),
        created: SystemTime::UNIX_EPOCH,
    };
    Server::new([served], options)
}

async fn send(server: &Server, request: Request<Body>) -> Response {
    server.router(true).oneshot(request).await.unwrap()
}

fn post(path: &str, body: &Value) -> Request<Body> {
    Request::post(path).body(Body::from(body.to_string())).unwrap()
}

async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

async fn json(response: Response) -> Value {
    let text = text(response).await;
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn chat(more: Value) -> Value {
    let mut request = json!({
        "model": "tiny", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 12, "seed": 3,
    });
    request
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    request
}

/// The chunks of a stream, and its last line.
fn chunks(text: &str) -> (Vec<Value>, String) {
    let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let (last, chunks) = lines.split_last().unwrap();
    (
        chunks.iter().map(|line| serde_json::from_str(line).unwrap()).collect(),
        (*last).to_owned(),
    )
}

#[tokio::test]
async fn a_stream_says_what_the_whole_answer_says() {
    let server = server(ServeOptions::default());
    let whole = json(send(&server, post("/v1/chat/completions", &chat(json!({"n": 2})))).await).await;
    let stream = chat(json!({"n": 2, "stream": true, "stream_options": {"include_usage": true}}));
    let (chunks, last) = chunks(&text(send(&server, post("/v1/chat/completions", &stream)).await).await);
    assert_eq!(last, "[DONE]");
    for index in 0..2 {
        let own: Vec<&Value> = chunks
            .iter()
            .filter_map(|chunk| {
                chunk["choices"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .find(|choice| choice["index"] == index)
            })
            .collect();
        assert_eq!(own[0]["delta"]["role"], "assistant");
        let said: String = own
            .iter()
            .filter_map(|choice| choice["delta"]["content"].as_str())
            .collect();
        assert_eq!(whole["choices"][index]["message"]["content"], said);
        assert_eq!(
            own.last().unwrap()["finish_reason"],
            whole["choices"][index]["finish_reason"]
        );
    }
    assert_ne!(
        whole["choices"][0]["message"]["content"],
        whole["choices"][1]["message"]["content"]
    );
    let (usage, before) = chunks.split_last().unwrap();
    assert_eq!(usage["usage"], whole["usage"]);
    assert_eq!(usage["choices"], json!([]));
    assert!(
        before
            .iter()
            .all(|chunk| chunk["usage"].is_null() && chunk.get("usage").is_some())
    );
    // Without being asked for there is none.
    let (plain, _) =
        self::chunks(&text(send(&server, post("/v1/chat/completions", &chat(json!({"stream": true})))).await).await);
    assert!(plain.iter().all(|chunk| chunk.get("usage").is_none()));
}

#[tokio::test]
async fn an_answer_ends_before_a_stop_string_streamed_or_not() {
    let server = server(ServeOptions::default());
    let whole = json(send(&server, post("/v1/chat/completions", &chat(json!({"max_tokens": 40})))).await).await;
    let said = whole["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    let stop: String = said.chars().skip(6).take(2).collect();
    let before = said.split(&stop).next().unwrap();
    let asked = chat(json!({"max_tokens": 40, "stop": [stop]}));
    let found = json(send(&server, post("/v1/chat/completions", &asked)).await).await;
    assert_eq!(found["choices"][0]["message"]["content"], before);
    assert_eq!(found["choices"][0]["finish_reason"], "stop");
    let asked = chat(json!({"max_tokens": 40, "stop": stop, "stream": true}));
    let (chunks, _) = chunks(&text(send(&server, post("/v1/chat/completions", &asked)).await).await);
    let said: String = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .collect();
    assert_eq!(said, before);
}

#[tokio::test]
async fn log_probabilities_come_in_both_forms_and_are_the_same() {
    let server = server(ServeOptions::default());
    let ids: Vec<u32> = tokenizer().encode("hello");
    let completion = json!({"model": "tiny", "prompt": ids, "max_tokens": 5, "temperature": 0, "logprobs": 3});
    let found = json(send(&server, post("/v1/completions", &completion)).await).await;
    let logprobs = &found["choices"][0]["logprobs"];
    let own = logprobs["token_logprobs"].as_array().unwrap();
    assert_eq!((own.len(), logprobs["text_offset"][0].as_u64()), (5, Some(0)));
    for (own, top) in own.iter().zip(logprobs["top_logprobs"].as_array().unwrap()) {
        let most = top
            .as_object()
            .unwrap()
            .values()
            .filter_map(Value::as_f64)
            .fold(f64::NEG_INFINITY, f64::max);
        assert!(
            (own.as_f64().unwrap() - most).abs() < 1e-6,
            "greedy takes the likeliest"
        );
    }
    let asked = chat(json!({"logprobs": true, "top_logprobs": 2, "temperature": 0.5}));
    let found = json(send(&server, post("/v1/chat/completions", &asked)).await).await;
    let content = found["choices"][0]["logprobs"]["content"].as_array().unwrap();
    assert_eq!(
        content.len(),
        found["usage"]["completion_tokens"].as_u64().unwrap() as usize
    );
    assert!(
        content
            .iter()
            .all(|token| token["top_logprobs"].as_array().unwrap().len() == 2)
    );
    assert!(content.iter().all(|token| token["bytes"].is_array()));
}

#[tokio::test]
async fn what_is_wrong_is_named_with_its_field_and_status() {
    let server = server(ServeOptions::default());
    let long = "a".repeat(200);
    for (more, status, code, param) in [
        (json!({"model": "other"}), 404, "model_not_found", "model"),
        (json!({"temperature": "hot"}), 400, "invalid_value", "temperature"),
        (json!({"temperature": -1}), 400, "invalid_value", "temperature"),
        (json!({"top_p": 0}), 400, "invalid_value", "top_p"),
        (json!({"presence_penalty": 3}), 400, "invalid_value", "presence_penalty"),
        (json!({"logit_bias": {"x": 1}}), 400, "invalid_value", "logit_bias"),
        (json!({"n": 17}), 400, "invalid_value", "n"),
        (json!({"stop": ["a", "b", "c", "d", "e"]}), 400, "invalid_value", "stop"),
        (json!({"top_logprobs": 2}), 400, "invalid_value", "top_logprobs"),
        (
            json!({"logprobs": true, "top_logprobs": 21}),
            400,
            "invalid_value",
            "top_logprobs",
        ),
        (
            json!({"tools": [{"type": "function"}]}),
            400,
            "unsupported_parameter",
            "tools",
        ),
        (
            json!({"response_format": {"type": "json_object"}}),
            400,
            "unsupported_parameter",
            "response_format",
        ),
        (json!({"messages": []}), 400, "invalid_value", "messages"),
        (
            json!({"messages": [{"role": "king", "content": "a"}]}),
            400,
            "invalid_value",
            "messages[0].role",
        ),
        (
            json!({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
            400,
            "unsupported_parameter",
            "messages[0].content[0]",
        ),
        (
            json!({"messages": [{"role": "user", "content": long}]}),
            400,
            "context_length_exceeded",
            "messages",
        ),
        (json!({"max_tokens": 0}), 400, "invalid_value", "max_completion_tokens"),
    ] {
        let response = send(&server, post("/v1/chat/completions", &chat(more.clone()))).await;
        assert_eq!(response.status().as_u16(), status, "{more}");
        assert_eq!(response.headers()["x-should-retry"], "false", "{more}");
        let body = json(response).await;
        assert_eq!(
            (&body["error"]["code"], &body["error"]["param"]),
            (&json!(code), &json!(param)),
            "{more}: {body}"
        );
    }
    // More tokens than there is room for: both are told.
    let response = send(&server, post("/v1/chat/completions", &chat(json!({"max_tokens": 95})))).await;
    assert_eq!(json(response).await["error"]["code"], "context_length_exceeded");
    // What changes nothing is no fault, and what is not known is named.
    let more =
        json!({"tools": [], "user": "me", "store": false, "response_format": {"type": "text"}, "colour": 1, "x": null});
    let response = send(&server, post("/v1/chat/completions", &chat(more))).await;
    assert_eq!(
        (response.status(), &response.headers()["x-ignored-fields"]),
        (StatusCode::OK, &"colour, x".parse().unwrap())
    );
}

#[tokio::test]
async fn bodies_addresses_and_methods_that_are_none_are_errors_of_the_same_form() {
    let options = ServeOptions {
        body_limit: 300,
        ..ServeOptions::default()
    };
    let server = server(options);
    let code = async |request| {
        let response = send(&server, request).await;
        assert!(response.headers().contains_key("x-request-id"));
        json(response).await["error"]["code"].as_str().map(str::to_owned)
    };
    let raw = |text: &str| {
        Request::post("/v1/chat/completions")
            .body(Body::from(text.to_owned()))
            .unwrap()
    };
    assert_eq!(code(raw("{")).await.as_deref(), Some("invalid_value"));
    assert_eq!(code(raw("[]")).await.as_deref(), Some("invalid_value"));
    assert_eq!(code(raw(&" ".repeat(301))).await.as_deref(), Some("request_too_large"));
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    assert_eq!(code(get("/v1/nothing")).await.as_deref(), Some("unknown_url"));
    assert_eq!(code(get("/v1/models/none")).await.as_deref(), Some("model_not_found"));
    assert_eq!(
        code(get("/v1/chat/completions")).await.as_deref(),
        Some("method_not_allowed")
    );
    let foreign = Request::get("/v1/models")
        .header("host", "evil.example:8080")
        .body(Body::empty())
        .unwrap();
    assert_eq!(code(foreign).await.as_deref(), Some("foreign_host"));
    let named = Request::get("/v1/models")
        .header("host", "localhost:8080")
        .header("x-request-id", "mine-1")
        .body(Body::empty())
        .unwrap();
    let response = send(&server, named).await;
    assert_eq!(response.headers()["x-request-id"], "mine-1");
    assert_eq!(json(response).await["data"][0]["id"], "tiny");
    assert_eq!(text(send(&server, get("/readyz")).await).await, "ok\n");
}

#[tokio::test]
async fn without_a_key_nobody_is_served_where_keys_are_asked_for() {
    let options = ServeOptions {
        api_keys: vec!["a-key-of-some-length".to_owned(), "another-key-of-length".to_owned()],
        ..ServeOptions::default()
    };
    let open: std::net::SocketAddr = "0.0.0.0:80".parse().unwrap();
    assert!(check_address(open, &options).is_ok());
    assert!(check_address(open, &ServeOptions::default()).is_err_and(|message| message.contains("key")));
    let server = server(options);
    for (shown, status) in [
        (None, 401),
        (Some("Bearer wrong"), 401),
        (Some("a-key-of-some-length"), 401),
        (Some("Bearer a-key-of-some-length"), 200),
        (Some("Bearer another-key-of-length"), 200),
    ] {
        let request = Request::get("/v1/models");
        let request = shown
            .iter()
            .fold(request, |request, shown| request.header("authorization", *shown));
        let response = send(&server, request.body(Body::empty()).unwrap()).await;
        assert_eq!(response.status().as_u16(), status, "{shown:?}");
    }
    // Whoever looks after the server needs none.
    let health = Request::get("/healthz").body(Body::empty()).unwrap();
    assert_eq!(send(&server, health).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn completions_take_text_and_ids_and_several_and_echo() {
    let server = server(ServeOptions::default());
    let ask = async |more: Value| {
        let mut request = json!({"model": "tiny", "max_tokens": 4, "seed": 1, "temperature": 0});
        request
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json(send(&server, post("/v1/completions", &request)).await).await
    };
    let ids = tokenizer().encode("one");
    let of_text = ask(json!({"prompt": "one"})).await["choices"][0]["text"].clone();
    assert_eq!(ask(json!({"prompt": ids})).await["choices"][0]["text"], of_text);
    let many = ask(json!({"prompt": ["one", "two"], "n": 2, "echo": true})).await;
    let choices = many["choices"].as_array().unwrap();
    let starts: Vec<bool> = choices
        .iter()
        .map(|choice| choice["text"].as_str().unwrap().starts_with("one"))
        .collect();
    assert_eq!(starts, [true, true, false, false]);
    assert_eq!(many["usage"]["prompt_tokens"], 6);
    assert_eq!(ask(json!({"prompt": ""})).await["error"]["param"], "prompt");
    assert_eq!(ask(json!({"prompt": [999]})).await["error"]["code"], "invalid_value");
    assert_eq!(
        ask(json!({"prompt": "a", "echo": true, "logprobs": 1})).await["error"]["code"],
        "unsupported_parameter"
    );
}

#[tokio::test]
async fn what_is_typed_is_text_and_no_end_of_turn() {
    let server = server(ServeOptions::default());
    let tokens = async |content: &str| {
        let asked = chat(json!({"messages": [{"role": "user", "content": content}], "max_tokens": 1}));
        json(send(&server, post("/v1/chat/completions", &asked)).await).await["usage"]["prompt_tokens"].as_u64()
    };
    // A token of its own would be one; text is one a byte.
    assert_eq!(tokens("<|eos|>").await, tokens("<+eos+>").await);
}

#[tokio::test]
async fn metrics_count_tokens_and_requests() {
    let server = server(ServeOptions::default());
    let said = json!({"messages": [{"role": "user", "content": "xyzzy"}]});
    let answer = json(send(&server, post("/v1/chat/completions", &chat(said))).await).await;
    let metrics = text(send(&server, Request::get("/metrics").body(Body::empty()).unwrap()).await).await;
    let prompt = answer["usage"]["prompt_tokens"].as_u64().unwrap();
    let completion = answer["usage"]["completion_tokens"].as_u64().unwrap();
    for line in [
        format!("rlhf_prompt_tokens_total{{model=\"tiny\"}} {prompt}"),
        format!("rlhf_generation_tokens_total{{model=\"tiny\"}} {completion}"),
        "rlhf_time_to_first_token_seconds_count{model=\"tiny\"} 1".to_owned(),
        "rlhf_e2e_request_latency_seconds_count{model=\"tiny\"} 1".to_owned(),
    ] {
        assert!(metrics.contains(&line), "{line} is not in {metrics}");
    }
    assert!(!metrics.contains("xyzzy"), "no prompt");
}
