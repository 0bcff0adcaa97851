//! What can go wrong in this crate.

/// Result of this crate's functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A fault, with the place it was found and what was expected there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `--device` named a backend that this build does not contain.
    #[error("unknown device `{name}`: this build has {available}")]
    UnknownDevice {
        /// What was asked for.
        name: String,
        /// Names that would do.
        available: String,
    },
    /// A parameter has no tensor of its name.
    #[error("tensor `{name}` is missing, expected shape {expected:?}")]
    MissingTensor {
        /// Parameter name.
        name: String,
        /// Its shape.
        expected: Vec<usize>,
    },
    /// A tensor has another shape than its parameter.
    #[error("tensor `{name}` has shape {found:?}, expected {expected:?}")]
    TensorShape {
        /// Parameter name.
        name: String,
        /// Shape of the parameter.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
}
