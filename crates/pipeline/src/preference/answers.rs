//! The answers of a model: made here and kept, or read from a file.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use rlhf_core::atomic;
use rlhf_core::hash::{Fingerprint, file_sha256, fingerprint};
use rlhf_data::{Clock, Prompt, Tokenizer, prompt_key, prompt_tokens, read_objects, trimmed};
use rlhf_hub::Want;
use rlhf_inference::{GenerateOptions, Generator};
use rlhf_model::{Placement, load_causal_lm, load_config};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{AnswersOf, Contestant, PreferenceFault, PreferenceOptions, check_stop};
use crate::error::{Error, Result};
use crate::files::{read_json, write_json};
use crate::locations::Locations;

/// Prompts that are answered before their answers are written down.
const PROMPTS_AT_ONCE: usize = 128;
/// Files beside its weights that a model is made of.
const PARTS: [&str; 4] = [
    "config.json",
    "tokenizer.json",
    "chat_template.jinja",
    "adapter_config.json",
];
/// The folder of answers in that of the evaluation.
const FOLDER: &str = "answers";

/// What all models have in common.
pub(super) struct Writer<'a> {
    pub(super) options: &'a PreferenceOptions,
    pub(super) locations: &'a Locations,
    pub(super) device: Device,
    pub(super) prompts: &'a [Prompt],
    /// Told how many of how many prompts are answered, and by whom.
    pub(super) told: &'a dyn Fn(usize, usize, &str),
}

/// One answer to each prompt.
pub(super) struct Answered {
    pub(super) texts: Vec<String>,
    pub(super) mean_tokens: Option<f64>,
    pub(super) eos_fraction: Option<f64>,
}

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
struct Row {
    /// The prompt's.
    id: String,
    /// The last message of the prompt, for whoever reads the file.
    prompt: String,
    completion: String,
    /// Tokens, the end included.
    tokens: usize,
    /// True if it ended by itself.
    finished: bool,
}

/// The answers of a contestant.
pub(super) fn answered(writer: &Writer<'_>, contestant: &Contestant) -> Result<Answered> {
    match &contestant.source {
        AnswersOf::File(path) => from_file(path, writer.prompts),
        AnswersOf::Model(location) => {
            let rows = made(writer, &contestant.name, location)?;
            let count = rows.len() as f64;
            Ok(Answered {
                mean_tokens: Some(rows.iter().map(|row| row.tokens).sum::<usize>() as f64 / count),
                eos_fraction: Some(rows.iter().filter(|row| row.finished).count() as f64 / count),
                texts: rows.into_iter().map(|row| row.completion).collect(),
            })
        }
    }
}

/// The answers of a model, those that are missing made now.
fn made(writer: &Writer<'_>, name: &str, location: &Path) -> Result<Vec<Row>> {
    let folder = writer.locations.model(location, Want::Model)?;
    let path = writer.options.out.join(FOLDER).join(format!("{name}.jsonl"));
    let mut rows = begun(writer, &path, &folder)?;
    rows.truncate(writer.prompts.len());
    let total = writer.prompts.len();
    if rows.len() == total {
        return Ok(rows);
    }
    let config = load_config(&folder)?;
    let tokenizer = Tokenizer::load(&folder)?.with_clock(Clock::Unset);
    tokenizer.check_conversations()?;
    tokenizer.check_vocab_size(config.vocab_size())?;
    let placement = Placement {
        device: &writer.device,
        weights: writer.options.weights,
    };
    let generator = Generator::new(&load_causal_lm(&folder, placement)?.0);
    while rows.len() < total {
        check_stop()?;
        (writer.told)(rows.len(), total, &format!("answers of {name}"));
        let next = &writer.prompts[rows.len()..total.min(rows.len() + PROMPTS_AT_ONCE)];
        let limit = writer.options.max_new_tokens;
        let max_tokens = writer.options.max_prompt_tokens.unwrap_or(usize::MAX);
        let ids = next.iter().map(|prompt| -> Result<Vec<u32>> {
            let prompt = trimmed(&tokenizer, prompt, max_tokens)?;
            Ok(prompt_tokens(&tokenizer, &prompt, config.max_seq_len(), limit)?.value)
        });
        let ids = ids.collect::<Result<Vec<Vec<u32>>>>()?;
        let options = GenerateOptions {
            max_new_tokens: limit,
            eos_token_id: tokenizer.eos_token_id(),
            stop_token_ids: tokenizer.other_eos_token_ids().to_vec(),
            sampling: writer.options.sampling.clone(),
            seed: writer.options.seed,
            purpose: "preference.answers",
            // An answer depends on the place of its prompt, and not on how many are answered at once or where an earlier call ended.
            first_stream: rows.len() as u64,
            ..GenerateOptions::default()
        };
        let completions = generator.generate(&ids, &options).map_err(rlhf_eval::Error::from)?;
        let made = next.iter().zip(completions).map(|(prompt, completion)| Row {
            id: prompt.id.clone(),
            prompt: prompt
                .messages
                .last()
                .map_or_else(String::new, |last| last.content.clone()),
            completion: tokenizer.decode(&completion.tokens, true),
            tokens: completion.tokens.len(),
            finished: completion.finished,
        });
        let made: Vec<Row> = made.collect();
        append(&path, &made)?;
        rows.extend(made);
    }
    (writer.told)(total, total, &format!("answers of {name}"));
    Ok(rows)
}

/// The answers that are there already, if they were made as they would be now.
fn begun(writer: &Writer<'_>, path: &Path, model: &Path) -> Result<Vec<Row>> {
    let now = made_with(writer.options, model)?;
    let mark = path.with_extension("made.json");
    if let Some(parent) = path.parent() {
        atomic::make_dir(parent)?;
    }
    if !mark.exists() || !path.exists() {
        // Answers of nobody knows whom are not gone on with.
        if path.exists() {
            return Err(PreferenceFault::OtherAnswers {
                path: path.to_owned(),
                field: "made.json".to_owned(),
                expected: "beside them".to_owned(),
                found: "absent".to_owned(),
            }
            .into());
        }
        write_json(&mark, &now)?;
        return Ok(Vec::new());
    }
    let then: Fingerprint = read_json(&mark)?;
    if let Some(difference) = now.difference(&then) {
        return Err(PreferenceFault::OtherAnswers {
            path: path.to_owned(),
            field: difference.field,
            expected: difference.expected,
            found: difference.found,
        }
        .into());
    }
    let rows = whole_rows(path)?;
    for (row, prompt) in rows.iter().zip(writer.prompts) {
        let asked = prompt.messages.last().map_or("", |last| last.content.as_str());
        if row.id != prompt.id || row.prompt != asked {
            return Err(PreferenceFault::OtherAnswers {
                path: path.to_owned(),
                field: "prompt".to_owned(),
                expected: prompt.id.clone(),
                found: row.id.clone(),
            }
            .into());
        }
    }
    Ok(rows)
}

/// All that answers depend on beside their prompts.
fn made_with(options: &PreferenceOptions, model: &Path) -> Result<Fingerprint> {
    Ok(fingerprint(&json!({
        "model": digests(model)?,
        "max_new_tokens": options.max_new_tokens,
        "max_prompt_tokens": options.max_prompt_tokens,
        "sampling": options.sampling,
        "seed": options.seed,
        "weights": format!("{:?}", options.weights),
    }))?)
}

/// The digest of every file that a model is made of, by its name.
pub(super) fn digests(model: &Path) -> Result<BTreeMap<String, String>> {
    let io = |source| Error::Io {
        path: model.to_owned(),
        source,
    };
    let files: Vec<PathBuf> = if model.is_dir() {
        let entries = model.read_dir().map_err(io)?;
        entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()
            .map_err(io)?
    } else {
        vec![model.to_owned()]
    };
    let is_part = |path: &PathBuf| {
        path.extension()
            .is_some_and(|ending| ending == "safetensors" || ending == "gguf")
            || path
                .file_name()
                .is_some_and(|name| PARTS.iter().any(|part| name == *part))
    };
    let files = files.into_iter().filter(|path| path.is_file() && is_part(path));
    files
        .map(|path| Ok((super::file_name(&path), file_sha256(&path)?)))
        .collect()
}

/// The rows of a file; a last line without its end was cut off, and is removed.
fn whole_rows(path: &Path) -> Result<Vec<Row>> {
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    let bytes = std::fs::read(path).map_err(io)?;
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    if whole < bytes.len() {
        atomic::write_file(path, &bytes[..whole])?;
    }
    // Read as bytes: what was cut off may end in the middle of a letter.
    let text = String::from_utf8_lossy(&bytes[..whole]);
    let row = |(index, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| Error::Row {
            path: path.to_owned(),
            line: index + 1,
            message: format!("expected an answer: {error}"),
        })
    };
    text.lines().enumerate().map(row).collect()
}

fn append(path: &Path, rows: &[Row]) -> Result<()> {
    let mut text = String::new();
    for row in rows {
        text.push_str(&serde_json::to_string(row).map_err(|source| Error::Encode {
            path: path.to_owned(),
            source,
        })?);
        text.push('\n');
    }
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|source| Error::Io {
        path: path.to_owned(),
        source,
    })
}

const EXPECTED: &str = "rows of {\"id\" or \"prompt\" or \"messages\", \"completion\"}";

/// The id of a row, if it has one.
pub(super) fn id_of(row: &rlhf_data::Row) -> Result<Option<String>> {
    Ok(match row.get("id") {
        None => None,
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(_) => Some(row.string("id")?),
    })
}

/// The answers in a file: to each prompt that of its id, or that of the same request.
fn from_file(path: &Path, prompts: &[Prompt]) -> Result<Answered> {
    let (mut by_id, mut by_text) = (HashMap::new(), HashMap::new());
    for row in read_objects(path, EXPECTED)? {
        let text = row.string("completion")?;
        if let Some(id) = id_of(&row)? {
            by_id.insert(id, text.clone());
        }
        if row.has("prompt") || row.has("messages") {
            by_text.insert(prompt_key(&row.prompt()?.0).to_owned(), text);
        }
    }
    let text = |prompt: &Prompt| {
        let found = by_id
            .get(&prompt.id)
            .or_else(|| by_text.get(prompt_key(&prompt.messages)));
        found.cloned().ok_or_else(|| {
            Error::from(PreferenceFault::NoAnswer {
                path: path.to_owned(),
                id: prompt.id.clone(),
                prompts: prompts.len(),
            })
        })
    };
    Ok(Answered {
        texts: prompts.iter().map(text).collect::<Result<_>>()?,
        mean_tokens: None,
        eos_fraction: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rlhf_data::Message;

    fn prompt(id: &str, text: &str) -> Prompt {
        Prompt {
            id: id.to_owned(),
            messages: vec![Message::user(text)],
            task: None,
            origin: Default::default(),
        }
    }

    #[test]
    fn answers_of_a_file_are_found_by_id_or_by_their_prompt() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("answers.jsonl");
        let text = "{\"id\":\"b\",\"completion\":\"to b\"}\n{\"prompt\":\"Why?\",\"completion\":\"so\"}\n";
        std::fs::write(&path, text).unwrap();
        let found = from_file(&path, &[prompt("a", "Why?"), prompt("b", "How?")]).unwrap();
        assert_eq!(found.texts, ["so", "to b"]);
        let error = from_file(&path, &[prompt("c", "Who?")])
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(error.contains("no answer to prompt c"), "{error}");
    }

    #[test]
    fn an_answer_that_was_cut_off_is_dropped_and_a_line_that_is_none_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.jsonl");
        let row = |id: &str| Row {
            id: id.to_owned(),
            prompt: String::new(),
            completion: "sí".to_owned(),
            tokens: 2,
            finished: true,
        };
        append(&path, &[row("a"), row("b")]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        // In the middle of the last letter, which has two bytes.
        let cut = text.rfind('í').unwrap() + 1;
        std::fs::write(&path, &text.as_bytes()[..cut]).unwrap();
        assert_eq!(whole_rows(&path).unwrap().len(), 1);
        append(&path, &[row("b")]).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        std::fs::write(&path, "{}\n").unwrap();
        assert!(
            whole_rows(&path)
                .map(|_| ())
                .unwrap_err()
                .to_string()
                .contains("m.jsonl:1: expected an answer")
        );
    }
}
