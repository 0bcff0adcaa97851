//! The settings of a run: what differs from the defaults, and between runs.

use serde::Serialize;

use crate::folder::RunFolder;

/// A setting by its dotted path, with its value in each run that is shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Setting {
    pub(crate) path: String,
    pub(crate) values: Vec<String>,
}

/// Ends a line of `config.toml` whose value nobody chose.
const UNTOUCHED: &str = "# default";

/// Settings that somebody chose, as the comments of `config.toml` say, with where they come from.
pub(crate) fn chosen(run: &RunFolder) -> Vec<Setting> {
    let (mut section, mut found) = (String::new(), Vec::new());
    for line in run.config_text.as_deref().unwrap_or_default().lines() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = format!("{name}.");
            continue;
        }
        let Some((assignment, source)) = line.rsplit_once("  # ") else {
            continue;
        };
        let Some((key, value)) = assignment.split_once(" = ").filter(|_| !line.starts_with('#')) else {
            continue;
        };
        if !line.ends_with(UNTOUCHED) {
            found.push(Setting {
                path: format!("{section}{key}"),
                values: vec![value.trim().to_owned(), source.to_owned()],
            });
        }
    }
    found
}

/// Settings that are not the same in all runs.
pub(crate) fn differing(runs: &[RunFolder]) -> Vec<Setting> {
    let flat: Vec<Vec<(String, String)>> = runs.iter().map(|run| flattened(&run.config)).collect();
    let mut paths: Vec<&String> = flat.iter().flatten().map(|(path, _)| path).collect();
    paths.sort();
    paths.dedup();
    let setting = |path: &String| Setting {
        path: path.clone(),
        values: (flat.iter())
            .map(|settings| {
                let found = settings.iter().find(|(other, _)| other == path);
                found.map_or_else(|| "–".to_owned(), |(_, value)| value.clone())
            })
            .collect(),
    };
    let differs = |setting: &Setting| setting.values.windows(2).any(|pair| pair[0] != pair[1]);
    paths.into_iter().map(setting).filter(differs).collect()
}

/// Values by dotted path.
fn flattened(table: &toml::Table) -> Vec<(String, String)> {
    let mut flat = Vec::new();
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) => {
                flat.extend(
                    flattened(inner)
                        .into_iter()
                        .map(|(path, value)| (format!("{key}.{path}"), value)),
                );
            }
            value => flat.push((key.clone(), value.to_string())),
        }
    }
    flat
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> RunFolder {
        RunFolder {
            config_text: Some(text.to_owned()),
            config: text.parse().expect("TOML"),
            ..RunFolder::default()
        }
    }

    #[test]
    fn chosen_settings_are_those_whose_comment_names_a_source() {
        let text = "# Seed.\nseed = 22  # --set\n# A value  # --set of a comment\ndevice = \"flex\"  # default\n\n\
                    [ppo.lr]\npeak_lr = 0.001  # configs/x.toml\n";
        let found = chosen(&run(text));
        let told: Vec<(&str, &str, &str)> = (found.iter())
            .map(|setting| {
                (
                    setting.path.as_str(),
                    setting.values[0].as_str(),
                    setting.values[1].as_str(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [("seed", "22", "--set"), ("ppo.lr.peak_lr", "0.001", "configs/x.toml")]
        );
    }

    #[test]
    fn differing_settings_are_told_with_what_is_missing() {
        let found = differing(&[
            run("seed = 1\n[ppo]\nkl = 0.2\nsame = 3\n"),
            run("seed = 2\n[ppo]\nsame = 3\n"),
        ]);
        assert_eq!(
            found,
            [
                Setting {
                    path: "ppo.kl".into(),
                    values: vec!["0.2".into(), "–".into()]
                },
                Setting {
                    path: "seed".into(),
                    values: vec!["1".into(), "2".into()]
                },
            ]
        );
    }
}
