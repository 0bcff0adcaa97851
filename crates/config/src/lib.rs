//! Layered configuration: built-in values, then files, then `--set`.
//!
//! A stage's configuration is a plain serde struct whose `Default` is the documented setting. [`ConfigLoader`] lays
//! files and `--set dotted.key=value` over it, refuses keys it does not know and names the nearest one it does, and
//! remembers where each value came from. What values mean together is for the stage's own `validate`, which collects
//! its faults in [`ConfigErrors`].
//!
//! ```
//! use rlhf_config::ConfigLoader;
//! #[derive(Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
//! #[serde(default, deny_unknown_fields)]
//! struct Config {
//!     /// Weight of the KL penalty, in reward per nat.
//!     kl_coef: f64,
//! }
//! let loaded = ConfigLoader::new().set("kl_coef=0.05").load::<Config>().unwrap();
//! assert_eq!(loaded.config.kl_coef, 0.05);
//! let text = loaded.resolved_toml_with_sources();
//! assert_eq!(text, "# Weight of the KL penalty, in reward per nat.\nkl_coef = 0.05  # --set\n");
//! let error = ConfigLoader::new().set("kl_coeff=0.05").load::<Config>().err().unwrap();
//! assert_eq!(error.to_string(), "kl_coeff: unknown key in --set, did you mean `kl_coef`?");
//! ```

mod check;
mod error;
mod errors;
mod layer;
mod render;
mod schema;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use toml::Table;

pub use check::nearest;
pub use error::{Error, Result};
pub use errors::{ConfigErrors, FieldError};
pub use layer::Source;

use layer::Layer;
use schema::Schema;

/// Collects the layers of a configuration; rules go over the built-in values, files over rules and later files over earlier ones,
/// and `--set` goes over files.
#[derive(Clone, Debug, Default)]
pub struct ConfigLoader {
    rules: Vec<String>,
    files: Vec<PathBuf>,
    sets: Vec<String>,
    renamed: &'static [(&'static str, &'static str)],
}

impl ConfigLoader {
    /// No layers yet: the built-in values alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a `dotted.key=value` of the program's own, for what it was given, in place of a built-in value.
    #[must_use]
    pub fn rule(mut self, assignment: impl Into<String>) -> Self {
        self.rules.push(assignment.into());
        self
    }

    /// Adds a TOML file. Tables are merged key by key, lists are replaced.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(path.into());
        self
    }

    /// Adds a `dotted.key=value`. The value is TOML; a bare word is a string.
    #[must_use]
    pub fn set(mut self, assignment: impl Into<String>) -> Self {
        self.sets.push(assignment.into());
        self
    }

    /// Keys of earlier versions, as dotted paths, with the paths that took their place: whoever still writes one is told
    /// the new name.
    #[must_use]
    pub fn renamed(mut self, keys: &'static [(&'static str, &'static str)]) -> Self {
        self.renamed = keys;
        self
    }

    /// Puts the layers together.
    ///
    /// # Errors
    /// [`Error::Faults`] with every unknown, missing or wrongly typed key; a file that cannot be read or is no TOML.
    pub fn load<T>(&self) -> Result<Loaded<T>>
    where
        T: Default + Serialize + DeserializeOwned + JsonSchema,
    {
        let schema = Schema::of::<T>();
        let root = schema.root();
        let mut whole = Layer {
            values: table_of(&T::default())?,
            ..Layer::default()
        };
        let mut errors = ConfigErrors::new();
        for rule in &self.rules {
            match Layer::from_set(rule, &root, &Source::Rule) {
                Ok(layer) => whole.overlay(layer, &root),
                Err(message) => errors.push("", format!("rule {rule}: {message}")),
            }
        }
        for file in &self.files {
            whole.overlay(Layer::from_file(file)?, &root);
        }
        for set in &self.sets {
            match Layer::from_set(set, &root, &Source::Set) {
                Ok(layer) => whole.overlay(layer, &root),
                Err(message) => errors.push("", format!("--set {set}: {message}")),
            }
        }
        for FieldError { path, message } in check::check(&whole.values, &root, &whole.sources, self.renamed).iter() {
            errors.push(path, message);
        }
        errors.into_result()?;
        let config: T = whole.values.try_into().map_err(|e: toml::de::Error| {
            let mut errors = ConfigErrors::new();
            errors.push("", e.to_string().trim_end().replace('\n', " "));
            errors
        })?;
        // Written anew, so that what deserialisation filled in is listed as well.
        let values = table_of(&config)?;
        drop(root);
        Ok(Loaded {
            config,
            schema,
            values,
            sources: whole.sources,
        })
    }
}

fn table_of<T: Serialize>(config: &T) -> Result<Table> {
    Ok(Table::try_from(config)?)
}

/// A configuration that knows where its values came from.
pub struct Loaded<T> {
    /// The configuration.
    pub config: T,
    schema: Schema,
    values: Table,
    sources: std::collections::BTreeMap<String, Source>,
}

impl<T> Loaded<T> {
    /// Source of the value at a dotted path.
    pub fn source(&self, path: &str) -> &Source {
        self.sources.get(path).unwrap_or(&Source::Default)
    }

    /// Adds to each fault that `validate` found where the value at fault came from.
    pub fn locate(&self, mut errors: ConfigErrors) -> ConfigErrors {
        for error in errors.iter_mut() {
            if let Some(source) = self.sources.get(&error.path) {
                error.message = format!("{} ({})", error.message, source.place());
            }
        }
        errors
    }

    /// The whole configuration as TOML, each key with its doc comment and, behind it, where its value came from. Loading
    /// it gives the same configuration.
    pub fn resolved_toml_with_sources(&self) -> String {
        render::resolved_toml(&self.values, &self.schema.root(), &self.sources)
    }
}

/// The documentation of a configuration in Markdown: for each section a table of key, default and description.
pub fn markdown_table<T: Default + Serialize + JsonSchema>() -> Result<String> {
    Ok(render::markdown_table(
        &table_of(&T::default())?,
        &Schema::of::<T>().root(),
    ))
}

/// A section as JSON without some of its keys: what a result depends on, when these change none.
///
/// ```
/// let section = serde_json::json!({ "epochs": 2, "log_every": 10 });
/// assert_eq!(rlhf_config::without(&section, &["log_every"]), serde_json::json!({ "epochs": 2 }));
/// ```
///
/// # Panics
/// If the section cannot be written as JSON, or has no such key: a list of keys that went stale.
pub fn without<T: Serialize>(section: &T, keys: &[&str]) -> serde_json::Value {
    let mut value = serde_json::to_value(section).expect("a section is plain data");
    let table = value.as_object_mut().expect("a section is a table");
    for key in keys {
        assert!(table.remove(*key).is_some(), "the section has no key `{key}`");
    }
    value
}

#[cfg(test)]
mod tests;
