//! The clock of `strftime_now`, by which chat templates may write the date.

use std::fmt::Write;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, Utc};

use crate::error::{Error, Result};

/// The time that a template's `strftime_now` tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clock {
    /// The system's, in UTC.
    #[default]
    System,
    /// Always the same, so that a run can be repeated: see [`Clock::fixed`].
    Fixed(NaiveDateTime),
    /// None: a template that asks is an error which says what to set. Training has no other time unless it is given one.
    Unset,
}

impl Clock {
    /// A clock that stands at `YYYY-MM-DD` or `YYYY-MM-DDTHH:MM:SS`; `field` is named in the error.
    ///
    /// # Errors
    /// If `text` is no such date.
    pub fn fixed(text: &str, field: &str) -> Result<Self> {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").map(|date| date.and_time(NaiveTime::MIN));
        date.or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S"))
            .map(Self::Fixed)
            .map_err(|_| Error::Config {
                field: field.to_owned(),
                expected: "a date such as 2026-01-31 or 2026-01-31T12:00:00".to_owned(),
                found: format!("{text:?}"),
            })
    }

    /// The time in the words of a `strftime` format; what is wrong otherwise.
    pub(super) fn tell(self, format: &str) -> Result<String, &'static str> {
        let now = match self {
            Self::System => Utc::now().naive_utc(),
            Self::Fixed(time) => time,
            Self::Unset => {
                return Err("the template asks for the date; set data.chat_date, so that the run can be repeated");
            }
        };
        let mut text = String::new();
        match write!(text, "{}", now.format(format)) {
            Ok(()) => Ok(text),
            Err(_) => Err("strftime_now: a format that is not one of strftime"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_tells_its_date_as_python_does() {
        let clock = Clock::fixed("2026-03-07T16:05:09", "f").unwrap();
        for (format, expected) in [
            ("%d %b %Y", "07 Mar 2026"),
            ("%A, %B %-d, %Y", "Saturday, March 7, 2026"),
            ("%Y-%m-%d %H:%M:%S", "2026-03-07 16:05:09"),
            ("%I %p %j %y %%", "04 PM 066 26 %"),
        ] {
            assert_eq!(clock.tell(format).unwrap(), expected);
        }
        assert_eq!(Clock::fixed("2026-03-07", "f").unwrap().tell("%H:%M").unwrap(), "00:00");
    }

    #[test]
    fn wrong_dates_and_formats_are_errors() {
        let error = Clock::fixed("tomorrow", "data.chat_date").unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"data.chat_date: expected a date such as 2026-01-31 or 2026-01-31T12:00:00, found "tomorrow""#
        );
        assert!(Clock::fixed("2026-02-30", "f").is_err());
        assert!(Clock::System.tell("%Q").is_err());
        assert!(Clock::Unset.tell("%Y").is_err());
    }
}
