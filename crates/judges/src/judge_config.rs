//! Settings of a judge behind a server.

use rlhf_config::ConfigErrors;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::judge_prompt::{DEFAULT_TEMPLATE, JudgePrompt};

/// A model that compares answers, behind a server that speaks as OpenAI's does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JudgeConfig {
    /// Base address of the server, to which `/chat/completions` is added.
    pub url: String,
    /// Name of the model, as the server knows it.
    pub model: String,
    /// Variable of the environment that holds the key. If it is not set, none is sent.
    pub api_key_env: String,
    /// The question, a Jinja template of `prompt`, `answer_a`, `answer_b` and `messages`; without one, that of this crate. The model is
    /// to end with a line `A`, `B` or `tie`.
    pub template: Option<String>,
    /// Temperature at which the model answers.
    pub temperature: f64,
    /// Tokens that the model may answer with, its reasons included.
    pub max_tokens: u32,
    /// Name under which the server is told of `max_tokens`.
    pub token_limit: TokenLimit,
    /// Each pair is asked about twice, with either answer first; a pair is a tie if the verdicts disagree (Zheng et al. 2023, section
    /// 3.4). Otherwise it is asked about once, in an order drawn by lot.
    pub both_orders: bool,
    /// Attempts after the first, where the server is busy or does not answer.
    pub retries: u32,
    /// Time for one request, in seconds.
    pub timeout_seconds: u64,
    /// Requests at the same time.
    pub concurrency: usize,
    /// Price of a million tokens of questions, in whatever currency.
    pub price_per_million_input: f64,
    /// Price of a million tokens of answers, in the same currency.
    pub price_per_million_output: f64,
}

/// The name of the limit of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenLimit {
    /// The name that most servers know.
    #[default]
    MaxTokens,
    /// The name that OpenAI's models want who think before they answer.
    MaxCompletionTokens,
}

impl TokenLimit {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
        }
    }
}

impl Default for JudgeConfig {
    fn default() -> Self {
        Self {
            url: "http://localhost:8000/v1".to_owned(),
            model: String::new(),
            api_key_env: "OPENAI_API_KEY".to_owned(),
            template: None,
            temperature: 0.0,
            max_tokens: 512,
            token_limit: TokenLimit::default(),
            both_orders: true,
            retries: 5,
            timeout_seconds: 120,
            concurrency: 4,
            price_per_million_input: 0.0,
            price_per_million_output: 0.0,
        }
    }
}

impl JudgeConfig {
    /// The text of the template.
    pub fn template(&self) -> &str {
        self.template.as_deref().unwrap_or(DEFAULT_TEMPLATE)
    }

    /// The faults of these settings; paths are relative to this struct.
    pub fn validate(&self) -> ConfigErrors {
        let mut errors = ConfigErrors::new();
        let host = ["http://", "https://"]
            .into_iter()
            .find_map(|scheme| self.url.strip_prefix(scheme));
        errors.check(host.is_some_and(|host| !host.is_empty()), "url", || {
            format!(
                "expected an address that begins with http:// or https://, found {:?}",
                self.url
            )
        });
        errors.check(!self.model.trim().is_empty(), "model", || {
            "expected the name of a model, found none".to_owned()
        });
        let is_variable = !self.api_key_env.is_empty() && !self.api_key_env.contains(['=', '\0']);
        // A name with other characters is likely the key itself, which is not repeated.
        errors.check(is_variable, "api_key_env", || {
            "expected the name of a variable of the environment".to_owned()
        });
        if let Err(fault) = JudgePrompt::new(self.template()).and_then(|prompt| prompt.check()) {
            errors.push("template", fault.to_string());
        }
        errors.check_not_negative("temperature", self.temperature);
        errors.check(self.max_tokens > 0, "max_tokens", at_least_1);
        errors.check(self.timeout_seconds > 0, "timeout_seconds", at_least_1);
        errors.check_count("concurrency", self.concurrency);
        errors.check_not_negative("price_per_million_input", self.price_per_million_input);
        errors.check_not_negative("price_per_million_output", self.price_per_million_output);
        errors
    }
}

fn at_least_1() -> String {
    "expected at least 1, found 0".to_owned()
}

#[cfg(test)]
mod tests {
    use rlhf_config::ConfigLoader;

    use super::*;

    #[test]
    fn settings_are_read_from_a_configuration() {
        let loader = ConfigLoader::new()
            .set("token_limit=max_completion_tokens")
            .set("template=\"{{ answer_a }} or {{ answer_b }}?\"")
            .set("both_orders=false");
        let config = loader.load::<JudgeConfig>().unwrap().config;
        assert_eq!(config.token_limit, TokenLimit::MaxCompletionTokens);
        assert_eq!(config.template(), "{{ answer_a }} or {{ answer_b }}?");
        assert_eq!(JudgeConfig::default().template(), DEFAULT_TEMPLATE);
        let error = ConfigLoader::new()
            .set("max_token=1")
            .load::<JudgeConfig>()
            .err()
            .unwrap();
        assert!(error.to_string().contains("did you mean `max_tokens`?"), "{error}");
    }

    #[test]
    fn every_fault_is_named_by_its_path() {
        let named = JudgeConfig {
            model: "judge".into(),
            ..JudgeConfig::default()
        };
        assert!(named.validate().is_empty());
        let config = JudgeConfig {
            url: "localhost:8000".into(),
            api_key_env: String::new(),
            template: Some("{{ answer_a }} or another?".into()),
            temperature: f64::NAN,
            max_tokens: 0,
            timeout_seconds: 0,
            concurrency: 0,
            price_per_million_input: -1.0,
            price_per_million_output: f64::INFINITY,
            ..JudgeConfig::default()
        };
        assert_eq!(
            config.validate().to_string(),
            "url: expected an address that begins with http:// or https://, found \"localhost:8000\"\n\
             model: expected the name of a model, found none\n\
             api_key_env: expected the name of a variable of the environment\n\
             template: the judge's template: invalid operation: expected `answer_b` to be shown\n\
             temperature: expected a finite number of at least 0, found NaN\n\
             max_tokens: expected at least 1, found 0\n\
             timeout_seconds: expected at least 1, found 0\n\
             concurrency: expected at least 1, found 0\n\
             price_per_million_input: expected a finite number of at least 0, found -1\n\
             price_per_million_output: expected a finite number of at least 0, found inf"
        );
    }
}
