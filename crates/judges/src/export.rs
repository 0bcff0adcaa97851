//! Tasks for people, in a file.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use rand::seq::SliceRandom;
use rlhf_data::{Message, Prompt};
use rlhf_tasks::{stable_hash, stream};
use serde::Serialize;

use crate::error::{Error, Result};
use crate::task::{check_comparable, check_distinct};

/// The file of tasks.
pub(crate) const TASKS: &str = "tasks.jsonl";
/// The file that says how to rank.
const README: &str = "README.txt";
const README_TEXT: &str = r#"How to rank

Each line of tasks.jsonl is a task: `messages` is a conversation, `completions` are answers to its last message.
Put the answers of each task in order, by what serves the person who asked best. Their order in the file was drawn
by lot and says nothing.

Copy the line to a file rankings.jsonl in this folder and write in place of `null` a whole number for each answer, in
the order in which they stand there: 0 for the best, 1 for the next, the same number for answers that are equally
good. `"ranking": [1, 0, 1]` says that the second answer is the best and that the other two are equal. A line of
`id` and `ranking` alone is enough. Tasks that are left at `null`, or left out, count as not ranked yet.

If several people rank, each writes a file rankings-NAME.jsonl, or adds `"labeler": "NAME"` to each line. A
`"confidence"` from 0 to 1 may stand beside a ranking.
"#;

/// A line of the file.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    messages: &'a [Message],
    completions: Vec<&'a str>,
    /// For people to fill in.
    ranking: (),
}

/// Writes `tasks.jsonl`, a line for each prompt and its completions, and a `README.txt` that says how to rank them.
///
/// The completions of a task are in an order drawn by lot, which its id decides, so that their places say nothing of where they come
/// from. Files of rankings in the folder are left alone. [`import`](crate::import()) reads what people write.
///
/// # Errors
/// Prompts of one id, or with fewer than two completions; a folder that cannot be written.
pub fn export(dir: &Path, rows: &[(Prompt, Vec<String>)]) -> Result<()> {
    check_distinct(rows.iter().map(|(prompt, _)| prompt.id.as_str()))?;
    let mut bytes = Vec::new();
    for (prompt, completions) in rows {
        check_comparable(&prompt.id, completions.len())?;
        let order = shown_order(&prompt.id, completions.len());
        let line = Line {
            id: &prompt.id,
            messages: &prompt.messages,
            completions: order.iter().map(|index| completions[*index].as_str()).collect(),
            ranking: (),
        };
        serde_json::to_writer(&mut bytes, &line).expect("rows are plain data, and memory takes them");
        bytes.push(b'\n');
    }
    fs::create_dir_all(dir).map_err(Error::io(dir))?;
    write(&dir.join(README), README_TEXT.as_bytes())?;
    write(&dir.join(TASKS), &bytes)
}

/// The order in which the completions of a task are shown.
fn shown_order(id: &str, completions: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..completions).collect();
    order.shuffle(&mut stream(0, "order of exported completions", stable_hash(&[id])));
    order
}

/// Writes a file whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_extension(format!("{}.part", std::process::id()));
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path));
    written.map_err(|source| {
        fs::remove_file(&temporary).ok();
        Error::io(path)(source)
    })
}
