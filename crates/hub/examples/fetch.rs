//! Says where a model or a data set of the Hub lies on this machine, after fetching what is missing of it:
//! `cargo run -p rlhf-hub --example fetch -- hf://org/name` or `… hf://datasets/org/name`.

use rlhf_hub::{Event, Hub, HubId, Options, Want};

#[expect(clippy::print_stdout, reason = "an example shows its result")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Some(location) = std::env::args().nth(1) else {
        println!("usage: fetch hf://org/name[@revision][/folder], or hf://datasets/org/name[@revision][/path]");
        return Ok(());
    };
    let hub = Hub::new(Options::from_env()?).with_listener(|event| {
        if let Event::Begin { id, files, bytes } = event {
            println!("{id}: fetching {files} files, {bytes} bytes");
        }
    });
    if location.starts_with("hf://datasets/") {
        let found = hub.data(&HubId::data(&location)?)?;
        found.files.iter().for_each(|file| println!("{}", file.display()));
    } else {
        println!("{}", hub.model(&HubId::model(&location)?, Want::Model)?.path.display());
    }
    Ok(())
}
