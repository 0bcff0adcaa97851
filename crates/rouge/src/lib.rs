//! Summaries as strings of words: ROUGE beside references, and what is copied from the article.
//!
//! [`Rouge`] is Lin's measure ("ROUGE: A Package for Automatic Evaluation of Summaries", 2004) as Python's `rouge-score` 0.1.2 computes it: a
//! [`Text`] is lower-cased, its words are runs of the letters a to z and of digits, words of more than three characters lose their endings
//! by NLTK's [`stem`] if that is asked for. [`copied`] is what of a summary stands in the article, n-grams and the fragments of Grusky et al. ("Newsroom",
//! 2018).
//!
//! Letters beyond a to z part words here, because they do there: of a text in another script ROUGE sees nothing.
//!
//! ```
//! use rlhf_rouge::{Rouge, Stemming, Text};
//!
//! let reference = Text::new("Police killed the gunman.", Stemming::Porter);
//! let summary = Text::new("the police kill a gunman", Stemming::Porter);
//! let found = Rouge::N(1).score(&reference, &summary);
//! // Police, kill(ed), the, gunman: all of the reference, four of five words of the summary.
//! assert_eq!((found.precision, found.recall), (0.8, 1.0));
//! ```

mod copied;
mod porter;
mod score;
mod text;

pub use copied::{Copied, NGRAMS, copied};
pub use porter::stem;
pub use score::{Rouge, Score};
pub use text::{Stemming, Text};
