//! What the server tells Prometheus: vLLM's names, as `rlhf_*`. No prompt and no person in them.

use std::time::Duration;

use prometheus::{Encoder, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};

use crate::Served;

/// Bounds of times in seconds.
const SECONDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    running: IntGaugeVec,
    waiting: IntGaugeVec,
    /// Counters whose totals the engine knows, in the order of [`totals`].
    totals: [IntCounterVec; 4],
    requests: IntCounterVec,
    first_token: HistogramVec,
    between_tokens: HistogramVec,
    whole: HistogramVec,
}

const TOTALS: [(&str, &str); 4] = [
    ("rlhf_prompt_tokens_total", "Tokens of prompts."),
    ("rlhf_generation_tokens_total", "Tokens drawn."),
    (
        "rlhf_prefix_cache_queries_total",
        "Tokens of prompts that were looked for in the cache.",
    ),
    ("rlhf_prefix_cache_hits_total", "Those that were there."),
];

/// The totals of a model, in the order of [`TOTALS`].
fn totals(model: &Served) -> [u64; 4] {
    let counts = model.engine.counts();
    [
        counts.prompt_tokens,
        counts.generated_tokens,
        counts.prompt_tokens,
        counts.cached_tokens,
    ]
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let made = IntCounterVec::new(Opts::new(name, help), labels).expect("a name and labels of this file");
            registry.register(Box::new(made.clone())).expect("a name is used once");
            made
        };
        let gauge = |name: &str, help: &str| {
            let made = IntGaugeVec::new(Opts::new(name, help), &["model"]).expect("a name and labels of this file");
            registry.register(Box::new(made.clone())).expect("a name is used once");
            made
        };
        let histogram = |name: &str, help: &str| {
            let options = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
            let made = HistogramVec::new(options, &["model"]).expect("a name and labels of this file");
            registry.register(Box::new(made.clone())).expect("a name is used once");
            made
        };
        Self {
            running: gauge(
                "rlhf_num_requests_running",
                "Completions that are being read or written.",
            ),
            waiting: gauge("rlhf_num_requests_waiting", "Completions that wait."),
            totals: TOTALS.map(|(name, help)| counter(name, help, &["model"])),
            requests: counter(
                "rlhf_requests_total",
                "Requests that were answered, by how.",
                &["model", "finish"],
            ),
            first_token: histogram(
                "rlhf_time_to_first_token_seconds",
                "From the request to its first token.",
            ),
            between_tokens: histogram(
                "rlhf_inter_token_latency_seconds",
                "Between two tokens of a completion.",
            ),
            whole: histogram(
                "rlhf_e2e_request_latency_seconds",
                "From the request to its last token.",
            ),
            registry,
        }
    }

    pub(crate) fn first_token(&self, model: &str, after: Duration) {
        self.first_token
            .with_label_values(&[model])
            .observe(after.as_secs_f64());
    }

    pub(crate) fn next_token(&self, model: &str, after: Duration) {
        self.between_tokens
            .with_label_values(&[model])
            .observe(after.as_secs_f64());
    }

    pub(crate) fn finished(&self, model: &str, finish: &str, after: Duration) {
        self.requests.with_label_values(&[model, finish]).inc();
        self.whole.with_label_values(&[model]).observe(after.as_secs_f64());
    }

    /// All of it in Prometheus' text format.
    pub(crate) fn text<'a>(&self, models: impl Iterator<Item = &'a Served>) -> String {
        for model in models {
            let (counts, id) = (model.engine.counts(), [model.id.as_str()]);
            self.running.with_label_values(&id).set(counts.running as i64);
            self.waiting.with_label_values(&id).set(counts.waiting as i64);
            for (counter, total) in self.totals.iter().zip(totals(model)) {
                let counter = counter.with_label_values(&id);
                counter.inc_by(total.saturating_sub(counter.get()));
            }
        }
        let mut text = Vec::new();
        // Writing to memory cannot fail.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}
