//! The contents of a file, for people to look at before they train on it.

mod fit;
mod lost;
mod print;
mod row;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::lines::{self, Format};
use crate::origin::Origin;
use crate::read::{FileReport, Loaded, TOLD, read_comparisons, read_demonstrations, read_prompts, read_text};
use crate::sequence::of_row;
use crate::text::Documents;
use crate::tokenizer::Tokenizer;
use crate::types::{Comparison, Demonstration, Message, Prompt, Reasoning, Role, prompt_key};
pub use fit::Fit;
use fit::Limits;
pub use lost::LostText;
pub use row::{ShownPart, ShownRow};

/// The kind of rows in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DataKind {
    /// Conversations with answers.
    Demonstrations,
    /// Ranked answers.
    Comparisons,
    /// Conversations that wait for an answer.
    Prompts,
    /// Documents.
    Text,
}

/// Lengths of one kind of text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lengths {
    /// The text and the unit, for example `completion, words`.
    pub of: String,
    /// The shortest.
    pub min: usize,
    /// The middle one.
    pub median: usize,
    /// The mean.
    pub mean: f64,
    /// 95 of 100 are at most as long.
    pub p95: usize,
    /// The longest.
    pub max: usize,
    /// For equal ranges from `min` to `max`: the largest length in the range, and how many texts fall into it.
    pub histogram: Vec<(usize, usize)>,
}

/// Statistics of a file, printed by `rlhf data inspect`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// The kind of rows in the file, told by the first.
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
    match kind_of(path)? {
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
        })
    }

    /// The same, if a limit was given.
    fn limited(&self) -> Option<Limits<'a>> {
        self.limits().filter(|_| self.max_seq_len.is_some())
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

/// Tells the kind by the fields of the first row.
fn kind_of(path: &Path) -> Result<DataKind> {
    let expected = "rows of demonstrations, comparisons, prompts or text";
    if path.exists() && lines::format_of(path)? == Format::Text {
        return Ok(DataKind::Text);
    }
    let Some(first) = lines::open_rows(path, expected)?.next() else {
        return Err(crate::Error::EmptyFile {
            path: path.to_owned(),
            expected,
        });
    };
    let (_, row) = first?;
    let has = |field: &str| row.get(field).is_some_and(|value| !value.is_null());
    let last_role = row
        .get("messages")
        .and_then(|messages| messages.as_array()?.last()?.get("role")?.as_str());
    let has_thumb = has("completion") && has("label");
    Ok(if has("completions") || has("chosen") || has("rejected") || has_thumb {
        DataKind::Comparisons
    } else if has("completion") || last_role == Some("assistant") {
        DataKind::Demonstrations
    } else if has("text") && !has("prompt") && !has("messages") {
        DataKind::Text
    } else {
        DataKind::Prompts
    })
}

/// Things of a kind, and the lines of the first rows that have some.
#[derive(Default)]
struct Counted {
    count: usize,
    lines: Vec<usize>,
}

impl Counted {
    fn add(&mut self, count: usize, origin: &Origin) {
        self.count += count;
        if count > 0 && self.lines.len() < TOLD {
            self.lines.extend(origin.line());
        }
    }
}

/// Counts while rows go by.
struct Survey<'a> {
    tokenizer: Option<&'a Tokenizer>,
    prompts: HashSet<String>,
    rows: HashSet<String>,
    duplicate_rows: usize,
    completions_per_row: BTreeMap<usize, usize>,
    tied: Counted,
    answers_not_learnt: Counted,
    decided_pairs: usize,
    longer: usize,
    uneven: usize,
    labelers: BTreeMap<String, usize>,
    messages_per_row: BTreeMap<usize, usize>,
    words: BTreeMap<&'static str, Vec<usize>>,
    tokens: BTreeMap<&'static str, Vec<usize>>,
    lost: Option<LostText>,
}

impl<'a> Survey<'a> {
    fn new(tokenizer: Option<&'a Tokenizer>) -> Self {
        Self {
            tokenizer,
            prompts: HashSet::new(),
            rows: HashSet::new(),
            duplicate_rows: 0,
            completions_per_row: BTreeMap::new(),
            tied: Counted::default(),
            answers_not_learnt: Counted::default(),
            decided_pairs: 0,
            longer: 0,
            uneven: 0,
            labelers: BTreeMap::new(),
            messages_per_row: BTreeMap::new(),
            words: BTreeMap::new(),
            tokens: BTreeMap::new(),
            lost: tokenizer.map(|_| LostText::default()),
        }
    }

    fn row(&mut self, key: &str, content: &str) {
        self.prompts.insert(key.to_owned());
        self.duplicate_rows += usize::from(!self.rows.insert(content.to_owned()));
    }

    fn text(&mut self, of: &'static str, text: &str, tokens: impl Fn(&Tokenizer) -> Result<usize>) -> Result<()> {
        self.words.entry(of).or_default().push(text.split_whitespace().count());
        if let Some(tokenizer) = self.tokenizer {
            self.tokens.entry(of).or_default().push(tokens(tokenizer)?);
        }
        Ok(())
    }

    /// Looks for text of a row that does not come back from its tokens.
    fn spelling<'t>(&mut self, texts: impl IntoIterator<Item = &'t str>) {
        if let (Some(tokenizer), Some(lost)) = (self.tokenizer, &mut self.lost) {
            lost.row(tokenizer, texts);
        }
    }

    fn conversation(&mut self, messages: &[Message], prompt: &[Message]) -> Result<()> {
        let thoughts = messages.iter().filter_map(|message| message.reasoning.as_ref());
        let contents = messages.iter().map(|message| message.content.as_str());
        self.spelling(contents.chain(thoughts.map(Reasoning::text)));
        self.row(prompt_key(messages), &format!("{messages:?}"));
        *self.messages_per_row.entry(messages.len()).or_default() += 1;
        self.prompt(prompt)
    }

    fn prompt(&mut self, prompt: &[Message]) -> Result<()> {
        let text: Vec<&str> = prompt.iter().map(|message| message.content.as_str()).collect();
        self.text("prompt", &text.join("\n"), |tokenizer| {
            Ok(tokenizer.encode_prompt(prompt)?.len())
        })
    }

    fn completion(&mut self, prompt: &[Message], completion: &Message) -> Result<()> {
        self.text("completion", &completion.content, |tokenizer| {
            Ok(tokenizer.encode_reply(prompt, completion)?.len())
        })
    }

    fn comparison(&mut self, row: &Comparison) -> Result<()> {
        let content = format!("{:?}", (&row.messages, &row.completions, &row.ranking));
        self.row(row.key(), &content);
        let asked = row.messages.iter().map(|message| message.content.as_str());
        self.spelling(asked.chain(row.completions.iter().map(String::as_str)));
        self.prompt(&row.messages)?;
        *self.messages_per_row.entry(row.messages.len()).or_default() += 1;
        for completion in &row.completions {
            self.completion(&row.messages, &Message::assistant(completion.as_str()))?;
        }
        let k = row.completions.len();
        *self.completions_per_row.entry(k).or_default() += 1;
        let pairs = row.pairs();
        self.decided_pairs += pairs.len();
        self.tied.add(k * (k - 1) / 2 - pairs.len(), &row.origin);
        for (winner, loser) in pairs {
            let [won, lost] = [winner, loser].map(|index| row.completions[index].len());
            self.longer += usize::from(won > lost);
            self.uneven += usize::from(won != lost);
        }
        if let Some(labeler) = &row.labeler {
            *self.labelers.entry(labeler.clone()).or_default() += 1;
        }
        Ok(())
    }

    fn finish<T>(
        self,
        kind: DataKind,
        loaded: &Loaded<T>,
        options: &InspectOptions,
        fit: Vec<Fit>,
        row: ShownRow,
    ) -> Inspection {
        let in_words = self
            .words
            .into_iter()
            .map(|(of, lengths)| (format!("{of}, words"), lengths));
        let in_tokens = self
            .tokens
            .into_iter()
            .map(|(of, lengths)| (format!("{of}, tokens"), lengths));
        Inspection {
            kind,
            file: loaded.report.files.first().cloned().unwrap_or_default(),
            distinct_prompts: self.prompts.len(),
            duplicate_rows: self.duplicate_rows,
            completions_per_row: self.completions_per_row,
            tied_pairs: self.tied.count,
            tied_lines: self.tied.lines,
            answers_not_learnt: self.answers_not_learnt.count,
            not_learnt_lines: self.answers_not_learnt.lines,
            decided_pairs: self.decided_pairs,
            longer_wins: (self.uneven > 0).then(|| self.longer as f64 / self.uneven as f64),
            labelers: self.labelers,
            messages_per_row: self.messages_per_row,
            lengths: in_words
                .chain(in_tokens)
                .filter_map(|(of, lengths)| Lengths::new(of, lengths))
                .collect(),
            lost: self.lost,
            max_seq_len: options.max_seq_len.filter(|_| options.tokenizer.is_some()),
            fit,
            row,
        }
    }
}

impl Lengths {
    const BARS: usize = 8;

    fn new(of: String, mut lengths: Vec<usize>) -> Option<Self> {
        lengths.sort_unstable();
        let (&min, &max) = (lengths.first()?, lengths.last()?);
        let n = lengths.len();
        let width = (max - min + 1).div_ceil(Self::BARS);
        let bars = (max - min + 1).div_ceil(width);
        let mut histogram: Vec<(usize, usize)> = (1..=bars).map(|bar| ((min + bar * width - 1).min(max), 0)).collect();
        for length in &lengths {
            histogram[(length - min) / width].1 += 1;
        }
        let mean = lengths.iter().sum::<usize>() as f64 / n as f64;
        // Nearest rank: the smallest length that 95 of 100 do not exceed.
        let p95 = lengths[(n * 95).div_ceil(100) - 1];
        Some(Self {
            of,
            min,
            median: lengths[(n - 1) / 2],
            mean,
            p95,
            max,
            histogram,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_a_sorted_list() {
        // 1..=20: median the 10th, p95 the 19th of 20, mean 10.5; ranges of 3 from 1 on.
        let lengths = Lengths::new("words".into(), (1..=20).rev().collect()).expect("not empty");
        assert_eq!((lengths.min, lengths.median, lengths.p95, lengths.max), (1, 10, 19, 20));
        assert_eq!(lengths.mean, 10.5);
        assert_eq!(
            lengths.histogram,
            [(3, 3), (6, 3), (9, 3), (12, 3), (15, 3), (18, 3), (20, 2)]
        );
    }

    #[test]
    fn one_length_is_one_bar() {
        let lengths = Lengths::new("words".into(), vec![5, 5]).expect("not empty");
        assert_eq!(lengths.histogram, [(5, 2)]);
        assert_eq!(Lengths::new("words".into(), vec![]), None);
    }
}
