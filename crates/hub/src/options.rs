//! Server, cache and token, read off the environment as other programs of Hugging Face do.

use std::env;
use std::path::PathBuf;

use crate::error::{Error, Result};

const ENDPOINT: &str = "https://huggingface.co";

/// The server that files come from and the cache that keeps them.
#[derive(Clone)]
pub struct Options {
    /// The server.
    pub endpoint: String,
    /// The cache: a folder `models--org--name` or `datasets--org--name` for each repository.
    pub cache: PathBuf,
    /// The token of whoever asks; repositories that are gated or private need it.
    pub token: Option<String>,
    /// True if the network is left alone.
    pub offline: bool,
}

impl std::fmt::Debug for Options {
    /// Without the token, which is nobody's business.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("endpoint", &self.endpoint)
            .field("cache", &self.cache)
            .field("has_token", &self.token.is_some())
            .field("offline", &self.offline)
            .finish()
    }
}

impl Options {
    /// Reads the environment: `HF_ENDPOINT`; `HF_HUB_CACHE`, or `hub` in `HF_HOME`, or in the home folder's
    /// `.cache/huggingface`; `HF_TOKEN`, or the file `token` in `HF_HOME`; `HF_HUB_OFFLINE`.
    ///
    /// # Errors
    /// [`Error::NoHome`] if nothing says where the cache is.
    pub fn from_env() -> Result<Self> {
        let set = |name: &str| env::var(name).ok().filter(|value| !value.trim().is_empty());
        let home = set("HF_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(env::home_dir()?.join(".cache/huggingface")));
        let cache = set("HF_HUB_CACHE").map(PathBuf::from);
        let cache = cache
            .or_else(|| Some(home.as_ref()?.join("hub")))
            .ok_or(Error::NoHome)?;
        let kept = || std::fs::read_to_string(home.as_ref()?.join("token")).ok();
        let token = set("HF_TOKEN").or_else(kept).map(|token| token.trim().to_owned());
        Ok(Self {
            endpoint: set("HF_ENDPOINT")
                .unwrap_or_else(|| ENDPOINT.into())
                .trim_end_matches('/')
                .to_owned(),
            // Relative to where the program was started, whatever it does later.
            cache: std::path::absolute(&cache).unwrap_or(cache),
            token: token.filter(|token| !token.is_empty()),
            offline: set("HF_HUB_OFFLINE").is_some_and(|value| is_yes(&value)),
        })
    }
}

/// The values that `huggingface_hub` takes for yes.
fn is_yes(value: &str) -> bool {
    matches!(value.to_ascii_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_is_what_huggingface_hub_takes_for_yes() {
        assert!(["1", "true", "Yes", "ON"].into_iter().all(is_yes));
        assert!(!["0", "false", "no", "off", "2"].into_iter().any(is_yes));
    }

    #[test]
    fn a_token_is_not_printed() {
        let options = Options {
            endpoint: ENDPOINT.into(),
            cache: PathBuf::from("c"),
            token: Some("hf_secret".into()),
            offline: false,
        };
        let text = format!("{options:?}");
        assert!(text.contains("has_token: true") && !text.contains("secret"), "{text}");
    }
}
