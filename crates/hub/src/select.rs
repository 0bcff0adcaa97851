//! The choice of a repository's files.

use std::collections::BTreeSet;

use crate::id::HubId;
use crate::listing::Listing;

/// The part of a model that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Configuration, tokenizer and weights.
    Model,
    /// Configuration and tokenizer, without the weights.
    Tokenizer,
    /// The adapters that PEFT saves.
    Adapter,
}

pub(crate) const WEIGHTS: &str = "model.safetensors";
pub(crate) const INDEX: &str = "model.safetensors.index.json";
const CONFIG: &str = "config.json";
const TOKENIZERS: [&str; 4] = ["tokenizer.json", "vocab.json", "tokenizer.model", "tokenizer.bin"];
const BESIDE: [&str; 7] = [
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
    "chat_template.jinja",
    "additional_chat_templates/tool_use.jinja",
];
const ADAPTER: [&str; 2] = ["adapter_config.json", "adapter_model.safetensors"];

/// The ending of a file that is a whole model: configuration, tokenizer and weights in one.
const WHOLE: &str = ".gguf";

/// The files that `want` takes from `folder` of a repository, those that are large last, or `folder` itself if it is a GGUF
/// file; the error says what is missing.
pub(crate) fn model_files(listing: &Listing, folder: &str, want: Want) -> Result<Vec<String>, String> {
    if folder.ends_with(WHOLE) && listing.has(folder) {
        return Ok(vec![folder.to_owned()]);
    }
    of_folder(listing, folder, want).map_err(|missing| {
        let prefix = if folder.is_empty() {
            String::new()
        } else {
            format!("{folder}/")
        };
        let inside = listing
            .names()
            .filter(|name| name.starts_with(&prefix) && name.ends_with(WHOLE));
        let whole: Vec<&str> = inside.collect();
        match whole[..] {
            [] => missing.to_owned(),
            _ => format!("{missing}; or name one of its GGUF files: {}", whole.join(", ")),
        }
    })
}

/// The files that `want` takes from a folder.
fn of_folder(listing: &Listing, folder: &str, want: Want) -> Result<Vec<String>, &'static str> {
    let inside = |name: &str| match folder {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    };
    let there = |name: &&str| listing.has(&inside(name));
    if want == Want::Adapter && !ADAPTER.iter().all(there) {
        return Err("adapter_config.json and adapter_model.safetensors");
    }
    let mut names: Vec<String> = TOKENIZERS
        .iter()
        .filter(|name| there(name))
        .map(|name| inside(name))
        .collect();
    names.extend(
        listing
            .names()
            .filter(|name| is_numbered_tokenizer(name, folder))
            .map(str::to_owned),
    );
    if want == Want::Tokenizer && names.is_empty() {
        return Err("a tokenizer: tokenizer.json, vocab.json with merges.txt, or tokenizer.model");
    }
    let beside = [CONFIG].into_iter().chain(BESIDE);
    names.extend(beside.filter(there).map(inside));
    if want == Want::Adapter {
        names.extend(ADAPTER.map(inside));
    }
    if want == Want::Model {
        if !there(&CONFIG) {
            return Err("a model: config.json and model.safetensors");
        }
        // The one that the reader of models takes where a folder has both.
        let weights = [WEIGHTS, INDEX].into_iter().find(there);
        names.push(inside(
            weights.ok_or("weights in model.safetensors, or several files with an index")?,
        ));
    }
    Ok(names)
}

/// llama2.c's `tok512.bin`, with any number.
fn is_numbered_tokenizer(name: &str, folder: &str) -> bool {
    let (dir, file) = name.rsplit_once('/').unwrap_or(("", name));
    let size = file.strip_prefix("tok").and_then(|rest| rest.strip_suffix(".bin"));
    dir == folder && size.is_some_and(|size| !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The files that an index of weights names, with the folder of the index.
pub(crate) fn shards(index: &[u8], folder: &str) -> Option<BTreeSet<String>> {
    let index: serde_json::Value = serde_json::from_slice(index).ok()?;
    let files = index.get("weight_map")?.as_object()?.values();
    let prefix = if folder.is_empty() {
        String::new()
    } else {
        format!("{folder}/")
    };
    files.map(|file| Some(format!("{prefix}{}", file.as_str()?))).collect()
}

/// Files of a data set, and what is to be said of how they were chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    pub(crate) files: Vec<String>,
    pub(crate) note: Option<String>,
}

/// Endings of the readers of rows, the one that is taken where there are several first.
const FORMATS: [&str; 8] = [
    "parquet", "jsonl", "jsonl.gz", "ndjson", "json", "json.gz", "txt", "txt.gz",
];
/// Files that `datasets` and the Hub write beside the rows.
const NO_ROWS: [&str; 5] = [
    "dataset_infos.json",
    "dataset_info.json",
    "dataset_dict.json",
    "state.json",
    "requirements.txt",
];
const TRAIN: [&str; 2] = ["train", "training"];
const OTHER_SPLITS: [&str; 9] = [
    "validation",
    "valid",
    "val",
    "dev",
    "test",
    "testing",
    "eval",
    "evaluation",
    "holdout",
];

/// The files of a data set that its path means: the file itself, those that match a pattern, or of a folder or of all those
/// of the training split.
pub(crate) fn data_files(listing: &Listing, id: &HubId) -> Result<Chosen, String> {
    let path = id.path();
    if listing.has(path) {
        return Ok(Chosen {
            files: vec![path.to_owned()],
            note: None,
        });
    }
    if path.contains('*') {
        let files: Vec<String> = listing
            .names()
            .filter(|name| matches(path, name))
            .map(str::to_owned)
            .collect();
        return if files.is_empty() {
            Err(format!("a file that matches `{path}`"))
        } else {
            Ok(Chosen { files, note: None })
        };
    }
    let inside = |name: &&str| path.is_empty() || name.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
    let known: Vec<&str> = listing
        .names()
        .filter(inside)
        .filter(|name| format_of(name).is_some())
        .collect();
    if known.is_empty() {
        let place = if path.is_empty() {
            String::new()
        } else {
            format!(" at `{path}`")
        };
        return Err(format!("a file of rows{place}, ending in .{}", FORMATS.join(", .")));
    }
    Ok(training_split(&known, path))
}

/// Of several files those of the training split, in the first format that it has.
fn training_split(known: &[&str], path: &str) -> Chosen {
    let of =
        |splits: &'static [&'static str]| move |name: &&&str| words(name).any(|word| splits.contains(&word.as_str()));
    let mut train: Vec<&str> = known.iter().filter(of(&TRAIN)).copied().collect();
    if train.is_empty() {
        // What names no split is there to be trained on; a repository of nothing but test splits is taken as it is.
        train = known.iter().filter(|name| !of(&OTHER_SPLITS)(name)).copied().collect();
    }
    if train.is_empty() {
        train = known.to_vec();
    }
    let format = FORMATS
        .iter()
        .find(|format| train.iter().any(|name| format_of(name) == Some(format)));
    let files: Vec<String> = train
        .iter()
        .filter(|name| format_of(name) == format.copied())
        .map(|s| (*s).to_owned())
        .collect();
    let groups: BTreeSet<String> = files.iter().map(|name| without_shard(name)).collect();
    let groups: Vec<String> = groups.into_iter().collect();
    let left_out = known.len() - files.len();
    let mut note = format!(
        "takes {} ({} of {} files with rows)",
        groups.join(", "),
        files.len(),
        known.len()
    );
    if groups.len() > 1 {
        let place = if path.is_empty() {
            String::new()
        } else {
            format!("{path}/")
        };
        note.push_str(&format!(
            "; if that is not one set, name a file, a folder or a pattern such as `/{place}…*` after the repository"
        ));
    } else if left_out > 0 {
        let others: Vec<&str> = known
            .iter()
            .filter(|name| !files.iter().any(|file| file == *name))
            .copied()
            .collect();
        note.push_str(&format!("; not {}", others.join(", ")));
    }
    Chosen {
        files,
        note: Some(note),
    }
}

fn format_of(name: &str) -> Option<&'static str> {
    let file = name.rsplit('/').next().unwrap_or(name).to_lowercase();
    let is_hidden = name.split('/').any(|part| part.starts_with('.'));
    if is_hidden || NO_ROWS.contains(&file.as_str()) {
        return None;
    }
    // The longest ending first: `.jsonl.gz` ends in neither of the others.
    FORMATS
        .into_iter()
        .find(|format| file.strip_suffix(format).is_some_and(|stem| stem.ends_with('.')))
}

/// The words of a path, in lower case: runs of letters.
fn words(name: &str) -> impl Iterator<Item = String> {
    name.split(|c: char| !c.is_alphabetic()).map(str::to_lowercase)
}

/// `data/train-00000-of-00003.parquet` without the number of the part.
fn without_shard(name: &str) -> String {
    let Some((stem, of)) = name.split_once("-of-") else {
        return name.to_owned();
    };
    let stem = stem
        .trim_end_matches(|c: char| c.is_ascii_digit())
        .trim_end_matches('-');
    let ending = of.trim_start_matches(|c: char| c.is_ascii_digit());
    // `-of-00003-2f1a…`: the Hub's conversion used to add a hash.
    let ending = ending.find('.').map_or("", |dot| &ending[dot..]);
    format!("{stem}{ending}")
}

/// True if a name matches a pattern in which `*` stands for any letters but `/`.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((before, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(name) = name.strip_prefix(before) else {
        return false;
    };
    let end = name.find('/').unwrap_or(name.len());
    (0..=end)
        .filter(|&skip| name.is_char_boundary(skip))
        .any(|skip| matches(rest, &name[skip..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing::RepoFile;

    fn listing(names: &[&str]) -> Listing {
        let file = |name: &&str| RepoFile {
            name: (*name).to_owned(),
            size: None,
        };
        Listing {
            commit: String::new(),
            files: names.iter().map(file).collect(),
            is_partial: false,
        }
    }

    const LLAMA: [&str; 12] = [
        ".gitattributes",
        "README.md",
        "config.json",
        "consolidated.safetensors",
        "generation_config.json",
        "model-00001-of-00002.safetensors",
        "model.safetensors.index.json",
        "original/consolidated.00.pth",
        "pytorch_model.bin",
        "tokenizer.json",
        "tokenizer_config.json",
        "model.Q4_K_M.gguf",
    ];

    #[test]
    fn a_gguf_file_is_a_whole_model_and_named_where_a_folder_has_nothing_else() {
        let files = listing(&["README.md", "small/model.Q8_0.gguf", "small/model.Q4_0.gguf"]);
        for want in [Want::Model, Want::Tokenizer] {
            assert_eq!(
                model_files(&files, "small/model.Q4_0.gguf", want).unwrap(),
                ["small/model.Q4_0.gguf"]
            );
            let missing = model_files(&files, "small", want).unwrap_err();
            assert!(
                missing.contains("small/model.Q8_0.gguf, small/model.Q4_0.gguf"),
                "{missing}"
            );
        }
        assert!(model_files(&files, "model.Q2_K.gguf", Want::Model).is_err());
    }

    #[test]
    fn a_model_is_its_configuration_its_tokenizer_and_one_form_of_its_weights() {
        let files = model_files(&listing(&LLAMA), "", Want::Model).unwrap();
        assert_eq!(
            files,
            [
                "tokenizer.json",
                "config.json",
                "generation_config.json",
                "tokenizer_config.json",
                INDEX
            ]
        );
        let single = listing(&[
            "a/config.json",
            "a/model.safetensors",
            "a/model.safetensors.index.json",
            "config.json",
        ]);
        assert_eq!(
            model_files(&single, "a", Want::Model).unwrap(),
            ["a/config.json", "a/model.safetensors"]
        );
        let index =
            br#"{"weight_map": {"x": "model-2.safetensors", "y": "model-1.safetensors", "z": "model-2.safetensors"}}"#;
        let found: Vec<_> = shards(index, "a").unwrap().into_iter().collect();
        assert_eq!(found, ["a/model-1.safetensors", "a/model-2.safetensors"]);
        assert_eq!(shards(b"{}", ""), None);
    }

    #[test]
    fn the_tokenizer_alone_and_adapters_alone() {
        let files = model_files(&listing(&LLAMA), "", Want::Tokenizer).unwrap();
        assert!(files.contains(&"config.json".to_owned()) && !files.iter().any(|file| file.contains("safetensors")));
        let files = listing(&["tok512.bin", "x/tok9.bin", "tokens.bin"]);
        assert_eq!(model_files(&files, "", Want::Tokenizer).unwrap(), ["tok512.bin"]);
        let adapter = listing(&["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"]);
        assert_eq!(model_files(&adapter, "", Want::Adapter).unwrap(), ADAPTER);
        // What it brings of a tokenizer comes along.
        let brings = ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"];
        let adapter = listing(&[&ADAPTER[..], &brings].concat());
        assert_eq!(
            model_files(&adapter, "", Want::Adapter).unwrap(),
            [&brings[..], &ADAPTER].concat()
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let refused = |names: &[&str], want, reason: &str| {
            let found = model_files(&listing(names), "", want).unwrap_err();
            assert!(found.contains(reason), "{found}");
        };
        refused(&["config.json", "pytorch_model.bin"], Want::Model, "model.safetensors");
        refused(&["model.safetensors"], Want::Model, "config.json");
        refused(&["config.json"], Want::Tokenizer, "tokenizer.json");
        refused(&["adapter_config.json"], Want::Adapter, "adapter_model.safetensors");
    }

    /// The files that are taken from `names` for `path`, and the note.
    fn chosen(names: &[&str], path: &str) -> (Vec<String>, Option<String>) {
        let id = HubId::data(&format!("hf://org/name{path}")).unwrap();
        let Chosen { files, note } = data_files(&listing(names), &id).unwrap();
        (files, note)
    }

    #[test]
    fn without_a_path_the_training_split_is_taken() {
        let names = [
            "README.md",
            "data/test-00000-of-00001.parquet",
            "data/train-00000-of-00002.parquet",
            "data/train-00001-of-00002.parquet",
            "dataset_infos.json",
        ];
        let (files, note) = chosen(&names, "");
        assert_eq!(files, [names[2], names[3]]);
        assert_eq!(
            note.unwrap(),
            "takes data/train.parquet (2 of 3 files with rows); not data/test-00000-of-00001.parquet"
        );
        // Names without a split are all there is to train on; words that only begin like one do not count.
        assert_eq!(chosen(&["rows.jsonl", "test.jsonl"], "").0, ["rows.jsonl"]);
        assert_eq!(chosen(&["trains.jsonl", "trains_test.jsonl"], "").0, ["trains.jsonl"]);
        assert_eq!(chosen(&["test.jsonl"], "").0, ["test.jsonl"]);
        assert_eq!(chosen(&["train.jsonl.gz", "train.parquet"], "").0, ["train.parquet"]);
    }

    #[test]
    fn several_sets_at_once_are_said_so() {
        let names = [
            "harmless/train.jsonl.gz",
            "helpful/test.jsonl.gz",
            "helpful/train.jsonl.gz",
        ];
        let (files, note) = chosen(&names, "");
        assert_eq!(files, [names[0], names[2]]);
        let note = note.unwrap();
        assert!(
            note.contains("harmless/train.jsonl.gz, helpful/train.jsonl.gz (2 of 3"),
            "{note}"
        );
        assert!(note.contains("name a file, a folder or a pattern"), "{note}");
        assert_eq!(chosen(&names, "/helpful").0, ["helpful/train.jsonl.gz"]);
        assert_eq!(
            chosen(&names, "/helpful/test.jsonl.gz"),
            (vec![names[1].to_owned()], None)
        );
        assert_eq!(chosen(&names, "/*/t*.jsonl.gz").0, names);
        assert_eq!(chosen(&names, "/*ful/train*").0, ["helpful/train.jsonl.gz"]);
        assert!(!matches("*.gz", names[0]));
    }

    #[test]
    fn a_data_set_without_rows_is_refused() {
        let refused = |path: &str| {
            let id = HubId::data(&format!("hf://org/name{path}")).unwrap();
            data_files(&listing(&["README.md", "a/dataset_info.json", "script.py"]), &id).unwrap_err()
        };
        assert!(refused("").starts_with("a file of rows, ending in .parquet, .jsonl"));
        assert!(refused("/a").starts_with("a file of rows at `a`"));
        assert_eq!(refused("/a/*.parquet"), "a file that matches `a/*.parquet`");
    }
}
