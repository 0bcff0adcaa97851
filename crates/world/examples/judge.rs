//! Verdicts of the judge on sampled answers: one JSON row for each row of prompt and completions, such as those in
//! `RUN/sample/samples.jsonl`.
//!
//! `cargo run -p rlhf-world --example judge SEED FILE`
#![expect(clippy::print_stdout, reason = "an example shows things")]

use rlhf_data::Prompt;
use rlhf_tasks::GoldJudge;
use rlhf_world::{Judge, Task, World, WorldConfig};
use serde::Deserialize;

#[derive(Deserialize)]
struct Row {
    #[serde(flatten)]
    prompt: Prompt,
    completions: Vec<String>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (seed, file) = arguments.next().zip(arguments.next()).ok_or("usage: judge SEED FILE")?;
    let judge = Judge::new(&World::generate(seed.parse()?, &WorldConfig::tiny()));
    for line in std::fs::read_to_string(file)?.lines() {
        let row: Row = serde_json::from_str(line)?;
        let verdicts = judge.assess_completions(&row.prompt, &row.completions)?;
        let kind = Task::of_prompt(&row.prompt)?.kind();
        println!(
            "{}",
            serde_json::json!({ "id": row.prompt.id, "kind": kind, "verdicts": verdicts })
        );
    }
    Ok(())
}
