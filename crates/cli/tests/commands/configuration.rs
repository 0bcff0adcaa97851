//! `rlhf config`, and what every stage says of a configuration that is wrong.

use crate::support::{file, folder, rlhf};

#[test]
fn an_unknown_key_suggests_the_nearest() {
    let found = rlhf(&["config", "--set", "ppo.kl.coeff=0.1"]);
    found.refused(1, &["ppo.kl.coeff: unknown key in --set, did you mean `ppo.kl.coef`?"]);
    let dir = folder("configuration_unknown");
    let path = file(&dir, "a.toml", "seed = 2\n\n[reward]\nbatch_promts = 8\n");
    // A stage refuses it before it touches the run.
    rlhf(&["reward", "--config", &path, "--run", "no-such-run"]).refused(
        1,
        &[
            "reward.batch_promts",
            &format!("{path}:4"),
            "did you mean `reward.batch_prompts`?",
        ],
    );
}

#[test]
fn values_of_a_wrong_kind_or_out_of_range_are_named_with_their_source() {
    rlhf(&["config", "--set", "ppo.gamma=\"much\""]).refused(1, &["ppo.gamma", "--set", "much"]);
    rlhf(&["config", "--set", "sample.k_min=1"]).refused(1, &["sample.k_min", "at least 2", "--set"]);
    // Every fault is told, not the first alone.
    let found = rlhf(&["config", "--set", "sample.k_min=1", "--set", "eval.prompts=0"]);
    found.refused(1, &["sample.k_min", "eval.prompts"]);
    rlhf(&["config", "--set", "seed"]).refused(1, &["--set seed", "no `=`"]);
    let ways = "sample.sampling=[{ temperature = 1.0 }, { temperature = -1.0 }]";
    rlhf(&["config", "--set", ways]).refused(1, &["sample.sampling[1].temperature", "expected 0 to 100, found -1"]);
    rlhf(&["config", "--set", "sample.sampling=[]"]).refused(1, &["sample.sampling", "at least one"]);
}

#[test]
fn adapters_that_cannot_be_are_refused_by_the_path_of_their_field() {
    rlhf(&["config", "--set", "sft.lora.rank=0"]).refused(1, &["sft.lora.rank: 0, expected at least 1 (--set)"]);
    rlhf(&["config", "--set", "reward.lora.alpha=-1"]).refused(1, &["reward.lora.alpha", "-1", "above 0"]);
    rlhf(&["config", "--set", "ppo.lora.target_modules=[]"]).refused(1, &["ppo.lora.target_modules", "all-linear"]);
    rlhf(&["config", "--set", "ppo.lora.rnk=4"]).refused(1, &["ppo.lora.rnk", "did you mean `ppo.lora.rank`?"]);
    let targets = "sft.lora.target_modules=[\"c_attn\", \"mlp.c_fcc\"]";
    rlhf(&["config", "--set", targets]).refused(
        1,
        &[
            "sft.lora.target_modules[1]: `mlp.c_fcc`",
            "gpt2",
            "did you mean `mlp.c_fc`?",
            "--set",
        ],
    );
    rlhf(&["config", "--set", "pretrain.lora.rank=4"]).refused(1, &["pretrain.lora: unknown key", "`sft.lora`"]);
    // The layers of a model that is brought along are known when a stage reads it.
    let other = "sft.lora.target_modules=[\"q_proj\"]";
    rlhf(&["config", "--set", other, "--base", "somewhere"]).printed();
    let printed = rlhf(&["config", "--set", "sft.lora={}"]).printed();
    assert!(printed.contains("[sft.lora]") && printed.contains("rank = 8") && printed.contains("# lora is not set"));
}

#[test]
fn a_file_that_is_missing_or_no_toml_is_named() {
    rlhf(&["config", "--config", "nowhere.toml"]).refused(1, &["nowhere.toml", "No such file"]);
    let path = file(&folder("configuration_malformed"), "a.toml", "seed = 1\n[ppo\n");
    rlhf(&["config", "--config", &path]).refused(1, &[&format!("{path}:2")]);
}

#[test]
fn the_printed_configuration_names_sources_and_reads_back_as_itself() {
    let dir = folder("configuration_printed");
    let path = file(&dir, "a.toml", "[ppo]\nepisodes = 1024\n");
    let first = rlhf(&["config", "--config", &path, "--set", "ppo.gamma=0.9", "--seed", "7"]).printed();
    assert!(first.contains(&format!("episodes = 1024  # {path}\n")), "{first}");
    assert!(first.contains("gamma = 0.9  # --set\n"));
    assert!(first.contains("seed = 7  # --set\n"));
    assert!(first.contains("gae_lambda = 0.95  # default\n"));
    let second = rlhf(&["config", "--config", &file(&dir, "b.toml", &first)]).printed();
    let table = |text: &str| text.parse::<toml::Table>().expect("TOML");
    assert_eq!(table(&first), table(&second));
}

#[test]
fn the_tables_of_the_documentation_have_every_section() {
    let text = rlhf(&["config", "--markdown"]).printed();
    for section in [
        "data",
        "world",
        "tokenizer",
        "model",
        "pretrain",
        "sft",
        "sample",
        "label",
        "reward",
        "ppo",
        "eval",
    ] {
        assert!(text.contains(&format!("### `{section}`")), "{section}");
    }
    assert!(text.contains("| `seed` | `1` |"));
}
