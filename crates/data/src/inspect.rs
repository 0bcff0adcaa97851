//! The contents of a file, for people to look at before they train on it.

mod fit;
mod lost;
mod print;
mod row;
mod survey;

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::kind::{DataKind, kind_of_file};
use crate::lengths::Lengths;
use crate::read::{FileReport, read_comparisons, read_demonstrations, read_prompts, read_text};
use crate::sequence::of_row;
use crate::text::Documents;
use crate::tokenizer::Tokenizer;
use crate::types::{Demonstration, Message, Prompt, Role};
pub use fit::Fit;
use fit::Limits;
pub use lost::LostText;
pub use row::{ShownPart, ShownRow};
use survey::Survey;

/// Statistics of a file, printed by `rlhf data inspect`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// The kind of rows in the file: see [`kind_of_file`].
    pub kind: DataKind,
    /// Rows read and left out.
    pub file: FileReport,
    /// Different opening requests.
    pub distinct_prompts: usize,
    /// Rows that repeat an earlier row word for word.
    pub duplicate_rows: usize,
    /// For comparisons: how many rows have K completions.
    pub completions_per_row: BTreeMap<usize, usize>,
    /// For comparisons: pairs of completions that tie, by their ranks or because they are the same.
    pub tied_pairs: usize,
    /// For comparisons: lines of the first rows with such pairs.
    pub tied_lines: Vec<usize>,
    /// For comparisons: pairs in which one wins.
    pub decided_pairs: usize,
    /// For comparisons: share of decided pairs of different length in which the longer one, by bytes, wins.
    pub longer_wins: Option<f64>,
    /// For comparisons: rows of each labeler, where rows name one.
    pub labelers: BTreeMap<String, usize>,
    /// For conversations: how many rows have that many messages.
    pub messages_per_row: BTreeMap<usize, usize>,
    /// For demonstrations: answers that are not to be learnt, in rows with others that are.
    pub answers_not_learnt: usize,
    /// For demonstrations: lines of the first rows with such answers.
    pub not_learnt_lines: Vec<usize>,
    /// Lengths in words, and in tokens if there is a tokenizer.
    pub lengths: Vec<Lengths>,
    /// Text that does not come back from its tokens, if there is a tokenizer.
    pub lost: Option<LostText>,
    /// Longest sequence of the model, in tokens, if it was given.
    pub max_seq_len: Option<usize>,
    /// The rows that fit into it.
    pub fit: Vec<Fit>,
    /// A row, written out.
    pub row: ShownRow,
}

/// Options of an inspection, besides the counts.
#[derive(Clone, Copy, Debug)]
pub struct InspectOptions<'a> {
    /// Counts lengths in tokens too, and shows the tokens of the row.
    pub tokenizer: Option<&'a Tokenizer>,
    /// Longest sequence of the model, in tokens: with a tokenizer, what it leaves of the rows is counted.
    pub max_seq_len: Option<usize>,
    /// Tokens that a prompt leaves room for; rows of other kinds are looked at as prompts too if it is given.
    pub max_new_tokens: Option<usize>,
    /// Tokens that a prompt is brought to by [`trimmed`](crate::trimmed) before anything else.
    pub max_prompt_tokens: Option<usize>,
    /// The row that is written out, from 1.
    pub row: usize,
}

impl Default for InspectOptions<'_> {
    /// Counts alone, and the first row.
    fn default() -> Self {
        Self {
            tokenizer: None,
            max_seq_len: None,
            max_new_tokens: None,
            max_prompt_tokens: None,
            row: 1,
        }
    }
}

/// Room for an answer where nobody says otherwise: as much as the stages ask for by default.
const NEW_TOKENS: usize = 64;

/// Reads a file of any kind, counts what is in it and writes one row out; with a tokenizer also in tokens, and as the stages
/// would prepare it.
///
/// # Errors
/// Those of the reader of its kind: see [`read_demonstrations`], [`read_comparisons`], [`read_prompts`],
/// [`read_text`]; [`Error::MissingRow`] if there are fewer rows than the one that is asked for.
pub fn inspect(path: impl AsRef<Path>, options: &InspectOptions) -> Result<Inspection> {
    let path = path.as_ref();
    match kind_of_file(path)? {
        DataKind::Text => text(path, options),
        DataKind::Prompts => prompts(path, options),
        DataKind::Demonstrations => demonstrations(path, options),
        DataKind::Comparisons => comparisons(path, options),
    }
}

impl<'a> InspectOptions<'a> {
    /// The model that rows are to fit: without a limit, if none was given.
    fn limits(&self) -> Option<Limits<'a>> {
        self.tokenizer.map(|tokenizer| Limits {
            tokenizer,
            max_seq_len: self.max_seq_len.unwrap_or(usize::MAX),
            max_new_tokens: self.max_new_tokens,
            max_prompt_tokens: self.max_prompt_tokens,
        })
    }

    /// The same, if a limit was given.
    fn limited(&self) -> Option<Limits<'a>> {
        self.limits()
            .filter(|_| self.max_seq_len.is_some() || self.max_prompt_tokens.is_some())
    }

    /// The row that is written out: its text, and what a model is given of it.
    fn row<T>(
        &self,
        path: &Path,
        rows: &[T],
        text: impl Fn(&T) -> String,
        given: impl Fn(Limits<'a>, &T) -> Result<(Vec<ShownPart>, Option<String>)>,
    ) -> Result<ShownRow> {
        let row = self.row.checked_sub(1).and_then(|index| rows.get(index));
        let row = row.ok_or_else(|| Error::MissingRow {
            path: path.to_owned(),
            row: self.row,
            rows: rows.len(),
        })?;
        let (parts, fate) = self
            .limits()
            .map(|limits| given(limits, row))
            .transpose()?
            .unwrap_or_default();
        Ok(ShownRow {
            number: self.row,
            text: text(row),
            parts,
            fate,
        })
    }
}

fn text(path: &Path, options: &InspectOptions) -> Result<Inspection> {
    let loaded = read_text(path, Documents::Auto)?;
    let mut found = Survey::new(options.tokenizer);
    for document in &loaded.rows {
        found.row(document, document);
        found.spelling([document.as_str()]);
        found.text("document", document, |tokenizer| {
            Ok(tokenizer.encode_document(document).len())
        })?;
    }
    let fit = options
        .limited()
        .map(|limits| limits.text(&loaded.rows))
        .unwrap_or_default();
    let shown = |document: &String| row::shortened(document);
    let row = options.row(path, &loaded.rows, shown, |limits, row| Ok(row::of_text(limits, row)))?;
    Ok(found.finish(DataKind::Text, &loaded, options, fit, row))
}

fn prompts(path: &Path, options: &InspectOptions) -> Result<Inspection> {
    let loaded = read_prompts(path)?;
    let mut found = Survey::new(options.tokenizer);
    for row in &loaded.rows {
        let counted = found.conversation(&row.messages, &row.messages);
        counted.map_err(|error| of_row(&row.id, &row.origin, error))?;
    }
    let fit = options
        .limited()
        .map(|limits| limits.prompts(&loaded.rows, NEW_TOKENS))
        .transpose()?;
    let shown = |row: &Prompt| row::conversation(&row.messages);
    let row = options.row(path, &loaded.rows, shown, |limits, row| {
        row::of_prompt(limits, row, NEW_TOKENS)
    })?;
    Ok(found.finish(DataKind::Prompts, &loaded, options, fit.unwrap_or_default(), row))
}

fn demonstrations(path: &Path, options: &InspectOptions) -> Result<Inspection> {
    let loaded = read_demonstrations(path)?;
    let mut found = Survey::new(options.tokenizer);
    for row in &loaded.rows {
        let counted = found.conversation(&row.messages, row.prompt());
        let counted = counted.and_then(|()| {
            row.learnt()
                .last()
                .map_or(Ok(()), |last| found.completion(row.prompt(), last))
        });
        counted.map_err(|error| of_row(&row.id, &row.origin, error))?;
        let is_left_out = |message: &&Message| message.role == Role::Assistant && !message.learnt;
        let left_out = row.messages.iter().filter(is_left_out).count();
        found.answers_not_learnt.add(left_out, &row.origin);
    }
    let fit = options
        .limited()
        .map(|limits| limits.demonstrations(&loaded.rows))
        .transpose()?;
    let shown = |row: &Demonstration| row::conversation(&row.messages);
    let row = options.row(path, &loaded.rows, shown, row::of_demonstration)?;
    Ok(found.finish(DataKind::Demonstrations, &loaded, options, fit.unwrap_or_default(), row))
}

fn comparisons(path: &Path, options: &InspectOptions) -> Result<Inspection> {
    let loaded = read_comparisons(path)?;
    let mut found = Survey::new(options.tokenizer);
    for row in &loaded.rows {
        found
            .comparison(row)
            .map_err(|error| of_row(&row.id, &row.origin, error))?;
    }
    let fit = options
        .limited()
        .map(|limits| limits.comparisons(&loaded.rows))
        .transpose()?;
    let row = options.row(path, &loaded.rows, row::comparison, row::of_comparison)?;
    Ok(found.finish(DataKind::Comparisons, &loaded, options, fit.unwrap_or_default(), row))
}
