use std::{collections::BTreeMap, path::Path};

use schemars::JsonSchema;
use serde::Deserialize;

use super::*;

/// A configuration with every form a value takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// Seed of everything random.
    seed: u64,
    /// Name of the run.
    name: String,
    /// Steps, if not all.
    ///
    /// A second paragraph that is not shown.
    max_steps: Option<u64>,
    /// Rotary or learned.
    positions: Positions,
    /// Proximal policy optimisation.
    ppo: Ppo,
    /// Files that the text comes from.
    data: Vec<DataFile>,
    /// Weights by name.
    weights: BTreeMap<String, f64>,
    /// Layers to use.
    layers: Vec<u8>,
    /// An optional part.
    ema: Option<Ema>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Positions {
    /// One vector a position.
    Learned,
    Rotary,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Ppo {
    /// Weight of the KL penalty, in reward per nat (InstructGPT: 0.02).
    kl_coef: f64,
    /// Minibatches an update.
    n_minibatches: usize,
    /// Setter of the weight.
    controller: Controller,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Controller {
    /// Never changes.
    Fixed {
        /// The weight.
        coef: f64,
    },
    /// Follows a target.
    Adaptive {
        /// Nats a response.
        target: f64,
        /// Episodes.
        #[serde(default = "horizon")]
        horizon: f64,
    },
}

fn horizon() -> f64 {
    10_000.0
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DataFile {
    /// The file.
    path: String,
    /// Weight with which it is drawn from.
    #[serde(default)]
    weight: f64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Ema {
    /// Decay a step.
    decay: f64,
}

impl Default for Ppo {
    fn default() -> Self {
        Self {
            kl_coef: 0.5,
            n_minibatches: 8,
            controller: Controller::Fixed { coef: 1.0 },
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 1,
            name: "run \"a\"".into(),
            max_steps: None,
            positions: Positions::Learned,
            // Not the part's own default, which a partly given table must not fall back to.
            ppo: Ppo {
                kl_coef: 3e-6,
                ..Ppo::default()
            },
            data: vec![DataFile {
                path: "a.txt".into(),
                weight: 1.0,
            }],
            weights: [("x y".to_owned(), 2.0)].into(),
            layers: vec![1, 2],
            ema: None,
        }
    }
}

fn with_file(text: &str, sets: &[&str]) -> Result<Loaded<Config>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.toml");
    std::fs::write(&path, text).unwrap();
    sets.iter()
        .fold(ConfigLoader::new().file(path), |loader, set| loader.set(*set))
        .load()
}

fn config(text: &str, sets: &[&str]) -> Config {
    with_file(text, sets).map(|loaded| loaded.config).unwrap()
}

/// The message, with the folder of the file cut away.
fn said(text: &str, sets: &[&str]) -> String {
    let message = with_file(text, sets).err().expect("must be refused").to_string();
    let words = message.split(' ').map(|word| match word.rsplit_once('/') {
        Some((before, name)) => format!("{}{name}", if before.starts_with('(') { "(" } else { "" }),
        None => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn no_layers_give_the_default() {
    assert_eq!(ConfigLoader::new().load::<Config>().unwrap().config, Config::default());
    assert_eq!(config("", &[]), Config::default());
}

#[test]
fn later_layers_go_over_earlier_ones_key_by_key() {
    let found = config(
        "seed = 2\n[ppo]\nn_minibatches = 4\n",
        &["seed=3", "max_steps = 10", "ema.decay=0.9"],
    );
    let expected = Config {
        seed: 3,
        max_steps: Some(10),
        ppo: Ppo {
            n_minibatches: 4,
            ..Config::default().ppo
        },
        ema: Some(Ema { decay: 0.9 }),
        ..Config::default()
    };
    assert_eq!(found, expected);
}

#[test]
fn set_takes_toml_values_and_bare_words() {
    let found = config(
        "",
        &[
            "name=hello world",
            "positions=rotary",
            "layers=[3]",
            "ppo.kl_coef=1",
            "data=[{path='b'}]",
            "weights.z=1.5",
        ],
    );
    assert_eq!(
        (found.name.as_str(), found.positions, found.layers),
        ("hello world", Positions::Rotary, vec![3])
    );
    assert_eq!((found.ppo.kl_coef, found.data[0].path.as_str()), (1.0, "b"));
    assert_eq!(found.weights, [("x y".to_owned(), 2.0), ("z".to_owned(), 1.5)].into());
    assert_eq!(
        config("", &["name=12"]).name,
        "12",
        "a number where a string belongs is a string"
    );
    assert_eq!(config("", &["name='12'"]).name, "12");
    assert_eq!(config("", &["name=a=b"]).name, "a=b");
}

#[test]
fn a_change_of_form_drops_the_keys_of_the_other_form() {
    let adaptive = Controller::Adaptive {
        target: 6.0,
        horizon: 10_000.0,
    };
    assert_eq!(
        config("", &["ppo.controller.kind=adaptive", "ppo.controller.target=6"])
            .ppo
            .controller,
        adaptive
    );
    assert_eq!(
        config("[ppo.controller]\nkind = 'adaptive'\ntarget = 6\n", &[])
            .ppo
            .controller,
        adaptive
    );
    let coef = config("", &["ppo.controller.coef=2"]).ppo.controller;
    assert_eq!(coef, Controller::Fixed { coef: 2.0 }, "the same form keeps its keys");
}

#[test]
fn an_unknown_key_is_named_with_its_file_line_and_the_nearest_known_one() {
    let check = |text: &str, sets: &[&str], expected: &str| assert_eq!(said(text, sets), expected);
    check(
        "\n[ppo]\nkl_coeff = 1\n",
        &[],
        "ppo.kl_coeff: unknown key in x.toml:3, did you mean `ppo.kl_coef`?",
    );
    check(
        "",
        &["ppo.kl_coeff=1"],
        "ppo.kl_coeff: unknown key in --set, did you mean `ppo.kl_coef`?",
    );
    check(
        "kl_coef = 1\n",
        &[],
        "kl_coef: unknown key in x.toml:1, did you mean `ppo.kl_coef`?",
    );
    check(
        "[pppo]\nx = 1\n",
        &[],
        "pppo: unknown key in x.toml:1, did you mean `ppo`?",
    );
    check(
        "[[data]]\npath = 'a'\nwieght = 1\n",
        &[],
        "data[0].wieght: unknown key in x.toml:3, did you mean `data[0].weight`?",
    );
    check("", &["ema.zzz=1"], "ema.zzz: unknown key in --set; known here: decay");
    check(
        "",
        &["ppo.controller.target=1"],
        "ppo.controller.target: unknown key in --set; it belongs to `kind` = `adaptive`",
    );
}

#[test]
fn a_wrong_type_is_named_with_what_was_expected_and_found() {
    let check = |text: &str, sets: &[&str], expected: &str| assert_eq!(said(text, sets), expected);
    check(
        "[ppo]\nkl_coef = 'a'\n",
        &[],
        "ppo.kl_coef: expected a number, found the string \"a\" (x.toml:2)",
    );
    check(
        "",
        &["ppo.kl_coef=0.1.2"],
        "ppo.kl_coef: expected a number, found the string \"0.1.2\" (--set)",
    );
    check(
        "",
        &["seed=-1"],
        "seed: expected a whole number of at least 0, found the whole number -1 (--set)",
    );
    check(
        "",
        &["seed=1.5"],
        "seed: expected a whole number of at least 0, found the number 1.5 (--set)",
    );
    check(
        "",
        &["layers=[1,300]"],
        "layers[1]: expected a whole number from 0 to 255, found the whole number 300 (--set)",
    );
    check(
        "ppo = 3\n",
        &[],
        "ppo: expected a table, found the whole number 3 (x.toml:1)",
    );
    check(
        "",
        &["seed.x=1"],
        "seed: expected a whole number of at least 0, found a table (--set)",
    );
    check(
        "",
        &["positions=rotery"],
        "positions: expected one of `rotary`, `learned`, found the string \"rotery\" (--set), did you mean `rotary`?",
    );
    check(
        "",
        &["ppo.controller.kind=none"],
        "ppo.controller.kind: expected one of `fixed`, `adaptive`, found the string \"none\" (--set)",
    );
    check(
        "[weights]\na = true\n",
        &[],
        "weights.a: expected a number, found true (x.toml:2)",
    );
}

#[test]
fn a_key_of_an_earlier_version_is_answered_with_its_new_name() {
    let said = |set: &str| {
        let loader = ConfigLoader::new().renamed(&[("ppo.beta", "ppo.kl_coef"), ("runs", "seed")]);
        loader
            .set(set)
            .load::<Config>()
            .err()
            .expect("must be refused")
            .to_string()
    };
    assert_eq!(
        said("ppo.beta=0.1"),
        "ppo.beta: unknown key in --set; it is called `ppo.kl_coef` now"
    );
    // A table of that name, too.
    assert_eq!(
        said("runs.first=1"),
        "runs: unknown key in --set; it is called `seed` now"
    );
    assert!(!said("ppo.gamma=0.1").contains("called"));
}

#[test]
fn a_missing_key_is_named() {
    assert_eq!(
        said("data = [{ weight = 1.0 }]\n", &[]),
        "data[0].path: missing (x.toml:1)"
    );
    assert_eq!(
        said("", &["ppo.controller.kind=adaptive"]),
        "ppo.controller.target: missing (--set)"
    );
}

#[test]
fn every_fault_is_listed_at_once() {
    let said = said("seeed = 1\n[ppo]\nkl_coef = true\n", &["noise", "a..b=1"]);
    assert_eq!(said.lines().count(), 4, "{said}");
    assert!(
        said.contains("--set noise: expected dotted.key=value, found no `=`"),
        "{said}"
    );
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_named_with_its_line() {
    let missing = ConfigLoader::new().file("/none/x.toml").load::<Config>().err().unwrap();
    assert!(matches!(missing, Error::Read { .. }), "{missing}");
    match with_file("seed = 1\nname = \n", &[]) {
        Err(Error::Malformed { line: Some(2), .. }) => {}
        other => panic!("{:?}", other.map(|loaded| loaded.config)),
    }
}

#[test]
fn the_resolved_file_lists_every_key_with_doc_and_source_and_loads_to_the_same() {
    let loaded = with_file(
        "[ppo]\nn_minibatches = 2\n",
        &["seed=5", "data=[{path='b\\c'},{path=\"d\"}]"],
    )
    .unwrap();
    let text = loaded.resolved_toml_with_sources();
    let has = |line: &str| assert!(text.lines().any(|found| found == line), "no line {line:?} in\n{text}");
    has("# A configuration with every form a value takes.");
    has("# Seed of everything random.");
    has("seed = 5  # --set");
    has("name = \"run \\\"a\\\"\"  # default");
    has("# Steps, if not all.");
    has("# max_steps is not set");
    has("# ema is not set");
    has("[ppo]");
    has("# Weight of the KL penalty, in reward per nat (InstructGPT: 0.02).");
    has("kl_coef = 3e-6  # default");
    has("[ppo.controller]");
    has("\"x y\" = 2.0  # default");
    assert!(
        text.contains("x.toml\n") && !text.contains("second paragraph"),
        "{text}"
    );
    assert_eq!(config(&text, &[]), loaded.config);
}

#[test]
fn faults_found_by_validate_say_where_the_value_came_from() {
    let loaded = with_file("[ppo]\nn_minibatches = 3\n", &[]).unwrap();
    let mut errors = ConfigErrors::new();
    errors.push("ppo.n_minibatches", "3 does not divide batch_size 64");
    errors.push("seed", "is dull");
    let said = loaded.locate(errors).to_string();
    assert!(
        said.starts_with("ppo.n_minibatches: 3 does not divide batch_size 64 ("),
        "{said}"
    );
    assert!(said.ends_with("x.toml:2)\nseed: is dull"), "{said}");
    let file = matches!(loaded.source("ppo.n_minibatches"), Source::File { path, line: 2 } if path.ends_with(Path::new("x.toml")));
    assert!(file);
    assert_eq!(loaded.source("seed"), &Source::Default);
}

#[test]
fn what_a_later_layer_replaced_is_forgotten_as_a_source() {
    let file = "data = [{ path = 'a' }, { path = 'b' }]\n[ppo.controller]\ncoef = 2.0\n";
    let sets = ["data=[{path='c'}]", "ppo.controller={kind='adaptive',target=6}"];
    let loaded = with_file(file, &sets).unwrap();
    assert_eq!(loaded.source("data[0].path"), &Source::Set);
    assert_eq!(loaded.source("data[1].path"), &Source::Default);
    assert_eq!(loaded.source("ppo.controller.target"), &Source::Set);
    assert_eq!(loaded.source("ppo.controller.coef"), &Source::Default);
}

#[test]
fn a_rule_goes_over_the_built_in_value_and_under_what_the_user_says() {
    let rules = || ConfigLoader::new().rule("seed=5").rule("ppo.controller.coef=3.0");
    let loaded = rules().set("seed=7").load::<Config>().unwrap();
    assert_eq!(
        (loaded.source("seed"), loaded.source("ppo.controller.coef")),
        (&Source::Set, &Source::Rule)
    );
    assert!(loaded.resolved_toml_with_sources().contains("# rule"));
    assert_eq!(rules().load::<Config>().unwrap().config.seed, 5);
    let fault = ConfigLoader::new().rule("sede=5").load::<Config>().err().unwrap();
    assert!(fault.to_string().contains("rule"), "{fault}");
}

#[test]
fn the_documentation_has_a_row_for_every_key_of_every_form() {
    let text = markdown_table::<Config>().unwrap();
    for row in [
        "| `seed` | `1` | Seed of everything random. |",
        "| `max_steps` | not set | Steps, if not all. |",
        "### `ppo`",
        "| `ppo.kl_coef` | `3e-6` | Weight of the KL penalty, in reward per nat (InstructGPT: 0.02). |",
        "| `ppo.controller.coef` | `1.0` | (`fixed`) The weight. |",
        "| `ppo.controller.horizon` | `10000.0` | (`adaptive`) Episodes. |",
        "### `data[]`",
        "| `data[].path` | not set | The file. |",
        "| `ema.decay` | `0.0` | Decay a step. |",
    ] {
        assert!(text.lines().any(|line| line == row), "no row {row:?} in\n{text}");
    }
}
