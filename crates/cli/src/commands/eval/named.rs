//! Checkpoints by name.

use std::path::PathBuf;

use crate::error::{Error, Result};

/// A checkpoint that an evaluation calls by a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedModel {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
}

impl std::str::FromStr for NamedModel {
    type Err = String;

    /// `NAME=PATH`, or a path, whose last part is the name.
    fn from_str(given: &str) -> Result<Self, String> {
        let (name, path) = match given.split_once('=') {
            Some((name, path)) if !name.contains(['/', '\\']) => (name, path),
            _ => {
                let last = given.trim_end_matches('/').rsplit('/').next().unwrap_or(given);
                (last.strip_suffix(".gguf").unwrap_or(last), given)
            }
        };
        if name.is_empty() || path.is_empty() {
            return Err("expected NAME=DIR, NAME=FILE.gguf or either without a name".to_owned());
        }
        Ok(Self {
            name: name.to_owned(),
            path: path.into(),
        })
    }
}

/// Refuses two models of one name: their figures would stand in one place.
pub(crate) fn check_names(models: &[NamedModel]) -> Result<()> {
    let twice = |(number, model): (usize, &NamedModel)| models[..number].iter().any(|other| other.name == model.name);
    match models.iter().enumerate().find(|&model| twice(model)) {
        None => Ok(()),
        Some((_, model)) => Err(Error::Usage(format!(
            "--model: two models are called {}; give each a name of its own: NAME={}",
            model.name,
            model.path.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_has_the_name_that_it_is_given_or_that_of_its_folder() {
        for (given, name, path) in [
            ("sft=runs/a/sft", "sft", "runs/a/sft"),
            ("runs/a/sft/", "sft", "runs/a/sft/"),
            ("models/x.gguf", "x", "models/x.gguf"),
            ("hf://org/name", "name", "hf://org/name"),
            ("runs/lr=1/model", "model", "runs/lr=1/model"),
        ] {
            let found: NamedModel = given.parse().expect(given);
            assert_eq!((found.name.as_str(), found.path), (name, PathBuf::from(path)));
        }
        for given in ["", "=x", "x="] {
            assert!(given.parse::<NamedModel>().is_err(), "{given}");
        }
        let both: Vec<NamedModel> = ["a/x", "b/x"].map(|path| path.parse().expect("a path")).to_vec();
        assert!(check_names(&both).unwrap_err().to_string().contains("NAME=b/x"));
        assert!(check_names(&both[..1]).is_ok());
    }
}
