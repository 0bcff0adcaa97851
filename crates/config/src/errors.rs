//! The list of everything that is wrong with a configuration.

use std::fmt;

/// One fault: where, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Dotted path of the field, such as `ppo.n_minibatches`; empty for a fault of the whole.
    pub path: String,
    /// Fault of the value, with the numbers that show it.
    pub message: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            return f.write_str(&self.message);
        }
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// All faults of a configuration, so that a user mends them in one go.
///
/// ```
/// use rlhf_config::ConfigErrors;
/// let (batch_size, n_minibatches) = (64, 3);
/// let mut errors = ConfigErrors::new();
/// errors.check(batch_size % n_minibatches == 0, "ppo.n_minibatches", || {
///     format!("{n_minibatches} does not divide batch_size {batch_size}")
/// });
/// let said = errors.into_result().unwrap_err().to_string();
/// assert_eq!(said, "ppo.n_minibatches: 3 does not divide batch_size 64");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigErrors {
    errors: Vec<FieldError>,
}

impl ConfigErrors {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a fault.
    pub fn push(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.errors.push(FieldError {
            path: path.into(),
            message: message.into(),
        });
    }

    /// Adds a fault at `path` unless `holds`.
    pub fn check(&mut self, holds: bool, path: impl Into<String>, message: impl FnOnce() -> String) {
        if !holds {
            self.push(path, message());
        }
    }

    /// A count that must not be 0.
    pub fn check_count(&mut self, path: impl Into<String>, count: usize) {
        self.check(count > 0, path, || "expected at least 1, found 0".to_owned());
    }

    /// A finite number above 0.
    pub fn check_positive(&mut self, path: impl Into<String>, value: f64) {
        self.check(value.is_finite() && value > 0.0, path, || {
            format!("expected a finite number above 0, found {value}")
        });
    }

    /// A finite number above 0, where there is one.
    pub fn check_positive_if_set(&mut self, path: impl Into<String>, value: Option<f64>) {
        if let Some(value) = value {
            self.check_positive(path, value);
        }
    }

    /// A finite number that is not below 0.
    pub fn check_not_negative(&mut self, path: impl Into<String>, value: f64) {
        self.check(value.is_finite() && value >= 0.0, path, || {
            format!("expected a finite number of at least 0, found {value}")
        });
    }

    /// Adds the faults of a part that does not know where it stands, each under `prefix`.
    pub fn nest(&mut self, prefix: &str, part: Self) {
        for FieldError { path, message } in part.errors {
            self.push(
                if path.is_empty() {
                    prefix.to_owned()
                } else {
                    format!("{prefix}.{path}")
                },
                message,
            );
        }
    }

    /// True if nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// The faults in the order they were found.
    pub fn iter(&self) -> impl Iterator<Item = &FieldError> {
        self.errors.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut FieldError> {
        self.errors.iter_mut()
    }

    /// `Err` with the list if there is any fault.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

/// One fault a line.
impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.errors.iter().enumerate() {
            let line_break = if i == 0 { "" } else { "\n" };
            write!(f, "{line_break}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_listed_under_its_dotted_path() {
        let mut part = ConfigErrors::new();
        part.check(true, "fine", || unreachable!("a check that holds makes no message"));
        part.check(false, "peak_lr", || "must be above 0, found -1".into());
        part.push("", "has no steps");
        let mut whole = ConfigErrors::new();
        whole.nest("sft.schedule", part);
        assert_eq!(
            whole.into_result().unwrap_err().to_string(),
            "sft.schedule.peak_lr: must be above 0, found -1\nsft.schedule: has no steps"
        );
        assert_eq!(ConfigErrors::new().into_result(), Ok(()));
    }
}
