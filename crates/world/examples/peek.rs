use rlhf_world::*;
fn main() {
    let t = std::time::Instant::now();
    let world = World::generate(1, &WorldConfig::default());
    eprintln!("generated in {:?}", t.elapsed());
    let docs = world.documents();
    let mut words = std::collections::BTreeMap::new();
    for d in &docs {
        for w in d.split(|c: char| !c.is_alphanumeric() && c != '-' && c != '\'') {
            *words.entry(w.to_lowercase()).or_insert(0) += 1;
        }
    }
    println!("{} docs, {} distinct words", docs.len(), words.len());
    let n: usize = std::env::args().nth(1).map_or(40, |s| s.parse().unwrap());
    for d in docs.iter().take(n) {
        println!("- {d}");
    }
    for d in world.demonstrations().iter().take(2 * n) {
        println!("\n# {} {:?}", d.task.as_ref().unwrap(), flaw_of(d));
        for m in &d.messages {
            println!("{}: {}", m.role, m.content);
        }
    }
}
