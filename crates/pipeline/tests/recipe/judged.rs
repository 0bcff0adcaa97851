//! Two halves of people's comparisons: the reward model of one is optimised, that of the other judges.

use std::fs;
use std::path::Path;

use rlhf_data::Source;
use rlhf_pipeline::Config;
use rlhf_pipeline::config::{DataSource, LabelerKind, Part};
use rlhf_pipeline::stages::{Eval, Label, Ppo};
use serde_json::Value;

use crate::support::{before, finish, tiny_with};

/// Comparisons in two files, demonstrations and prompts, learnt from by one of two reward models.
fn halves(rows: &Path, part: &str, seed: u64) -> Config {
    let write = |name: &str, count: usize, row: &dyn Fn(usize) -> String| {
        let path = rows.join(name);
        let text: String = (0..count).map(|n| row(n) + "\n").collect();
        fs::write(&path, text).expect("a temporary folder");
        Source::new(name)
    };
    let pair = |question: &'static str| {
        move |n: usize| format!(r#"{{"prompt": "{question} {n}?", "chosen": "By the long sea.", "rejected": "No."}}"#)
    };
    let comparisons = vec![
        write("where.jsonl", 60, &pair("Where is boat")),
        write("whose.jsonl", 60, &pair("Whose is boat")),
    ];
    let demonstrations = write("demonstrations.jsonl", 80, &|n| {
        format!(r#"{{"prompt": "Where is boat {n}?", "completion": "By the sea."}}"#)
    });
    let text = write("text.jsonl", 100, &|n| {
        format!(r#"{{"text": "Ada has {n} boats by the sea."}}"#)
    });
    tiny_with(|config| {
        config.seed = seed;
        config.data.source = DataSource::Files;
        config.data.root = rows.to_owned();
        config.data.validation_fraction = 0.25;
        config.data.pretrain = vec![text];
        config.data.demonstrations = vec![demonstrations.clone()];
        config.data.ppo_prompts = vec![demonstrations];
        config.data.comparisons = comparisons;
        config.data.comparisons_part = Part::try_from(part.to_owned()).expect("a part");
        config.label.labeler = LabelerKind::Files;
        config.ppo.episodes = 32;
    })
}

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn a_reward_model_of_the_other_half_judges_and_so_do_references() {
    let [rows, other, own] = [(); 3].map(|()| tempfile::tempdir().expect("a temporary folder"));
    let other_half = halves(rows.path(), "2/2", 2);
    for stage in before(&Ppo) {
        finish(other.path(), &other_half, stage);
    }
    let mut config = halves(rows.path(), "1/2", 1);
    config.eval.judges = [("people".to_owned(), other.path().join("reward"))].into();
    config.eval.references.clone_from(&config.data.demonstrations);
    for stage in before(&Eval) {
        finish(own.path(), &config, stage);
    }
    finish(own.path(), &config, &Eval);

    let prompts = |dir: &Path, file: &str| -> Vec<String> {
        let text = fs::read_to_string(dir.join("label").join(file)).expect("rankings");
        let prompt = |line: &str| serde_json::from_str::<Value>(line).expect("a row")["messages"].to_string();
        text.lines().map(prompt).collect()
    };
    let learnt = [other.path(), own.path()].map(|dir| prompts(dir, "comparisons.jsonl"));
    assert!(learnt.iter().all(|rows| rows.len() > 25), "{learnt:?}");
    assert!(learnt[0].iter().all(|prompt| !learnt[1].contains(prompt)));
    assert_eq!(
        prompts(other.path(), "validation.jsonl"),
        prompts(own.path(), "validation.jsonl")
    );

    let report = json(&own.path().join("reward/report.json"));
    let of_source = |name: &str| report["by_source"][name]["accuracy"]["n"].as_u64();
    let counts = of_source("where.jsonl").zip(of_source("whose.jsonl"));
    let (where_, whose) = counts.unwrap_or_else(|| panic!("{report}"));
    assert_eq!(Some(where_ + whose), report["length"]["accuracy"]["n"].as_u64());

    let summary = json(&own.path().join("eval/summary.json"));
    let people = &summary["ppo"]["second"]["people"];
    let [mean, over_sft] = ["mean", "over_sft"].map(|key| people[key]["value"].as_f64().expect("a number"));
    let of_sft = summary["sft"]["second"]["people"]["mean"]["value"]
        .as_f64()
        .expect("a number");
    assert!((mean - of_sft - over_sft).abs() < 1e-9, "{people}");
    // Each held-out prompt has a demonstration of its own.
    assert_eq!(summary["ppo"]["second"]["ROUGE-L"]["mean"]["n"], summary["prompts"]);
    let card = fs::read_to_string(own.path().join("eval/model_card.md")).expect("a card");
    for said in [
        "| PPO |",
        "- people, ",
        "- ROUGE-2, ",
        "- comparisons: where.jsonl, whose.jsonl",
    ] {
        assert!(card.contains(said), "{said}: {card}");
    }
}

#[test]
fn a_part_of_the_comparisons_is_another_result_of_label_alone() {
    let [rows, dir] = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
    let config = halves(rows.path(), "1/2", 1);
    for stage in before(&Ppo) {
        finish(dir.path(), &config, stage);
    }
    let other = halves(rows.path(), "2/2", 1);
    for stage in before(&Label) {
        assert!(finish(dir.path(), &other, stage).was_complete, "{}", stage.name());
    }
    let refused = crate::support::refusal(dir.path(), &other, &Label);
    assert!(refused.contains("comparisons_part"), "{refused}");
}
