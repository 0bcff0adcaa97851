//! Models and data sets of the Hugging Face Hub as local folders and files.
//!
//! A [`HubId`] is a place, `hf://org/name@revision/path`. A [`Hub`] turns it into a path on this machine: it asks which
//! commit the revision is and which files that has, fetches those that are wanted into the cache that all programs of
//! Hugging Face share, and from then on finds them there. Transfers and the layout of the cache are the `hf-hub` crate's;
//! this one chooses files, says what went wrong, and never touches the network when it is told not to.
//!
//! ```no_run
//! use rlhf_hub::{Hub, HubId, Options, Want};
//!
//! let hub = Hub::new(Options::from_env()?);
//! let found = hub.model(&HubId::model("hf://org/name@main")?, Want::Model)?;
//! println!("{} is commit {}", found.path.display(), found.commit);
//! # Ok::<(), rlhf_hub::Error>(())
//! ```

mod error;
mod hub;
mod id;
mod listing;
mod options;
mod remote;
mod select;

pub use error::{Error, Result};
pub use hub::{DataFiles, Event, Hub, ModelFolder};
pub use id::{HubId, RepoKind};
pub use options::Options;
pub use select::Want;
