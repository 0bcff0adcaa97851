//! Dependencies of a result: settings by the paths of their keys, and the fingerprint of a stage.

use std::collections::BTreeMap;

use rlhf_core::backend_of;
use rlhf_core::hash::{Fingerprint, fingerprint};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::config::{Config, DataSource};
use crate::error::Result;
use crate::rows::RowsRead;
use crate::stage::Stage;

/// Parts of the configuration, put together for [`Stage::settings`].
///
/// ```
/// use rlhf_pipeline::{Config, Settings};
///
/// let config = Config::default();
/// let settings = Settings::new()
///     .section("sample", &config.sample)
///     .keys("data", &config.data, &["chat_date"]);
/// let value = serde_json::Value::from(settings);
/// assert_eq!(value["sample"]["k_max"], 8);
/// assert_eq!(value["data"], serde_json::json!({ "chat_date": "" }));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Settings(Map<String, Value>);

impl Settings {
    /// No settings: a stage that depends on its inputs alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// A whole section, or what it says of its own identity.
    ///
    /// # Panics
    /// If the section cannot be written as a JSON object.
    #[must_use]
    pub fn section(mut self, name: &str, section: &impl Serialize) -> Self {
        self.table(name).extend(object(section));
        self
    }

    /// Some keys of a section.
    ///
    /// # Panics
    /// If the section has no such key.
    #[must_use]
    pub fn keys(mut self, name: &str, section: &impl Serialize, keys: &[&str]) -> Self {
        let mut section = object(section);
        for &key in keys {
            let value = section.remove(key);
            let value = value.unwrap_or_else(|| panic!("the section `{name}` has no key `{key}`"));
            self.table(name).insert(key.to_owned(), value);
        }
        self
    }

    /// Keys of `[data]` that say how a conversation becomes tokens, and how prompts are trimmed. The latter is left out where they are
    /// not, so that runs older than that key are still those of their settings.
    #[must_use]
    pub(crate) fn conversations(self, config: &Config, keys: &[&str]) -> Self {
        let settings = self.keys("data", &config.data, keys);
        match config.data.max_prompt_tokens {
            Some(_) => settings.keys("data", &config.data, &["max_prompt_tokens"]),
            None => settings,
        }
    }

    /// The keys that say which rows those are: the user's lists, unless a judged task was written in their place.
    #[must_use]
    pub(crate) fn rows(self, config: &Config, reads: &[RowsRead]) -> Self {
        let data = &config.data;
        let settings = self.keys("data", data, &["source"]);
        if data.source.is_judged() {
            return settings;
        }
        let lists: Vec<&str> = reads.iter().map(RowsRead::key).collect();
        settings
            .keys("data", data, &lists)
            .keys("data", data, &["validation_fraction"])
    }

    /// The sections that the judged task is made of, if there is one.
    #[must_use]
    pub fn task(self, config: &Config) -> Self {
        let settings = self.keys("data", &config.data, &["source"]);
        match config.data.source {
            DataSource::World => settings.section("world", &config.world),
            DataSource::Stories => settings.section("stories", &config.stories),
            DataSource::Constraints => settings.section("constraints", &config.constraints),
            DataSource::Files => settings,
        }
    }

    fn table(&mut self, name: &str) -> &mut Map<String, Value> {
        let table = self.0.entry(name).or_insert_with(|| json!({}));
        table.as_object_mut().expect("only tables are put in")
    }
}

impl From<Settings> for Value {
    fn from(settings: Settings) -> Self {
        Self::Object(settings.0)
    }
}

fn object(section: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(section) {
        Ok(Value::Object(table)) => table,
        other => panic!("a section of the configuration is a table, found {other:?}"),
    }
}

/// Everything that the result of a stage depends on, except how far it goes.
pub(crate) fn fingerprint_of(
    stage: &dyn Stage,
    config: &Config,
    inputs: &BTreeMap<String, String>,
) -> Result<Fingerprint> {
    let mut whole = object(&stage.settings(config));
    whole.extend(object(&json!({
        "stage": stage.name(),
        "seed": config.seed,
        "device": backend_of(&config.device),
        "inputs": inputs,
    })));
    Ok(fingerprint(&whole)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::{STAGES, Sft};

    fn fingerprint_with(device: &str, seed: u64, input: &str) -> Fingerprint {
        let config = Config {
            device: device.to_owned(),
            seed,
            ..Config::default()
        };
        let inputs = [("a.jsonl".to_owned(), input.to_owned())].into();
        fingerprint_of(&Sft, &config, &inputs).expect("settings are plain data")
    }

    #[test]
    fn a_result_depends_on_the_backend_and_not_on_which_of_its_devices() {
        let of = |device| fingerprint_with(device, 1, "00");
        assert_eq!(of("tch:cuda:0"), of("tch:cuda:1"));
        assert_eq!(of("cuda:0"), of("cuda:3"));
        for other in ["flex", "tch", "tch:mps", "cuda:0"] {
            let difference = of("tch:cuda:0").difference(&of(other)).expect("another backend");
            assert_eq!(difference.field, "device", "{other}");
        }
    }

    #[test]
    fn a_result_depends_on_the_stage_the_seed_and_the_inputs() {
        let found = fingerprint_with("flex", 1, "00");
        let field = |other: Fingerprint| found.difference(&other).map(|difference| difference.field);
        assert_eq!(field(fingerprint_with("flex", 1, "00")), None);
        assert_eq!(field(fingerprint_with("flex", 2, "00")).as_deref(), Some("seed"));
        assert_eq!(
            field(fingerprint_with("flex", 1, "ff")).as_deref(),
            Some("inputs.a.jsonl")
        );
        for other in STAGES.into_iter().filter(|stage| stage.name() != Sft.name()) {
            let inputs = [("a.jsonl".to_owned(), "00".to_owned())].into();
            let other = fingerprint_of(other, &Config::default(), &inputs).expect("settings are plain data");
            assert!(field(other).is_some());
        }
    }

    #[test]
    #[should_panic(expected = "the section `eval` has no key `temperature`")]
    fn a_key_that_is_gone_is_no_setting() {
        let _ = Settings::new().keys("eval", &Config::default().eval, &["temperature"]);
    }
}
