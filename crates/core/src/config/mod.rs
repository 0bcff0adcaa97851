//! Layered configuration: built-in values, files, `--set`.

mod errors;

pub use errors::{ConfigErrors, FieldError};
