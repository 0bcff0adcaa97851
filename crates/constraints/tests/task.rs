//! Laws of the task: who is asked what, and that demonstrations keep it.

use std::collections::{BTreeMap, BTreeSet};

use rlhf_constraints::{ConstraintTask, ConstraintsAsked, ConstraintsConfig, Error, KINDS, UserRows};
use rlhf_data::{Demonstration, Message, Prompt};
use rlhf_tasks::{JudgedTask, PromptSet};
use serde_json::Value;

const SETS: [PromptSet; 4] = [
    PromptSet::Reward,
    PromptSet::RewardValidation,
    PromptSet::Ppo,
    PromptSet::HeldOut,
];
const TOPICS: [&str; 8] = [
    "rivers", "candles", "bridges", "parrots", "gardens", "pianos", "glaciers", "kitchens",
];
const SAID: [&str; 6] = [
    "They are old, and people know them well",
    "Nobody built the first one in a day",
    "Bring a friend and look at them, slowly, in the morning",
    "Is that a surprise to you? Many say so",
    "In 1990, there were 300 of them",
    "No, they do not sleep",
];

fn prompts(list: &str, count: usize) -> Vec<Prompt> {
    let prompt = |i: usize| Prompt {
        id: format!("{list}-{i}"),
        messages: vec![
            Message::user("Hello."),
            Message::assistant("Hi."),
            Message::user(format!(
                "Tell me about {} number {i} of the {list} list.",
                TOPICS[i % 8]
            )),
        ],
        task: None,
        origin: Default::default(),
    };
    (0..count).map(prompt).collect()
}

fn demonstrations(list: &str, count: usize) -> Vec<Demonstration> {
    let demonstration = |i: usize| {
        let said: Vec<&str> = (0..=i % 5).map(|j| SAID[(i + 5 * j + i / 6) % 6]).collect();
        Demonstration {
            id: format!("{list}-{i}"),
            messages: vec![
                Message::user(format!("Describe {} number {i} of the {list} list", TOPICS[i % 8])),
                Message::assistant(format!("{}.", said.join(". "))),
            ],
            task: None,
            origin: Default::default(),
        }
    };
    (0..count).map(demonstration).collect()
}

fn rows() -> UserRows {
    UserRows {
        documents: vec!["a".to_owned()],
        validation_documents: vec!["b".to_owned()],
        demonstrations: demonstrations("sft", 300),
        validation_demonstrations: demonstrations("validation", 30),
        reward_prompts: prompts("reward", 100),
        validation_reward_prompts: prompts("measuring", 60),
        ppo_prompts: prompts("ppo", 300),
        held_out_prompts: prompts("final", 40),
    }
}

fn config() -> ConstraintsConfig {
    ConstraintsConfig {
        demonstrations: 400,
        validation_demonstrations: 40,
        reward_prompts: 200,
        validation_reward_prompts: 60,
        ppo_prompts: 300,
        held_out_prompts: 120,
        ..ConstraintsConfig::default()
    }
}

fn task(seed: u64) -> ConstraintTask {
    ConstraintTask::new(rows(), &config(), seed).expect("the rows take constraints")
}

fn asked(task: Option<&Value>) -> ConstraintsAsked {
    ConstraintsAsked::of_task(task.expect("every row has a task")).expect("it was written here")
}

fn kinds(asked: &ConstraintsAsked) -> Vec<&'static str> {
    asked.constraints.iter().map(|constraint| constraint.kind()).collect()
}

#[test]
fn sets_have_the_sizes_asked_for_and_ids_of_their_own() {
    let task = task(1);
    for (set, size) in SETS.into_iter().zip([200, 60, 300, 120]) {
        let prompts = task.prompts(set);
        assert_eq!(prompts.len(), size, "{set:?}");
        assert_eq!(prompts.iter().map(|p| &p.id).collect::<BTreeSet<_>>().len(), size);
        let texts: BTreeSet<String> = prompts
            .iter()
            .map(|p| format!("{:?}", asked(p.task.as_ref())))
            .collect();
        assert_eq!(texts.len(), size, "no prompt twice in {set:?}");
    }
    assert_eq!(task.demonstrations().len(), 400);
    assert_eq!(task.validation_demonstrations().len(), 40);
    assert_eq!(
        (task.documents(), task.validation_documents()),
        (&["a".to_owned()][..], &["b".to_owned()][..])
    );
}

#[test]
fn instructions_follow_the_last_request_and_change_nothing_else() {
    for prompt in task(1).prompts(PromptSet::Ppo) {
        let asked = asked(prompt.task.as_ref());
        assert_eq!(
            prompt.messages[..2],
            [Message::user("Hello."), Message::assistant("Hi.")]
        );
        let content = &prompt.messages[2].content;
        let instructions = content.strip_prefix(&asked.request).unwrap();
        assert!(
            instructions.starts_with([' ', '\n']) && instructions.len() > 10,
            "{content}"
        );
    }
}

#[test]
fn kinds_that_are_held_out_occur_only_where_they_are_flagged() {
    let (task, held_out) = (task(1), config().held_out_kinds);
    let has_held_out =
        |asked: &ConstraintsAsked| kinds(asked).iter().any(|kind| held_out.iter().any(|name| name == kind));
    for set in SETS {
        let all: Vec<ConstraintsAsked> = task.prompts(set).iter().map(|p| asked(p.task.as_ref())).collect();
        let flagged = all.iter().filter(|asked| asked.held_out_kind).count();
        assert_eq!(flagged, if set.is_held_out() { all.len() / 3 } else { 0 }, "{set:?}");
        assert!(all.iter().all(|asked| asked.held_out_kind == has_held_out(asked)));
    }
    let rows = task.demonstrations().iter().chain(task.validation_demonstrations());
    assert!(
        rows.map(|row| asked(row.task.as_ref()))
            .all(|asked| !has_held_out(&asked))
    );
}

#[test]
fn training_kinds_are_asked_for_in_equal_numbers() {
    let config = ConstraintsConfig {
        combined: 0.0,
        ..config()
    };
    let task = ConstraintTask::new(rows(), &config, 1).unwrap();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for prompt in task.prompts(PromptSet::Ppo) {
        *counts.entry(asked(prompt.task.as_ref()).kind).or_default() += 1;
    }
    assert_eq!(counts.len(), KINDS.len() - config.held_out_kinds.len());
    let (least, most) = (counts.values().min().unwrap(), counts.values().max().unwrap());
    assert!(most - least <= 1, "{counts:?}");
}

#[test]
fn about_a_fifth_of_the_prompts_has_two_constraints_that_go_together() {
    let prompts = task(1).prompts(PromptSet::Ppo);
    let all: Vec<ConstraintsAsked> = prompts.iter().map(|p| asked(p.task.as_ref())).collect();
    let two: Vec<&ConstraintsAsked> = all.iter().filter(|asked| asked.constraints.len() == 2).collect();
    assert!((30..90).contains(&two.len()), "{}", two.len());
    for asked in two {
        assert!(
            rlhf_constraints::compatible(&asked.constraints[0], &asked.constraints[1]),
            "{asked:?}"
        );
        assert_eq!(asked.kind, kinds(asked).join("+"));
    }
}

#[test]
fn a_demonstration_keeps_what_it_is_asked_for() {
    let task = task(1);
    let mut shown = BTreeSet::new();
    for row in task.demonstrations().iter().chain(task.validation_demonstrations()) {
        let asked = asked(row.task.as_ref());
        let answer = row.completion();
        for (kind, check) in asked.checks(answer) {
            assert!(check.met, "{kind}: {answer}");
            shown.insert(kind);
        }
        assert!(row.prompt()[0].content.starts_with(&asked.request));
    }
    // Nobody answers in one word here.
    assert!(shown.len() >= config().training_kinds().len() - 1, "{shown:?}");
}

#[test]
fn requests_that_are_kept_apart_stay_apart() {
    let task = task(1);
    let requests = |set| -> BTreeSet<String> {
        let prompts = task.prompts(set);
        prompts.iter().map(|p| asked(p.task.as_ref()).request).collect()
    };
    let held_out = requests(PromptSet::HeldOut);
    let demonstrated: BTreeSet<String> = task
        .demonstrations()
        .iter()
        .map(|d| asked(d.task.as_ref()).request)
        .collect();
    for training in [requests(PromptSet::Reward), requests(PromptSet::Ppo), demonstrated] {
        assert!(training.is_disjoint(&held_out));
    }
}

#[test]
fn the_same_seed_gives_the_same_rows() {
    let (one, same, other) = (task(1), task(1), task(2));
    for set in SETS {
        assert_eq!(one.prompts(set), same.prompts(set));
        assert_ne!(one.prompts(set), other.prompts(set));
    }
    assert_eq!(one.demonstrations(), same.demonstrations());
    assert_ne!(one.demonstrations(), other.demonstrations());
}

#[test]
fn one_row_takes_many_constraints_but_none_twice() {
    let rows = UserRows {
        ppo_prompts: prompts("ppo", 1),
        ..UserRows::default()
    };
    let config = ConstraintsConfig {
        kinds: vec!["bullets".to_owned(), "json".to_owned()],
        combined: 0.0,
        ..config()
    };
    // Two to five bullets, and JSON.
    let task = ConstraintTask::new(rows, &config, 1).unwrap();
    assert_eq!(task.prompts(PromptSet::Ppo).len(), 5);
    assert!(task.prompts(PromptSet::HeldOut).is_empty());
}

#[test]
fn rows_of_no_use_are_an_error_that_says_what_was_expected() {
    let long = ConstraintsConfig {
        max_prompt_words: 2,
        ..config()
    };
    let error = |rows: UserRows| ConstraintTask::new(rows, &long, 1).unwrap_err();
    let no_prompts = error(UserRows {
        ppo_prompts: prompts("ppo", 3),
        ..UserRows::default()
    });
    assert_eq!(
        no_prompts.to_string(),
        "none of the 3 prompts of the set ppo ends with a request of 1 to 2 words"
    );
    let no_demonstrations = error(UserRows {
        demonstrations: demonstrations("sft", 3),
        ..UserRows::default()
    });
    assert!(matches!(no_demonstrations, Error::NoDemonstrations { rows: 3, .. }));
    let unknown = ConstraintsConfig {
        kinds: vec!["rhyme".to_owned()],
        ..config()
    };
    assert!(matches!(
        ConstraintTask::new(rows(), &unknown, 1),
        Err(Error::Config(_))
    ));
}

#[test]
fn the_readme_lists_the_kinds_that_the_example_prints() {
    let table = rlhf_constraints::kinds_table();
    assert_eq!(table.lines().count(), KINDS.len() + 2);
    assert!(
        include_str!("../README.md").contains(&table),
        "run the example kinds and put its table there"
    );
}
