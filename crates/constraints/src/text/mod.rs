//! Measures of text: its words, sentences, paragraphs.

mod lines;
mod sentences;
mod words;

pub(crate) use lines::{is_bullet, number_of, paragraphs};
pub(crate) use sentences::{CLOSERS, sentences};
pub(crate) use words::{content_words, fold, has_word, rewrite_words, words};
