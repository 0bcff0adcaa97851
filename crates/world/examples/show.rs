//! Ten documents of the world, then one prompt of each kind with a good and a flawed answer and what the judge says.
//!
//! `cargo run -p rlhf-world --example show [SEED]`
#![expect(clippy::print_stdout, reason = "an example shows things")]

use std::collections::BTreeSet;

use rlhf_tasks::{GoldJudge, JudgedTask, PromptSet, Verdict};
use rlhf_world::{Judge, Task, TaskKind, World, WorldConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seed = std::env::args().nth(1).map_or(Ok(1), |text| text.parse())?;
    let world = World::generate(seed, &WorldConfig::default());
    let judge = Judge::new(&world);

    println!("# Documents\n");
    for document in world.documents().iter().take(10) {
        println!("{document}\n");
    }

    println!("# Prompts, good and flawed answers, verdicts");
    let prompts = world.prompts(PromptSet::HeldOut);
    for kind in TaskKind::ALL {
        for prompt in &prompts {
            if Task::of_prompt(prompt)?.kind() != kind {
                continue;
            }
            println!("\n## {kind}");
            for message in &prompt.messages {
                println!("{}: {}", message.role, message.content);
            }
            let mut answers = vec![("good".to_owned(), None)];
            answers.extend(
                kind.flaws()
                    .map(|flaw| (format!("{flaw:?}").to_lowercase(), Some(flaw))),
            );
            for (name, flaw) in answers {
                let text = world.answer(prompt, flaw, 0).ok_or("the prompt has a task")?;
                println!("{name:>12}: {text}\n{:>14}{}", "", line(&judge.assess(prompt, &text)?));
            }
            break;
        }
    }

    let documents = world.documents();
    let bytes: usize = documents.iter().map(String::len).sum();
    let words: BTreeSet<String> = documents
        .iter()
        .flat_map(|text| text.split(|c: char| !c.is_alphanumeric() && c != '-'))
        .map(str::to_lowercase)
        .collect();
    println!(
        "\n{} documents, {bytes} bytes, {} distinct words, {} facts",
        documents.len(),
        words.len(),
        world.fact_count()
    );
    Ok(())
}

fn line(v: &Verdict) -> String {
    let Verdict {
        helpful,
        honest,
        harmless,
        style,
        gold,
        ..
    } = v;
    let untrue = if v.untrue { ", untrue" } else { "" };
    format!(
        "gold {gold:.3}: helpful {helpful:.2}, honest {honest:.2}, harmless {harmless:.2}, style {style:.2}{untrue}"
    )
}
