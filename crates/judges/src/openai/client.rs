//! Requests, and patience with a server that is busy.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use ureq::Agent;
use ureq::http::HeaderMap;

use crate::error::{Error, Result, excerpt};
use crate::judge_config::JudgeConfig;
use crate::judge_prompt::{Better, verdict_alone, verdict_of};
use crate::spent::Usage;

/// Time before the second attempt; it doubles with each.
const BACKOFF: Duration = Duration::from_secs(1);
/// Time between two attempts at most, where the server does not say.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// Time that a server may ask for; one that asks for more is not waited for.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// Time between two looks at whether to stop, while waiting.
const LOOK: Duration = Duration::from_millis(50);
/// Bytes of an answer at most.
const ANSWER_BYTES: u64 = 16 << 20;

/// What a model said.
#[derive(Debug)]
pub(super) struct Reply {
    text: String,
    /// True if it had more to say than it had tokens for.
    is_cut_off: bool,
    pub(super) usage: Usage,
}

impl Reply {
    /// The verdict. What was cut off has none, unless it is one.
    pub(super) fn verdict(&self) -> Option<Better> {
        if self.is_cut_off {
            verdict_alone(&self.text)
        } else {
            verdict_of(&self.text)
        }
    }
}

/// A fault, and whether another attempt may help: if so, after which time, where the server says.
enum Fault {
    Final(Box<Error>),
    Passing(Box<Error>, Option<Duration>),
}

/// A server and how to ask it.
pub(super) struct Client {
    agent: Agent,
    url: String,
    api_key: Option<String>,
    config: JudgeConfig,
    pub(super) backoff: Duration,
}

impl Client {
    pub(super) fn new(config: &JudgeConfig) -> Self {
        let key = std::env::var(&config.api_key_env).ok();
        let key = key.map(|key| key.trim().to_owned()).filter(|key| !key.is_empty());
        Self {
            agent: agent(Duration::from_secs(config.timeout_seconds)),
            url: format!("{}/chat/completions", config.url.trim_end_matches('/')),
            api_key: key,
            config: config.clone(),
            backoff: BACKOFF,
        }
    }

    /// The same with another key and other times, for tests.
    #[cfg(test)]
    pub(super) fn set(&mut self, api_key: Option<&str>, timeout: Duration, backoff: Duration) {
        self.api_key = api_key.map(str::to_owned);
        self.agent = agent(timeout);
        self.backoff = backoff;
    }

    /// Asks until there is an answer, attempts are used up, or `halt` is set.
    pub(super) fn ask(&self, text: &str, halt: &AtomicBool) -> Result<Reply> {
        let config = &self.config;
        let mut body = json!({
            "model": config.model,
            "messages": [{"role": "user", "content": text}],
            "temperature": config.temperature,
        });
        body[config.token_limit.as_str()] = config.max_tokens.into();
        let body = body.to_string();
        let mut attempts = 0;
        loop {
            if halt.load(Ordering::SeqCst) {
                return Err(Error::Interrupted);
            }
            attempts += 1;
            let (error, asked_for) = match self.attempt(&body, attempts) {
                Ok(reply) => return Ok(reply),
                Err(Fault::Final(error)) => return Err(*error),
                Err(Fault::Passing(error, asked_for)) => (error, asked_for),
            };
            let wait = asked_for.unwrap_or_else(|| backoff(self.backoff, attempts));
            if attempts > config.retries || wait > LONGEST_WAIT {
                return Err(*error);
            }
            tracing::debug!(%error, ?wait, "asking again");
            pause(wait, halt);
        }
    }

    fn attempt(&self, body: &str, attempts: u32) -> Result<Reply, Fault> {
        let mut request = self.agent.post(&self.url).header("Content-Type", "application/json");
        if let Some(key) = &self.api_key {
            request = request.header("Authorization", format!("Bearer {key}"));
        }
        let sent = request.send(body).map_err(|error| self.unanswered(error, attempts));
        let mut response = sent?;
        let (status, asked_for) = (response.status().as_u16(), retry_after(response.headers()));
        let body = response.body_mut().with_config().limit(ANSWER_BYTES).lossy_utf8(true);
        let answer = body
            .read_to_string()
            .map_err(|error| self.unanswered(error, attempts))?;
        match status {
            200 => self.reply(&answer).map_err(|error| Fault::Final(Box::new(error))),
            401 | 403 => Err(Fault::Final(Box::new(Error::Denied {
                url: self.url.clone(),
                status,
                message: message_of(&answer),
                api_key_env: self.config.api_key_env.clone(),
                has_key: self.api_key.is_some(),
            }))),
            _ => {
                let error = Box::new(Error::Status {
                    url: self.url.clone(),
                    status,
                    message: message_of(&answer),
                    attempts,
                });
                // Request timeout, too many requests, and whatever went wrong within the server.
                Err(if matches!(status, 408 | 429 | 500..=599) {
                    Fault::Passing(error, asked_for)
                } else {
                    Fault::Final(error)
                })
            }
        }
    }

    fn unanswered(&self, error: ureq::Error, attempts: u32) -> Fault {
        use ureq::Error as E;
        let may_pass = matches!(
            error,
            E::Io(_) | E::Timeout(_) | E::HostNotFound | E::ConnectionFailed | E::Protocol(_)
        );
        let error = Box::new(Error::NoAnswer {
            url: self.url.clone(),
            attempts,
            source: Box::new(error),
        });
        if may_pass {
            Fault::Passing(error, None)
        } else {
            Fault::Final(error)
        }
    }

    fn reply(&self, answer: &str) -> Result<Reply> {
        let wrong = |found: String| Error::Answer {
            url: self.url.clone(),
            found,
        };
        let value: Value =
            serde_json::from_str(answer).map_err(|error| wrong(format!("{} ({error})", excerpt(answer))))?;
        let choice = value.pointer("/choices/0");
        let choice = choice.ok_or_else(|| wrong(format!("no `choices` in {}", excerpt(answer))))?;
        let tokens = |name: &str| value["usage"][name].as_u64().unwrap_or(0);
        Ok(Reply {
            // A model that refuses, or thinks and says nothing, has no content.
            text: choice["message"]["content"].as_str().unwrap_or_default().to_owned(),
            is_cut_off: choice["finish_reason"] == "length",
            usage: Usage {
                requests: 1,
                prompt_tokens: tokens("prompt_tokens"),
                completion_tokens: tokens("completion_tokens"),
            },
        })
    }
}

fn agent(timeout: Duration) -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        // A question sent on to another address would be another kind of request, and without the key.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("rlhf/", env!("CARGO_PKG_VERSION")))
        .timeout_global(Some(timeout));
    config.build().into()
}

/// The server's words for a fault: `error.message`, or the beginning of what it sent.
fn message_of(answer: &str) -> String {
    let value: Value = serde_json::from_str(answer).unwrap_or_default();
    // vLLM has it at the top, Ollama has a text for the error.
    let places = ["/error/message", "/error", "/message", "/detail"];
    let said = places.iter().find_map(|place| value.pointer(place)?.as_str());
    said.map_or_else(|| excerpt(answer), str::to_owned)
}

/// The time that a server asks for, in seconds; a date is not read.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 = headers.get("retry-after")?.to_str().ok()?.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// The time before the attempt after `attempts`.
fn backoff(first: Duration, attempts: u32) -> Duration {
    let factor = 2u32.saturating_pow(attempts.saturating_sub(1));
    first.saturating_mul(factor).min(LONGEST_BACKOFF)
}

fn pause(wait: Duration, halt: &AtomicBool) {
    let started = Instant::now();
    while !halt.load(Ordering::SeqCst) {
        let left = wait.saturating_sub(started.elapsed());
        if left.is_zero() {
            return;
        }
        thread::sleep(left.min(LOOK));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute() {
        let seconds: Vec<u64> = (1..9).map(|attempts| backoff(BACKOFF, attempts).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff(BACKOFF, u32::MAX), LONGEST_BACKOFF);
    }

    #[test]
    fn the_time_asked_for_is_read() {
        let check = |value: &str, expected: Option<Duration>| {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", value.parse().unwrap());
            assert_eq!(retry_after(&headers), expected, "{value}");
        };
        check("0", Some(Duration::ZERO));
        check("1.5", Some(Duration::from_millis(1500)));
        check("-1", None);
        check("NaN", None);
        check("Wed, 21 Oct 2015 07:28:00 GMT", None);
    }

    #[test]
    fn the_words_of_a_server_are_found() {
        assert_eq!(
            message_of(r#"{"error": {"message": "no such model"}}"#),
            "no such model"
        );
        assert_eq!(message_of(r#"{"error": "busy"}"#), "busy");
        assert_eq!(message_of("<html>Bad gateway</html>"), "`<html>Bad gateway</html>`");
    }

    #[test]
    fn what_was_cut_off_has_no_verdict_unless_it_is_one() {
        let reply = |text: &str| Reply {
            text: text.to_owned(),
            is_cut_off: true,
            usage: Usage::default(),
        };
        assert_eq!(reply("Answer A is terse, while answer B").verdict(), None);
        assert_eq!(reply(" B").verdict(), Some(Better::B));
    }
}
