//! Inputs of each stage damaged, missing and mixed up: it says which file, and nothing that is done is lost.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use rlhf_core::StageDir;
use rlhf_pipeline::stages::Tokenizer;
use rlhf_pipeline::{STAGES, Stage};

use crate::support::{copy, finish, refusal, tiny, try_stage};

/// What may happen to a file.
#[derive(Debug, Clone, Copy)]
enum Damage {
    /// It is gone.
    Missing,
    /// Nothing is in it.
    Empty,
    /// It ends in the middle.
    CutOff,
    /// It is another file.
    MixedUp,
}

impl Damage {
    const ALL: [Self; 4] = [Self::Missing, Self::Empty, Self::CutOff, Self::MixedUp];

    fn happens_to(self, file: &Path) {
        let whole = fs::read(file).expect("an input");
        match self {
            Self::Missing => fs::remove_file(file).expect("an input"),
            Self::Empty => fs::write(file, "").expect("an input"),
            Self::CutOff => fs::write(file, &whole[..whole.len() / 2]).expect("an input"),
            Self::MixedUp => fs::write(file, "# A list\n\n- of other things\n").expect("an input"),
        }
    }
}

/// The files below a folder with their bytes, but those of one stage and marks of who is at work.
fn files(dir: &Path, but: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.extend(Some(path).filter(|path| path != &dir.join(but)));
            } else if path.file_name().is_some_and(|name| name != "lock") {
                let bytes = fs::read(&path).expect("a file");
                found.insert(path, bytes);
            }
        }
    }
    found
}

/// What a finished stage has read of the run: its inputs, and the configurations beside the weights of models.
fn read_by(dir: &Path, stage: &dyn Stage) -> Vec<PathBuf> {
    let completion = StageDir::new(dir.join(stage.name())).completion().expect("a mark");
    let inputs = completion.expect("it is finished").inputs;
    let mut paths: Vec<PathBuf> = inputs.keys().map(|name| dir.join(name)).collect();
    let of_models = paths.iter().filter(|path| path.ends_with("model.safetensors"));
    let configs: Vec<PathBuf> = of_models.map(|path| path.with_file_name("config.json")).collect();
    paths.extend(configs);
    paths
}

#[test]
fn a_damaged_missing_or_mixed_up_input_is_named_by_the_stage_that_reads_it_and_nothing_is_lost() {
    let finished = tempfile::tempdir().expect("a temporary folder");
    for stage in STAGES {
        finish(finished.path(), &tiny(), stage);
    }
    let (mut tried, mut unnamed) = (0, Vec::<String>::new());
    for stage in STAGES.into_iter().filter(|stage| stage.name() != Tokenizer.name()) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        copy(finished.path(), dir.path());
        for file in read_by(dir.path(), stage) {
            let whole = fs::read(&file).expect("an input");
            // Nobody's rankings need be kept from training.
            let may_be_empty = file.ends_with("label/held_out_labelers.jsonl");
            for damage in Damage::ALL {
                if may_be_empty && matches!(damage, Damage::Empty) {
                    continue;
                }
                let case = format!("{} with {} {damage:?}", stage.name(), file.display());
                damage.happens_to(&file);
                let mut before = files(dir.path(), stage.name());
                let own = dir.path().join(stage.name());
                fs::remove_dir_all(&own).expect("the stage was finished");
                let (found, _) = try_stage(dir.path(), &tiny(), stage);
                let name = file.file_name().expect("a name").display().to_string();
                match found {
                    Err(error) if error.to_string().contains(&name) => {}
                    found => unnamed.push(format!("{case}: {found:?}")),
                }
                fs::write(&file, &whole).expect("an input");
                before.insert(file.clone(), whole.clone());
                assert!(
                    files(dir.path(), stage.name()) == before,
                    "{case}: something else changed"
                );
                tried += 1;
            }
        }
        // With what it reads whole again, the stage is done as if nothing had been.
        finish(dir.path(), &tiny(), stage);
    }
    assert!(unnamed.is_empty(), "of {tried} cases:\n{}", unnamed.join("\n"));
    assert!(unnamed.is_empty(), "of {tried} cases:\n{}", unnamed.join("\n"));
    assert!(tried > 100, "{tried} cases");
}

#[test]
fn a_finished_stage_whose_input_was_damaged_keeps_its_result() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for stage in STAGES {
        finish(dir.path(), &tiny(), stage);
    }
    for stage in STAGES.into_iter().filter(|stage| stage.name() != Tokenizer.name()) {
        let completion = StageDir::new(dir.path().join(stage.name()))
            .completion()
            .expect("a mark");
        let inputs = completion.expect("it is finished").inputs;
        let file = dir.path().join(inputs.keys().next().expect("it reads something"));
        let whole = fs::read(&file).expect("an input");
        Damage::CutOff.happens_to(&file);
        let before = files(dir.path(), "");
        let error = refusal(dir.path(), &tiny(), stage);
        assert!(
            error.contains("--overwrite") || error.contains("overwrite"),
            "{}: {error}",
            stage.name()
        );
        assert!(files(dir.path(), "") == before, "{}: something changed", stage.name());
        fs::write(&file, whole).expect("an input");
        assert!(finish(dir.path(), &tiny(), stage).was_complete, "{}", stage.name());
    }
}
