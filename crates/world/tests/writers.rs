//! The judge against the writers of the world: they are judged as they meant to write.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rlhf_data::{Message, Prompt};
use rlhf_tasks::{GoldJudge, JudgedTask, PromptSet};
use rlhf_world::{Flaw, Judge, Task, TaskKind, World, WorldConfig, flaw_of};

fn world(seed: u64) -> World {
    let sizes = WorldConfig {
        document_bytes: 1_200_000,
        demonstrations: 2_000,
        ..WorldConfig::default()
    };
    World::generate(seed, &sizes)
}

fn prompt(text: &str, task: &Task) -> Prompt {
    Prompt {
        id: "by-hand".into(),
        messages: vec![Message::user(text)],
        task: Some(serde_json::to_value(task).expect("a task is JSON")),
        origin: Default::default(),
    }
}

#[test]
fn good_demonstrations_are_true_and_better_than_flawed_ones() {
    [1, 2, 3].into_iter().for_each(good_beats_flawed);
}

fn good_beats_flawed(seed: u64) {
    let world = world(seed);
    let judge = Judge::new(&world);
    let mut sums: BTreeMap<(TaskKind, Option<Flaw>), (f64, f64)> = BTreeMap::new();
    let mut better = 0;
    let mut compared = 0;
    for p in world
        .prompts(PromptSet::HeldOut)
        .into_iter()
        .chain(world.prompts(PromptSet::RewardValidation))
    {
        let task = Task::of_prompt(&p).expect("prompts of a world have tasks");
        let good = world.answer(&p, None, 0).expect("prompts of a world have tasks");
        let verdict = judge.assess(&p, &good).expect("prompts of a world have tasks");
        assert!(!verdict.untrue, "{:?}\n{good}\n{verdict:?}", p.messages);
        assert!(verdict.gold > 0.8, "{:?}\n{good}\n{verdict:?}", p.messages);
        for flaw in task.kind().flaws() {
            let text = world.answer(&p, Some(flaw), 1).expect("prompts of a world have tasks");
            let flawed = judge.assess(&p, &text).expect("prompts of a world have tasks");
            let said_untrue = matches!(flaw, Flaw::Wrong | Flaw::Guess);
            assert_eq!(
                flawed.untrue, said_untrue,
                "{flaw:?} {:?}\n{text}\n{flawed:?}",
                p.messages
            );
            compared += 1;
            better += usize::from(verdict.gold > flawed.gold);
            let entry = sums.entry((task.kind(), Some(flaw))).or_default();
            *entry = (entry.0 + flawed.gold, entry.1 + 1.0);
        }
        let entry = sums.entry((task.kind(), None)).or_default();
        *entry = (entry.0 + verdict.gold, entry.1 + 1.0);
    }
    assert!(better as f64 > 0.995 * compared as f64, "{better} of {compared}");
    for ((kind, flaw), (sum, n)) in &sums {
        let good = sums[&(*kind, None)];
        if flaw.is_some() {
            assert!(sum / n < good.0 / good.1 - 0.04, "{kind} {flaw:?} {}", sum / n);
        }
    }
}

#[test]
fn the_writers_are_judged_as_they_meant_to_write() {
    let world = world(1);
    let judge = Judge::new(&world);
    let (mut good, mut flawed) = (Vec::new(), Vec::new());
    for d in world.demonstrations() {
        let p = Prompt {
            id: d.id.clone(),
            messages: d.prompt().to_vec(),
            task: d.task.clone(),
            origin: Default::default(),
        };
        let gold = judge.assess(&p, d.completion()).unwrap().gold;
        if flaw_of(d).is_none() {
            good.push(gold)
        } else {
            flawed.push(gold)
        }
    }
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let share = flawed.len() as f64 / (good.len() + flawed.len()) as f64;
    assert!((share - 0.3).abs() < 0.04, "{share}");
    assert!(
        mean(&good) > 0.95 && mean(&flawed) < 0.7,
        "{} {}",
        mean(&good),
        mean(&flawed)
    );
}

#[test]
fn judging_is_deterministic_and_ties_are_rare() {
    let world = world(1);
    let (one, two) = (Judge::new(&world), Judge::new(&world));
    let mut golds = Vec::new();
    for p in world.prompts(PromptSet::HeldOut) {
        for variant in 0..2 {
            let text = world.answer(&p, None, variant).unwrap();
            let verdict = one.assess(&p, &text).unwrap();
            assert_eq!(verdict, two.assess(&p, &text).unwrap());
            golds.push((verdict.gold, text));
        }
    }
    let pairs: Vec<_> = golds.chunks_exact(2).filter(|pair| pair[0].1 != pair[1].1).collect();
    let ties = pairs.iter().filter(|pair| pair[0].0 == pair[1].0).count();
    assert!(ties * 20 < pairs.len(), "{ties} of {}", pairs.len());
}

#[test]
fn prompts_that_cannot_be_judged_are_refused() {
    let world = World::generate(1, &WorldConfig::tiny());
    let judge = Judge::new(&world);
    let bare = Prompt {
        id: "p1".into(),
        messages: vec![Message::user("Hello?")],
        task: None,
        origin: Default::default(),
    };
    let message = judge.assess(&bare, "Hello!").unwrap_err().to_string();
    assert_eq!(message, "row p1: no task is stored beside it, so it cannot be judged");
    let stranger = prompt(
        "Where does Nobody live?",
        &Task::Visit {
            place: "Nowhere".into(),
        },
    );
    let message = judge.assess(&stranger, "Hello!").unwrap_err().to_string();
    assert_eq!(message, "row by-hand: the world has no \"Nowhere\"");
}

/// Text in which each word may follow the two before it, as in the demonstrations: what a model says that has learned
/// to speak and nothing else.
fn babble(rng: &mut ChaCha8Rng, followers: &BTreeMap<[String; 2], Vec<String>>, kind: TaskKind) -> String {
    let mut last = [kind.to_string(), String::new()];
    let mut words = Vec::new();
    while let (true, Some(next)) = (words.len() < 60, followers.get(&last)) {
        let word = next[rng.random_range(0..next.len())].clone();
        if word.is_empty() {
            break;
        }
        last = [last[1].clone(), word.clone()];
        words.push(word);
    }
    words.join(" ")
}

#[test]
fn fluent_babble_scores_low() {
    let world = world(1);
    let judge = Judge::new(&world);
    let mut followers: BTreeMap<[String; 2], Vec<String>> = BTreeMap::new();
    for d in world.demonstrations() {
        let mut last = [Task::of_demonstration(d).unwrap().kind().to_string(), String::new()];
        for word in d.completion().split(' ').chain([""]) {
            followers.entry(last.clone()).or_default().push(word.to_owned());
            last = [last[1].clone(), word.to_owned()];
        }
    }
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut babbled, mut meant, mut fooled, mut n) = (0.0, 0.0, 0, 0);
    for p in world.prompts(PromptSet::HeldOut) {
        let text = babble(&mut rng, &followers, Task::of_prompt(&p).unwrap().kind());
        let gold = judge.assess(&p, &text).unwrap().gold;
        babbled += gold;
        meant += judge.assess(&p, &world.answer(&p, None, 0).unwrap()).unwrap().gold;
        fooled += usize::from(gold > 0.85);
        n += 1;
    }
    let n = f64::from(n);
    assert!(babbled / n < 0.3 && meant / n > 0.95, "{} {}", babbled / n, meant / n);
    assert!((fooled as f64) < 0.03 * n, "{fooled} of {n}");
}
