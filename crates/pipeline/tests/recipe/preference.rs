//! Checkpoints of a run compared with each other outside of it: who answers, who judges, what is gone on with and what is refused.

use std::fs;
use std::path::Path;
use std::rc::Rc;

use rlhf_eval::{PreferenceMatrix, PreferenceSummary};
use rlhf_inference::Sampling;
use rlhf_pipeline::stages::Eval;
use rlhf_pipeline::{
    AnswersOf, Config, Contestant, Locations, PreferenceJudge, PreferenceOptions, PromptPart, Result, Silent,
    evaluate_preference,
};

use crate::support::{before, finish, tiny_with};

fn contestant(name: &str, source: AnswersOf) -> Contestant {
    Contestant {
        name: name.to_owned(),
        source,
    }
}

fn options(run: &Path, out: &str, judge: PreferenceJudge) -> PreferenceOptions {
    let model = |name: &str, stage: &str| contestant(name, AnswersOf::Model(run.join(stage)));
    PreferenceOptions {
        contestants: vec![model("sft", "sft"), model("ppo", "ppo"), model("twin", "sft")],
        prompts: run.join("data/prompts.held_out.jsonl"),
        part: PromptPart::All,
        limit: None,
        judge,
        out: run.join(out),
        max_new_tokens: 12,
        max_prompt_tokens: None,
        sampling: Sampling::default(),
        seed: 5,
        max_missing: 0.05,
        device: "flex".to_owned(),
        weights: Default::default(),
    }
}

fn evaluate(options: &PreferenceOptions) -> Result<PreferenceSummary> {
    evaluate_preference(options, &Locations::new(true, Rc::new(Silent)), &Silent)
}

fn answers(options: &PreferenceOptions, name: &str) -> String {
    fs::read_to_string(options.out.join(format!("answers/{name}.jsonl"))).expect("they are written")
}

#[test]
fn checkpoints_are_compared_and_answers_are_gone_on_with() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let config = tiny_with(|_| {});
    for stage in before(&Eval) {
        finish(dir.path(), &config, stage);
    }
    let run = dir.path();
    let by_task = || PreferenceJudge::Task(Box::new(config.clone()));
    let whole = options(run, "whole", by_task());
    let found = evaluate(&whole).expect("all is there");
    let matrix = &found.matrices[0];
    let twin = matrix.win_rate("twin", "sft").expect("they were compared");
    assert_eq!(
        (twin.value, twin.n),
        (0.5, found.prompts),
        "the same model gives the same answers"
    );
    assert!(found.warnings.is_empty(), "{:?}", found.warnings);
    assert!(found.models["ppo"].mean_tokens.is_some_and(|tokens| tokens <= 12.0));
    let text = fs::read_to_string(whole.out.join("summary.json")).expect("it is written");
    assert!(
        text.starts_with("{\n  \"schema\": \"rlhf-eval-preference/1\""),
        "{text}"
    );
    assert_eq!(
        serde_json::from_str::<PreferenceSummary>(&text).expect("a summary"),
        found
    );
    assert!(whole.out.join("model_card.md").exists());

    goes_on(&whole, run, &config);
    warns_and_refuses(&whole, run);
    finish(run, &config, &Eval);
    let text = fs::read_to_string(run.join("eval/summary.json")).expect("it is written");
    let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let matrices: Vec<PreferenceMatrix> = serde_json::from_value(value["matrices"].clone()).expect("matrices");
    let judges: Vec<&str> = matrices.iter().map(|matrix| matrix.judge.as_str()).collect();
    assert_eq!(judges, ["the judge of the task", "the reward model of the run"]);
    let own = matrices[0].win_rate("ppo", "sft").expect("they were compared").value;
    let of_summary = value["ppo"]["win_rate_vs_sft"]["value"].as_f64().expect("a rate");
    assert!((own - of_summary).abs() < 1e-12, "{own} {of_summary}");
}

/// A few prompts first and the rest later are answered as all at once; answers in files are as good as those made here.
fn goes_on(whole: &PreferenceOptions, run: &Path, config: &Config) {
    let judge = PreferenceJudge::Task(Box::new(config.clone()));
    let mut parts = options(run, "parts", judge);
    parts.limit = Some(2);
    assert_eq!(evaluate(&parts).expect("two prompts").prompts, 2);
    parts.limit = None;
    evaluate(&parts).expect("the rest");
    for name in ["sft", "ppo"] {
        assert_eq!(answers(&parts, name), answers(whole, name), "{name}");
    }
    // Nobody answers now: the weights are not even read as such, only their digest.
    let file = |name: &str| AnswersOf::File(whole.out.join(format!("answers/{name}.jsonl")));
    let mut files = options(run, "files", whole.judge.clone());
    files.contestants = vec![contestant("sft", file("sft")), contestant("ppo", file("ppo"))];
    let [from_files, before] =
        [&files, whole].map(|options| evaluate(options).expect("all is there").matrices.remove(0));
    assert_eq!(from_files.win_rate("ppo", "sft"), before.win_rate("ppo", "sft"));

    let mut other = whole.clone();
    other.seed += 1;
    let error = evaluate(&other).expect_err("other answers lie there").to_string();
    assert!(
        error.contains("these answers were made otherwise (seed: now 6, then 5)"),
        "{error}"
    );
}

fn warns_and_refuses(whole: &PreferenceOptions, run: &Path) {
    let mut by_reward = whole.clone();
    by_reward.judge = PreferenceJudge::Reward(run.join("reward"));
    let found = evaluate(&by_reward).expect("it scores");
    assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
    assert!(
        found.warnings[0].starts_with("ppo was trained to please"),
        "{:?}",
        found.warnings
    );

    let choices = run.join("choices.jsonl");
    fs::write(
        &choices,
        "{\"id\":\"held-out-00000\",\"a\":\"sft\",\"b\":\"ppo\",\"winner\":\"a\"}\n",
    )
    .expect("it is written");
    let mut by_people = whole.clone();
    by_people.judge = PreferenceJudge::Choices(choices);
    let error = evaluate(&by_people).expect_err("nearly all are missing").to_string();
    assert!(
        error.contains("comparisons have no verdict, more than the 0.05"),
        "{error}"
    );
    by_people.max_missing = 1.0;
    let pair = evaluate(&by_people)
        .expect("one will do")
        .matrices
        .remove(0)
        .pairs
        .remove(0);
    assert_eq!((pair.win_rate.value, pair.win_rate.n, pair.ties), (1.0, 1, Some(0.0)));

    let parts = [PromptPart::Test, PromptPart::Development].map(|part| {
        let mut halved = whole.clone();
        halved.out = run.join(format!("{part:?}"));
        halved.part = part;
        evaluate(&halved).expect("there are prompts").prompts
    });
    let all = evaluate(whole).expect("all is there").prompts;
    assert!(parts[0] + parts[1] == all && parts[0] > 0, "{parts:?} of {all}");

    let mut alone = whole.clone();
    alone.contestants.truncate(1);
    assert!(
        evaluate(&alone)
            .expect_err("nobody else")
            .to_string()
            .starts_with("a comparison needs two models or more, found 1")
    );
}
