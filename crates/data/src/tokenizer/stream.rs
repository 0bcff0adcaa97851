//! Text from tokens as they come.

use super::Tokenizer;

/// Decodes tokens one after the other and never gives half a character; special tokens are left out.
///
/// ```no_run
/// # fn main() -> rlhf_data::Result<()> {
/// let tokenizer = rlhf_data::Tokenizer::load("runs/tiny/sft")?;
/// let mut stream = tokenizer.decode_stream();
/// let mut text = String::new();
/// for id in tokenizer.encode("naïve 👩‍👧") {
///     text.extend(stream.push(id));
/// }
/// text.extend(stream.finish());
/// assert_eq!(text, "naïve 👩‍👧");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DecodeStream<'a> {
    tokenizer: &'a Tokenizer,
    /// Tokens since the last text that was given out.
    pending: Vec<u32>,
    /// True once there was any.
    started: bool,
}

impl<'a> DecodeStream<'a> {
    pub(super) fn new(tokenizer: &'a Tokenizer) -> Self {
        Self {
            tokenizer,
            pending: Vec::new(),
            started: false,
        }
    }

    /// Takes a token; gives the text that is now certain, if there is any.
    pub fn push(&mut self, id: u32) -> Option<String> {
        self.pending.push(id);
        let text = self.text();
        // An unfinished character decodes to U+FFFD at the end; nothing may be the space before a text.
        if text.is_empty() || text.ends_with(char::REPLACEMENT_CHARACTER) {
            return None;
        }
        self.pending.clear();
        self.started = true;
        Some(text)
    }

    /// Gives what is left at the end; an unfinished character becomes U+FFFD.
    pub fn finish(&mut self) -> Option<String> {
        let text = self.text();
        self.pending.clear();
        Some(text).filter(|text| !text.is_empty())
    }

    /// The text that is pending, with a space at its beginning unless it is the one before the whole text.
    fn text(&self) -> String {
        if self.started {
            self.tokenizer.decode_continuation(&self.pending, true)
        } else {
            self.tokenizer.decode(&self.pending, true)
        }
    }
}
