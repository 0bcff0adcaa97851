//! Text up to a stop string, given out as soon as it cannot be the beginning of one.

/// Strings at which a completion ends, and text that may be the beginning of one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stops {
    strings: Vec<String>,
    held: String,
}

impl Stops {
    pub(crate) fn new(strings: Vec<String>) -> Self {
        Self {
            strings,
            held: String::new(),
        }
    }

    /// Takes text; returns what is certain, and true if the completion ends with it.
    pub(crate) fn push(&mut self, text: &str) -> (String, bool) {
        self.held.push_str(text);
        let first = self
            .strings
            .iter()
            .filter_map(|stop| self.held.find(stop.as_str()))
            .min();
        if let Some(at) = first {
            let before = self.held[..at].to_owned();
            self.held.clear();
            return (before, true);
        }
        let certain = self.held.len() - self.uncertain();
        let rest = self.held.split_off(certain);
        (std::mem::replace(&mut self.held, rest), false)
    }

    /// What is left at the end.
    pub(crate) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Bytes at the end that a stop string may begin with.
    fn uncertain(&self) -> usize {
        let begins = |from: &usize| {
            let end = &self.held[*from..];
            self.strings.iter().any(|stop| stop.starts_with(end))
        };
        let starts = self.held.char_indices().map(|(at, _)| at);
        starts.into_iter().find(begins).map_or(0, |from| self.held.len() - from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces, each with what comes of it, and what is left.
    fn check(stops: &[&str], pieces: &[(&str, &str, bool)], left: &str) {
        let mut found = Stops::new(stops.iter().map(|stop| (*stop).to_owned()).collect());
        for (piece, text, is_end) in pieces {
            assert_eq!(
                found.push(piece),
                ((*text).to_owned(), *is_end),
                "{piece:?} of {pieces:?}"
            );
        }
        assert_eq!(found.finish(), left);
    }

    #[test]
    fn text_waits_while_it_may_be_a_stop_string() {
        check(&[], &[("abc", "abc", false)], "");
        check(
            &["END"],
            &[("a E", "a ", false), ("N", "", false), ("D b", "", true)],
            "",
        );
        check(&["END"], &[("a E", "a ", false), ("No", "ENo", false)], "");
        check(&["END"], &[("EEN", "E", false)], "EN");
        check(
            &["\n\n"],
            &[("a\n", "a", false), ("b", "\nb", false), ("\n\nc", "", true)],
            "",
        );
    }

    #[test]
    fn the_first_of_several_ends_it() {
        check(&["b", "a"], &[("xab", "x", true)], "");
        check(&["aab", "ab"], &[("aa", "", false), ("b", "", true)], "");
        // One that ends inside of what another begins.
        check(&["abc", "b"], &[("a", "", false), ("b", "a", true)], "");
    }

    #[test]
    fn characters_of_several_bytes_stay_whole() {
        check(
            &["é!"],
            &[("café", "caf", false), (" é", "é ", false), ("!", "", true)],
            "",
        );
    }
}
