//! The world's sizes, its splits and its reproducibility.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rlhf_data::Prompt;
use rlhf_world::{
    Ballot, Flaw, Judge, Labeler, LabelerConfig, LabelerPool, PromptSet, Task, TaskKind, World, WorldConfig, agreement,
    overlap,
};

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
        *kinds.entry(Task::of_demonstration(&d).unwrap().kind()).or_default() += 1;
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
    let shared = overlap(&world.demonstrations(), &world.references(PromptSet::HeldOut));
    assert_eq!(shared.exact_prompt, 0.0);
    assert!(shared.exact_answer < 0.1 && shared.eight_gram < 0.35, "{shared:?}");
    assert_eq!(
        overlap(&world.demonstrations(), &world.demonstrations()).exact_answer,
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
        *flaws.entry(rlhf_world::flaw_of(&d)).or_default() += 1;
        writers.insert(d.task.as_ref().unwrap()["writer"].as_str().unwrap().to_owned());
    }
    assert_eq!(flaws.len(), 9, "{flaws:?}");
    assert!(writers.len() >= 10);
}

/// Completions like those of a model trained on the demonstrations: good and flawed ones mixed.
fn samples(world: &World, n: usize) -> Vec<(Prompt, Vec<String>)> {
    let flaws = [
        None,
        None,
        None,
        None,
        Some(Flaw::Careless),
        Some(Flaw::Wrong),
        Some(Flaw::Curt),
        Some(Flaw::Rambling),
    ];
    let prompts = world.prompts(PromptSet::Reward);
    let take = |(i, p): (usize, Prompt)| {
        let texts = (0..4)
            .map(|k| {
                world
                    .answer(&p, flaws[(i * 5 + k * 3) % flaws.len()], k as u64)
                    .expect("prompts of a world have tasks")
            })
            .collect();
        (p, texts)
    };
    prompts.into_iter().take(n).enumerate().map(take).collect()
}

fn pool(world: &World, seed: u64) -> LabelerPool {
    LabelerPool::new(seed, Arc::new(Judge::new(world)), &LabelerConfig::default())
}

#[test]
fn labelers_are_calibrated_to_the_agreement_of_people() {
    let world = World::generate(
        1,
        &WorldConfig {
            reward_prompts: 300,
            ..WorldConfig::tiny()
        },
    );
    let samples = samples(&world, 300);
    let mut labelers = pool(&world, 1);
    let reached = labelers.calibrate(&samples, 0.73).unwrap();
    assert!((reached - 0.73).abs() < 0.01, "{reached}");
    let again = {
        let mut labelers = pool(&world, 1);
        labelers.calibrate(&samples, 0.73).unwrap();
        labelers.noise()
    };
    assert_eq!(labelers.noise(), again);
    assert!(labelers.noise() > 0.01, "{}", labelers.noise());
    let ballots: Vec<Ballot> = samples
        .iter()
        .map(|(p, texts)| {
            let training = labelers.training().iter();
            training.map(|l| l.rank(p, texts).unwrap().ranks).collect()
        })
        .collect();
    let measured = agreement(&ballots, 1);
    assert!((measured.value - 0.73).abs() < 0.01, "{measured:?}");
    assert!(measured.low < 0.73 && 0.73 < measured.high);
    // A labeler asked twice says the same.
    let first = &labelers.training()[0];
    let twice: Vec<Ballot> = samples
        .iter()
        .map(|(p, texts)| (0..2).map(|_| first.rank(p, texts).unwrap().ranks).collect())
        .collect();
    assert_eq!(agreement(&twice, 1).value, 1.0);
    // Less than by chance is refused.
    let message = labelers.calibrate(&samples, 0.2).unwrap_err().to_string();
    assert!(message.starts_with("agreement 0.2 cannot be reached"), "{message}");
    // Where all answers are alike there is nothing to agree on.
    let alike: Vec<_> = samples
        .iter()
        .map(|(prompt, texts)| (prompt.clone(), vec![texts[0].clone(), texts[0].clone()]))
        .collect();
    let message = labelers.calibrate(&alike, 0.73).unwrap_err().to_string();
    assert!(
        message.starts_with("no two labelers order a pair of answers"),
        "{message}"
    );
}

#[test]
fn labelers_tie_equals_and_err_about_what_differs() {
    let world = World::generate(
        1,
        &WorldConfig {
            reward_prompts: 300,
            ..WorldConfig::tiny()
        },
    );
    let samples = samples(&world, 300);
    let judge = Judge::new(&world);
    let mut labelers = pool(&world, 1);
    labelers.calibrate(&samples, 0.73).unwrap();
    let [mut equals, mut ties, mut far, mut wrong] = [0; 4];
    for (prompt, texts) in &samples {
        let gold: Vec<f64> = texts.iter().map(|t| judge.assess(prompt, t).unwrap().gold).collect();
        for labeler in labelers.all() {
            let ranks = labeler.rank(prompt, texts).unwrap().ranks;
            for a in 0..texts.len() {
                for b in 0..a {
                    let gap = gold[a] - gold[b];
                    if gap.abs() < 0.01 && texts[a] != texts[b] {
                        equals += 1;
                        ties += usize::from(ranks[a] == ranks[b]);
                    } else if gap.abs() > 0.3 {
                        far += 1;
                        wrong += usize::from((ranks[a] > ranks[b]) == (gap > 0.0));
                    }
                }
            }
        }
    }
    assert!(equals > 1000 && far > 1000, "{equals} and {far}");
    assert!(2 * ties > equals, "{ties} of {equals} equals are ties");
    // Two labelers who are right in 84 % of cases agree in 0.84² + 0.16² = 73 %.
    let share = f64::from(wrong as u32) / f64::from(far as u32);
    assert!((0.05..0.3).contains(&share), "{wrong} of {far} wrong");
}

#[test]
fn labelers_do_not_care_in_which_order_answers_come() {
    let world = World::generate(1, &WorldConfig::tiny());
    let labelers = pool(&world, 2);
    for (p, texts) in samples(&world, 40) {
        let mut turned = texts.clone();
        turned.reverse();
        let ranks = labelers.training()[1].rank(&p, &texts).unwrap().ranks;
        let mut back = labelers.training()[1].rank(&p, &turned).unwrap().ranks;
        back.reverse();
        assert_eq!(ranks, back);
    }
    let (p, _) = samples(&world, 1).remove(0);
    let message = labelers.training()[0]
        .rank(&p, &["One.".into()])
        .unwrap_err()
        .to_string();
    assert!(message.ends_with("1 completions, at least 2 are needed"), "{message}");
}
