//! Locations that the user names, as paths of this machine: a path is itself, `hf://…` is fetched from the Hub. Nothing else here turns a
//! location into a path.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rlhf_core::{RunDir, atomic};
use rlhf_data::Source;
use rlhf_hub::{Event, Hub, HubId, Options, Want};

use crate::error::{Error, Result};
use crate::listener::{Bar, Listener};

/// A location's text, if it means the Hub.
pub(crate) fn on_hub(location: &Path) -> Option<&str> {
    location.to_str().filter(|text| HubId::is_hub(text))
}

/// The Hub, asked only if something of it is named.
pub struct Locations {
    offline: bool,
    listener: Rc<dyn Listener>,
    hub: OnceCell<Hub>,
    /// Choices that were told already.
    told: RefCell<BTreeSet<String>>,
}

impl Locations {
    /// `offline` holds, or what the environment says.
    pub fn new(offline: bool, listener: Rc<dyn Listener>) -> Self {
        Self {
            offline,
            listener,
            hub: OnceCell::new(),
            told: RefCell::default(),
        }
    }

    fn hub(&self) -> Result<&Hub> {
        if let Some(hub) = self.hub.get() {
            return Ok(hub);
        }
        let mut options = Options::from_env()?;
        options.offline |= self.offline;
        let hub = Hub::new(options).with_listener(shown_to(Rc::clone(&self.listener)));
        Ok(self.hub.get_or_init(|| hub))
    }

    /// The folder of a model.
    pub fn model(&self, location: &Path, want: Want) -> Result<PathBuf> {
        match on_hub(location) {
            None => Ok(location.to_owned()),
            Some(text) => self.model_of(&HubId::model(text)?, want),
        }
    }

    /// The files of a data set, one or several.
    pub fn data(&self, location: &Path) -> Result<Vec<PathBuf>> {
        match on_hub(location) {
            None => Ok(vec![location.to_owned()]),
            Some(text) => self.data_of(&HubId::data(text)?),
        }
    }

    fn model_of(&self, id: &HubId, want: Want) -> Result<PathBuf> {
        Ok(self.hub()?.model(id, want)?.path)
    }

    fn data_of(&self, id: &HubId) -> Result<Vec<PathBuf>> {
        let found = self.hub()?.data(id)?;
        if let Some(choice) = found.note
            && self.told.borrow_mut().insert(id.to_string())
        {
            self.listener.note(FETCH, &format!("{id}: {choice}"));
        }
        Ok(found.files)
    }
}

/// The subject of notes about what is being fetched.
const FETCH: &str = "fetch";

/// Tells `listener` what is being fetched.
fn shown_to(listener: Rc<dyn Listener>) -> impl Fn(Event<'_>) {
    const MEGABYTE: u64 = 1_000_000;
    let bar: RefCell<Option<Box<dyn Bar>>> = RefCell::default();
    move |event| match event {
        Event::Begin { id, files, bytes } => {
            let megabytes = bytes as f64 / MEGABYTE as f64;
            let files = if files == 1 {
                "1 file".to_owned()
            } else {
                format!("{files} files")
            };
            listener.note(FETCH, &format!("{files}, {megabytes:.1} MB, of {id}"));
            *bar.borrow_mut() = Some(listener.begin(FETCH));
        }
        Event::Bytes { file, done, total } => {
            if let Some(bar) = bar.borrow().as_ref() {
                let total = total.max(done).div_ceil(MEGABYTE);
                bar.report(done / MEGABYTE, total, &format!("MB {file}"));
            }
        }
        Event::End => {
            if let Some(bar) = bar.borrow_mut().take() {
                bar.finish();
            }
        }
    }
}

/// Which commit each revision was when the run first asked, in the run's folder.
const PINS: &str = "hub.json";

/// The locations of a run. What `main` is, is asked once: the stages of a run, and a run that is gone on with, read the same
/// commit.
pub struct RunLocations {
    locations: Locations,
    file: PathBuf,
    pins: RefCell<BTreeMap<String, String>>,
}

impl RunLocations {
    /// The locations of the run in a folder, which is made if it is missing.
    ///
    /// # Errors
    /// A folder that cannot be made, or commits in it that cannot be read.
    pub fn open(locations: Locations, run: &Path) -> Result<Self> {
        RunDir::open(run)?;
        let file = run.join(PINS);
        let pins = match std::fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| Error::Row {
                path: file.clone(),
                line: error.line(),
                message: format!("{error}; expected the commits of this run's repositories: restore or remove it"),
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(source) => return Err(Error::Io { path: file, source }),
        };
        Ok(Self {
            locations,
            file,
            pins: RefCell::new(pins),
        })
    }

    /// A place at the commit that this run has for it.
    fn pinned(&self, id: &HubId) -> Result<HubId> {
        if let Some(commit) = self.pins.borrow().get(&id.repository()) {
            return Ok(id.at(commit));
        }
        let commit = self.locations.hub()?.commit(id)?;
        let mut pins = self.pins.borrow_mut();
        pins.insert(id.repository(), commit.clone());
        let text = serde_json::to_string_pretty(&*pins).unwrap_or_default() + "\n";
        atomic::write_file(&self.file, text.as_bytes())?;
        Ok(id.at(&commit))
    }

    /// The folder of a model.
    pub fn model(&self, location: &Path, want: Want) -> Result<PathBuf> {
        match on_hub(location) {
            None => Ok(location.to_owned()),
            Some(text) => self.locations.model_of(&self.pinned(&HubId::model(text)?)?, want),
        }
    }

    /// The same sources with files of this machine in place of those of the Hub; of several files each is one of its own.
    pub fn sources(&self, sources: &[Source]) -> Result<Vec<Source>> {
        let mut found = Vec::with_capacity(sources.len());
        for source in sources {
            let Some(text) = on_hub(&source.path) else {
                found.push(source.clone());
                continue;
            };
            let files = self.locations.data_of(&self.pinned(&HubId::data(text)?)?)?;
            let local = |path| Source { path, ..source.clone() };
            found.extend(files.into_iter().map(local));
        }
        Ok(found)
    }

    /// A dependency of a result: the repository as it is named, and the commit that this run has for it.
    pub(crate) fn dependency(
        &self,
        location: &str,
        of: impl Fn(&str) -> rlhf_hub::Result<HubId>,
    ) -> Result<(String, String)> {
        let id = of(location)?;
        Ok((id.repository(), self.pinned(&id)?.revision().to_owned()))
    }
}
