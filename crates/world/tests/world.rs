//! The world's sizes, its splits and its reproducibility.

use std::collections::{BTreeMap, BTreeSet};

use rlhf_data::{Demonstration, Message, Prompt};
use rlhf_tasks::{JudgedTask, PromptSet, stable_hash};
use rlhf_world::{Flaw, Task, TaskKind, World, WorldConfig};

fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric() && c != '-')
        .filter(|w| !w.is_empty())
        .map(str::to_lowercase)
}

#[test]
fn the_same_seed_gives_the_same_world() {
    let config = WorldConfig::tiny();
    let (a, b, c) = (
        World::generate(5, &config),
        World::generate(5, &config),
        World::generate(6, &config),
    );
    assert_eq!(a.documents(), b.documents());
    assert_eq!(a.demonstrations(), b.demonstrations());
    assert_eq!(a.prompts(PromptSet::HeldOut), b.prompts(PromptSet::HeldOut));
    assert_ne!(a.documents(), c.documents());
    assert_ne!(a.demonstrations(), c.demonstrations());
}

#[test]
fn sizes_are_as_configured_and_the_vocabulary_is_small() {
    let config = WorldConfig::default();
    let world = World::generate(1, &config);
    let documents = world.documents();
    let bytes: usize = documents.iter().map(|d| d.len() + 1).sum();
    assert!(
        bytes >= config.document_bytes && bytes < config.document_bytes + 2_000,
        "{bytes}"
    );
    let mut lexicon: BTreeSet<String> = documents.iter().flat_map(|d| words(d)).collect();
    for d in world.demonstrations() {
        for m in &d.messages {
            lexicon.extend(words(&m.content));
        }
    }
    assert!((1_000..1_800).contains(&lexicon.len()), "{}", lexicon.len());
    assert_eq!(documents.iter().collect::<BTreeSet<_>>().len(), documents.len());
    assert_eq!(world.demonstrations().len(), config.demonstrations);
    assert_eq!(world.prompts(PromptSet::Reward).len(), config.reward_prompts);
    assert_eq!(world.prompts(PromptSet::Ppo).len(), config.ppo_prompts);
    assert_eq!(world.prompts(PromptSet::HeldOut).len(), config.held_out_prompts);
}

#[test]
fn prompts_and_answers_are_short_and_of_every_kind() {
    let world = World::generate(
        2,
        &WorldConfig {
            document_bytes: 10_000,
            ..WorldConfig::default()
        },
    );
    let mut kinds: BTreeMap<TaskKind, usize> = BTreeMap::new();
    let (mut long_prompts, mut long_answers, mut longest, mut n) = (0, 0, 0, 0);
    for d in world.demonstrations() {
        *kinds.entry(Task::of_demonstration(d).unwrap().kind()).or_default() += 1;
        let prompt: usize = d.prompt().iter().map(|m| words(&m.content).count()).sum();
        long_prompts += usize::from(prompt > 60);
        long_answers += usize::from(words(d.completion()).count() > 60);
        let all: usize = d.messages.iter().map(|m| words(&m.content).count()).sum();
        longest = longest.max(all);
        n += 1;
    }
    assert_eq!(kinds.len(), TaskKind::ALL.len());
    assert!(kinds.values().all(|count| *count > 100), "{kinds:?}");
    assert!(
        long_prompts * 100 < n && long_answers * 33 < n,
        "{long_prompts} {long_answers} of {n}"
    );
}

/// Shares of held-out rows, and of their turns of phrase, that training has.
#[derive(Debug)]
struct Overlap {
    /// Share of rows whose whole prompt is a training prompt.
    exact_prompt: f64,
    /// Share of rows whose answer is word for word a training answer.
    exact_answer: f64,
    /// Share of the runs of eight words in held-out prompts and answers that training has.
    eight_gram: f64,
}

fn conversation(messages: &[Message]) -> u64 {
    let texts: Vec<&str> = messages.iter().map(|m| m.content.as_str()).collect();
    stable_hash(&texts)
}

fn eight_grams(demonstration: &Demonstration) -> Vec<u64> {
    let mut grams = Vec::new();
    for message in &demonstration.messages {
        let words: Vec<&str> = message.content.split_whitespace().collect();
        grams.extend(words.windows(8).map(stable_hash));
    }
    grams
}

/// Compares held-out rows with those of training.
fn overlap(train: &[Demonstration], held_out: &[Demonstration]) -> Overlap {
    let prompts: BTreeSet<u64> = train.iter().map(|d| conversation(d.prompt())).collect();
    let answers: BTreeSet<&str> = train.iter().map(Demonstration::completion).collect();
    let known: BTreeSet<u64> = train.iter().flat_map(eight_grams).collect();
    let share = |found: usize, all: usize| if all == 0 { 0.0 } else { found as f64 / all as f64 };
    let n = held_out.len();
    let grams: Vec<u64> = held_out.iter().flat_map(eight_grams).collect();
    Overlap {
        exact_prompt: share(
            held_out
                .iter()
                .filter(|d| prompts.contains(&conversation(d.prompt())))
                .count(),
            n,
        ),
        exact_answer: share(held_out.iter().filter(|d| answers.contains(d.completion())).count(), n),
        eight_gram: share(grams.iter().filter(|g| known.contains(g)).count(), grams.len()),
    }
}

#[test]
fn held_out_prompts_are_new() {
    let world = World::generate(
        1,
        &WorldConfig {
            document_bytes: 10_000,
            ..WorldConfig::default()
        },
    );
    let key = |p: &Prompt| p.messages.iter().map(|m| m.content.clone()).collect::<Vec<_>>();
    let mut train: BTreeSet<Vec<String>> = world
        .demonstrations()
        .iter()
        .map(|d| d.prompt().iter().map(|m| m.content.clone()).collect())
        .collect();
    for set in [PromptSet::Reward, PromptSet::Ppo] {
        for p in world.prompts(set) {
            assert!(train.insert(key(&p)), "{:?} twice", p.messages);
        }
    }
    for set in [PromptSet::HeldOut, PromptSet::RewardValidation] {
        for p in world.prompts(set) {
            assert!(train.insert(key(&p)), "{:?} occurs in training", p.messages);
        }
    }
    let shared = overlap(world.demonstrations(), &world.references(PromptSet::HeldOut));
    assert_eq!(shared.exact_prompt, 0.0);
    assert!(shared.exact_answer < 0.1 && shared.eight_gram < 0.35, "{shared:?}");
    assert_eq!(
        overlap(world.demonstrations(), world.demonstrations()).exact_answer,
        1.0
    );
}

#[test]
fn demonstrations_show_the_flaws_of_people() {
    let world = World::generate(
        3,
        &WorldConfig {
            document_bytes: 10_000,
            ..WorldConfig::default()
        },
    );
    let mut flaws: BTreeMap<Option<Flaw>, usize> = BTreeMap::new();
    let mut writers = BTreeSet::new();
    for d in world.demonstrations() {
        *flaws.entry(rlhf_world::flaw_of(d)).or_default() += 1;
        writers.insert(d.task.as_ref().unwrap()["writer"].as_str().unwrap().to_owned());
    }
    assert_eq!(flaws.len(), 9, "{flaws:?}");
    assert!(writers.len() >= 10);
}
