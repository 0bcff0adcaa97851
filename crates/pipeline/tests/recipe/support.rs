//! The tiny configuration, folders of runs, and somebody who writes down what a run says.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rlhf_config::ConfigLoader;
use rlhf_core::stage::Progress;
use rlhf_pipeline::{Bar, Config, Error, Finished, Listener, Options, Run, STAGES, Stage};

/// `configs/tiny.toml`: every stage in seconds.
pub(crate) fn tiny() -> Config {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/tiny.toml");
    ConfigLoader::new().file(file).load().expect("the file is valid").config
}

/// `tiny`, changed.
pub(crate) fn tiny_with(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = tiny();
    change(&mut config);
    config
}

/// Everything that a run said.
#[derive(Clone, Default)]
pub(crate) struct Notes(Rc<RefCell<Vec<String>>>);

impl Notes {
    pub(crate) fn text(&self) -> String {
        self.0.borrow().join("\n")
    }
}

impl Listener for Notes {
    fn note(&self, subject: &str, line: &str) {
        self.0.borrow_mut().push(format!("{subject}: {line}"));
    }

    fn begin(&self, _: &'static str) -> Box<dyn Bar> {
        Box::new(self.clone())
    }
}

impl Progress for Notes {
    fn report(&self, done: u64, total: u64, _: &str) {
        self.0.borrow_mut().push(format!("{done}/{total}"));
    }
}

impl Bar for Notes {
    fn finish(&self) {}
}

/// Runs a stage, and tells what was said.
pub(crate) fn try_stage(dir: &Path, config: &Config, stage: &dyn Stage) -> (Result<Finished, Error>, String) {
    let notes = Notes::default();
    let options = Options {
        listener: Rc::new(notes.clone()),
        ..Options::default()
    };
    let run = Run::open(dir, config.clone(), options).expect("the folder can be made");
    let finished = run.stage(stage);
    (finished, notes.text())
}

/// Runs a stage that ends well.
#[track_caller]
pub(crate) fn finish(dir: &Path, config: &Config, stage: &dyn Stage) -> Finished {
    let (finished, said) = try_stage(dir, config, stage);
    finished.unwrap_or_else(|error| panic!("{}: {error}\n{said}", stage.name()))
}

/// The stages before `stage`.
pub(crate) fn before(stage: &dyn Stage) -> impl Iterator<Item = &'static dyn Stage> {
    let name = stage.name();
    STAGES.into_iter().take_while(move |stage| stage.name() != name)
}

/// The message that a stage is refused with.
#[track_caller]
pub(crate) fn refusal(dir: &Path, config: &Config, stage: &dyn Stage) -> String {
    let (finished, said) = try_stage(dir, config, stage);
    match finished {
        Ok(finished) => panic!("{} is not refused: {finished:?}\n{said}", stage.name()),
        Err(error) => error.to_string(),
    }
}

/// Copies a folder and all below it.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a temporary folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target: PathBuf = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("a file can be copied");
        }
    }
}
