//! Simulated labelers on answers of the world.

use std::sync::Arc;

use rlhf_data::Prompt;
use rlhf_tasks::{Ballot, GoldJudge, JudgedTask, Labeler, LabelerConfig, LabelerPool, PromptSet, agreement};
use rlhf_world::{Flaw, Judge, World, WorldConfig};

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
    let measured = agreement(&ballots);
    assert!((measured - 0.73).abs() < 0.01, "{measured}");
    // A labeler asked twice says the same.
    let first = &labelers.training()[0];
    let twice: Vec<Ballot> = samples
        .iter()
        .map(|(p, texts)| (0..2).map(|_| first.rank(p, texts).unwrap().ranks).collect())
        .collect();
    assert_eq!(agreement(&twice), 1.0);
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
