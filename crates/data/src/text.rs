//! Plain text to documents.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Marks the end of a document in files made for GPT-2.
const END_OF_TEXT: &str = "<|endoftext|>";

/// Ways in which a plain text file is cut into documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Documents {
    /// At `<|endoftext|>` where the file has it; otherwise the file is one document.
    #[default]
    Auto,
    /// At `<|endoftext|>`.
    EndOfText,
    /// At blank lines.
    BlankLine,
    /// At single line breaks; blank lines stay inside a document, as paragraphs.
    LineBreak,
    /// The file is one document, for example a book.
    WholeFile,
}

impl Documents {
    /// The documents of `text`, without white space around them; empty ones are left out.
    pub fn cut(self, text: &str) -> impl Iterator<Item = &str> {
        let pieces: Vec<&str> = match self {
            Self::WholeFile => vec![text],
            Self::Auto | Self::EndOfText => text.split(END_OF_TEXT).collect(),
            Self::BlankLine => split_lines(text, |breaks| breaks > 1),
            Self::LineBreak => split_lines(text, |breaks| breaks == 1),
        };
        pieces.into_iter().map(str::trim).filter(|piece| !piece.is_empty())
    }
}

/// Cuts at each run of white space whose number of line breaks satisfies `is_cut`.
fn split_lines(text: &str, is_cut: impl Fn(usize) -> bool) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while let Some(next) = text[at..].find('\n') {
        let from = at + next;
        let rest = &text[from..];
        let blank = rest.len() - rest.trim_start().len();
        at = from + blank;
        if is_cut(rest[..blank].matches('\n').count()) {
            pieces.push(&text[start..from]);
            start = at;
        }
    }
    pieces.push(&text[start..]);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(documents: Documents, text: &str, expected: &[&str]) {
        assert_eq!(documents.cut(text).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn documents_are_cut_where_asked() {
        let text = "one\nstill one\r\n \r\ntwo<|endoftext|>\n\n\nthree\n";
        check(Documents::WholeFile, text, &[text.trim()]);
        check(Documents::Auto, text, &["one\nstill one\r\n \r\ntwo", "three"]);
        check(Documents::EndOfText, text, &["one\nstill one\r\n \r\ntwo", "three"]);
        check(
            Documents::BlankLine,
            text,
            &["one\nstill one", "two<|endoftext|>", "three"],
        );
        check(Documents::LineBreak, "a\n\nb\nc\n", &["a\n\nb", "c"]);
        check(Documents::Auto, " \n ", &[]);
    }
}
