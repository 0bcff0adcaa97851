//! Texts longer than a model's context: windows that overlap.

use std::ops::{AddAssign, Range};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Sizes of windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowRule {
    /// Tokens that go through the model together at most, those included that are predicted.
    pub window: usize,
    /// Tokens that a window predicts at most, but for the first, which predicts all but its first token.
    pub stride: usize,
}

/// A part of a text that goes through the model together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its tokens.
    pub tokens: Range<usize>,
    /// The first that it predicts, counted from the beginning of the text: those before it are context.
    pub first: usize,
}

impl WindowRule {
    /// Checks that windows get on, and predict nothing from nothing.
    ///
    /// # Errors
    /// [`Error::Windows`].
    pub fn check(self) -> Result<Self> {
        if self.stride == 0 || self.stride >= self.window {
            return Err(Error::Windows {
                window: self.window,
                stride: self.stride,
            });
        }
        Ok(self)
    }
}

/// The windows of a text of `len` tokens, of which the first is not predicted. Every other one is predicted once, in a window that ends
/// with it or behind it, and every window but the first is as long as can be.
///
/// A stride of one less than the window gives windows that share one token, as lm-evaluation-harness makes them of a whole context; half a
/// window leaves at least half a window of context before each prediction but those of the first.
pub fn windows(len: usize, rule: WindowRule) -> Vec<Window> {
    let mut found = Vec::new();
    let mut first = 1;
    while first < len {
        let new = if first == 1 { rule.window - 1 } else { rule.stride };
        let end = len.min(first + new);
        found.push(Window {
            tokens: end.saturating_sub(rule.window)..end,
            first,
        });
        first = end;
    }
    found
}

/// What a text has, for means that do not depend on a tokenizer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextUnits {
    /// Tokens that were predicted.
    pub tokens: usize,
    /// Words: runs of anything but white space.
    pub words: usize,
    /// Bytes of UTF-8.
    pub bytes: usize,
}

impl TextUnits {
    /// Of a text of so many tokens.
    pub fn of(text: &str, tokens: usize) -> Self {
        Self {
            tokens,
            words: text.split_whitespace().count(),
            bytes: text.len(),
        }
    }
}

impl AddAssign for TextUnits {
    fn add_assign(&mut self, other: Self) {
        self.tokens += other.tokens;
        self.words += other.words;
        self.bytes += other.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn windows_move_on_by_the_stride_and_stay_full() {
        let window = |start, end, first| Window {
            tokens: start..end,
            first,
        };
        let rule = WindowRule { window: 4, stride: 2 };
        assert_eq!(
            windows(9, rule),
            [window(0, 4, 1), window(2, 6, 4), window(4, 8, 6), window(5, 9, 8)]
        );
        assert_eq!(windows(3, rule), [window(0, 3, 1)]);
        assert!(windows(1, rule).is_empty() && windows(0, rule).is_empty());
        let apart = WindowRule { window: 4, stride: 3 };
        assert_eq!(windows(8, apart), [window(0, 4, 1), window(3, 7, 4), window(4, 8, 7)]);
    }

    #[test]
    fn windows_that_do_not_get_on_are_refused() {
        for (window, stride) in [(4, 0), (4, 4), (1, 1), (0, 0)] {
            assert!(WindowRule { window, stride }.check().is_err());
        }
        assert!(WindowRule { window: 2, stride: 1 }.check().is_ok());
    }

    #[test]
    fn words_and_bytes_are_counted_without_a_tokenizer() {
        let mut units = TextUnits::of(" Zwölf  Boxkämpfer\n\n", 7);
        assert_eq!((units.words, units.bytes), (2, 22));
        units += TextUnits::of("a", 1);
        assert_eq!((units.tokens, units.words, units.bytes), (8, 3, 23));
    }

    proptest! {
        #[test]
        fn every_token_but_the_first_is_predicted_once(len in 0_usize..60, window in 2_usize..12, stride in 1_usize..12) {
            let rule = WindowRule { window, stride: stride.min(window - 1) };
            let found = windows(len, rule);
            let predicted: Vec<usize> = found.iter().flat_map(|w| w.first..w.tokens.end).collect();
            prop_assert_eq!(predicted, (1..len).collect::<Vec<usize>>());
            for (number, w) in found.iter().enumerate() {
                prop_assert!(w.tokens.len() <= window && w.tokens.start < w.first);
                prop_assert!(number == 0 || w.tokens.len() == window);
            }
        }
    }
}
