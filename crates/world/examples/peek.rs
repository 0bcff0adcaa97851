//! Mean verdicts by kind and flaw.
use rlhf_world::*;
use std::collections::BTreeMap;
#[expect(clippy::print_stdout, reason = "an example")]
fn main() {
    let t = std::time::Instant::now();
    let world = World::generate(1, &WorldConfig::default());
    println!("generated in {:?}", t.elapsed());
    let t = std::time::Instant::now();
    let judge = Judge::new(&world);
    println!("judge in {:?}", t.elapsed());
    let t = std::time::Instant::now();
    let mut table: BTreeMap<(TaskKind, Option<Flaw>), Vec<(Verdict, String)>> = BTreeMap::new();
    let demos = world.demonstrations();
    for d in demos.iter().chain(&world.validation_demonstrations()) {
        let p = rlhf_data::Prompt {
            id: d.id.clone(),
            messages: d.prompt().to_vec(),
            task: d.task.clone(),
        };
        let v = judge.assess(&p, d.completion()).unwrap();
        let kind = Task::of_demonstration(d).unwrap().kind();
        table.entry((kind, flaw_of(d))).or_default().push((
            v,
            format!("{} => {}", p.messages.last().unwrap().content, d.completion()),
        ));
    }
    println!("assessed in {:?}", t.elapsed());
    for ((k, f), vs) in &mut table {
        vs.sort_by(|a, b| a.0.gold.total_cmp(&b.0.gold));
        let n = vs.len() as f64;
        let m = |g: fn(&Verdict) -> f64| vs.iter().map(|v| g(&v.0)).sum::<f64>() / n;
        println!(
            "{:11} {:12} n {:4} gold {:.3} [{:.3} .. {:.3}] help {:.2} honest {:.2} harmless {:.2} style {:.2} untrue {:.2}",
            k.to_string(),
            f.map_or("good".into(), |f| format!("{f:?}")),
            vs.len(),
            m(|v| v.gold),
            vs[0].0.gold,
            vs[vs.len() - 1].0.gold,
            m(|v| v.helpful),
            m(|v| v.honest),
            m(|v| v.harmless),
            m(|v| v.style),
            m(|v| f64::from(u8::from(v.untrue)))
        );
        let bad: Vec<_> = if f.is_none() {
            vs.iter().take(2).collect()
        } else {
            vs.iter().rev().take(1).collect()
        };
        if std::env::args().len() > 1 {
            for b in bad {
                println!("      {:.3} {} {:?}", b.0.gold, b.1, b.0);
            }
        }
    }
}
